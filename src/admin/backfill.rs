//! Backfill: the column of users is filled from the data.

use std::sync::Arc;

use bytes::Bytes;

use super::walk::{Ended, Pace, Walk, Watch, open, patiently};
use crate::codec::{Codec, Content};
use crate::error::{Error, Result};
use crate::id::StoredId;
use crate::manager::Users;
use crate::record::{Guard, Lookup, Owner, Save, Saved, Update};
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
/// only while it holds the data that was read. Times are left alone.
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
    watch: impl Watch,
) -> Result<BackfillReport> {
    if !store.inspect().await?.user {
        let problem = "the table has no column of users that was named";
        let advice = "add it, and name it: sqlbypass create --add-user-column --user-column NAME --print \
                      shows the SQL, and so does AnyBuilder::user_migration";
        return Err(Error::schema("filling the column of users", problem).advice(advice));
    }
    let mut report = BackfillReport::default();
    let mut walk = match options.recheck {
        true => Walk::start(store, &options.pace, true, watch).await?,
        false => Walk::over(store, &options.pace, vec![Owner::Unknown], watch),
    };
    while let Some(rows) = walk.next().await? {
        let mut named = Vec::new();
        for row in rows {
            let id = StoredId::parse(row.stored_id.as_bytes());
            match id.and_then(|id| options.named(id, row.data)) {
                Some(name) if name.owner == row.owner => report.already += 1,
                Some(name) => named.push(name),
                None => report.unreadable += 1,
            }
        }
        let before = report.filled;
        match options.dry_run {
            true => report.filled += named.len() as u64,
            false => write(store, options, named, &mut report).await?,
        }
        walk.changed(report.filled - before);
    }
    let (progress, ended) = walk.finish();
    Ok(BackfillReport { seen: progress.seen, ended, ..report })
}

/// Whose a row is by the data that it had.
struct Named {
    id: StoredId,
    data: Option<Bytes>,
    owner: Owner,
}

impl Named {
    fn save(&self) -> Save {
        let (guard, owner) = (Guard::Data(self.data.clone()), Some(self.owner.clone()));
        Save::Update(Update { guard, owner, touch: false, ..Update::new(self.id) })
    }
}

impl BackfillOptions {
    /// `None` where nobody can tell.
    fn named(&self, id: StoredId, data: Option<Bytes>) -> Option<Named> {
        let document = open(&*self.codec, id.as_str(), data.clone()).ok()?;
        let owner = self.users.owner(&Content::stored(&*document));
        (owner != Owner::Unknown).then_some(Named { id, data, owner })
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
        for (name, saved) in named.iter().zip(patiently!(store.save_all(&saves))?) {
            match saved {
                Saved::Applied => report.filled += 1,
                Saved::Gone | Saved::Duplicate => report.gone += 1,
                Saved::Conflict => match anew(store, name.id).await? {
                    None => report.gone += 1,
                    Some((id, data)) => match options.named(id, data) {
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
