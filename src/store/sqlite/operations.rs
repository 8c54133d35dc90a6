//! The operations on one connection: a statement chosen, bound, run, and its answer read.

use std::time::SystemTime;

use rusqlite::types::ToSqlOutput;
use rusqlite::{CachedStatement, Connection};

use super::connect::Fault;
use super::error::is_duplicate;
use super::rows::{self, TimeText, data_sql, key_sql, text_sql};
use crate::error::Result;
use crate::id::PrivateId;
use crate::record::{Filter, Lookup, Record, Row, RowKey, Save, Saved, Scan, Still, Update};
use crate::sql::{Param, Statement};
use crate::store::call::{Call, Values, not_applied};
use crate::store::statements::Statements;

pub(super) const FINDING: &str = "finding a session";

pub(super) fn find(
    connection: &super::Connection,
    lookup: &Lookup,
) -> Result<Option<Record>, Fault> {
    connection.run(FINDING, |raw, statements| Finder::new(raw, statements).find(lookup))
}

/// Finds one after the other; those that are alike share a prepared statement.
pub(super) struct Finder<'c> {
    connection: &'c Connection,
    statements: &'c Statements,
    last: Option<(&'c Statement, CachedStatement<'c>)>,
}

impl<'c> Finder<'c> {
    pub(super) fn new(connection: &'c Connection, statements: &'c Statements) -> Self {
        Self { connection, statements, last: None }
    }

    pub(super) fn find(&mut self, lookup: &Lookup) -> Result<Option<Record>, Fault> {
        let call = Call::find(self.statements, lookup)?;
        let variant = self.statements.get(call.name, call.flags)?;
        let mut statement = match self.last.take() {
            Some((last, statement)) if std::ptr::eq(last, variant) => statement,
            _ => self.connection.prepare_cached(&variant.sql)?,
        };
        let clock = Clock::new(&call.values, &variant.params);
        bind(&mut statement, &variant.params, &call.values, &clock, self.statements.binary)?;
        let (mut private, mut raw) = (None, None);
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            match rows::record(row, clock.now)? {
                Some(record) if record.id.is_legacy() => raw = Some(record),
                Some(record) => private = Some(record),
                None => {}
            }
        }
        drop(rows);
        self.last = Some((variant, statement));
        // With rows under both ids, the private one is the session.
        let twin = raw.is_some();
        Ok(private.map(|record| Record { legacy_twin: twin, ..record }).or(raw))
    }
}

pub(super) fn save(
    connection: &Connection,
    statements: &Statements,
    save: &Save,
) -> Result<Saved, Fault> {
    let (result, sets_id) = match save {
        Save::Insert(insert) => {
            let call = Call::insert(statements, insert)?;
            let result = execute(connection, statements, &call);
            // The table may be told to ignore a row whose id is taken.
            (result.map(|rows| if rows > 0 { Saved::Applied } else { Saved::Duplicate }), true)
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
    rows_of(connection, statements, &Call::scan(statements, scan)?)
}

pub(super) fn row(
    connection: &Connection,
    statements: &Statements,
    key: &RowKey,
) -> Result<Option<Row>, Fault> {
    Ok(rows_of(connection, statements, &Call::row(key))?.pop())
}

fn rows_of(
    connection: &Connection,
    statements: &Statements,
    call: &Call<'_>,
) -> Result<Vec<Row>, Fault> {
    let mut statement = prepared(connection, statements, call)?;
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

pub(super) fn end(
    connection: &Connection,
    statements: &Statements,
    row: &Row,
    still: Still,
) -> Result<bool, Fault> {
    Ok(execute(connection, statements, &Call::end(statements, row, still)?)? > 0)
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
    let mut statement = prepared(connection, statements, &call)?;
    let mut rows = statement.raw_query();
    let count: i64 = rows.next()?.map_or(Ok(0), |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

#[cfg(feature = "cli")]
pub(super) fn drop_table(connection: &Connection, statements: &Statements) -> Result<(), Fault> {
    execute(connection, statements, &Call::drop_table()).map(drop)
}

pub(super) fn clear(connection: &Connection, statements: &Statements) -> Result<u64, Fault> {
    execute(connection, statements, &Call::clear())
}

/// SQLite's clock is this machine's; the times that rows are compared with come from it.
struct Clock {
    now: SystemTime,
    now_text: Option<TimeText>,
    idle_since: Option<TimeText>,
    born_since: Option<TimeText>,
    expires_at: Option<TimeText>,
}

impl Clock {
    fn new(values: &Values<'_>, params: &[Param]) -> Self {
        let now = SystemTime::now();
        Self {
            now,
            now_text: params.contains(&Param::Now).then(|| TimeText::new(now)),
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
        Param::User => text(values.user),
        Param::Now => time(&clock.now_text),
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
        | Param::Guards
        | Param::Users => {
            unreachable!("the files of sql/sqlite have no such parameter")
        }
    }
}

/// The statement's variant, prepared once per connection, with its parameters bound.
fn prepared<'c>(
    connection: &'c Connection,
    statements: &Statements,
    call: &Call<'_>,
) -> Result<CachedStatement<'c>, Fault> {
    let Statement { sql, params } = statements.get(call.name, call.flags)?;
    let mut statement = connection.prepare_cached(sql)?;
    let clock = Clock::new(&call.values, params);
    bind(&mut statement, params, &call.values, &clock, statements.binary)?;
    Ok(statement)
}

fn bind(
    statement: &mut CachedStatement<'_>,
    params: &[Param],
    values: &Values<'_>,
    clock: &Clock,
    binary: bool,
) -> rusqlite::Result<()> {
    for (at, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, value(*param, values, clock, binary))?;
    }
    Ok(())
}

/// Runs a statement; the number of rows it changed or, of a question, found.
fn execute(
    connection: &Connection,
    statements: &Statements,
    call: &Call<'_>,
) -> Result<u64, Fault> {
    let mut statement = prepared(connection, statements, call)?;
    if statement.readonly() {
        return Ok(u64::from(statement.raw_query().next()?.is_some()));
    }
    Ok(statement.raw_execute()? as u64)
}
