//! A store chosen by its URL, for programs that take the database as a setting.

use crate::error::{Error, Result};
use crate::id::{PrivateId, StoredId};
use crate::record::{Filter, Lookup, Record, Row, RowKey, Save, Saved, Scan, Still, Timeouts};
#[cfg(feature = "mysql")]
use crate::store::mysql::{MySqlBuilder, MySqlStore};
#[cfg(feature = "postgres")]
use crate::store::postgres::{PostgresBuilder, PostgresStore};
#[cfg(feature = "sqlite")]
use crate::store::sqlite::{SqliteBuilder, SqliteStore};
use crate::store::{Maintenance, Store};
use crate::table::{Facts, Schema, Table};

/// A store of whichever database the URL names, among those whose features are on.
///
/// | URL | store |
/// | --- | --- |
/// | `sqlite:…`, `sqlite3:…` | [`SqliteStore`](crate::SqliteStore) |
/// | `postgres://…`, `postgresql://…` | `PostgresStore` |
/// | `mysql://…`, `mariadb://…`, `mysql2://…`, `trilogy://…` | `MySqlStore` |
///
/// Blanks and line ends round it, as files of settings leave them, do not count.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use sqlbypass::{AnyStore, Json, SessionManager};
///
/// let store = AnyStore::url("sqlite::memory:")?.create(true).open().await?;
/// let sessions = SessionManager::new(store, Json);
/// # Ok::<(), sqlbypass::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct AnyStore(Kind);

#[derive(Clone, Debug)]
enum Kind {
    #[cfg(feature = "sqlite")]
    Sqlite(SqliteStore),
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
    #[cfg(feature = "mysql")]
    MySql(MySqlStore),
}

/// Settings that every database has; the stores' own builders have more.
#[derive(Clone, Debug)]
pub struct AnyBuilder(Settings);

#[derive(Clone, Debug)]
enum Settings {
    #[cfg(feature = "sqlite")]
    Sqlite(Box<SqliteBuilder>),
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresBuilder>),
    #[cfg(feature = "mysql")]
    MySql(Box<MySqlBuilder>),
}

/// Runs the same on whichever store it is.
macro_rules! each {
    ($kind:expr, $store:ident => $work:expr) => {
        match $kind {
            #[cfg(feature = "sqlite")]
            Kind::Sqlite($store) => $work,
            #[cfg(feature = "postgres")]
            Kind::Postgres($store) => $work,
            #[cfg(feature = "mysql")]
            Kind::MySql($store) => $work,
        }
    };
}

/// Changes the builder, whichever it is.
macro_rules! set {
    ($settings:expr, $builder:ident => $work:expr) => {
        AnyBuilder(match $settings {
            #[cfg(feature = "sqlite")]
            Settings::Sqlite($builder) => Settings::Sqlite(Box::new($work)),
            #[cfg(feature = "postgres")]
            Settings::Postgres($builder) => Settings::Postgres(Box::new($work)),
            #[cfg(feature = "mysql")]
            Settings::MySql($builder) => Settings::MySql(Box::new($work)),
        })
    };
}

impl AnyStore {
    /// Settings by URL.
    ///
    /// # Errors
    ///
    /// When the URL is wrong, or its database's feature is off.
    pub fn url(url: &str) -> Result<AnyBuilder> {
        let url = url.trim();
        let scheme = url.split(':').next().unwrap_or_default();
        match scheme {
            #[cfg(feature = "sqlite")]
            "sqlite" | "sqlite3" => {
                Ok(AnyBuilder(Settings::Sqlite(Box::new(SqliteStore::url(url)?))))
            }
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => {
                Ok(AnyBuilder(Settings::Postgres(Box::new(PostgresStore::url(url)?))))
            }
            #[cfg(feature = "mysql")]
            "mysql" | "mariadb" | "mysql2" | "trilogy" => {
                Ok(AnyBuilder(Settings::MySql(Box::new(MySqlStore::url(url)?))))
            }
            "" if url.is_empty() => {
                Err(Error::config("choosing a store by its URL", "the URL is empty"))
            }
            // The scheme alone: the rest may hold a password.
            _ => Err(Error::config(
                "choosing a store by its URL",
                "it begins with no scheme of a database that is compiled in",
            )
            .advice(
                "write sqlite://sessions.db, postgres://user@host/database or \
                 mysql://user@host/database, and turn the feature on",
            )),
        }
    }

    /// Finishes what is under way and closes the connections.
    ///
    /// # Errors
    ///
    /// As the store's own `close`.
    pub async fn close(&self) -> Result<()> {
        each!(&self.0, store => store.close().await)
    }

    /// Removes the table; the store is of no use afterwards.
    #[cfg(feature = "cli")]
    pub(crate) async fn drop_table(&self) -> Result<()> {
        each!(&self.0, store => store.drop_table().await)
    }
}

impl AnyBuilder {
    /// The names of the table and its columns.
    #[must_use]
    pub fn table(self, table: Table) -> Self {
        set!(self.0, builder => builder.table(table))
    }

    /// Makes the table (and SQLite's file) when missing.
    #[must_use]
    pub fn create(self, create: bool) -> Self {
        set!(self.0, builder => builder.create(create))
    }

    /// Opens while the database is down.
    #[must_use]
    pub fn lazy(self, lazy: bool) -> Self {
        set!(self.0, builder => builder.lazy(lazy))
    }

    /// The longest that an operation may take.
    #[must_use]
    pub fn deadline(self, deadline: std::time::Duration) -> Self {
        set!(self.0, builder => builder.deadline(deadline))
    }

    /// The SQL that makes the table, one statement after another; nothing is sent.
    ///
    /// # Errors
    ///
    /// When two columns have one name.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(feature = "sqlite")] {
    /// let builder = sqlbypass::AnyStore::url("sqlite::memory:")?;
    /// assert!(builder.creation()?[0].starts_with(r#"CREATE TABLE "sessions""#));
    /// # }
    /// # Ok::<(), sqlbypass::Error>(())
    /// ```
    pub fn creation(&self) -> Result<Vec<String>> {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Settings::Sqlite(builder) => crate::store::sqlite::creation(builder),
            #[cfg(feature = "postgres")]
            Settings::Postgres(builder) => crate::store::postgres::creation(builder),
            #[cfg(feature = "mysql")]
            Settings::MySql(builder) => crate::store::mysql::creation(builder),
        }
    }

    /// The SQL that gives a table in use the column of users that [`Table::user_column`] names, and
    /// an index on it, one statement after another; nothing is sent. Readers and writers go on
    /// meanwhile, but for SQLite's writers while the index is made. On PostgreSQL the second statement
    /// cannot run in a transaction.
    ///
    /// # Errors
    ///
    /// When no column was named.
    pub fn user_migration(&self) -> Result<Vec<String>> {
        match &self.0 {
            #[cfg(feature = "sqlite")]
            Settings::Sqlite(builder) => crate::store::sqlite::addition(builder),
            #[cfg(feature = "postgres")]
            Settings::Postgres(builder) => crate::store::postgres::addition(builder),
            #[cfg(feature = "mysql")]
            Settings::MySql(builder) => crate::store::mysql::addition(builder),
        }
    }

    /// Opens the store.
    ///
    /// # Errors
    ///
    /// As the store's own builder.
    pub async fn open(self) -> Result<AnyStore> {
        Ok(AnyStore(match self.0 {
            #[cfg(feature = "sqlite")]
            Settings::Sqlite(builder) => Kind::Sqlite(builder.open().await?),
            #[cfg(feature = "postgres")]
            Settings::Postgres(builder) => Kind::Postgres(builder.open().await?),
            #[cfg(feature = "mysql")]
            Settings::MySql(builder) => Kind::MySql(builder.open().await?),
        }))
    }
}

/// Settings that only SQLite has come along.
#[cfg(feature = "sqlite")]
impl From<SqliteBuilder> for AnyBuilder {
    fn from(builder: SqliteBuilder) -> Self {
        Self(Settings::Sqlite(Box::new(builder)))
    }
}

impl Store for AnyStore {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        each!(&self.0, store => store.find(lookup).await)
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        each!(&self.0, store => store.save(save).await)
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        each!(&self.0, store => store.destroy(lookup).await)
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        each!(&self.0, store => store.touch(id, timeouts).await)
    }
}

impl Maintenance for AnyStore {
    async fn create(&self) -> Result<bool> {
        each!(&self.0, store => store.create().await)
    }

    async fn inspect(&self) -> Result<Schema> {
        each!(&self.0, store => store.inspect().await)
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<Row>> {
        each!(&self.0, store => store.scan(scan).await)
    }

    async fn row(&self, key: &RowKey) -> Result<Option<Row>> {
        each!(&self.0, store => store.row(key).await)
    }

    async fn delete(&self, keys: &[RowKey], filter: &Filter) -> Result<u64> {
        each!(&self.0, store => store.delete(keys, filter).await)
    }

    async fn rekey(&self, row: &Row, new_id: &PrivateId) -> Result<Saved> {
        each!(&self.0, store => store.rekey(row, new_id).await)
    }

    async fn end(&self, rows: &[Row], still: Still) -> Result<Vec<bool>> {
        each!(&self.0, store => store.end(rows, still).await)
    }

    async fn clear(&self) -> Result<u64> {
        each!(&self.0, store => store.clear().await)
    }

    async fn delete_alone(&self, keys: &[RowKey], filter: &Filter) -> Result<Option<u64>> {
        each!(&self.0, store => store.delete_alone(keys, filter).await)
    }

    async fn rekey_all(&self, rows: &[(Row, PrivateId)]) -> Result<Vec<Saved>> {
        each!(&self.0, store => store.rekey_all(rows).await)
    }

    async fn save_all(&self, saves: &[Save]) -> Result<Vec<Saved>> {
        each!(&self.0, store => store.save_all(saves).await)
    }

    async fn count(&self) -> Result<Option<u64>> {
        each!(&self.0, store => store.count().await)
    }

    async fn facts(&self) -> Result<Facts> {
        each!(&self.0, store => store.facts().await)
    }
}
