//! The operations on one connection: a statement chosen, bound, run, and its answer read.

use std::time::SystemTime;

use rusqlite::types::ToSqlOutput;
use rusqlite::{CachedStatement, Connection};

use super::connect::Fault;
use super::error::is_duplicate;
use super::rows::{self, TimeText, data_sql, key_sql, text_sql};
use crate::error::Result;
use crate::id::PrivateId;
use crate::record::{Filter, Lookup, Record, Row, RowKey, Save, Saved, Scan, Update};
use crate::sql::{Param, Statement};
use crate::store::call::{Call, Values, not_applied};
use crate::store::statements::Statements;

pub(super) fn find(
    connection: &Connection,
    statements: &Statements,
    lookup: &Lookup,
) -> Result<Option<Record>, Fault> {
    let call = Call::find(statements, lookup)?;
    let clock = Clock::new(&call.values);
    let mut statement = prepared(connection, statements, &call, &clock)?;
    let mut rows = statement.raw_query();
    let (mut private, mut raw) = (None, None);
    while let Some(row) = rows.next()? {
        match rows::record(row, clock.now)? {
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
    let (result, sets_id) = match save {
        Save::Insert(insert) => {
            let call = Call::insert(statements, insert)?;
            (execute(connection, statements, &call).map(|_| Saved::Applied), true)
        }
        Save::Update(update) => {
            (self::update(connection, statements, update), update.new_id.is_some())
        }
    };
    match result {
        Err(Fault::Sql(fault)) if sets_id && is_duplicate(&fault) => Ok(Saved::Duplicate),
        result => result,
    }
}

fn update(
    connection: &Connection,
    statements: &Statements,
    update: &Update,
) -> Result<Saved, Fault> {
    let call = Call::update(statements, update)?;
    if execute(connection, statements, &call)? > 0 {
        return Ok(Saved::Applied);
    }
    let conflict = match call.conflict(update) {
        Some(question) => execute(connection, statements, &question)? > 0,
        None => false,
    };
    Ok(not_applied(conflict))
}

pub(super) fn destroy(
    connection: &Connection,
    statements: &Statements,
    lookup: &Lookup,
) -> Result<bool, Fault> {
    Ok(execute(connection, statements, &Call::destroy(lookup))? > 0)
}

pub(super) fn scan(
    connection: &Connection,
    statements: &Statements,
    scan: &Scan,
) -> Result<Vec<Row>, Fault> {
    let call = Call::scan(statements, scan)?;
    let mut statement = prepared(connection, statements, &call, &Clock::new(&call.values))?;
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(rows::row(row)?);
    }
    Ok(found)
}

pub(super) fn delete(
    connection: &Connection,
    statements: &Statements,
    keys: &[RowKey],
    filter: &Filter,
) -> Result<u64, Fault> {
    let deleted = together(connection, keys, |connection, key| {
        let call = Call::delete(statements, std::slice::from_ref(key), filter)?;
        execute(connection, statements, &call)
    })?;
    Ok(deleted.into_iter().sum())
}

pub(super) fn rekey(
    connection: &Connection,
    statements: &Statements,
    row: &Row,
    new_id: &PrivateId,
) -> Result<Saved, Fault> {
    match execute(connection, statements, &Call::rekey(row, new_id)) {
        Ok(0) => Ok(Saved::Gone),
        Ok(_) => Ok(Saved::Applied),
        Err(Fault::Sql(fault)) if is_duplicate(&fault) => Ok(Saved::Duplicate),
        Err(fault) => Err(fault),
    }
}

/// Runs this for each item in one transaction, so that a batch costs one fsync.
pub(super) fn together<I, T>(
    connection: &Connection,
    items: &[I],
    each: impl Fn(&Connection, &I) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
    let done = items.iter().map(|item| each(&transaction, item)).collect::<Result<_, Fault>>()?;
    transaction.commit()?;
    Ok(done)
}

pub(super) fn count(connection: &Connection, statements: &Statements) -> Result<u64, Fault> {
    let call = Call::count();
    let mut statement = prepared(connection, statements, &call, &Clock::new(&call.values))?;
    let mut rows = statement.raw_query();
    let count: i64 = rows.next()?.map_or(Ok(0), |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

pub(super) fn clear(connection: &Connection, statements: &Statements) -> Result<u64, Fault> {
    execute(connection, statements, &Call::clear())
}

/// SQLite's clock is this machine's; the times that rows are compared with come from it.
struct Clock {
    now: SystemTime,
    now_text: TimeText,
    idle_since: Option<TimeText>,
    born_since: Option<TimeText>,
    expires_at: Option<TimeText>,
}

impl Clock {
    fn new(values: &Values<'_>) -> Self {
        let now = SystemTime::now();
        Self {
            now,
            now_text: TimeText::new(now),
            idle_since: values.timeouts.idle.map(|age| TimeText::before(now, age)),
            born_since: values.timeouts.lifetime.map(|age| TimeText::before(now, age)),
            expires_at: values.expires_in.map(|time| TimeText::after(now, time)),
        }
    }
}

fn value<'a>(param: Param, values: &Values<'a>, clock: &'a Clock, binary: bool) -> ToSqlOutput<'a> {
    let null = || data_sql(None, false);
    let text = |text: Option<&'a [u8]>| text.map_or_else(null, text_sql);
    let key = |key: Option<&'a RowKey>| key.map_or_else(null, key_sql);
    let time = |time: &'a Option<TimeText>| time.as_ref().map_or_else(null, TimeText::as_sql);
    match param {
        Param::Id => text(values.id),
        Param::Legacy => text(values.legacy),
        Param::NewId => text(values.new_id),
        Param::StoredId => text(values.stored_id),
        Param::Data => data_sql(values.data, binary),
        Param::GuardData => data_sql(values.guard, binary),
        Param::Now => clock.now_text.as_sql(),
        Param::IdleSince => time(&clock.idle_since),
        Param::BornSince => time(&clock.born_since),
        Param::ExpiresAt => time(&clock.expires_at),
        Param::After => key(values.after),
        Param::Key => key(values.keys.first()),
        Param::Limit => ToSqlOutput::Owned(i64::from(values.limit).into()),
        Param::IdleMicros
        | Param::LifetimeMicros
        | Param::ExpiryMicros
        | Param::Keys
        | Param::Ids
        | Param::NewIds
        | Param::Datas
        | Param::Guards => {
            unreachable!("the files of sql/sqlite have no such parameter")
        }
    }
}

/// The statement's variant, prepared once per connection, with its parameters bound.
fn prepared<'c>(
    connection: &'c Connection,
    statements: &Statements,
    call: &Call<'_>,
    clock: &Clock,
) -> Result<CachedStatement<'c>, Fault> {
    let Statement { sql, params } = statements.get(call.name, call.flags)?;
    let mut statement = connection.prepare_cached(sql)?;
    for (at, param) in params.iter().enumerate() {
        let value = value(*param, &call.values, clock, statements.binary);
        statement.raw_bind_parameter(at + 1, value)?;
    }
    Ok(statement)
}

/// Runs a statement; the number of rows it changed or, of a question, found.
fn execute(
    connection: &Connection,
    statements: &Statements,
    call: &Call<'_>,
) -> Result<u64, Fault> {
    let mut statement = prepared(connection, statements, call, &Clock::new(&call.values))?;
    if statement.readonly() {
        return Ok(u64::from(statement.raw_query().next()?.is_some()));
    }
    Ok(statement.raw_execute()? as u64)
}
