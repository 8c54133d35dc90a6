//! Backfill: the column of users is filled from the data.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::walk::{Ended, Pace, Walk, Watch, open, patiently};
use crate::codec::{Codec, Content};
use crate::error::{Error, Result};
use crate::id::StoredId;
use crate::manager::Users;
use crate::record::{Guard, Lookup, Owner, Row, Save, Saved, Update};
use crate::store::Maintenance;

/// How often a row that changes all the time is read anew.
const TRIES: usize = 5;

/// What [`backfill`] is to do.
#[derive(Clone, Debug)]
pub struct BackfillOptions {
    /// Which user a session is of.
    pub users: Users,
    /// How the data is written.
    pub codec: Arc<dyn Codec>,
    /// Looks at every row, also at those that the column says something about, and puts right what
    /// is wrong.
    pub recheck: bool,
    /// How to go over the table; by default 200 rows at once.
    pub pace: Pace,
    /// Only counts.
    pub dry_run: bool,
}

impl BackfillOptions {
    /// Fills in what this function says of data that this codec reads, where the column says nothing.
    pub fn new(users: Users, codec: Arc<dyn Codec>) -> Self {
        let pace = Pace { batch: 200, ..Pace::default() };
        Self { users, codec, recheck: false, pace, dry_run: false }
    }
}

/// What [`backfill`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackfillReport {
    /// Rows looked at.
    pub seen: u64,
    /// Rows whose column was filled or put right; in a dry run those that would be.
    pub filled: u64,
    /// Those of them that name a user now; the others name nobody.
    pub named: u64,
    /// Rows that the column names a user for while their data name nobody. They keep the name: whoever
    /// looks for that user's sessions reads them, and the data decide.
    pub kept: u64,
    /// Rows that were left as they are since not one in the whole table names a user: the function, or
    /// the codec, may be the wrong one.
    pub doubtful: u64,
    /// Rows whose column was right.
    pub already: u64,
    /// Rows whose data or id cannot be read, or whose user's name is too long: they are as they were,
    /// and are looked at again whenever a user's sessions are.
    pub unreadable: u64,
    /// Rows that were ended meanwhile, or are past their expiry.
    pub gone: u64,
    /// Rows that somebody else kept changing.
    pub busy: u64,
    /// Why it ended.
    pub ended: Ended,
}

/// Fills the column of users from the data, in guarded batches beside live traffic: a row is written
/// only while it holds the data that was read. Times are left alone. Nothing is written before a row was
/// met that names a user, and no name is taken away.
///
/// First let every service that writes to the table have the function and name the column, and then
/// fill it. It can be stopped and run again, and be run now and then for the rows that Rails has
/// inserted since: only rows without a user that is known are read.
///
/// # Errors
///
/// When the table has no column of users that was named, or the database fails; then what was filled
/// before is filled.
pub async fn backfill<S: Maintenance>(
    store: &S,
    options: &BackfillOptions,
    mut watch: impl Watch,
) -> Result<BackfillReport> {
    if !store.inspect().await?.user {
        let problem = "the table has no column of users that was named";
        let advice =
            "add it, and name it (Table::user_column): AnyBuilder::user_migration has the SQL";
        return Err(Error::schema("filling the column of users", problem).advice(advice));
    }
    let begun = Instant::now();
    if let Some(report) = doubt(store, options, &mut watch).await? {
        return Ok(report);
    }
    let pace = options.pace.since(begun);
    let mut report = BackfillReport::default();
    let mut walk = match options.recheck {
        true => Walk::start(store, &pace, true, watch).await?,
        false => Walk::over(store, &pace, vec![Owner::Unknown], watch),
    };
    while let Some(rows) = walk.next().await? {
        let mut named = Vec::new();
        for row in rows {
            match options.named(row) {
                Some(name) if name.owner == name.before => report.already += 1,
                Some(name) if name.clears() => report.kept += 1,
                Some(name) => named.push(name),
                None => report.unreadable += 1,
            }
        }
        let before = report.filled;
        match options.dry_run {
            true => named.iter().for_each(|name| report.fill(name)),
            false => write(store, options, named, &mut report).await?,
        }
        walk.changed(report.filled - before);
    }
    let (progress, ended) = walk.finish();
    Ok(BackfillReport { seen: progress.seen, ended, ..report })
}

fn foreign(rows: u64) -> Error {
    let problem =
        format!("the column says otherwise than the data in each of {rows} rows that it names");
    Error::config("filling the column of users", problem).advice(
        "name the column and the key of users; to fill a column anew set it to NULL first; nothing was changed",
    )
}

/// A report that says so, unless the data of a row names a user; then the key is the right one.
async fn doubt<S: Maintenance>(
    store: &S,
    options: &BackfillOptions,
    watch: impl Watch,
) -> Result<Option<BackfillReport>> {
    let mut report = BackfillReport::default();
    let mut walk = Walk::start(store, &options.pace, true, watch).await?;
    let (mut told, mut right, mut wrong) = (false, 0_u64, 0_u64);
    while let Some(rows) = walk.next().await? {
        for row in rows {
            match options.named(row) {
                Some(name) => {
                    told |= name.owner.user().is_some();
                    report.doubtful += 1;
                    if name.before.user().is_some() {
                        *if name.owner == name.before { &mut right } else { &mut wrong } += 1;
                    }
                }
                None => report.unreadable += 1,
            }
        }
        // One alone may be what Rails has changed in place; of more one has to be right.
        if told && (right > 0 || wrong < 2) {
            return Ok(None);
        }
    }
    let (progress, ended) = walk.finish();
    match (told, ended) {
        (true, Ended::Done) => return Err(foreign(wrong)),
        (false, Ended::Done) => {}
        // It has not seen enough to doubt.
        _ => report.doubtful = 0,
    }
    Ok(Some(BackfillReport { seen: progress.seen, ended, ..report }))
}

/// Whose a row is by the data that it had, and whose by the column.
struct Named {
    id: StoredId,
    data: Option<Bytes>,
    owner: Owner,
    before: Owner,
}

impl Named {
    /// Whether a name would be taken away.
    fn clears(&self) -> bool {
        self.owner == Owner::Nobody && self.before.user().is_some()
    }

    fn save(&self) -> Save {
        let (guard, owner) = (Guard::Data(self.data.clone()), Some(self.owner.clone()));
        Save::Update(Update { guard, owner, touch: false, ..Update::new(self.id) })
    }
}

impl BackfillOptions {
    /// `None` where nobody can tell.
    fn named(&self, row: Row) -> Option<Named> {
        let id = StoredId::parse(row.stored_id.as_bytes())?;
        self.named_by(id, row.data, row.owner)
    }

    fn named_by(&self, id: StoredId, data: Option<Bytes>, before: Owner) -> Option<Named> {
        let document = open(&*self.codec, id.as_str(), data.clone()).ok()?;
        let owner = self.users.owner(&Content::stored(&*document));
        (owner != Owner::Unknown).then_some(Named { id, data, owner, before })
    }
}

impl BackfillReport {
    fn fill(&mut self, name: &Named) {
        self.filled += 1;
        self.named += u64::from(name.owner.user().is_some());
    }
}

async fn write<S: Maintenance>(
    store: &S,
    options: &BackfillOptions,
    mut named: Vec<Named>,
    report: &mut BackfillReport,
) -> Result<()> {
    for _ in 0..TRIES {
        if named.is_empty() {
            return Ok(());
        }
        let saves: Vec<Save> = named.iter().map(Named::save).collect();
        let mut again = Vec::new();
        for (name, saved) in named.into_iter().zip(patiently!(store.save_all(&saves))?) {
            match saved {
                Saved::Applied => report.fill(&name),
                Saved::Gone | Saved::Duplicate => report.gone += 1,
                Saved::Conflict => match anew(store, name.id).await? {
                    None => report.gone += 1,
                    Some((id, data)) => match options.named_by(id, data, name.before) {
                        Some(name) if name.clears() => report.kept += 1,
                        Some(name) => again.push(name),
                        None => report.unreadable += 1,
                    },
                },
            }
        }
        named = again;
    }
    report.busy += named.len() as u64;
    Ok(())
}

/// A row that somebody else has changed.
async fn anew<S: Maintenance>(
    store: &S,
    id: StoredId,
) -> Result<Option<(StoredId, Option<Bytes>)>> {
    let Some(lookup) = Lookup::stored(id) else { return Ok(None) };
    let found = patiently!(store.find(&lookup))?;
    Ok(found.map(|record| (record.id, record.data)))
}
