//! What an operation asks of a database: which statement, its variant, and the values of its
//! parameters. The same for all databases; each binds the values in its own way.

use std::time::Duration;

use super::statements::{Name, Statements};
use crate::error::{Error, Result};
use crate::id::PrivateId;
use crate::record::{
    Expiry, Filter, Guard, Insert, Lookup, Owner, Row, RowKey, Saved, Scan, Still, Timeouts, Update,
};
use crate::sql::{Flag, Flags};
use crate::table::Schema;

/// A statement's variant and the values of its parameters.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) name: Name,
    pub(super) flags: Flags,
    pub(super) values: Values<'a>,
}

/// What the parameters stand for in one call; what a call does not have is NULL.
#[derive(Clone, Copy, Default)]
pub(super) struct Values<'a> {
    pub(super) id: Option<&'a [u8]>,
    pub(super) legacy: Option<&'a [u8]>,
    pub(super) new_id: Option<&'a [u8]>,
    pub(super) stored_id: Option<&'a [u8]>,
    pub(super) data: Option<&'a [u8]>,
    pub(super) guard: Option<&'a [u8]>,
    pub(super) user: Option<&'a [u8]>,
    pub(super) timeouts: Timeouts,
    pub(super) expires_in: Option<Duration>,
    pub(super) after: Option<&'a RowKey>,
    pub(super) keys: &'a [RowKey],
    pub(super) limit: u32,
    /// A batch's values, each of the same length or empty.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(super) ids: Texts<'a>,
    #[cfg(feature = "postgres")]
    pub(super) new_ids: Texts<'a>,
    #[cfg(feature = "postgres")]
    pub(super) datas: Texts<'a>,
    #[cfg(feature = "postgres")]
    pub(super) guards: Texts<'a>,
    #[cfg(feature = "postgres")]
    pub(super) users: Texts<'a>,
}

/// One value for each operation of a batch; what one does not have is NULL.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) type Texts<'a> = &'a [Option<&'a [u8]>];

impl<'a> Call<'a> {
    fn new(name: Name, flags: Flags, values: Values<'a>) -> Self {
        Self { name, flags, values }
    }

    pub(super) fn find(statements: &Statements, lookup: &'a Lookup) -> Result<Self> {
        check_timeouts(&statements.schema, lookup.timeouts)?;
        let flags = timeout_flags(lookup.timeouts).with(Flag::Legacy, lookup.legacy.is_some());
        Ok(Self::new(
            Name::Find,
            flags,
            Values { timeouts: lookup.timeouts, ..Values::ids(lookup) },
        ))
    }

    pub(super) fn insert(statements: &Statements, insert: &'a Insert) -> Result<Self> {
        check_size(&statements.schema, &insert.data)?;
        let values = Values {
            new_id: Some(insert.id.as_bytes()),
            data: Some(&insert.data),
            user: insert.owner.stored(),
            expires_in: insert.expires_in,
            ..Values::default()
        };
        Ok(Self::new(Name::Insert, Flags::default(), values))
    }

    /// The UPDATE, or the question whether the row is there when there is nothing to set, for
    /// instance at a touch of a table without times.
    pub(super) fn update(statements: &Statements, update: &'a Update) -> Result<Self> {
        let schema = &statements.schema;
        if let Some(data) = &update.data {
            check_size(schema, data)?;
        }
        check_timeouts(schema, update.timeouts)?;
        let owner = update.written_owner().filter(|_| schema.user);
        let flags = timeout_flags(update.timeouts)
            .with(Flag::Guard, matches!(update.guard, Guard::Data(_)))
            .with(Flag::Data, update.data.is_some())
            .with(Flag::Rekey, update.new_id.is_some())
            .with(Flag::Restart, update.restart)
            .with(Flag::Touch, update.touch)
            .with(Flag::Expiry, update.expiry != Expiry::Keep)
            .with(Flag::User, owner.is_some());
        let values = Values {
            id: Some(update.id.as_bytes()),
            new_id: update.new_id.as_ref().map(PrivateId::as_bytes),
            data: update.data.as_deref(),
            user: owner.and_then(Owner::stored),
            guard: match &update.guard {
                Guard::Data(data) => data.as_deref(),
                Guard::Off => None,
            },
            expires_in: match update.expiry {
                Expiry::After(time) => Some(time),
                Expiry::Keep | Expiry::Never => None,
            },
            timeouts: update.timeouts,
            ..Values::default()
        };
        let sets = update.data.is_some()
            || owner.is_some()
            || update.new_id.is_some()
            || (update.touch && schema.updated_at)
            || (update.restart && schema.created_at)
            || (update.expiry != Expiry::Keep && schema.expires_at);
        Ok(Self::new(if sets { Name::Update } else { Name::Exists }, flags, values))
    }

    /// After an update of no row: whether the row is there with other data. `None` where an
    /// update without a guard has told already.
    pub(super) fn conflict(&self, update: &Update) -> Option<Self> {
        let guarded = matches!(update.guard, Guard::Data(_));
        guarded.then(|| Self::new(Name::Exists, timeout_flags(update.timeouts), self.values))
    }

    pub(super) fn destroy(lookup: &'a Lookup) -> Self {
        let flags = Flags::default().with(Flag::Legacy, lookup.legacy.is_some());
        Self::new(Name::Destroy, flags, Values::ids(lookup))
    }

    pub(super) fn scan(statements: &Statements, scan: &'a Scan) -> Result<Self> {
        let (timeouts, flags) = ages(statements, &scan.filter)?;
        let owner = scan.owner.as_ref();
        if owner.is_some() {
            check_user(&statements.schema, "reading the rows of a user")?;
        }
        let user = owner.and_then(Owner::stored);
        let flags = flags
            .with(Flag::After, scan.after.is_some())
            .with(Flag::Payload, scan.with_data)
            .with(Flag::User, user.is_some())
            .with(Flag::Unknown, owner.is_some() && user.is_none());
        let after = scan.after.as_ref();
        let values = Values { timeouts, after, user, limit: scan.limit, ..Values::default() };
        Ok(Self::new(Name::Scan, flags, values))
    }

    pub(super) fn row(key: &'a RowKey) -> Self {
        let values = Values { keys: std::slice::from_ref(key), ..Values::default() };
        Self::new(Name::Row, Flags::default(), values)
    }

    pub(super) fn delete(
        statements: &Statements,
        keys: &'a [RowKey],
        filter: &Filter,
    ) -> Result<Self> {
        let (timeouts, flags) = ages(statements, filter)?;
        Ok(Self::new(Name::Delete, flags, Values { timeouts, keys, ..Values::default() }))
    }

    /// The same under the table's lock, where the statement can take it.
    #[cfg(feature = "postgres")]
    pub(super) fn alone(self) -> Self {
        Self { flags: self.flags.with(Flag::Alone, true), ..self }
    }

    #[cfg(feature = "cli")]
    pub(super) fn drop_table() -> Self {
        Self::new(Name::Drop, Flags::default(), Values::default())
    }

    pub(super) fn count() -> Self {
        Self::new(Name::Count, Flags::default(), Values::default())
    }

    pub(super) fn rekey(row: &'a Row, new_id: &'a PrivateId) -> Self {
        let values = Values {
            keys: std::slice::from_ref(&row.key),
            stored_id: Some(row.stored_id.as_bytes()),
            new_id: Some(new_id.as_bytes()),
            ..Values::default()
        };
        Self::new(Name::Rekey, Flags::default(), values)
    }

    pub(super) fn end(statements: &Statements, row: &'a Row, still: Still) -> Result<Self> {
        if still == Still::Owned {
            check_user(&statements.schema, "ending a session of a user")?;
        }
        let values = Values {
            keys: std::slice::from_ref(&row.key),
            stored_id: Some(row.stored_id.as_bytes()),
            guard: row.data.as_deref(),
            user: row.owner.stored(),
            ..Values::default()
        };
        let flags = Flags::default()
            .with(Flag::Guard, still == Still::Unchanged)
            .with(Flag::User, still == Still::Owned);
        Ok(Self::new(Name::End, flags, values))
    }

    pub(super) fn clear() -> Self {
        Self::new(Name::Clear, Flags::default(), Values::default())
    }
}

/// Batches of finds as one statement.
#[cfg(any(feature = "mysql", feature = "postgres"))]
impl<'a> Call<'a> {
    /// These ids, private and raw ones, in one statement.
    pub(super) fn find_many(
        statements: &Statements,
        ids: Texts<'a>,
        timeouts: Timeouts,
    ) -> Result<Self> {
        check_timeouts(&statements.schema, timeouts)?;
        let values = Values { ids, timeouts, ..Values::default() };
        Ok(Self::new(Name::FindMany, timeout_flags(timeouts), values))
    }
}

/// Batches of changes as one statement.
#[cfg(feature = "postgres")]
impl<'a> Call<'a> {
    /// Inserts of the same lifetime in one statement.
    pub(super) fn insert_many(
        ids: Texts<'a>,
        datas: Texts<'a>,
        users: Texts<'a>,
        expires_in: Option<Duration>,
    ) -> Self {
        let values = Values { ids, datas, users, expires_in, ..Values::default() };
        Self::new(Name::InsertMany, Flags::default(), values)
    }

    /// Updates like this one in one statement, which answers with the numbers of those applied,
    /// counted from one.
    pub(super) fn update_many(self, batch: Values<'a>) -> Self {
        let Values { ids, new_ids, datas, guards, users, .. } = batch;
        let values = Values { ids, new_ids, datas, guards, users, ..self.values };
        Self::new(Name::UpdateMany, self.flags, values)
    }

    /// What is stored under these ids.
    pub(super) fn destroy_many(ids: Texts<'a>) -> Self {
        Self::new(Name::DestroyMany, Flags::default(), Values { ids, ..Values::default() })
    }
}

impl<'a> Values<'a> {
    fn ids(lookup: &'a Lookup) -> Self {
        Self {
            id: Some(lookup.private.as_bytes()),
            legacy: lookup.legacy.as_ref().map(|id| id.as_bytes()),
            ..Self::default()
        }
    }
}

/// What an update of no row means, once it is known whether the row stands there with other data.
pub(super) fn not_applied(conflict: bool) -> Saved {
    if conflict { Saved::Conflict } else { Saved::Gone }
}

fn timeout_flags(timeouts: Timeouts) -> Flags {
    Flags::default()
        .with(Flag::Idle, timeouts.idle.is_some())
        .with(Flag::Lifetime, timeouts.lifetime.is_some())
}

fn ages(statements: &Statements, filter: &Filter) -> Result<(Timeouts, Flags)> {
    let timeouts = Timeouts { idle: filter.idle_for, lifetime: filter.older_than };
    check_timeouts(&statements.schema, timeouts)?;
    let any = timeouts != Timeouts::default();
    Ok((timeouts, timeout_flags(timeouts).with(Flag::Age, any)))
}

fn check_timeouts(schema: &Schema, timeouts: Timeouts) -> Result<()> {
    let missing = |column: &'static str| {
        Error::config("applying a session timeout", format!("the table has no column {column}"))
            .advice("add the column or turn the timeout off")
    };
    if timeouts.idle.is_some() && !schema.updated_at {
        return Err(missing("updated_at"));
    }
    if timeouts.lifetime.is_some() && !schema.created_at {
        return Err(missing("created_at"));
    }
    Ok(())
}

fn check_user(schema: &Schema, doing: &'static str) -> Result<()> {
    if schema.user {
        return Ok(());
    }
    Err(Error::config(doing, "the table has no column of users that was named")
        .advice("add and name the column, or look at every row's data"))
}

fn check_size(schema: &Schema, data: &[u8]) -> Result<()> {
    let size = data.len() as u64;
    if let Some(limit) = schema.data_limit.filter(|limit| size > *limit) {
        return Err(Error::overflow(limit, size));
    }
    // There are at most as many characters as bytes, so most data need not be counted.
    let Some(limit) = schema.data_limit_chars.filter(|limit| size > *limit) else { return Ok(()) };
    let chars = data.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64;
    if chars > limit { Err(Error::overflow_chars(limit, chars)) } else { Ok(()) }
}
