//! The store on SQLite: direct readers, one writer.

mod checkpoints;
mod cold;
mod connect;
mod error;
mod finds;
mod group;
mod job;
mod operations;
mod options;
mod queue;
mod readers;
mod rows;
mod statements;
mod writer;

use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use options::{SqliteBuilder, Synchronous};

use self::cold::Cold;
use self::connect::{Connection, Fault, Shared};
use self::finds::Finds;
use self::job::Company;
use self::operations::FINDING;
use self::options::Source;
use self::readers::Readers;
use self::writer::Writer;
use super::lane::{Keys, Lane, save_bytes};
use super::{Maintenance, Store};
use crate::error::{Error, Result};
use crate::id::{PrivateId, StoredId};
use crate::observe::{Seen, System, describe, done, operation};
use crate::record::{
    Filter, Lookup, Record, Row, RowKey, Save, Saved, Scan, Still, Timeouts, Update,
};
use crate::table::{Facts, Schema};

/// Sessions in a SQLite file, also one that a Rails app has open at the same time.
///
/// Clones share the connections. The database is put into WAL mode; readers never wait for the
/// writer. Times are those of this machine's clock, as SQLite has no other.
///
/// Dropping the last clone ends the writer after what is queued; [`close`](Self::close) waits for
/// that.
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    finds: Way,
    writer: Writer,
    closed: AtomicBool,
}

/// How finds go.
enum Way {
    /// Each by itself.
    Alone,
    /// Together when they meet.
    Together(Arc<Finds>),
    /// On threads that may wait for a disk.
    Cold(Lane<Cold>),
}

impl Inner {
    fn check_open(&self, doing: &'static str) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::unavailable(doing, "the store is closed"));
        }
        Ok(())
    }
}

impl SqliteStore {
    /// Opens an existing file with Rails' table `sessions` and default settings.
    ///
    /// # Errors
    ///
    /// When the file or the table is missing or does not fit.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder(path).open().await
    }

    /// Settings for a file. `:memory:` is a database that lives as long as its store.
    pub fn builder(path: impl AsRef<Path>) -> SqliteBuilder {
        SqliteBuilder::from_path(path.as_ref())
    }

    /// Settings from a URL: `sqlite://relative.db`, `sqlite:///absolute.db`, with `?mode=ro|rw|rwc`
    /// and `&synchronous=full|normal`.
    ///
    /// # Errors
    ///
    /// When the URL names no file or has an unknown option.
    pub fn url(url: &str) -> Result<SqliteBuilder> {
        SqliteBuilder::from_url(url)
    }

    /// Settings for connections that you make yourself, for instance with an extension loaded. The
    /// store sets its own busy handler and pragmas on each.
    pub fn factory(
        connect: impl Fn() -> rusqlite::Result<rusqlite::Connection> + Send + Sync + 'static,
    ) -> SqliteBuilder {
        SqliteBuilder::new(Source::Factory(Arc::new(connect)))
    }

    /// Finishes what is queued and closes every connection; the store answers errors afterwards.
    ///
    /// # Errors
    ///
    /// None today.
    pub async fn close(&self) -> Result<()> {
        self.0.closed.store(true, Ordering::Release);
        if let Way::Cold(lane) = &self.0.finds {
            lane.close().await;
        }
        self.0.readers.close();
        self.0.writer.close().await;
        Ok(())
    }

    async fn from_builder(options: SqliteBuilder) -> Result<Self> {
        describe();
        let lazy = options.lazy;
        let shared = Arc::new(Shared::new(options));
        let readers = Arc::new(Readers::new(Arc::clone(&shared)));
        let finds = match (shared.options.lanes, shared.options.blocking_reads) {
            (false, _) => Way::Alone,
            (true, false) => Way::Together(Arc::new(Finds::new(Arc::clone(&readers)))),
            (true, true) => Way::Cold(cold::lane(&shared, Arc::clone(&readers))),
        };
        let store = Self(Arc::new(Inner {
            readers,
            finds,
            writer: Writer::start(Arc::clone(&shared))?,
            shared,
            closed: AtomicBool::new(false),
        }));
        if !lazy {
            // The writer first: it makes the file and the table where that is wanted.
            store.write("opening a SQLite database", Company::None, |_| Ok(())).await?;
            store.read("opening a SQLite database", |_| Ok(())).await?;
        }
        Ok(store)
    }

    async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        operation: impl Fn(&Connection) -> Result<T, Fault> + Clone + Send + 'static,
    ) -> Result<T> {
        self.0.check_open(doing)?;
        self.0.readers.read(doing, operation).await
    }

    async fn read_blocking<T: Send + 'static>(
        &self,
        doing: &'static str,
        operation: impl Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        self.0.check_open(doing)?;
        let until = Instant::now() + self.0.shared.options.deadline;
        self.0.readers.read_blocking(doing, until, operation).await
    }

    async fn change(&self, doing: &'static str, save: &Save) -> Result<Saved> {
        let company = Company::Welcome(save_bytes(save));
        let save = save.clone();
        self.write(doing, company, move |connection| {
            connection.run(doing, |raw, statements| operations::save(raw, statements, &save))
        })
        .await
    }

    /// Removes the table; the store is of no use afterwards.
    #[cfg(feature = "cli")]
    pub(crate) async fn drop_table(&self) -> Result<()> {
        let doing = "removing a table";
        self.write(doing, Company::None, move |connection| {
            connection.run(doing, operations::drop_table)
        })
        .await
    }

    /// Not an `async fn`, which would keep a place of its own for the operation.
    fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        company: Company,
        operation: impl FnMut(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send {
        let until = Instant::now() + self.0.shared.options.deadline;
        self.0.writer.run(doing, company, until, operation)
    }

    async fn look(&self, lookup: &Lookup) -> Result<Option<Record>> {
        let inner = &self.0;
        inner.check_open(FINDING)?;
        match &inner.finds {
            Way::Alone => {}
            Way::Together(finds) => {
                if let Some(found) = finds.join(lookup).await {
                    return Ok(found);
                }
            }
            Way::Cold(lane) => {
                let one = || {
                    let until = Instant::now() + inner.shared.options.deadline;
                    cold::find(&inner.readers, lookup, until)
                };
                let together = super::lane::Way::Together;
                return lane.run(together, Keys::default, || lookup.clone(), one).await;
            }
        }
        let lookup = lookup.clone();
        self.read(FINDING, move |connection| operations::find(connection, &lookup)).await
    }
}

const SYSTEM: System = System::Sqlite;

/// The statements that give a table in use the column of users.
pub(super) fn addition(builder: &SqliteBuilder) -> Result<Vec<String>> {
    super::statements::addition(&statements::creating(&builder.table))
}

/// The statements that make the table.
pub(super) fn creation(builder: &SqliteBuilder) -> Result<Vec<String>> {
    super::statements::creation(&builder.table, &statements::creating(&builder.table))
}

impl Store for SqliteStore {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        operation(SYSTEM, "find", None, Seen::found, pin!(self.look(lookup))).await
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        let work = pin!(self.change("saving a session", save));
        operation(SYSTEM, "save", save.data_len(), Seen::saved, work).await
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        let doing = "destroying a session";
        let lookup = lookup.clone();
        let work = pin!(self.write(doing, Company::Welcome(0), move |connection| {
            connection.run(doing, |raw, statements| operations::destroy(raw, statements, &lookup))
        }));
        operation(SYSTEM, "destroy", None, Seen::met, work).await
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        let save = Save::Update(Update { timeouts, ..Update::new(*id) });
        let work =
            pin!(async { Ok(self.change("touching a session", &save).await? == Saved::Applied) });
        operation(SYSTEM, "touch", None, Seen::met, work).await
    }
}

impl Maintenance for SqliteStore {
    async fn create(&self) -> Result<bool> {
        let doing = "creating the sessions table";
        let options = self.0.shared.options.clone();
        // The store's own connections may be unable to open before there is a table.
        let until = Instant::now() + options.deadline;
        let shared = Arc::new(Shared::new(options));
        let task = tokio::task::spawn_blocking(move || connect::create(&shared, until));
        let ended = || Error::database(doing, "the thread ended without an answer");
        let work = pin!(async { task.await.map_err(|_| ended())? });
        operation(SYSTEM, "create", None, done, work).await
    }

    async fn inspect(&self) -> Result<Schema> {
        let inspect = |connection: &Connection| Ok(connection.inspect()?.schema.clone());
        let work = pin!(self.read_blocking("looking at the sessions table", inspect));
        operation(SYSTEM, "inspect", None, done, work).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<Row>> {
        let doing = "reading rows";
        let scan = scan.clone();
        let work = pin!(self.read_blocking(doing, move |connection| {
            connection.run(doing, |raw, statements| operations::scan(raw, statements, &scan))
        }));
        operation(SYSTEM, "scan", None, Seen::read, work).await
    }

    async fn row(&self, key: &RowKey) -> Result<Option<Row>> {
        let doing = "reading a row";
        let key = key.clone();
        let work = pin!(self.read_blocking(doing, move |connection| {
            connection.run(doing, |raw, statements| operations::row(raw, statements, &key))
        }));
        operation(SYSTEM, "row", None, done, work).await
    }

    async fn delete(&self, keys: &[RowKey], filter: &Filter) -> Result<u64> {
        let doing = "deleting rows";
        let (keys, filter) = (keys.to_vec(), filter.clone());
        let work = pin!(self.write(doing, Company::None, move |connection| {
            connection
                .run(doing, |raw, statements| operations::delete(raw, statements, &keys, &filter))
        }));
        operation(SYSTEM, "delete", None, Seen::rows, work).await
    }

    async fn rekey(&self, row: &Row, new_id: &PrivateId) -> Result<Saved> {
        let doing = "re-keying a row";
        let (row, new_id) = (row.clone(), *new_id);
        let work = pin!(self.write(doing, Company::Welcome(0), move |connection| {
            connection
                .run(doing, |raw, statements| operations::rekey(raw, statements, &row, &new_id))
        }));
        operation(SYSTEM, "rekey", None, Seen::saved, work).await
    }

    async fn end(&self, rows: &[Row], still: Still) -> Result<Vec<bool>> {
        let doing = "ending sessions";
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let rows = rows.to_vec();
        let work = pin!(self.write(doing, Company::None, move |connection| {
            connection.run(doing, |raw, statements| {
                operations::together(raw, &rows, |raw, row| {
                    operations::end(raw, statements, row, still)
                })
            })
        }));
        operation(SYSTEM, "end", None, Seen::read, work).await
    }

    async fn clear(&self) -> Result<u64> {
        let doing = "clearing the sessions table";
        let work = pin!(self.write(doing, Company::None, move |connection| {
            connection.run(doing, operations::clear)
        }));
        operation(SYSTEM, "clear", None, Seen::rows, work).await
    }

    async fn rekey_all(&self, rows: &[(Row, PrivateId)]) -> Result<Vec<Saved>> {
        let doing = "re-keying rows";
        let rows = rows.to_vec();
        let work = pin!(self.write(doing, Company::None, move |connection| {
            connection.run(doing, |raw, statements| {
                operations::together(raw, &rows, |raw, (row, new_id)| {
                    operations::rekey(raw, statements, row, new_id)
                })
            })
        }));
        operation(SYSTEM, "rekey_all", None, Seen::read, work).await
    }

    async fn save_all(&self, saves: &[Save]) -> Result<Vec<Saved>> {
        let doing = "saving sessions";
        let saves = saves.to_vec();
        let work = pin!(self.write(doing, Company::None, move |connection| {
            connection.run(doing, |raw, statements| {
                operations::together(raw, &saves, |raw, save| {
                    operations::save(raw, statements, save)
                })
            })
        }));
        operation(SYSTEM, "save_all", None, Seen::read, work).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        let doing = "counting rows";
        let count = move |connection: &Connection| connection.run(doing, operations::count);
        let work = pin!(self.read_blocking(doing, count));
        operation(SYSTEM, "count", None, done, work).await.map(Some)
    }

    async fn facts(&self) -> Result<Facts> {
        let work = pin!(self.read_blocking("asking the database about itself", Connection::facts));
        operation(SYSTEM, "facts", None, done, work).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("options", &self.0.shared.options)
            .finish_non_exhaustive()
    }
}
