//! The way over the table that all tasks share.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::codec::{Codec, Document, check_bare, envelope};
use crate::error::{Error, Result};
use crate::id::StoredId;
use crate::record::{Filter, Owner, Row, RowKey, Scan};
use crate::store::Maintenance;

/// A statement takes no more keys on any database.
const MAX_BATCH: u32 = 10_000;
/// So often a watch is asked meanwhile, where a task rests or takes long.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(100);
/// How often a step is tried again that failed for a passing reason, and the first wait between.
const TRIES: u32 = 4;
const WAIT: Duration = Duration::from_millis(200);

/// Runs a step that may be repeated, again while it fails for a passing reason.
macro_rules! patiently {
    ($step:expr) => {{
        let mut tries = 0;
        loop {
            match $step.await {
                Err(error) if $crate::admin::walk::is_worth_a_try(&error, tries) => {
                    tokio::time::sleep($crate::admin::walk::wait(tries)).await;
                    tries += 1;
                }
                result => break result,
            }
        }
    }};
}
pub(super) use patiently;

/// How a task goes over the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Rows that are read, and at most changed, at once; 1,000 by default, at most 10,000.
    pub batch: u32,
    /// Rest between two batches; none by default.
    pub pause: Duration,
    /// The part of the time, in percent, in which rows are changed; after each batch the task rests
    /// until it is kept. A service beside it then meets a batch as rarely. 100 by default.
    pub share: u32,
    /// The task ends between two batches, or while it rests, once this time has passed.
    pub at_most: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { batch: 1_000, pause: Duration::ZERO, share: 100, at_most: None }
    }
}

impl Pace {
    /// The same for what is left to do, of a task that began then.
    pub(super) fn since(&self, begun: Instant) -> Self {
        let left = |time: Duration| time.saturating_sub(begun.elapsed());
        Self { at_most: self.at_most.map(left), ..self.clone() }
    }

    /// How long to rest after a batch that took so long.
    fn rest(&self, worked: Duration) -> Duration {
        let share = self.share.clamp(1, 100);
        self.pause.max(worked * (100 - share) / share)
    }
}

/// How far a task has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows looked at.
    pub seen: u64,
    /// Rows changed or deleted; in a dry run those that would be.
    pub changed: u64,
    /// Rows that the table had at the beginning, where the store counts.
    pub total: Option<u64>,
}

/// Is told of the progress between two batches, and ten times a second while the task rests there, and
/// may stop it.
pub trait Watch: FnMut(&Progress) -> ControlFlow<()> + Send {}

impl<F: FnMut(&Progress) -> ControlFlow<()> + Send> Watch for F {}

/// Why a task ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ended {
    /// It has seen the whole table.
    #[default]
    Done,
    /// Its watch stopped it.
    Stopped,
    /// Its time was up.
    OutOfTime,
    /// Another process is at the same task.
    Elsewhere,
    /// It failed half-way, and tells what it knows until then: [`doctor`](super::doctor) alone ends so.
    Failed,
}

/// What people may call a row by: its primary key or, where that is the session's id, a short digest
/// of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowName(String);

impl RowName {
    pub(super) fn new(row: &Row) -> Self {
        match &row.key {
            RowKey::Int(key) => Self(key.to_string()),
            RowKey::Text(key) if !is_id(key, &row.stored_id) => Self(key.to_string()),
            RowKey::Text(_) => {
                let digest = Sha256::digest(format!("sqlbypass row {}", row.stored_id));
                Self(format!("~{}", const_hex::encode(&digest[..8])))
            }
        }
    }
}

impl RowName {
    /// Whether it is this row's.
    pub(super) fn is_of(&self, row: &Row) -> bool {
        Self::new(row) == *self
    }

    fn is_digest(&self) -> bool {
        let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.0.strip_prefix('~').is_some_and(|digits| digits.len() == 16 && is_hex(digits))
    }

    /// A number only where it is written as a list would tell it: `007` is a text's.
    fn key(&self) -> RowKey {
        match self.0.parse::<i64>() {
            Ok(number) if number.to_string() == self.0 => RowKey::Int(number),
            _ => RowKey::Text(self.0.as_str().into()),
        }
    }

    /// The row of this name and its data. A key is looked up; for a digest the table is read until
    /// its row has come.
    pub(super) async fn find<S: Maintenance>(
        &self,
        store: &S,
        watch: impl Watch,
    ) -> Result<Option<Row>> {
        let key = match self.is_digest() {
            true => self.walk(store, watch).await?,
            false => Some(self.key()),
        };
        let Some(key) = key else { return Ok(None) };
        Ok(patiently!(store.row(&key))?.filter(|row| self.is_of(row)))
    }

    async fn walk<S: Maintenance>(&self, store: &S, watch: impl Watch) -> Result<Option<RowKey>> {
        let pace = Pace::default();
        let mut walk = Walk::start(store, &pace, false, watch).await?;
        while let Some(rows) = walk.next().await? {
            if let Some(row) = rows.into_iter().find(|row| self.is_of(row)) {
                return Ok(Some(row.key));
            }
        }
        Ok(None)
    }
}

/// A name that a list has told.
impl From<&str> for RowName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// Whether a row gets another key with another id.
pub(super) fn is_keyed_by_id(row: &Row) -> bool {
    matches!(&row.key, RowKey::Text(key) if is_id(key, &row.stored_id))
}

/// Whether a key holds the id, as text or as hex.
fn is_id(key: &str, id: &str) -> bool {
    key == id || key.eq_ignore_ascii_case(&const_hex::encode(id))
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A walk over the table in batches.
pub(super) struct Walk<'a, S, W> {
    store: &'a S,
    pace: &'a Pace,
    watch: W,
    begun: Instant,
    /// When the batch that is being worked on was handed out.
    handed: Instant,
    with_data: bool,
    /// Whose rows, one after the other; all rows where it is empty.
    owners: VecDeque<Owner>,
    /// Which of them; all by default.
    filter: Filter,
    /// Where the current batch begins, and the next one.
    from: Option<RowKey>,
    after: Option<RowKey>,
    /// Rows of the batch that is being worked on.
    pending: u64,
    is_last: bool,
    progress: Progress,
    ended: Option<Ended>,
}

impl<'a, S: Maintenance, W: Watch> Walk<'a, S, W> {
    pub(super) async fn start(
        store: &'a S,
        pace: &'a Pace,
        with_data: bool,
        watch: W,
    ) -> Result<Self> {
        // A table too large to be counted by the deadline is walked all the same.
        let total = match store.count().await {
            Err(error) if error.is_timeout() => None,
            total => total?,
        };
        let walk = Self::over(store, pace, Vec::new(), watch);
        let progress = Progress { total, ..Progress::default() };
        Ok(Self { with_data, progress, ..walk })
    }

    /// The rows of these owners and their data, by the column of users.
    pub(super) fn over(store: &'a S, pace: &'a Pace, owners: Vec<Owner>, watch: W) -> Self {
        Self {
            store,
            pace,
            watch,
            begun: Instant::now(),
            handed: Instant::now(),
            with_data: true,
            owners: owners.into(),
            filter: Filter::default(),
            from: None,
            after: None,
            pending: 0,
            is_last: false,
            progress: Progress::default(),
            ended: None,
        }
    }

    /// Only the rows that match this, without their data.
    pub(super) fn filtered(self, filter: Filter) -> Self {
        Self { filter, with_data: false, ..self }
    }

    /// The next rows; `None` when the task has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        let worked = self.handed.elapsed();
        self.progress.seen += std::mem::take(&mut self.pending);
        if self.is_last && self.owners.len() > 1 {
            self.owners.pop_front();
            (self.after, self.is_last) = (None, false);
        }
        if self.ended.is_none() {
            self.ended = self.end();
        }
        if self.ended.is_some() {
            return Ok(None);
        }
        if self.after.is_some() {
            self.rest(self.pace.rest(worked)).await;
        }
        if self.ended.is_some() {
            return Ok(None);
        }
        self.from = self.after.take();
        let rows = self.again().await?;
        self.pending = rows.len() as u64;
        self.is_last = self.pending < u64::from(self.limit());
        self.after = rows.last().map(|row| row.key.clone()).or_else(|| self.from.clone());
        self.handed = Instant::now();
        Ok(Some(rows))
    }

    /// The current batch as it is now; where rows have gone, others from behind it come along. The
    /// next batch begins where it would have begun.
    pub(super) async fn again(&self) -> Result<Vec<Row>> {
        let scan = Scan {
            after: self.from.clone(),
            owner: self.owners.front().cloned(),
            filter: self.filter.clone(),
            with_data: self.with_data,
            ..Scan::new(self.limit())
        };
        patiently!(self.store.scan(&scan))
    }

    /// Rests, unless the task is to end meanwhile.
    async fn rest(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() && self.ended.is_none() {
            let some = left.min(ASK_EVERY);
            tokio::time::sleep(some).await;
            left -= some;
            if !left.is_zero() {
                self.ended = self.end();
            }
        }
    }

    fn limit(&self) -> u32 {
        self.pace.batch.clamp(1, MAX_BATCH)
    }

    fn end(&mut self) -> Option<Ended> {
        if self.is_last {
            self.progress.total = self.progress.total.map(|_| self.progress.seen);
        }
        let told = (self.watch)(&self.progress);
        if self.is_last {
            return Some(Ended::Done);
        }
        if told.is_break() {
            return Some(Ended::Stopped);
        }
        let is_up = self.pace.at_most.is_some_and(|time| self.begun.elapsed() >= time);
        is_up.then_some(Ended::OutOfTime)
    }

    /// Counts rows that were changed.
    pub(super) fn changed(&mut self, rows: u64) {
        self.progress.changed += rows;
    }

    /// Ends the walk before the next batch; the current one was not worked on.
    pub(super) fn leave(&mut self, why: Ended) {
        self.pending = 0;
        self.ended = Some(why);
    }

    /// What was done, and why it ended.
    pub(super) fn finish(self) -> (Progress, Ended) {
        (self.progress, self.ended.unwrap_or_default())
    }
}

/// Whether a step that failed so may succeed a little later.
pub(super) fn is_worth_a_try(error: &Error, tries: u32) -> bool {
    let is_passing = error.is_timeout()
        || error.is_unavailable()
        || error.is_overloaded()
        || error.is_unknown_outcome();
    is_passing && tries + 1 < TRIES
}

pub(super) fn wait(tries: u32) -> Duration {
    WAIT * 2_u32.pow(tries)
}

/// Opens the data of the row with this id. What a serializer takes for an empty session because another one
/// has written it is an error: nobody's session is overlooked for it.
pub(super) fn open(
    codec: &dyn Codec,
    stored_id: &str,
    data: Option<Bytes>,
) -> Result<Box<dyn Document>> {
    let envelope = data.as_deref().filter(|data| !codec.is_bound() && envelope::is_envelope(data));
    if let Some(envelope) = envelope {
        let key = envelope::parse(envelope).map_or("of no id", |envelope| envelope.key_id);
        let problem = format!("it is encrypted with the key {key}");
        return Err(Error::decode(codec.name(), Some(0), problem).advice("give the keys"));
    }
    let document = match StoredId::parse(stored_id.as_bytes()) {
        Some(id) => codec.open_row(&id.private(), data.clone()),
        None => codec.open(data.clone()),
    }?;
    data.map_or(Ok(()), |data| check_bare(codec, &*document, data))?;
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rails_serializers_of_json_overlook_a_bare_object() {
        use crate::codec::{Custom, Serializer};

        let stored = || Some(Bytes::from_static(br#"{"version":1,"session":{}}"#));
        let own = Custom::new("own", |_| Ok(Default::default()), |_| Ok(Vec::new()));
        assert!(open(&own, "a", stored()).is_ok_and(|document| document.keys().is_empty()));
        let null = open(&Serializer::Null, "a", stored()).map(|document| document.keys().len());
        assert_eq!(null.ok(), Some(2));
        for serializer in [Serializer::Json, Serializer::Hybrid] {
            assert!(open(&serializer, "a", stored()).is_err_and(|error| error.is_decode()));
        }
    }

    fn row(key: RowKey, id: &str) -> Row {
        let (data, created_at, updated_at) = (None, None, None);
        Row {
            key,
            stored_id: id.into(),
            size: 0,
            data,
            created_at,
            updated_at,
            owner: Owner::Unknown,
        }
    }

    #[test]
    fn a_share_of_the_time_is_kept() {
        let rest = |share, pause, worked| {
            let (pause, worked) = (Duration::from_millis(pause), Duration::from_millis(worked));
            Pace { share, pause, ..Pace::default() }.rest(worked).as_millis()
        };
        assert_eq!([rest(100, 0, 8), rest(100, 5, 8), rest(20, 0, 8)], [0, 5, 32]);
        assert_eq!([rest(20, 50, 8), rest(0, 0, 8), rest(900, 0, 8)], [50, 792, 0]);
    }

    #[test]
    fn a_row_is_never_named_by_its_id() {
        let text = |key: &str| RowKey::Text(key.into());
        let name = |key, id| RowName::new(&row(key, id)).to_string();
        assert_eq!(name(RowKey::Int(5), "abc"), "5");
        assert_eq!(name(text("uuid"), "abc"), "uuid");
        let digest = name(text("abc"), "abc");
        assert!(digest.len() == 17 && digest.starts_with('~'), "{digest}");
        assert_eq!(name(text("616263"), "abc"), digest);
        assert_ne!(name(text("abd"), "abd"), digest);
    }
}
