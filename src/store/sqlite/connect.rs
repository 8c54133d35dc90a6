//! Connections: opened, set up, and kept in step with the table.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;
use rusqlite::wal::CheckpointMode;

use super::SYSTEM;
use super::error::{error, is_missing_database, is_refused, is_schema};
use super::options::{Source, SqliteBuilder, Synchronous};
use super::rows::TimeText;
use super::statements::{creating, statements};
use crate::error::{Error, Kind, Result};
use crate::observe;
use crate::store::facts::{
    Fact, a_view, check_key, cures, facts, is_of_sessions, missing_schema, not_for_users,
};
use crate::store::statements::{Statements, creation, split};
use crate::table::{Facts, Schema, Table};

/// Statements that a connection keeps prepared: all variants that a service uses.
const PREPARED: usize = 64;
/// A lock is mostly held for microseconds: so many short sleeps first, longer ones afterwards.
const SHORT_SLEEPS: i32 = 20;
const SHORT_SLEEP: Duration = Duration::from_micros(20);
const LONG_SLEEP: Duration = Duration::from_micros(120);
/// Beyond this the WAL's file is cut when it starts anew.
pub(super) const WAL_LIMIT: u64 = 64 << 20;

/// What all connections of a store share.
pub(super) struct Shared {
    pub(super) options: SqliteBuilder,
    /// What the table was last found to have; `None` until it was first looked at.
    statements: RwLock<Option<Arc<Statements>>>,
}

/// A connection that is set up and knows its table.
pub(super) struct Connection {
    raw: rusqlite::Connection,
    shared: Arc<Shared>,
}

/// Why a step on a connection failed.
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Ours(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Fault {
    pub(super) fn into_error(self, doing: &'static str) -> Error {
        match self {
            Self::Sql(fault) => error(doing, &fault),
            Self::Ours(error) => error,
        }
    }
}

impl Shared {
    pub(super) fn new(options: SqliteBuilder) -> Self {
        Self { options, statements: RwLock::new(None) }
    }

    fn known(&self) -> Option<Arc<Statements>> {
        self.statements.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, statements: Arc<Statements>) {
        *self.statements.write().unwrap_or_else(PoisonError::into_inner) = Some(statements);
    }
}

impl Connection {
    /// Opens and sets up a connection; makes the table if that is wanted; looks at it once.
    pub(super) fn open(shared: &Arc<Shared>, until: Instant) -> Result<Self> {
        observe::connect(SYSTEM).ended(Self::opened(shared, until))
    }

    fn opened(shared: &Arc<Shared>, until: Instant) -> Result<Self> {
        let doing = "opening a SQLite database";
        let options = &shared.options;
        let mut raw = connect(options).map_err(|fault| error(doing, &fault))?;
        waiting(until, || {
            set_up(&mut raw, options).map_err(|fault| error(doing, &fault))?;
            let connection = Self { raw, shared: Arc::clone(shared) };
            if options.create && !options.read_only && !options.query_only {
                connection.create_table()?;
            }
            if shared.known().is_none() {
                connection.inspect()?;
            }
            Ok(connection)
        })
    }

    /// Runs one operation. When it finds that the table has changed, the table is looked at again
    /// and the operation is tried once more; nothing of the first try was applied.
    pub(super) fn run<T>(
        &self,
        doing: &'static str,
        mut operation: impl FnMut(&rusqlite::Connection, &Statements) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let statements = match self.shared.known() {
            Some(statements) => statements,
            None => self.inspect()?,
        };
        match operation(&self.raw, &statements) {
            Err(Fault::Sql(fault)) if is_schema(&fault) => {
                let fresh = self.inspect()?;
                if fresh.schema == statements.schema {
                    return Err(error(doing, &fault).into());
                }
                observe::retry(SYSTEM, "inspect");
                operation(&self.raw, &fresh)
            }
            result => result,
        }
    }

    /// Runs several reads in one transaction, which ends in any case. A change of the table is not
    /// looked at.
    pub(super) fn read_together<T>(
        &self,
        reads: impl FnOnce(&rusqlite::Connection, &Statements) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let statements = match self.shared.known() {
            Some(statements) => statements,
            None => self.inspect()?,
        };
        self.begin_reading()?;
        let result = reads(&self.raw, &statements);
        if self.commit().is_err() && self.is_in_transaction() {
            self.roll_back()?;
        }
        result
    }

    /// Looks at the table and renders statements for what it has.
    pub(super) fn inspect(&self) -> Result<Arc<Statements>> {
        let table = &self.shared.options.table;
        let schema = inspect(&self.raw, table)?;
        let statements = Arc::new(statements(table, schema));
        self.shared.learn(Arc::clone(&statements));
        Ok(statements)
    }

    /// What the database says of itself and of the table.
    pub(super) fn facts(&self) -> Result<Facts, Fault> {
        let table = &self.shared.options.table;
        let (database, bare) = split(table);
        let mut statement =
            self.raw.prepare(include_str!("../../../sql/sqlite/inspect_facts.sql"))?;
        let rows = statement
            .query_map((bare, database), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut rows: Vec<Fact> = rows.collect::<rusqlite::Result<_>>()?;
        rows.retain(|(_, name, column)| {
            !name.starts_with("unfilled") || !is_of_sessions(table, column)
        });
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        rows.push(("clock".into(), String::new(), now.as_micros().to_string()));
        let mode: String = self.raw.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        rows.push(("setting".into(), "journal_mode".into(), mode));
        rows.push(("setting".into(), "writable".into(), self.writable()?.into()));
        let statements = match self.shared.known() {
            Some(statements) => statements,
            None => self.inspect()?,
        };
        let ids = include_str!("../../../sql/sqlite/inspect_ids.sql");
        let ids = statements.rendered(ids, &Vec::new())?;
        rows.push(self.raw.query_row(&ids, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?);
        let own = vec![("now", format!("'{}'", TimeText::new(SystemTime::now()).as_str()))];
        rows.extend(cures(include_str!("../../../sql/sqlite/cures.sql"), &statements, &own)?);
        Ok(facts(rows))
    }

    /// Whether the system lets this user write to the file, also where this connection only reads:
    /// `yes`, `no`, or `folder` where the journal cannot be written beside it.
    fn writable(&self) -> rusqlite::Result<&'static str> {
        let options = &self.shared.options;
        let database = split(&options.table).0.unwrap_or("main");
        let is_looking = options.read_only || options.query_only;
        if !is_looking {
            return Ok(if self.raw.is_readonly(database)? { "no" } else { "yes" });
        }
        let options = SqliteBuilder { read_only: false, create: false, ..options.clone() };
        let Ok(mut raw) = connect(&options) else { return Ok("no") };
        // Somebody who writes just now shows that it can be done.
        raw.busy_handler(None::<fn(i32) -> bool>)?;
        if raw.is_readonly(database).unwrap_or(true) {
            return Ok("no");
        }
        Ok(if is_refused(&begin_nothing(&raw, database)) { "folder" } else { "yes" })
    }

    /// Makes the table and its indexes if the table is missing.
    pub(super) fn create_table(&self) -> Result<bool> {
        let doing = "creating the sessions table";
        let table = &self.shared.options.table;
        if has_table(&self.raw, table)? {
            return Ok(false);
        }
        let statements = creating(table);
        let make = || -> Result<bool> {
            if has_table(&self.raw, table)? {
                return Ok(false);
            }
            for sql in creation(table, &statements)? {
                self.raw.execute_batch(&sql).map_err(|fault| error(doing, &fault))?;
            }
            Ok(true)
        };
        let transaction = |sql| self.raw.execute_batch(sql).map_err(|fault| error(doing, &fault));
        transaction("BEGIN IMMEDIATE")?;
        let made = make();
        let end = transaction(if made.is_ok() { "COMMIT" } else { "ROLLBACK" });
        let made = made?;
        end?;
        Ok(made)
    }

    /// Begins a transaction with the lock on writing.
    pub(super) fn begin_writing(&self) -> rusqlite::Result<()> {
        self.control("BEGIN IMMEDIATE")
    }

    /// Begins a transaction of reads: one view of the database for all of them.
    pub(super) fn begin_reading(&self) -> rusqlite::Result<()> {
        self.control("BEGIN")
    }

    pub(super) fn commit(&self) -> rusqlite::Result<()> {
        self.control("COMMIT")
    }

    pub(super) fn roll_back(&self) -> rusqlite::Result<()> {
        self.control("ROLLBACK")
    }

    /// Whether a transaction was begun and neither side has ended it.
    pub(super) fn is_in_transaction(&self) -> bool {
        !self.raw.is_autocommit()
    }

    fn control(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.raw.prepare_cached(sql)?.raw_execute().map(drop)
    }

    /// Notes the WAL's frames after each commit, in place of SQLite's own checkpoints. The bytes of
    /// a page; `None` where there is no WAL.
    pub(super) fn watch_wal(&mut self, frames: Arc<AtomicU32>) -> Result<Option<u64>> {
        let fault = |fault: rusqlite::Error| error("opening a SQLite database", &fault);
        let pragma = |name| self.raw.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        if self.shared.options.read_only
            || self.shared.options.query_only
            || !pragma("journal_mode").map_err(fault)?.eq_ignore_ascii_case("wal")
        {
            return Ok(None);
        }
        let page: i64 =
            self.raw.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(fault)?;
        let hook = move |_: &mut rusqlite::hooks::Wal, in_wal| {
            frames.store(u32::try_from(in_wal).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        self.raw.wal_hook(Some(hook)).map_err(fault)?;
        Ok(u64::try_from(page).ok())
    }

    /// Carries the WAL back into the file; the frames that readers keep from it. An error also when
    /// it did not come to its end.
    pub(super) fn checkpoint(&self, mode: CheckpointMode) -> rusqlite::Result<u32> {
        let (frames, copied) = self.raw.wal_checkpoint_v2(None::<&str>, mode)?;
        Ok(u32::try_from(frames - copied).unwrap_or(0))
    }

    /// Closes the connection; the last one of the process checkpoints the WAL.
    pub(super) fn close(self) {
        drop(self.raw);
    }
}

/// Makes the table on a connection of its own, which need not find one.
pub(super) fn create(shared: &Arc<Shared>, until: Instant) -> Result<bool> {
    let doing = "creating the sessions table";
    let mut raw = connect(&shared.options).map_err(|fault| error(doing, &fault))?;
    waiting(until, || {
        set_up(&mut raw, &shared.options).map_err(|fault| error(doing, &fault))?;
        Connection { raw, shared: Arc::clone(shared) }.create_table()
    })
}

thread_local! {
    /// Until when this thread's current operation may wait for a lock.
    static WAIT_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Lets the busy handler wait until then during `operation`; without it, it does not wait.
pub(super) fn waiting<T>(until: Instant, operation: impl FnOnce() -> T) -> T {
    struct Restore(Option<Instant>);
    impl Drop for Restore {
        fn drop(&mut self) {
            WAIT_UNTIL.set(self.0);
        }
    }
    let _restore = Restore(WAIT_UNTIL.replace(Some(until)));
    operation()
}

/// SQLite's own handler sleeps up to 100 ms at a time, which shows as latency when another process
/// writes; commits take microseconds to a few milliseconds.
#[allow(clippy::disallowed_methods)] // The one place that may sleep: it holds no lock and is bounded.
fn busy(tries: i32) -> bool {
    let Some(until) = WAIT_UNTIL.get() else { return false };
    if Instant::now() >= until {
        return false;
    }
    std::thread::sleep(if tries < SHORT_SLEEPS { SHORT_SLEEP } else { LONG_SLEEP });
    true
}

fn connect(options: &SqliteBuilder) -> rusqlite::Result<rusqlite::Connection> {
    let access = match (options.read_only, options.create) {
        (true, _) => OpenFlags::SQLITE_OPEN_READ_ONLY,
        (false, true) => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        (false, false) => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    // A connection is used by one thread at a time, so SQLite needs no mutex of its own.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    match &options.source {
        Source::File(path) => rusqlite::Connection::open_with_flags(literal(path), flags),
        Source::Uri(uri) => {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_CREATE;
            rusqlite::Connection::open_with_flags(uri, flags)
        }
        Source::Factory(connect) => connect(),
    }
}

/// Writes what is there already and takes it back, for which SQLite makes its journal.
fn begin_nothing(raw: &rusqlite::Connection, database: &str) -> rusqlite::Result<()> {
    let version: i64 = raw.pragma_query_value(Some(database), "user_version", |row| row.get(0))?;
    let begun = raw.unchecked_transaction()?;
    raw.pragma_update(Some(database), "user_version", version)?;
    begun.rollback()
}

/// A file whose name SQLite would take for something else is named through its folder.
fn literal(path: &Path) -> std::path::PathBuf {
    match path.to_str() {
        Some(text) if text.starts_with(':') || text.starts_with("file:") => {
            Path::new(".").join(path)
        }
        _ => path.to_owned(),
    }
}

fn set_up(raw: &mut rusqlite::Connection, options: &SqliteBuilder) -> rusqlite::Result<()> {
    raw.busy_handler(Some(busy))?;
    raw.set_prepared_statement_cache_capacity(PREPARED);
    // Else SQLite reads the quoted name of a column that was dropped as a text, and an idle timeout
    // silently ends no session any more.
    raw.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    raw.pragma_update(None, "mmap_size", i64::try_from(options.mmap_size).unwrap_or(i64::MAX))?;
    if options.read_only || options.query_only {
        // A connection of the user's own may have been opened for writing.
        return raw.pragma_update(None, "query_only", true);
    }
    if let Some(bytes) = options.page_size {
        raw.pragma_update(None, "page_size", bytes)?;
    }
    // A database that cannot have a WAL (in memory) answers with the mode it keeps.
    raw.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    raw.pragma_update_and_check(None, "journal_size_limit", WAL_LIMIT as i64, |_| Ok(()))?;
    let synchronous = match options.synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    raw.pragma_update(None, "synchronous", synchronous)
}

type Column = (String, String, i64);

fn columns(raw: &rusqlite::Connection, table: &Table) -> Result<Vec<Column>> {
    let (database, bare) = split(table);
    let read = || {
        let mut statement = raw.prepare(include_str!("../../../sql/sqlite/inspect_columns.sql"))?;
        let column = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        statement.query_map((bare, database), column)?.collect::<rusqlite::Result<_>>()
    };
    // One that is hidden by a table of that name in another database is looked over.
    let is_view = || {
        let mut statement = raw.prepare(include_str!("../../../sql/sqlite/inspect_view.sql"))?;
        statement.query_row((bare, database), |row| row.get::<_, Option<bool>>(0))
    };
    let fault = |fault: rusqlite::Error| match is_missing_database(&fault) {
        true => missing_schema(table),
        false => error("looking at the sessions table", &fault),
    };
    let columns = read().map_err(fault)?;
    match is_view().map_err(fault)? {
        Some(true) => Err(a_view(table)),
        _ => Ok(columns),
    }
}

fn has_table(raw: &rusqlite::Connection, table: &Table) -> Result<bool> {
    Ok(!columns(raw, table)?.is_empty())
}

fn inspect(raw: &rusqlite::Connection, table: &Table) -> Result<Schema> {
    let doing = "looking at the sessions table";
    let fault = |fault: rusqlite::Error| error(doing, &fault);
    let columns = columns(raw, table)?;
    if columns.is_empty() {
        return Err(missing(format!("there is no table {:?}", table.name()))
            .advice("create it (sqlbypass create), or name another table"));
    }
    let column = |name: &str| columns.iter().find(|(column, ..)| column.eq_ignore_ascii_case(name));
    let needed = |name: &str| {
        column(name).ok_or_else(|| {
            missing(format!("the table {:?} has no column {name:?}", table.name()))
                .advice("add it, or name another column")
        })
    };
    needed(table.session_id())?;
    let (_, data_type, _) = needed(table.data())?;
    let primary_key = match table.named_primary_key() {
        Some(name) => Some(needed(name)?.0.clone()),
        None => single_key(&columns),
    };
    table.check_with(primary_key.as_deref())?;
    let user = table.user().and_then(column);
    if let Some((_, data_type, _)) = user.filter(|(_, data_type, _)| !is_text(data_type)) {
        // SQLite changes no column's type.
        return Err(not_for_users(table, data_type, None));
    }
    let (database, bare) = split(table);
    let is_unique = |column: &str| {
        let mut statement = raw.prepare(include_str!("../../../sql/sqlite/inspect_indexes.sql"))?;
        statement.query_row((bare, database, column), |row| row.get::<_, i64>(0)).map(|n| n > 0)
    };
    if let Some(key) = &primary_key {
        let is_unique = is_unique(key).map_err(fault)?;
        check_key(table, single_key(&columns).as_deref(), is_unique)?;
    }
    let collated = raw
        .column_metadata(database, bare, table.session_id())
        .map(|(_, collation, ..)| collation.is_some_and(|name| name.to_bytes() != b"BINARY"))
        .map_err(fault)?;
    let limit = raw.limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH).map_err(fault)?;
    Ok(Schema {
        unique_id: is_unique(table.session_id()).map_err(fault)?
            || primary_key.as_deref() == Some(table.session_id()),
        primary_key,
        created_at: column("created_at").is_some(),
        updated_at: column("updated_at").is_some(),
        expires_at: column("expires_at").is_some(),
        user: user.is_some(),
        data_type: data_type.clone(),
        data_limit: u64::try_from(limit).ok(),
        data_limit_chars: None,
        collated_id: collated,
    })
}

/// Whether a column of this type keeps text as text.
fn is_text(data_type: &str) -> bool {
    data_type.is_empty() || ["char", "text", "clob"].iter().any(|kind| data_type.contains(kind))
}

/// A key of one column; a composite one cannot name a row by itself, so the rowid does.
fn single_key(columns: &[Column]) -> Option<String> {
    let mut keys = columns.iter().filter(|(.., position)| *position > 0);
    match (keys.next(), keys.next()) {
        (Some((name, ..)), None) => Some(name.clone()),
        _ => None,
    }
}

fn missing(problem: String) -> Error {
    Error::new(Kind::Schema, "looking at the sessions table", problem)
}
