//! Settings of the SQLite store.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::SqliteStore;
use crate::error::{Error, Result};
use crate::table::Table;

/// How hard SQLite works to keep what it acknowledged, as `PRAGMA synchronous` in WAL mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// What is acknowledged is on disk, also after a power cut. The default.
    #[default]
    Full,
    /// Never corrupt; a power cut may take back the last saves and destroys, those since the WAL was
    /// last carried back (1,000 pages): a session that was ended may be there again. A killed process
    /// loses nothing. Rails' own default since 7.1.
    Normal,
}

type Connect = dyn Fn() -> rusqlite::Result<rusqlite::Connection> + Send + Sync;

/// Where connections come from.
#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Uri(String),
    Factory(Arc<Connect>),
}

/// Settings of a [`SqliteStore`]; made by [`SqliteStore::builder`] and its siblings.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlbypass::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("sessions.db");
/// use sqlbypass::{SqliteStore, Synchronous};
///
/// let store = SqliteStore::builder(&path)
///     .create(true)
///     .synchronous(Synchronous::Normal)
///     .open()
///     .await?;
/// # store.close().await
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteBuilder {
    pub(super) source: Source,
    pub(super) table: Table,
    pub(super) create: bool,
    pub(super) lazy: bool,
    pub(super) read_only: bool,
    pub(super) query_only: bool,
    pub(super) blocking_reads: bool,
    pub(super) lanes: bool,
    pub(super) synchronous: Synchronous,
    pub(super) page_size: Option<u32>,
    pub(super) mmap_size: u64,
    pub(super) readers: usize,
    pub(super) queue: usize,
    pub(super) deadline: Duration,
}

impl SqliteBuilder {
    pub(super) fn new(source: Source) -> Self {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        Self {
            source,
            table: Table::default(),
            create: false,
            lazy: false,
            read_only: false,
            query_only: false,
            blocking_reads: false,
            lanes: true,
            synchronous: Synchronous::Full,
            page_size: None,
            mmap_size: 256 << 20,
            readers: cores.max(2),
            queue: 10_000,
            deadline: Duration::from_secs(5),
        }
    }

    pub(super) fn from_path(path: &Path) -> Self {
        static MEMORY: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        if path == Path::new(":memory:") {
            // SQLite's memdb is one database for all connections that name it.
            let number = MEMORY.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let uri = format!("file:/sqlbypass-{}-{number}?vfs=memdb", std::process::id());
            return Self::new(Source::Uri(uri));
        }
        Self::new(Source::File(path.to_owned()))
    }

    pub(super) fn from_url(url: &str) -> Result<Self> {
        let doing = "reading a database URL";
        // Rails names its adapter so.
        let scheme = ["sqlite:", "sqlite3:"];
        let rest = scheme.iter().find_map(|scheme| url.trim().strip_prefix(scheme));
        let rest = rest.ok_or_else(|| {
            Error::config(doing, "it does not begin with sqlite:")
                .advice("write sqlite://sessions.db")
        })?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| Error::config(doing, "the path is not UTF-8"))?;
        if path.is_empty() {
            return Err(
                Error::config(doing, "it names no file").advice("write sqlite://sessions.db")
            );
        }
        let builder = Self::from_path(Path::new(&*path));
        query.split('&').filter(|pair| !pair.is_empty()).try_fold(builder, Self::url_option)
    }

    fn url_option(mut self, pair: &str) -> Result<Self> {
        match pair {
            "mode=ro" => self.read_only = true,
            "mode=rw" => self.create = false,
            "mode=rwc" => self.create = true,
            "synchronous=full" => self.synchronous = Synchronous::Full,
            "synchronous=normal" => self.synchronous = Synchronous::Normal,
            _ => {
                return Err(Error::config("reading a database URL", "it has an unknown option")
                    .advice("known are mode=ro|rw|rwc and synchronous=full|normal"));
            }
        }
        Ok(self)
    }

    /// Names of the table and its columns.
    pub fn table(mut self, table: Table) -> Self {
        self.table = table;
        self
    }

    /// Makes the file and the table when they are missing. Off by default: a mistyped path should
    /// be an error.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Opens the file at the first use, and again at the next one if that fails, so that a service
    /// can start before its database's folder is there.
    pub fn lazy(mut self, lazy: bool) -> Self {
        self.lazy = lazy;
        self
    }

    /// Opens the file for reading only; a save is then an error
    /// ([`is_read_only`](crate::Error::is_read_only)).
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Writes nothing and leaves the journal's mode as it is, for tools that look. Unlike
    /// [`read_only`](Self::read_only) SQLite itself may put the file in order, where a crash has left a
    /// journal behind.
    pub fn query_only(mut self, query_only: bool) -> Self {
        self.query_only = query_only;
        self
    }

    /// Reads on tokio's blocking threads instead of the caller's: slower when the database is in
    /// memory (a find takes microseconds), better on cold disks that would stall the executor.
    pub fn blocking_reads(mut self, blocking: bool) -> Self {
        self.blocking_reads = blocking;
        self
    }

    /// Whether operations that meet share a transaction, and the WAL is carried back into the file
    /// beside the writer; on by default. Off: a transaction each, and SQLite's own checkpoints.
    pub fn lanes(mut self, lanes: bool) -> Self {
        self.lanes = lanes;
        self
    }

    /// Durability of what was acknowledged.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Page size in bytes of a database that is made anew; 16,384 pays for rows of 32 KiB.
    pub fn page_size(mut self, bytes: u32) -> Self {
        self.page_size = Some(bytes);
        self
    }

    /// Bytes of the file that are read through a memory map; 0 turns it off. 256 MiB by default.
    ///
    /// Whoever cuts the file short while it is mapped (`cp backup.db sessions.db`), or a failing
    /// disk, then ends the process with a signal: replace a live database by SQLite's own backup.
    pub fn mmap_size(mut self, bytes: u64) -> Self {
        self.mmap_size = bytes;
        self
    }

    /// How many connections read at the same time; as many as there are cores by default.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// How many writes may wait for the writer before further ones are refused as overload.
    pub fn queue(mut self, writes: usize) -> Self {
        self.queue = writes.clamp(1, 1 << 20);
        self
    }

    /// The longest that an operation may take, waiting for locks and the queue included; the answer
    /// of a write that is under way then is waited for 0.2 seconds more.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        // What does not fit the clock means for ever.
        self.deadline = deadline.min(Duration::from_secs(365 * 86_400));
        self
    }

    /// Opens the store and looks at its table.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened ([`is_unavailable`](crate::Error::is_unavailable)) or the
    /// table does not fit ([`is_schema`](crate::Error::is_schema)); not when the store is lazy.
    pub async fn open(self) -> Result<SqliteStore> {
        SqliteStore::from_builder(self).await
    }
}

impl fmt::Debug for SqliteBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteBuilder")
            .field("table", &self.table)
            .field("create", &self.create)
            .field("lazy", &self.lazy)
            .field("synchronous", &self.synchronous)
            .finish_non_exhaustive()
    }
}
