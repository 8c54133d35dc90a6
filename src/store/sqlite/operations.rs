//! The operations on one connection: a statement chosen, bound, run, and its answer read.

use std::time::SystemTime;

use rusqlite::types::ToSqlOutput;
use rusqlite::{CachedStatement, Connection};

use super::connect::Fault;
use super::error::is_duplicate;
use super::rows::{self, TimeText, data_sql, key_sql, text_sql};
use super::statements::{Name, Statements};
use crate::error::{Error, Result};
use crate::id::PrivateId;
use crate::record::{
    Expiry, Filter, Guard, Insert, Lookup, Record, Row, RowKey, Save, Saved, Scan, Timeouts, Update,
};
use crate::sql::{Flag, Flags, Param, Statement};

pub(super) fn find(
    connection: &Connection,
    statements: &Statements,
    lookup: &Lookup,
) -> Result<Option<Record>, Fault> {
    let limits = Limits::new(statements, lookup.timeouts)?;
    let flags = limits.flags().with(Flag::Legacy, lookup.legacy.is_some());
    let bound = Bound { id: Some(lookup.private.as_str()), ..Bound::new(&limits) };
    let bound = Bound { legacy: lookup.legacy.as_ref().map(|id| id.as_str()), ..bound };
    let mut statement = prepared(connection, statements, Name::Find, flags, &bound)?;
    let mut rows = statement.raw_query();
    let (mut private, mut raw) = (None, None);
    while let Some(row) = rows.next()? {
        match rows::record(row, limits.now)? {
            Some(record) if record.id.is_legacy() => raw = Some(record),
            Some(record) => private = Some(record),
            None => {}
        }
    }
    // With rows under both ids, the private one is the session.
    let twin = raw.is_some();
    Ok(private.map(|record| Record { legacy_twin: twin, ..record }).or(raw))
}

pub(super) fn save(
    connection: &Connection,
    statements: &Statements,
    save: &Save,
) -> Result<Saved, Fault> {
    let result = match save {
        Save::Insert(insert) => self::insert(connection, statements, insert),
        Save::Update(update) => self::update(connection, statements, update),
    };
    let sets_id = match save {
        Save::Insert(_) => true,
        Save::Update(update) => update.new_id.is_some(),
    };
    match result {
        Err(Fault::Sql(fault)) if sets_id && is_duplicate(&fault) => Ok(Saved::Duplicate),
        result => result,
    }
}

fn insert(
    connection: &Connection,
    statements: &Statements,
    insert: &Insert,
) -> Result<Saved, Fault> {
    check_size(statements, &insert.data)?;
    let limits = Limits::new(statements, Timeouts::default())?;
    let expires_at = insert.expires_in.map(|time| TimeText::after(limits.now, time));
    let bound = Bound {
        new_id: Some(insert.id.as_str()),
        data: Some(&insert.data),
        expires_at: expires_at.as_ref(),
        ..Bound::new(&limits)
    };
    prepared(connection, statements, Name::Insert, Flags::default(), &bound)?.raw_execute()?;
    Ok(Saved::Applied)
}

fn update(
    connection: &Connection,
    statements: &Statements,
    update: &Update,
) -> Result<Saved, Fault> {
    if let Some(data) = &update.data {
        check_size(statements, data)?;
    }
    let limits = Limits::new(statements, update.timeouts)?;
    let flags = limits
        .flags()
        .with(Flag::Guard, matches!(update.guard, Guard::Data(_)))
        .with(Flag::Data, update.data.is_some())
        .with(Flag::Rekey, update.new_id.is_some())
        .with(Flag::Restart, update.restart)
        .with(Flag::Touch, update.touch)
        .with(Flag::Expiry, update.expiry != Expiry::Keep);
    let expires_at = match update.expiry {
        Expiry::After(time) => Some(TimeText::after(limits.now, time)),
        Expiry::Keep | Expiry::Never => None,
    };
    let bound = Bound {
        id: Some(update.id.as_str()),
        new_id: update.new_id.as_ref().map(PrivateId::as_str),
        data: update.data.as_deref(),
        guard: match &update.guard {
            Guard::Data(data) => data.as_deref(),
            Guard::Off => None,
        },
        expires_at: expires_at.as_ref(),
        ..Bound::new(&limits)
    };
    let exists = |flags| -> Result<bool, Fault> {
        let mut statement = prepared(connection, statements, Name::Exists, flags, &bound)?;
        Ok(statement.raw_query().next()?.is_some())
    };
    let applied = if writes_anything(statements, update) {
        prepared(connection, statements, Name::Update, flags, &bound)?.raw_execute()? > 0
    } else {
        exists(flags)?
    };
    if applied {
        return Ok(Saved::Applied);
    }
    let guarded = matches!(update.guard, Guard::Data(_));
    Ok(if guarded && exists(limits.flags())? { Saved::Conflict } else { Saved::Gone })
}

/// An UPDATE with nothing to set, for instance a touch of a table without times, is a question.
fn writes_anything(statements: &Statements, update: &Update) -> bool {
    let schema = &statements.schema;
    update.data.is_some()
        || update.new_id.is_some()
        || (update.touch && schema.updated_at)
        || (update.restart && schema.created_at)
        || (update.expiry != Expiry::Keep && schema.expires_at)
}

pub(super) fn destroy(
    connection: &Connection,
    statements: &Statements,
    lookup: &Lookup,
) -> Result<bool, Fault> {
    let limits = Limits::new(statements, Timeouts::default())?;
    let flags = Flags::default().with(Flag::Legacy, lookup.legacy.is_some());
    let bound = Bound { id: Some(lookup.private.as_str()), ..Bound::new(&limits) };
    let bound = Bound { legacy: lookup.legacy.as_ref().map(|id| id.as_str()), ..bound };
    Ok(prepared(connection, statements, Name::Destroy, flags, &bound)?.raw_execute()? > 0)
}

pub(super) fn scan(
    connection: &Connection,
    statements: &Statements,
    scan: &Scan,
) -> Result<Vec<Row>, Fault> {
    let limits = Limits::of_filter(statements, &scan.filter)?;
    let flags = limits
        .flags()
        .with(Flag::Age, limits.any())
        .with(Flag::After, scan.after.is_some())
        .with(Flag::Payload, scan.with_data);
    let bound = Bound { after: scan.after.as_ref(), limit: scan.limit, ..Bound::new(&limits) };
    let mut statement = prepared(connection, statements, Name::Scan, flags, &bound)?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(rows::row(row)?);
    }
    Ok(found)
}

/// Deletes in one transaction, so that a batch costs one fsync.
pub(super) fn delete(
    connection: &Connection,
    statements: &Statements,
    keys: &[RowKey],
    filter: &Filter,
) -> Result<u64, Fault> {
    let limits = Limits::of_filter(statements, filter)?;
    let flags = limits.flags().with(Flag::Age, limits.any());
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
    let mut deleted = 0;
    for key in keys {
        let bound = Bound { key: Some(key), ..Bound::new(&limits) };
        let mut statement = prepared(&transaction, statements, Name::Delete, flags, &bound)?;
        deleted += statement.raw_execute()? as u64;
    }
    transaction.commit()?;
    Ok(deleted)
}

pub(super) fn rekey(
    connection: &Connection,
    statements: &Statements,
    row: &Row,
    new_id: &PrivateId,
) -> Result<Saved, Fault> {
    let limits = Limits::new(statements, Timeouts::default())?;
    let bound = Bound {
        key: Some(&row.key),
        stored_id: Some(&row.stored_id),
        new_id: Some(new_id.as_str()),
        ..Bound::new(&limits)
    };
    let mut statement = prepared(connection, statements, Name::Rekey, Flags::default(), &bound)?;
    match statement.raw_execute() {
        Ok(0) => Ok(Saved::Gone),
        Ok(_) => Ok(Saved::Applied),
        Err(fault) if is_duplicate(&fault) => Ok(Saved::Duplicate),
        Err(fault) => Err(fault.into()),
    }
}

pub(super) fn clear(connection: &Connection, statements: &Statements) -> Result<u64, Fault> {
    let limits = Limits::new(statements, Timeouts::default())?;
    let bound = Bound::new(&limits);
    let mut statement = prepared(connection, statements, Name::Clear, Flags::default(), &bound)?;
    Ok(statement.raw_execute()? as u64)
}

/// The clock and the times that rows are compared with.
struct Limits {
    now: SystemTime,
    now_text: TimeText,
    idle_since: Option<TimeText>,
    born_since: Option<TimeText>,
    blob: bool,
}

impl Limits {
    fn new(statements: &Statements, timeouts: Timeouts) -> Result<Self> {
        let missing = |column: &'static str| {
            Error::config("applying a session timeout", format!("the table has no column {column}"))
                .advice("add the column or turn the timeout off")
        };
        if timeouts.idle.is_some() && !statements.schema.updated_at {
            return Err(missing("updated_at"));
        }
        if timeouts.lifetime.is_some() && !statements.schema.created_at {
            return Err(missing("created_at"));
        }
        let now = SystemTime::now();
        Ok(Self {
            now,
            now_text: TimeText::new(now),
            idle_since: timeouts.idle.map(|age| TimeText::before(now, age)),
            born_since: timeouts.lifetime.map(|age| TimeText::before(now, age)),
            blob: statements.blob,
        })
    }

    fn of_filter(statements: &Statements, filter: &Filter) -> Result<Self> {
        Self::new(statements, Timeouts { idle: filter.idle_for, lifetime: filter.older_than })
    }

    fn any(&self) -> bool {
        self.idle_since.is_some() || self.born_since.is_some()
    }

    fn flags(&self) -> Flags {
        Flags::default()
            .with(Flag::Idle, self.idle_since.is_some())
            .with(Flag::Lifetime, self.born_since.is_some())
    }
}

/// What each parameter of a statement stands for in one call.
struct Bound<'a> {
    limits: &'a Limits,
    id: Option<&'a str>,
    legacy: Option<&'a str>,
    new_id: Option<&'a str>,
    stored_id: Option<&'a str>,
    data: Option<&'a [u8]>,
    guard: Option<&'a [u8]>,
    expires_at: Option<&'a TimeText>,
    after: Option<&'a RowKey>,
    key: Option<&'a RowKey>,
    limit: u32,
}

impl<'a> Bound<'a> {
    fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            id: None,
            legacy: None,
            new_id: None,
            stored_id: None,
            data: None,
            guard: None,
            expires_at: None,
            after: None,
            key: None,
            limit: 0,
        }
    }

    fn value(&self, param: Param) -> ToSqlOutput<'_> {
        let null = || data_sql(None, false);
        let text = |text: Option<&'a str>| text.map_or_else(null, text_sql);
        let key = |key: Option<&'a RowKey>| key.map_or_else(null, key_sql);
        let time = |time: Option<&'a TimeText>| time.map_or_else(null, TimeText::as_sql);
        let limits = self.limits;
        match param {
            Param::Id => text(self.id),
            Param::Legacy => text(self.legacy),
            Param::NewId => text(self.new_id),
            Param::StoredId => text(self.stored_id),
            Param::Data => data_sql(self.data, limits.blob),
            Param::GuardData => data_sql(self.guard, limits.blob),
            Param::Now => limits.now_text.as_sql(),
            Param::IdleSince => time(limits.idle_since.as_ref()),
            Param::BornSince => time(limits.born_since.as_ref()),
            Param::ExpiresAt => time(self.expires_at),
            Param::After => key(self.after),
            Param::Key => key(self.key),
            Param::Limit => ToSqlOutput::Owned(i64::from(self.limit).into()),
        }
    }
}

/// The statement's variant, prepared once per connection, with its parameters bound.
fn prepared<'c>(
    connection: &'c Connection,
    statements: &Statements,
    name: Name,
    flags: Flags,
    bound: &Bound<'_>,
) -> Result<CachedStatement<'c>, Fault> {
    let Statement { sql, params } = statements.get(name, flags)?;
    let mut statement = connection.prepare_cached(sql)?;
    for (at, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, bound.value(*param))?;
    }
    Ok(statement)
}

fn check_size(statements: &Statements, data: &[u8]) -> Result<()> {
    let size = data.len() as u64;
    match statements.schema.data_limit {
        Some(limit) if size > limit => Err(Error::overflow(limit, size)),
        _ => Ok(()),
    }
}
