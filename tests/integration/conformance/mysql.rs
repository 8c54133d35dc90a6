//! The store on MySQL and MariaDB, on every layout of the table that Rails apps have.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use sqlbypass::conformance::{Fixture, RawRow};
use sqlbypass::{MySqlBuilder, MySqlStore, Table};
use tokio::sync::Mutex;

use crate::servers::MariaDb;

/// A layout of the table, with its names quoted.
pub(crate) trait Layout: Send + Sync + 'static {
    const SCHEMA: &'static str;
    const TABLE: &'static str = "sessions";
    const ID: &'static str = "session_id";
    const DATA: &'static str = "data";
    const TIMES: &'static [&'static str] = &["created_at", "updated_at"];

    /// The same names for the store.
    fn table() -> Table {
        Table::default()
    }

    fn builder(builder: MySqlBuilder) -> MySqlBuilder {
        builder
    }
}

/// A database of its own, and a connection beside the store's.
pub(crate) struct Database<L> {
    raw: Mutex<Conn>,
    layout: PhantomData<L>,
}

impl<L: Layout> Database<L> {
    /// Makes the table; the store is opened on it.
    pub(crate) async fn make(server: &MariaDb) -> (Self, MySqlBuilder) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("conformance_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut raw = server.connect("").await;
        raw.query_drop(format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).await.unwrap();
        raw.query_drop(format!("USE {name}")).await.unwrap();
        raw.query_drop(L::SCHEMA).await.unwrap();
        let builder = MySqlStore::url(&server.socket_url(&name)).unwrap();
        let builder = L::builder(builder.table(L::table()).max_connections(4));
        (Self { raw: Mutex::new(raw), layout: PhantomData }, builder)
    }

    async fn exec(&self, sql: String, values: Vec<Value>) -> u64 {
        let mut raw = self.raw.lock().await;
        raw.exec_drop(sql, values).await.unwrap();
        raw.affected_rows()
    }
}

impl<L: Layout> Fixture for Database<L> {
    type Store = MySqlStore;

    async fn open() -> (Self, MySqlStore) {
        let (fixture, builder) = Self::make(MariaDb::shared()).await;
        let store = builder.open().await.unwrap();
        (fixture, store)
    }

    async fn put(&self, id: &str, data: Option<&[u8]>) {
        let times: String = L::TIMES.iter().map(|time| format!(", {time}")).collect();
        let now = ", UTC_TIMESTAMP(6)".repeat(L::TIMES.len());
        let sql =
            format!("INSERT INTO {} ({}, {}{times}) VALUES (?, ?{now})", L::TABLE, L::ID, L::DATA);
        let data = data.map_or(Value::NULL, |data| Value::Bytes(data.to_vec()));
        self.exec(sql, vec![id.into(), data]).await;
    }

    async fn rows(&self) -> Vec<RawRow> {
        let sql = format!(
            "SELECT CONVERT({} USING utf8mb4), CAST({} AS BINARY) FROM {}",
            L::ID,
            L::DATA,
            L::TABLE
        );
        self.raw.lock().await.query(sql).await.unwrap()
    }

    async fn age(&self, id: &str, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        for time in L::TIMES.iter().chain(L::SCHEMA.contains("expires_at").then_some(&"expires_at"))
        {
            let sql = format!(
                "UPDATE {} SET {time} = {time} - INTERVAL ? MICROSECOND WHERE {} = ?",
                L::TABLE,
                L::ID
            );
            self.exec(sql, vec![micros.into(), id.into()]).await;
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
            sqlbypass::conformance_tests!(Database<$name>: $($group),+);
        }
    )+};
}

/// As Rails' migration makes it.
pub(crate) const RAILS: &str = "
    CREATE TABLE sessions (
        id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, session_id varchar(255) NOT NULL, data text,
        created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL,
        UNIQUE INDEX index_sessions_on_session_id (session_id),
        INDEX index_sessions_on_updated_at (updated_at))";

layouts! {
    /// As Rails' migration makes it.
    Rails rails {
        const SCHEMA: &'static str = RAILS;
    } store races manager merges merged_keys late rotation times maintenance maintenance_times users;

    /// The same with a connection for each operation, without lanes.
    Plain plain {
        const SCHEMA: &'static str = RAILS;

        fn builder(builder: MySqlBuilder) -> MySqlBuilder {
            builder.lanes(false)
        }
    } store races manager merges times maintenance maintenance_times users;

    /// As the gem's own `create_table!` makes it: no times, the id may be NULL.
    Gem gem {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                id int NOT NULL AUTO_INCREMENT PRIMARY KEY, session_id varchar(255), data text,
                UNIQUE INDEX index_sessions_on_session_id (session_id)) COLLATE utf8mb4_unicode_ci";
        const TIMES: &'static [&'static str] = &[];
    } store races manager merges merged_keys late rotation maintenance users;

    /// Names that have to be quoted.
    Odd odd {
        const SCHEMA: &'static str = "
            CREATE TABLE `web ``sess?ions` (
                `the key` bigint UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
                `select` varchar(255) NOT NULL UNIQUE, `pay :load` text,
                created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL)";
        const TABLE: &'static str = "`web ``sess?ions`";
        const ID: &'static str = "`select`";
        const DATA: &'static str = "`pay :load`";

        fn table() -> Table {
            let table = Table::new("web `sess?ions").unwrap().primary_key("the key").unwrap();
            table.session_id_column("select").unwrap().data_column("pay :load").unwrap()
        }
    } store manager merges times maintenance maintenance_times users;

    /// The id is the primary key; times in whole seconds, as Rails before 5 made them.
    IdAsKey id_as_key {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                session_id varchar(255) PRIMARY KEY, data mediumtext,
                created_at datetime NOT NULL, updated_at datetime NOT NULL)";
    } store manager merges maintenance users;

    /// No primary key, columns in another order, ids in an old character set.
    NoKey no_key {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                updated_at datetime(6), data longtext, created_at datetime(6),
                session_id varchar(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_unicode_ci,
                UNIQUE INDEX some_index (session_id))";
    } store manager merges times maintenance maintenance_times users;

    /// A key that is no number.
    Uuid uuid {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                id uuid NOT NULL DEFAULT uuid() PRIMARY KEY, session_id varchar(255) NOT NULL UNIQUE,
                data text, created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL)";
    } store manager merges times maintenance maintenance_times users;

    /// A key of bytes.
    BinaryKey binary_key {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                id binary(16) NOT NULL DEFAULT (unhex(replace(uuid(), '-', ''))) PRIMARY KEY,
                session_id varbinary(255) NOT NULL UNIQUE,
                data text, created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL)";
    } store manager merges times maintenance maintenance_times users;

    /// Collations that take for equal what is not, and the data in one that ignores case.
    Collated collated {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
                session_id varchar(255) COLLATE utf8mb4_uca1400_ai_ci NOT NULL UNIQUE,
                data text COLLATE utf8mb4_uca1400_ai_ci)";
        const TIMES: &'static [&'static str] = &[];
    } store manager merges maintenance users;

    /// A binary collation, which still takes ids for equal that differ in trailing spaces.
    Padded padded {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
                session_id varchar(255) COLLATE utf8mb4_bin NOT NULL UNIQUE, data text)";
        const TIMES: &'static [&'static str] = &[];
    } store merges maintenance users;

    /// As the store itself makes it: the id's column takes ASCII alone, so it has no look-alikes.
    Made made {
        const SCHEMA: &'static str = "SELECT 1";

        fn builder(builder: MySqlBuilder) -> MySqlBuilder {
            builder.create(true)
        }
    } races manager merges times maintenance maintenance_times users;

    /// Rails' table with the column of users.
    Users with_users {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
                session_id varchar(255) NOT NULL UNIQUE, data text,
                created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL,
                user_id varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, INDEX (user_id))";

        fn table() -> Table {
            Table::default().user_column("user_id").unwrap()
        }
    } store races manager merges late rotation times maintenance maintenance_times users user_column;

    /// The column of users under an odd name and a lax collation, without an index, where the id is
    /// the primary key.
    UsersByKey users_by_key {
        const SCHEMA: &'static str = r#"
            CREATE TABLE sessions (
                session_id varchar(255) PRIMARY KEY, data mediumtext,
                `the "User` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
                created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL)"#;

        fn table() -> Table {
            Table::default().user_column("the \"user").unwrap()
        }

        fn builder(builder: MySqlBuilder) -> MySqlBuilder {
            builder.lanes(false)
        }
    } store manager maintenance users user_column;

    /// As the store itself makes it with the column of users.
    UsersMade users_made {
        const SCHEMA: &'static str = "SELECT 1";

        fn table() -> Table {
            Table::default().user_column("user_id").unwrap()
        }

        fn builder(builder: MySqlBuilder) -> MySqlBuilder {
            builder.create(true)
        }
    } manager maintenance users user_column;

    /// The optional expiry column, and data as bytes.
    Expiring expiring {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
                session_id varchar(255) NOT NULL UNIQUE, data mediumblob,
                created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL,
                expires_at datetime(6))";
    } store manager merges times expiry any_bytes maintenance maintenance_times users;

    /// Data as JSON text.
    Json json {
        const SCHEMA: &'static str = "
            CREATE TABLE sessions (
                id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
                session_id varchar(255) NOT NULL UNIQUE, data json,
                created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL)";
    } store manager merges merged_keys late rotation times maintenance maintenance_times users;
}
