//! Convert: from one format of the data column to the other.

use bytes::Bytes;

use super::shape::check_own_ids;
use super::walk::{Ended, Pace, RowName, Walk, Watch, patiently};
use crate::codec::envelope::is_envelope;
use crate::codec::{Conversion, Serializer};
use crate::error::{Error, Result};
use crate::id::StoredId;
use crate::record::{Guard, Lookup, Row, RowKey, Save, Saved, Update};
use crate::store::Maintenance;

/// How often a row that changes all the time is read and converted anew.
const TRIES: u32 = 5;
/// So many refused rows are named; the others are counted.
const NAMED: usize = 1_000;

/// The format that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// What Rails' `json` and `hybrid` write and `hybrid` reads.
    Json,
    /// What Rails' `marshal` reads and writes and `hybrid` reads.
    Marshal,
}

/// What [`convert`] is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertOptions {
    /// The format that is wanted.
    pub to: Target,
    /// What wrote the rows that are no Marshal: [`Serializer::Null`] for plain objects.
    pub from: Serializer,
    /// Converts also what JSON cannot say, as [`Hybrid::lossy`](crate::Hybrid::lossy) does.
    pub lossy: bool,
    /// How to go over the table; by default 200 rows at once.
    pub pace: Pace,
    /// Only counts, and names what would be refused.
    pub dry_run: bool,
}

impl ConvertOptions {
    /// Converts to this format, without loss.
    pub fn new(to: Target) -> Self {
        let pace = Pace { batch: 200, ..Pace::default() };
        Self { to, from: Serializer::Hybrid, lossy: false, pace, dry_run: false }
    }
}

/// A row that was left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Which row; never by its session's id.
    pub row: RowName,
    /// Why, without its data.
    pub problem: String,
}

/// What [`convert`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConvertReport {
    /// Rows looked at.
    pub seen: u64,
    /// Rows converted; in a dry run those that would be.
    pub converted: u64,
    /// Rows that were in the format already, or hold NULL, which is an empty session.
    pub already: u64,
    /// Rows that cannot be read, the empty text among them, or not be converted without loss; they
    /// are as they were.
    pub refused: u64,
    /// The first thousand of these.
    pub refusals: Vec<Refusal>,
    /// Rows that were destroyed meanwhile, or are past their expiry.
    pub gone: u64,
    /// Rows that somebody else kept changing.
    pub busy: u64,
    /// Why it ended.
    pub ended: Ended,
}

/// Converts the data column of every row, in guarded batches: a row is written only while it holds
/// what was read, and read anew when somebody else has changed it. `updated_at` is left alone.
///
/// What JSON has no counterpart for is told in [`Hybrid`](crate::Hybrid): symbols become strings
/// and times text, as in Rails; a row with anything else is refused, unless loss is allowed. Have
/// every service read both formats first (`hybrid`), and converted rows come back in the old format
/// only from a service that writes it. Encrypted rows are refused: decrypt them first.
///
/// # Errors
///
/// When most ids of the first rows do not look like sessions', so that it may be another table, which is
/// left as it is; or when the database fails, then what was converted before is converted.
/// [`convert_into`] tells then what it came to.
pub async fn convert<S: Maintenance>(
    store: &S,
    options: &ConvertOptions,
    watch: impl Watch,
) -> Result<ConvertReport> {
    let mut report = ConvertReport::default();
    convert_into(store, options, &mut report, watch).await?;
    Ok(report)
}

/// The same into a report of the caller's, which also tells of a task that failed, or was dropped, what it
/// did before; it says that the task was stopped. What the report held is gone.
///
/// # Errors
///
/// As for [`convert`].
pub async fn convert_into<S: Maintenance>(
    store: &S,
    options: &ConvertOptions,
    report: &mut ConvertReport,
    watch: impl Watch,
) -> Result<()> {
    *report = ConvertReport { ended: Ended::Stopped, ..ConvertReport::default() };
    check_own_ids(store, "converting sessions").await?;
    let rewrite = Conversion {
        to_marshal: options.to == Target::Marshal,
        from: options.from,
        lossy: options.lossy,
        in_json: store.inspect().await?.data_type.contains("json"),
    };
    let (pace, dry_run) = (&options.pace, options.dry_run);
    rewrite_all(store, rewrite, pace, dry_run, report, watch).await
}

/// What becomes of a row's data.
pub(super) trait Rewrite: Send + Sync {
    /// The data as it is to be; `None` when it is so already. `id` is the row's, where it has the
    /// shape of one.
    fn run(&self, id: Option<&StoredId>, stored: &Bytes) -> Result<Option<Bytes>>;
}

impl Rewrite for Conversion {
    fn run(&self, _: Option<&StoredId>, stored: &Bytes) -> Result<Option<Bytes>> {
        if is_envelope(stored) {
            return Err(Error::value("converting a session", "it is encrypted")
                .advice("decrypt the table first: sqlbypass convert --decrypt"));
        }
        (*self).run(stored).map_err(|error| {
            let is_loss = Self { lossy: true, ..*self }.run(stored).is_ok();
            if is_loss { error.advice("it is converted with loss by --lossy") } else { error }
        })
    }
}

/// Goes over the table in guarded batches.
pub(super) async fn rewrite_all<S: Maintenance>(
    store: &S,
    rewrite: impl Rewrite,
    pace: &Pace,
    dry_run: bool,
    report: &mut ConvertReport,
    watch: impl Watch,
) -> Result<()> {
    let has_bytes = holds_bytes(store).await?;
    let mut walk = Walk::start(store, pace, true, watch).await?;
    while let Some(rows) = walk.next().await? {
        let (before, seen) = (report.converted, rows.len() as u64);
        let mut changed = Vec::new();
        for row in &rows {
            match step(&rewrite, row) {
                Ok(Some(change)) => changed.push((RowName::new(row), change)),
                Ok(None) => report.already += 1,
                Err(error) => report.refuse(RowName::new(row), &error),
            }
        }
        if dry_run {
            report.converted += changed.len() as u64;
        } else {
            write(store, &rewrite, changed, has_bytes, report).await?;
        }
        report.seen += seen;
        walk.changed(report.converted - before);
    }
    (_, report.ended) = walk.finish();
    Ok(())
}

impl ConvertReport {
    fn refuse(&mut self, row: RowName, error: &Error) {
        self.refused += 1;
        if self.refusals.len() < NAMED {
            self.refusals.push(Refusal { row, problem: error.to_string() });
        }
    }
}

/// A row's data before and after.
struct Change {
    key: RowKey,
    id: StoredId,
    from: Bytes,
    to: Bytes,
}

impl Change {
    fn save(&self) -> Save {
        let guard = Guard::Data(Some(self.from.clone()));
        let update = Update { guard, touch: false, owner: None, ..Update::new(self.id) };
        Save::Update(update.data(self.to.clone()))
    }
}

/// What to write; `None` if nothing.
fn step(rewrite: &impl Rewrite, row: &Row) -> Result<Option<Change>> {
    let Some(data) = &row.data else { return Ok(None) };
    let id = StoredId::parse(row.stored_id.as_bytes());
    let Some(to) = rewrite.run(id.as_ref(), data)? else { return Ok(None) };
    let id = id.ok_or_else(shapeless)?;
    Ok(Some(Change { key: row.key.clone(), id, from: data.clone(), to }))
}

/// A row that no cookie can name.
pub(super) fn shapeless() -> Error {
    Error::value("converting a session", "its id has not the shape of a session's id")
        .advice("sqlbypass upgrade secures it first, with --any-shape where it must")
}

/// Whether some ids are stored as bytes, which SQLite keeps apart from texts.
async fn holds_bytes<S: Maintenance>(store: &S) -> Result<bool> {
    let facts = patiently!(store.facts())?;
    Ok(facts.setting("blob_ids").is_some_and(|count| count != "0"))
}

/// Whether a row that was not found by its id stands there with that id all the same.
async fn is_there<S: Maintenance>(store: &S, change: &Change) -> Result<bool> {
    let row = patiently!(store.row(&change.key))?;
    Ok(row.is_some_and(|row| *row.stored_id == *change.id.as_str()))
}

/// A row that no cookie can find either: SQLite keeps texts apart from bytes.
fn unfound() -> Error {
    Error::value("converting a session", "its id is stored as bytes, not as text")
        .advice("sqlbypass doctor tells the cure")
}

async fn write<S: Maintenance>(
    store: &S,
    rewrite: &impl Rewrite,
    mut changed: Vec<(RowName, Change)>,
    has_bytes: bool,
    report: &mut ConvertReport,
) -> Result<()> {
    for _ in 0..TRIES {
        if changed.is_empty() {
            return Ok(());
        }
        let saves: Vec<Save> = changed.iter().map(|(_, change)| change.save()).collect();
        let saved = match patiently!(store.save_all(&saves)) {
            // One that does not fit the column must not hold back the others.
            Err(error) if error.is_overflow() => singly(store, &mut changed, report).await?,
            saved => saved?,
        };
        let mut again = Vec::new();
        for ((name, change), saved) in changed.into_iter().zip(saved) {
            match saved {
                Saved::Applied => report.converted += 1,
                Saved::Gone if has_bytes && is_there(store, &change).await? => {
                    report.refuse(name, &unfound());
                }
                Saved::Gone | Saved::Duplicate => report.gone += 1,
                Saved::Conflict => match anew(store, rewrite, &change).await {
                    Ok(Some(change)) => again.push((name, change)),
                    Ok(None) => report.already += 1,
                    Err(error) if error.is_value() || error.is_decode() => {
                        report.refuse(name, &error);
                    }
                    Err(error) => return Err(error),
                },
            }
        }
        changed = again;
    }
    report.busy += changed.len() as u64;
    Ok(())
}

/// Saves one by one; those that are refused are taken out.
async fn singly<S: Maintenance>(
    store: &S,
    changed: &mut Vec<(RowName, Change)>,
    report: &mut ConvertReport,
) -> Result<Vec<Saved>> {
    let mut saved = Vec::new();
    for (name, change) in std::mem::take(changed) {
        match patiently!(store.save(&change.save())) {
            Err(error) if error.is_overflow() => report.refuse(name, &error),
            outcome => {
                saved.push(outcome?);
                changed.push((name, change));
            }
        }
    }
    Ok(saved)
}

/// Reads and converts a row that somebody else has changed.
async fn anew<S: Maintenance>(
    store: &S,
    rewrite: &impl Rewrite,
    change: &Change,
) -> Result<Option<Change>> {
    let Some(lookup) = Lookup::stored(change.id) else { return Ok(None) };
    let Some(record) = patiently!(store.find(&lookup))? else { return Ok(None) };
    let Some(data) = record.data else { return Ok(None) };
    let Some(to) = rewrite.run(Some(&record.id), &data)? else { return Ok(None) };
    Ok(Some(Change { key: change.key.clone(), id: record.id, from: data, to }))
}
