//! The sessions of a user: which there are, and their end.

use std::collections::HashSet;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde::de::DeserializeOwned;

use super::upgrade::is_secured;
use super::walk::{Ended, Pace, Progress, RowName, Walk, Watch, is_keyed_by_id, open, patiently};
use crate::codec::{Codec, Content, Document};
use crate::error::{Error, Kind, Result};
use crate::id::StoredId;
use crate::manager::Users;
use crate::record::{Filter, Owner, Row, RowKey, Still};
use crate::store::Maintenance;

/// How often a batch is read again in which a session of the user's changes all the time; only where
/// the session's id is the key, more than the first ones can fail.
const TRIES: usize = 200;
/// So many tries need the data that were read, and so many the id.
const UNCHANGED: usize = 5;
const NAMED: usize = 10;
/// How often all is looked at again because something was there the last time.
const LOOKS: usize = 10;

/// How a user's sessions are found.
#[derive(Clone, Debug)]
pub struct UserOptions {
    /// Which user a session is of.
    pub users: Users,
    /// How the data is written.
    pub codec: Arc<dyn Codec>,
    /// Looks at the data of every row, whatever the column of users says; otherwise, where the table
    /// has the column, only at rows that it names the user for, and at those that it says nothing
    /// about.
    pub scan: bool,
    /// How to go over the table; by default 200 rows at once.
    pub pace: Pace,
    /// Only counts.
    pub dry_run: bool,
}

impl UserOptions {
    /// Sessions whose user this function tells, in data that this codec reads.
    pub fn new(users: Users, codec: Arc<dyn Codec>) -> Self {
        let pace = Pace { batch: 200, ..Pace::default() };
        Self { users, codec, scan: false, pace, dry_run: false }
    }
}

/// A session of a user's. It has no id.
#[non_exhaustive]
pub struct UserSession {
    /// Its row, by which it can be ended.
    pub row: RowName,
    /// When it began.
    pub created_at: Option<SystemTime>,
    /// When it was last saved or touched.
    pub updated_at: Option<SystemTime>,
    /// Bytes of its data.
    pub size: u64,
    /// Whether its id is stored as a digest.
    pub secured: bool,
    stored_id: Box<str>,
    document: Option<Box<dyn Document>>,
}

impl UserSession {
    fn new(codec: &dyn Codec, row: Row) -> Self {
        Self {
            row: RowName::new(&row),
            created_at: row.created_at,
            updated_at: row.updated_at,
            size: row.size,
            secured: is_secured(&row.stored_id),
            document: open(codec, &row.stored_id, row.data).ok(),
            stored_id: row.stored_id,
        }
    }

    pub(super) fn has_id(&self, id: &StoredId) -> bool {
        *self.stored_id == *id.as_str()
    }

    /// What it holds under a key, for instance the browser that it began in. `None` also where its
    /// data cannot be read.
    ///
    /// # Errors
    ///
    /// When the value does not fit the type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(document) = &self.document else { return Ok(None) };
        document.get(key)?.map(|value| value.deserialize()).transpose()
    }
}

impl fmt::Debug for UserSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSession")
            .field("row", &self.row)
            .field("created_at", &self.created_at)
            .field("updated_at", &self.updated_at)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// What [`sessions_of`] has found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct UserList {
    /// The sessions, that which was used last before the others. Those past a timeout are among them
    /// until a trim has taken them.
    pub sessions: Vec<UserSession>,
    /// Rows looked at.
    pub seen: u64,
    /// Rows that cannot be read, and that no column of users says anything about: they may be the
    /// user's.
    pub unreadable: u64,
    /// Why it ended.
    pub ended: Ended,
}

/// Which of a user's sessions end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// All.
    All,
    /// The one of this row.
    One(RowName),
    /// All but that of this row, if it is the user's; else none. Where the session's id is the primary
    /// key, a session that is renewed meanwhile has another row, and ends like the others.
    Others(RowName),
}

impl Revoke {
    fn ends(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::One(name) => name.is_of(row),
            Self::Others(name) => !name.is_of(row),
        }
    }
}

/// What [`revoke`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevokeReport {
    /// Rows looked at.
    pub seen: u64,
    /// Sessions that were ended; in a dry run those that would be. After a lost connection it may be
    /// fewer than have ended.
    pub revoked: u64,
    /// Rows that cannot be read, and that no column of users says anything about: they may be the
    /// user's, and are as they were. Those that were not to end are not counted.
    pub unreadable: u64,
    /// Whether the row that was named is none of the user's, as far as can be read; then none has
    /// ended.
    pub missing: bool,
    /// Why it ended.
    pub ended: Ended,
}

/// The sessions of a user.
///
/// Each row's data decides. With the column of users only rows are read that it names the user for,
/// and those that it says nothing about, which Rails has written; without it every row is.
///
/// # Errors
///
/// When the database fails.
pub async fn sessions_of<S: Maintenance>(
    store: &S,
    user: &str,
    options: &UserOptions,
    watch: impl Watch,
) -> Result<UserList> {
    let aim = Aim { store, user, options, by_column: is_by_column(store, options).await? };
    let mut search = Search::start(&aim, &options.pace, |_| true, watch).await?;
    let mut sessions = Vec::new();
    while let Some(rows) = search.next().await? {
        sessions.extend(rows.into_iter().map(|row| UserSession::new(&*options.codec, row)));
    }
    sessions.sort_by_key(|session| std::cmp::Reverse(session.updated_at.or(session.created_at)));
    // One that got its owner meanwhile was met twice.
    let mut rows = HashSet::new();
    sessions.retain(|session| rows.insert(session.row.clone()));
    let unreadable = search.unreadable;
    let (progress, ended) = search.walk.finish();
    Ok(UserList { sessions, seen: progress.seen, unreadable, ended })
}

/// Ends sessions of a user, beside live traffic.
///
/// When it has returned, every one of them has ended that was stored when it was called, whatever
/// was done to it meanwhile: a row that was saved or renewed after it was read is looked at again,
/// and nothing that is written to an ended session brings it back. With the column of users it looks
/// until it finds none, ten times at most, so that most of those are ended too that began meanwhile.
/// A login whose INSERT comes later begins a session that stays. So change what a login needs, the
/// password for instance, first; a login that was under way by then is found by whoever compares
/// what it was given with what holds now, as Devise does with
/// [the salt](crate::WardenUser::has_salt_of).
///
/// All of this holds as far as the column tells the truth: where every service that writes to the
/// table has the function, and for rows that Rails has inserted. A row in which Rails changes the
/// user in place is found by [`scan`](UserOptions::scan), or after a
/// [`backfill`](super::backfill) that rechecks. Nor is a session ended that the codec cannot read,
/// where no column says whose it is: such rows are counted, [`RevokeReport::unreadable`]. Where the
/// session's id is the primary key, a session that is renewed during a scan over several batches may
/// pass by unseen.
///
/// # Errors
///
/// When the database fails, or a session is renewed so fast that it cannot be ended; then others may
/// have ended.
pub async fn revoke<S: Maintenance>(
    store: &S,
    user: &str,
    which: &Revoke,
    options: &UserOptions,
    mut watch: impl Watch,
) -> Result<RevokeReport> {
    let begun = Instant::now();
    let kept = match which {
        Revoke::Others(name) => Some(name),
        Revoke::All | Revoke::One(_) => None,
    };
    if let Some(kept) = kept {
        let (is_there, report) = has(store, user, kept, options, &mut watch).await?;
        if !is_there || report.ended != Ended::Done {
            return Ok(report);
        }
    }
    let ends = |row: &Row| which.ends(row);
    let left = UserOptions { pace: options.pace.since(begun), ..options.clone() };
    let (found, report) = end_where(store, user, ends, &left, watch).await?;
    let missing = matches!(which, Revoke::One(_)) && found == 0 && report.ended == Ended::Done;
    Ok(RevokeReport { missing, ..report })
}

/// Whether this row is the user's.
async fn has<S: Maintenance>(
    store: &S,
    user: &str,
    name: &RowName,
    options: &UserOptions,
    watch: impl Watch,
) -> Result<(bool, RevokeReport)> {
    let aim = Aim { store, user, options, by_column: is_by_column(store, options).await? };
    let is_it = |row: &Row| name.is_of(row);
    let mut search = Search::start(&aim, &options.pace, is_it, watch).await?;
    while let Some(rows) = search.next().await? {
        if !rows.is_empty() {
            return Ok((true, RevokeReport::default()));
        }
    }
    let unreadable = search.unreadable;
    let (progress, ended) = search.walk.finish();
    let missing = ended == Ended::Done;
    let report = RevokeReport { seen: progress.seen, unreadable, missing, ended, revoked: 0 };
    Ok((false, report))
}

/// Ends those sessions of a user's that are chosen; how many there were of them is told as well.
pub(super) async fn end_where<S: Maintenance>(
    store: &S,
    user: &str,
    ends: impl Fn(&Row) -> bool + Send + Sync,
    options: &UserOptions,
    mut watch: impl Watch,
) -> Result<(u64, RevokeReport)> {
    let begun = Instant::now();
    let mut report = RevokeReport::default();
    let mut all = 0;
    let aim = Aim { store, user, options, by_column: is_by_column(store, options).await? };
    for _ in 0..LOOKS {
        let pace = options.pace.since(begun);
        let (seen, changed) = (report.seen, report.revoked);
        let watched = |look: &Progress| {
            watch(&Progress { seen: seen + look.seen, changed: changed + look.changed, ..*look })
        };
        let mut search = Search::start(&aim, &pace, &ends, watched).await?;
        let mut found = 0;
        while let Some(rows) = search.next().await? {
            found += rows.len() as u64;
            match options.dry_run {
                true => search.walk.changed(rows.len() as u64),
                false => search.clear(rows).await?,
            }
        }
        // The last look has met all that are left.
        report.unreadable = search.unreadable;
        let (progress, ended) = search.walk.finish();
        report.seen += progress.seen;
        report.revoked += progress.changed;
        report.ended = ended;
        all += found;
        if found == 0 || options.dry_run || !aim.by_column || ended != Ended::Done {
            break;
        }
    }
    Ok((all, report))
}

async fn is_by_column<S: Maintenance>(store: &S, options: &UserOptions) -> Result<bool> {
    Ok(!options.scan && store.inspect().await?.user)
}

/// Whose sessions are looked for, and where.
struct Aim<'a, S> {
    store: &'a S,
    user: &'a str,
    options: &'a UserOptions,
    by_column: bool,
}

/// A walk over the rows that may be a user's and that are chosen.
struct Search<'a, S, F, W> {
    aim: &'a Aim<'a, S>,
    chosen: F,
    /// Rows of which nobody can tell whether they are the user's.
    unreadable: u64,
    walk: Walk<'a, S, W>,
}

impl<'a, S: Maintenance, F: Fn(&Row) -> bool + Send, W: Watch> Search<'a, S, F, W> {
    async fn start(aim: &'a Aim<'a, S>, pace: &'a Pace, chosen: F, watch: W) -> Result<Self> {
        let walk = match aim.by_column {
            // The unknown rows first: one that gets its owner meanwhile is met among the others.
            true => {
                let mut owners = vec![Owner::Unknown, Owner::of(Some(aim.user))];
                owners.dedup();
                Walk::over(aim.store, pace, owners, watch)
            }
            false => Walk::start(aim.store, pace, true, watch).await?,
        };
        Ok(Self { aim, chosen, unreadable: 0, walk })
    }

    /// The user's rows of the next batch.
    async fn next(&mut self) -> Result<Option<Vec<Row>>> {
        let Some(rows) = self.walk.next().await? else { return Ok(None) };
        let (rows, unreadable) = self.sift(rows);
        self.unreadable += unreadable;
        Ok(Some(rows))
    }

    /// Ends these rows of the current batch, whatever is done to them meanwhile.
    async fn clear(&mut self, mut rows: Vec<Row>) -> Result<()> {
        let keys: HashSet<RowKey> = rows.iter().map(|row| row.key.clone()).collect();
        for tries in 0..TRIES {
            if rows.is_empty() {
                return Ok(());
            }
            let ended = self.aim.end(&rows, tries).await?;
            self.walk.changed(ended);
            rows = self.sift(self.walk.again().await?).0;
            rows.retain(|row| keys.contains(&row.key) || is_keyed_by_id(row));
        }
        Err(slippery())
    }

    /// The user's rows, and how many others may be the user's.
    fn sift(&self, mut rows: Vec<Row>) -> (Vec<Row>, u64) {
        let mut unreadable = 0;
        rows.retain(|row| {
            let is_of = (self.chosen)(row).then(|| self.aim.is_of(row));
            unreadable += u64::from(is_of == Some(None));
            is_of == Some(Some(true))
        });
        (rows, unreadable)
    }
}

impl<S: Maintenance> Aim<'_, S> {
    /// Whether the data names the user; where nobody can read them, the column's word holds, if it
    /// says one. Who scans does not trust it to know of everybody.
    fn is_of(&self, row: &Row) -> Option<bool> {
        let document = open(&*self.options.codec, &row.stored_id, row.data.clone());
        let user = document.and_then(|data| self.options.users.of(&Content::stored(&*data)));
        match user {
            Ok(user) => Some(user.as_deref() == Some(self.user)),
            Err(_) if row.owner.user() == Some(self.user) => Some(true),
            Err(_) if row.owner == Owner::Unknown || self.options.scan => None,
            Err(_) => Some(false),
        }
    }

    /// Ends these rows if they are still the user's, and says how many it has ended. Where the
    /// column says whose a row is, it decides in the same statement.
    async fn end(&self, rows: &[Row], tries: usize) -> Result<u64> {
        let is_owned = |row: &Row| self.by_column && row.owner.user() == Some(self.user);
        let (owned, judged): (Vec<Row>, Vec<Row>) = rows.iter().cloned().partition(is_owned);
        let ended = patiently!(self.store.end(&owned, Still::Owned))?;
        Ok(count(&ended) + self.end_judged(&judged, tries).await?)
    }

    /// What was read decides, less and less of it: what was the user's ten times running ends whatever
    /// becomes of it.
    async fn end_judged(&self, rows: &[Row], tries: usize) -> Result<u64> {
        let still = if tries < UNCHANGED { Still::Unchanged } else { Still::Named };
        if tries < NAMED || rows.iter().any(is_keyed_by_id) {
            return Ok(count(&patiently!(self.store.end(rows, still))?));
        }
        let keys: Vec<RowKey> = rows.iter().map(|row| row.key.clone()).collect();
        patiently!(self.store.delete(&keys, &Filter::default()))
    }
}

fn count(ended: &[bool]) -> u64 {
    ended.iter().filter(|ended| **ended).count() as u64
}

/// For those whom nobody watches.
pub(super) fn unwatched(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn slippery() -> Error {
    Error::new(Kind::Conflict, "ending a user's sessions", "one of them is renewed all the time")
        .advice("try again, or keep the user from signing in first")
}
