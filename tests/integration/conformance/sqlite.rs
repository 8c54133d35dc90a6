//! The store on SQLite, on every layout of the table that Rails apps have.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};
use sqlbypass::conformance::{Fixture, RawRow};
use sqlbypass::{SqliteBuilder, SqliteStore, Synchronous, Table};

/// A layout of the table, with its names quoted.
pub(crate) trait Layout: Send + Sync + 'static {
    const SCHEMA: &'static str;
    const TABLE: &'static str = "sessions";
    const ID: &'static str = "session_id";
    const DATA: &'static str = "data";
    /// What the data column takes its values as.
    const TYPE: &'static str = "TEXT";
    const TIMES: &'static [&'static str] = &["created_at", "updated_at"];
    const IN_MEMORY: bool = false;

    fn builder(builder: SqliteBuilder) -> SqliteBuilder {
        builder
    }

    /// The same names for the store.
    fn table() -> Table {
        Table::default()
    }
}

/// A database of its own, and a connection beside the store's.
pub(crate) struct Sqlite<L> {
    raw: Mutex<Connection>,
    /// Goes with its file when the test ends.
    _folder: tempfile::TempDir,
    layout: PhantomData<L>,
}

impl<L: Layout> Sqlite<L> {
    pub(crate) fn raw(&self) -> MutexGuard<'_, Connection> {
        self.raw.lock().unwrap()
    }

    fn place() -> (Connection, SqliteBuilder, tempfile::TempDir) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        if L::IN_MEMORY {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let uri = format!("file:/conformance-{number}?vfs=memdb");
            let connect = move || Connection::open_with_flags(&uri, OpenFlags::default());
            return (connect().unwrap(), SqliteStore::factory(connect), folder);
        }
        let path: PathBuf = folder.path().join("sessions.db");
        (Connection::open(&path).unwrap(), SqliteStore::builder(&path), folder)
    }
}

impl<L: Layout> Fixture for Sqlite<L> {
    type Store = SqliteStore;

    async fn open() -> (Self, SqliteStore) {
        let (raw, builder, folder) = Self::place();
        // No power is cut here.
        raw.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").unwrap();
        raw.execute_batch(L::SCHEMA).unwrap();
        let builder = builder.table(L::table()).synchronous(Synchronous::Normal);
        let store = L::builder(builder).open().await.unwrap();
        (Self { raw: Mutex::new(raw), _folder: folder, layout: PhantomData }, store)
    }

    async fn put(&self, id: &str, data: Option<&[u8]>) {
        let times: String = L::TIMES.iter().map(|time| format!(", {time}")).collect();
        let now = ", strftime('%Y-%m-%d %H:%M:%f000', 'now')".repeat(L::TIMES.len());
        let (table, id_column, data_column, kind) = (L::TABLE, L::ID, L::DATA, L::TYPE);
        let sql = format!(
            "INSERT INTO {table} ({id_column}, {data_column}{times}) \
             VALUES (?1, CAST(?2 AS {kind}){now})"
        );
        self.raw().execute(&sql, params![id, data]).unwrap();
    }

    async fn rows(&self) -> Vec<RawRow> {
        let sql = format!("SELECT {}, CAST({} AS BLOB) FROM {}", L::ID, L::DATA, L::TABLE);
        let raw = self.raw();
        let mut statement = raw.prepare(&sql).unwrap();
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    async fn age(&self, id: &str, by: Duration) {
        let raw = self.raw();
        for time in L::TIMES.iter().chain(L::SCHEMA.contains("expires_at").then_some(&"expires_at"))
        {
            let sql = format!(
                "UPDATE {} SET {time} = strftime('%Y-%m-%d %H:%M:%f000', {time}, ?2) WHERE {} = ?1",
                L::TABLE,
                L::ID
            );
            let ago = format!("-{} seconds", by.as_secs());
            assert_eq!(raw.execute(&sql, params![id, ago]).unwrap(), 1);
        }
    }
}

macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident $module:ident { $($item:tt)* } $($group:ident)+;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;
        impl Layout for $name { $($item)* }
        mod $module {
            use super::*;
            sqlbypass::conformance_tests!(Sqlite<$name>: $($group),+);
        }
    )+};
}

layouts! {
    /// What the gem's migration makes on SQLite.
    Rails rails {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                id integer PRIMARY KEY AUTOINCREMENT NOT NULL, session_id varchar NOT NULL,
                data text, created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL);
            CREATE UNIQUE INDEX index_sessions_on_session_id ON sessions (session_id);
            CREATE INDEX index_sessions_on_updated_at ON sessions (updated_at);"#;
    } store races manager merges merged_keys late rotation times any_bytes maintenance maintenance_times users;

    /// The same with a transaction for each operation, without lanes.
    Plain plain {
        const SCHEMA: &'static str = Rails::SCHEMA;

        fn builder(builder: SqliteBuilder) -> SqliteBuilder {
            builder.lanes(false)
        }
    } store races manager merges times any_bytes maintenance maintenance_times users;

    /// The same with finds on threads that may wait for a disk.
    Cold cold {
        const SCHEMA: &'static str = Rails::SCHEMA;

        fn builder(builder: SqliteBuilder) -> SqliteBuilder {
            builder.blocking_reads(true)
        }
    } store races manager times;

    /// The same in memory.
    InMemory in_memory {
        const SCHEMA: &'static str = Rails::SCHEMA;
        const IN_MEMORY: bool = true;
    } store races manager merges merged_keys late rotation times any_bytes maintenance maintenance_times users;

    /// What the gem's `create_table!` makes: a nullable id and no times.
    Gem gem {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                id integer PRIMARY KEY AUTOINCREMENT NOT NULL, session_id varchar(255), data text);
            CREATE UNIQUE INDEX session_id_index ON sessions (session_id);"#;
        const TIMES: &'static [&'static str] = &[];
    } store manager merges merged_keys late rotation any_bytes maintenance users;

    /// Everything renamed, and to what has to be quoted.
    Renamed renamed {
        const SCHEMA: &'static str = r#"
            CREATE TABLE "web ""sessions""" (
                "the key" integer PRIMARY KEY NOT NULL, "select" varchar NOT NULL, "pay load" text,
                created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL);
            CREATE UNIQUE INDEX some_index ON "web ""sessions""" ("select");"#;
        const TABLE: &'static str = r#""web ""sessions""""#;
        const ID: &'static str = r#""select""#;
        const DATA: &'static str = r#""pay load""#;

        fn table() -> Table {
            let table = Table::new(r#"web "sessions""#).unwrap().primary_key("the key").unwrap();
            table.session_id_column("select").unwrap().data_column("pay load").unwrap()
        }
    } store manager merges times maintenance maintenance_times users;

    /// The id is the primary key.
    IdAsKey id_as_key {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                session_id varchar(255) PRIMARY KEY NOT NULL, data text,
                created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL) WITHOUT ROWID;"#;
    } store manager merges times maintenance maintenance_times users;

    /// No primary key, and columns in another order.
    NoKey no_key {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                updated_at datetime, data text, created_at datetime, session_id varchar);
            CREATE UNIQUE INDEX some_index ON sessions (session_id);"#;
    } store manager merges times maintenance maintenance_times users;

    /// An id column that ignores case.
    Collated collated {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                id integer PRIMARY KEY, session_id varchar NOT NULL COLLATE NOCASE, data text);
            CREATE UNIQUE INDEX some_index ON sessions (session_id);"#;
        const TIMES: &'static [&'static str] = &[];
    } store manager merges maintenance users;

    /// An id column that ignores trailing spaces.
    Trimmed trimmed {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                id integer PRIMARY KEY, session_id varchar NOT NULL UNIQUE COLLATE RTRIM, data text);"#;
        const TIMES: &'static [&'static str] = &[];
    } store;

    /// Rails' table with the column of users.
    Users with_users {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                id integer PRIMARY KEY AUTOINCREMENT NOT NULL, session_id varchar NOT NULL,
                data text, created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL);
            CREATE UNIQUE INDEX index_sessions_on_session_id ON sessions (session_id);
            ALTER TABLE sessions ADD COLUMN user_id varchar;
            CREATE INDEX index_sessions_on_user_id ON sessions (user_id);"#;

        fn table() -> Table {
            Table::default().user_column("user_id").unwrap()
        }
    } store races manager merges late rotation times maintenance maintenance_times users user_column;

    /// The column of users under an odd name, without an index, where the id is the primary key.
    UsersByKey users_by_key {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                session_id varchar(255) PRIMARY KEY NOT NULL, data text, "the ""user" text,
                created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL) WITHOUT ROWID;"#;
        const IN_MEMORY: bool = true;

        fn table() -> Table {
            Table::default().user_column("the \"user").unwrap()
        }

        fn builder(builder: SqliteBuilder) -> SqliteBuilder {
            builder.lanes(false)
        }
    } store manager maintenance users user_column;

    /// The optional expiry column, and data in a blob.
    Expiring expiring {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                id integer PRIMARY KEY, session_id varchar NOT NULL UNIQUE, data blob,
                created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL,
                expires_at datetime(6));"#;
        const TYPE: &'static str = "BLOB";
        const IN_MEMORY: bool = true;
    } store manager merges times expiry any_bytes maintenance maintenance_times users;
}

#[tokio::test]
async fn create_makes_the_table_that_rails_makes() {
    use sqlbypass::Maintenance;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let raw = Connection::open(&path).unwrap();
    let store = SqliteStore::builder(&path).lazy(true).open().await.unwrap();
    assert!(store.create().await.unwrap());
    assert!(!store.create().await.unwrap());
    let columns = "SELECT name, lower(type), \"notnull\", pk FROM pragma_table_info('sessions')";
    let columns = |raw: &Connection| -> Vec<(String, String, bool, bool)> {
        let mut statement = raw.prepare(columns).unwrap();
        let row =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        statement.query_map((), row).unwrap().map(Result::unwrap).collect()
    };
    let rails = Connection::open_in_memory().unwrap();
    rails.execute_batch(Rails::SCHEMA).unwrap();
    assert_eq!(columns(&raw), columns(&rails));
    let schema = store.inspect().await.unwrap();
    assert!(schema.created_at && schema.updated_at && schema.unique_id && !schema.collated_id);
    assert_eq!(schema.primary_key.as_deref(), Some("id"));
}

#[tokio::test]
async fn each_memory_database_is_its_own() {
    use sqlbypass::Maintenance;

    let open = || SqliteStore::builder(":memory:").create(true).open();
    let (one, other) = (open().await.unwrap(), open().await.unwrap());
    let manager = sqlbypass::SessionManager::new(one.clone(), sqlbypass::Json);
    let session = manager.session(None);
    session.insert("n", 1).unwrap();
    session.commit().await.unwrap();
    assert_eq!(other.clear().await.unwrap(), 0);
    assert_eq!(one.clear().await.unwrap(), 1);
}
