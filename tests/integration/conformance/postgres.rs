//! The store on PostgreSQL, on every layout of the table that Rails apps have.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlbypass::conformance::{Fixture, RawRow};
use sqlbypass::{PostgresBuilder, PostgresStore, Table};
use tokio_postgres::Client;

use crate::servers::Postgres;

/// A layout of the table, with its names quoted; `{schema}` is the test's own.
pub(crate) trait Layout: Send + Sync + 'static {
    const SCHEMA: &'static str;
    const TABLE: &'static str = "{schema}.sessions";
    const ID: &'static str = "session_id";
    const DATA: &'static str = "data";
    /// What the data column takes its values as, and how its bytes are read.
    const TYPE: &'static str = "text";
    const BYTES: &'static str = "convert_to(data, 'UTF8')";
    const TIMES: &'static [&'static str] = &["created_at", "updated_at"];

    /// The same names for the store.
    fn table(name: &str) -> Table {
        Table::new(format!("{name}.sessions")).unwrap()
    }

    fn builder(builder: PostgresBuilder) -> PostgresBuilder {
        builder
    }

    fn stored_form(data: &str) -> String {
        data.to_owned()
    }
}

/// A schema of its own, and a connection beside the store's.
pub(crate) struct Schema<L> {
    raw: Client,
    name: String,
    layout: PhantomData<L>,
}

impl<L: Layout> Schema<L> {
    fn table(&self) -> String {
        L::TABLE.replace("{schema}", &self.name)
    }
}

impl<L: Layout> Fixture for Schema<L> {
    type Store = PostgresStore;

    async fn open() -> (Self, PostgresStore) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = Postgres::shared();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("conformance_{number}");
        let raw = server.connect("postgres").await;
        raw.batch_execute(&format!("CREATE SCHEMA {name}")).await.unwrap();
        raw.batch_execute(&L::SCHEMA.replace("{schema}", &name)).await.unwrap();
        let builder = PostgresStore::url(&server.socket_url("postgres")).unwrap();
        let builder = builder.table(L::table(&name)).max_connections(4);
        let store = L::builder(builder).open().await.unwrap();
        (Self { raw, name, layout: PhantomData }, store)
    }

    async fn put(&self, id: &str, data: Option<&[u8]>) {
        let times: String = L::TIMES.iter().map(|time| format!(", {time}")).collect();
        let now = ", timezone('utc', clock_timestamp())".repeat(L::TIMES.len());
        let sql = format!(
            "INSERT INTO {} ({}, {}{times}) VALUES ($1, CAST(convert_from($2, 'UTF8') AS {}){now})",
            self.table(),
            L::ID,
            L::DATA,
            L::TYPE,
        );
        let sql =
            if L::TYPE == "bytea" { sql.replace("convert_from($2, 'UTF8')", "$2") } else { sql };
        self.raw.execute(&sql, &[&id, &data]).await.unwrap();
    }

    async fn rows(&self) -> Vec<RawRow> {
        let sql = format!("SELECT {}::text, {} FROM {}", L::ID, L::BYTES, self.table());
        let rows = self.raw.query(&sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    async fn age(&self, id: &str, by: Duration) {
        for time in L::TIMES.iter().chain(L::SCHEMA.contains("expires_at").then_some(&"expires_at"))
        {
            let sql = format!(
                "UPDATE {} SET {time} = {time} - $2 * interval '1 second' WHERE {} = $1",
                self.table(),
                L::ID
            );
            assert_eq!(self.raw.execute(&sql, &[&id, &by.as_secs_f64()]).await.unwrap(), 1);
        }
    }

    fn stored_form(data: &str) -> String {
        L::stored_form(data)
    }
}

macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident $module:ident { $($item:tt)* } $($group:ident)+;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;
        impl Layout for $name { $($item)* }
        mod $module {
            use super::*;
            sqlbypass::conformance_tests!(Schema<$name>: $($group),+);
        }
    )+};
}

/// As Rails' migration makes it.
pub(crate) const RAILS: &str = "
    CREATE TABLE {schema}.sessions (
        id bigserial PRIMARY KEY, session_id character varying NOT NULL, data text,
        created_at timestamp(6) without time zone NOT NULL,
        updated_at timestamp(6) without time zone NOT NULL);
    CREATE UNIQUE INDEX index_sessions_on_session_id ON {schema}.sessions (session_id);
    CREATE INDEX index_sessions_on_updated_at ON {schema}.sessions (updated_at);";

/// The same with the column of users.
const USERS: &str = r#"
    CREATE TABLE {schema}.sessions (
        id bigserial PRIMARY KEY, session_id character varying NOT NULL, data text,
        created_at timestamp(6) without time zone NOT NULL,
        updated_at timestamp(6) without time zone NOT NULL);
    CREATE UNIQUE INDEX index_sessions_on_session_id ON {schema}.sessions (session_id);
    ALTER TABLE {schema}.sessions ADD COLUMN user_id character varying COLLATE "C";
    CREATE INDEX index_sessions_on_user_id ON {schema}.sessions (user_id, id);"#;

layouts! {
    /// As Rails' migration makes it.
    Rails rails {
        const SCHEMA: &'static str = RAILS;
    } store races manager merges merged_keys late rotation times maintenance maintenance_times users;

    /// The same with a connection for each operation, without lanes.
    Plain plain {
        const SCHEMA: &'static str = RAILS;

        fn builder(builder: PostgresBuilder) -> PostgresBuilder {
            builder.lanes(false)
        }
    } store races manager merges merged_keys late rotation times maintenance maintenance_times users;

    /// The same behind a pooler: statements without names, limits for each transaction.
    Pooled pooled {
        const SCHEMA: &'static str = RAILS;

        fn builder(builder: PostgresBuilder) -> PostgresBuilder {
            builder.pgbouncer(true)
        }
    } store races manager merges merged_keys late rotation times maintenance maintenance_times users;

    /// As the gem's own `create_table!` makes it: no times, the id may be NULL.
    Gem gem {
        const SCHEMA: &'static str = "
            CREATE TABLE {schema}.sessions (
                id serial PRIMARY KEY, session_id character varying(255), data text);
            CREATE UNIQUE INDEX index_sessions_on_session_id ON {schema}.sessions (session_id);";
        const TIMES: &'static [&'static str] = &[];
    } store races manager merges maintenance users;

    /// Names that have to be quoted: quotes, spaces, upper case, dots, a reserved word.
    Odd odd {
        const SCHEMA: &'static str = r#"
            CREATE SCHEMA "Odd {schema}";
            CREATE TABLE "Odd {schema}"."web ""sessions""" (
                "the ""Key""" bigserial PRIMARY KEY, "select" varchar NOT NULL, "pay.Load" text,
                created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);
            CREATE UNIQUE INDEX some_index ON "Odd {schema}"."web ""sessions""" ("select");"#;
        const TABLE: &'static str = r#""Odd {schema}"."web ""sessions""""#;
        const ID: &'static str = r#""select""#;
        const DATA: &'static str = r#""pay.Load""#;
        const BYTES: &'static str = r#"convert_to("pay.Load", 'UTF8')"#;

        fn table(name: &str) -> Table {
            let table = Table::new(format!(r#"Odd {name}.web "sessions""#)).unwrap();
            let table = table.primary_key(r#"the "Key""#).unwrap();
            table.session_id_column("select").unwrap().data_column("pay.Load").unwrap()
        }
    } store manager merges times maintenance maintenance_times users;

    /// The id is the primary key.
    IdAsKey id_as_key {
        const SCHEMA: &'static str = "
            CREATE TABLE {schema}.sessions (
                session_id varchar(255) PRIMARY KEY, data text,
                created_at timestamp NOT NULL, updated_at timestamp NOT NULL);";
    } store manager merges times maintenance maintenance_times users;

    /// No primary key, columns in another order, times with a zone.
    NoKey no_key {
        const SCHEMA: &'static str = "
            CREATE TABLE {schema}.sessions (
                updated_at timestamptz, data text, created_at timestamptz, session_id varchar);
            CREATE UNIQUE INDEX some_index ON {schema}.sessions (session_id);
            SET timezone TO 'UTC';";
    } store manager merges times maintenance maintenance_times users;

    /// A key that is no number, and one time of each kind.
    Uuid uuid {
        const SCHEMA: &'static str = "
            CREATE TABLE {schema}.sessions (
                id uuid PRIMARY KEY DEFAULT gen_random_uuid(), session_id text NOT NULL UNIQUE,
                data text, created_at timestamptz NOT NULL, updated_at timestamp NOT NULL);
            SET timezone TO 'UTC';";
    } store manager merges times maintenance maintenance_times users;

    /// An id column that takes ids for equal that differ in case or accents.
    Collated collated {
        const SCHEMA: &'static str = "
            CREATE COLLATION {schema}.lax (
                provider = icu, locale = 'und-u-ks-level1', deterministic = false);
            CREATE TABLE {schema}.sessions (
                id bigserial PRIMARY KEY, session_id varchar COLLATE {schema}.lax NOT NULL,
                data text COLLATE {schema}.lax);
            CREATE UNIQUE INDEX some_index ON {schema}.sessions (session_id);";
        const TIMES: &'static [&'static str] = &[];
    } store manager merges maintenance users;

    /// Rails' table with the column of users.
    Users with_users {
        const SCHEMA: &'static str = USERS;

        fn table(name: &str) -> Table {
            Table::new(format!("{name}.sessions")).unwrap().user_column("user_id").unwrap()
        }
    } store races manager merges late rotation times maintenance maintenance_times users user_column;

    /// The same behind a pooler.
    UsersPooled users_pooled {
        const SCHEMA: &'static str = USERS;

        fn table(name: &str) -> Table {
            Users::table(name)
        }

        fn builder(builder: PostgresBuilder) -> PostgresBuilder {
            builder.pgbouncer(true)
        }
    } store manager maintenance users user_column;

    /// The column of users under an odd name, without an index, where the id is the primary key.
    UsersByKey users_by_key {
        const SCHEMA: &'static str = r#"
            CREATE TABLE {schema}.sessions (
                session_id varchar(255) PRIMARY KEY, data bytea, "the ""User" text,
                created_at timestamp NOT NULL, updated_at timestamp NOT NULL);"#;
        const TYPE: &'static str = "bytea";
        const BYTES: &'static str = "data";

        fn table(name: &str) -> Table {
            let table = Table::new(format!("{name}.sessions")).unwrap();
            table.user_column("the \"User").unwrap()
        }

        fn builder(builder: PostgresBuilder) -> PostgresBuilder {
            builder.lanes(false)
        }
    } store manager maintenance users user_column;

    /// The optional expiry column, and data as bytes.
    Expiring expiring {
        const SCHEMA: &'static str = "
            CREATE TABLE {schema}.sessions (
                id bigserial PRIMARY KEY, session_id varchar NOT NULL UNIQUE, data bytea,
                created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL,
                expires_at timestamp(6));";
        const TYPE: &'static str = "bytea";
        const BYTES: &'static str = "data";
    } store manager merges times expiry any_bytes maintenance maintenance_times users;

    /// Data as JSON text.
    Json json {
        const SCHEMA: &'static str = "
            CREATE TABLE {schema}.sessions (
                id bigserial PRIMARY KEY, session_id varchar NOT NULL UNIQUE, data json,
                created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);";
        const TYPE: &'static str = "json";
        const BYTES: &'static str = "convert_to(data::text, 'UTF8')";
    } store manager merges times maintenance maintenance_times users;

    /// Data as JSON that the server normalises.
    Jsonb jsonb {
        const SCHEMA: &'static str = "
            CREATE TABLE {schema}.sessions (
                id bigserial PRIMARY KEY, session_id varchar NOT NULL UNIQUE, data jsonb,
                created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL);";
        const TYPE: &'static str = "jsonb";
        const BYTES: &'static str = "convert_to(data::text, 'UTF8')";

        /// Keys by length and then by bytes, a space after each colon and comma.
        fn stored_form(data: &str) -> String {
            fn write(value: &serde_json::Value, out: &mut String) {
                use std::fmt::Write as _;
                match value {
                    serde_json::Value::Object(map) => {
                        let mut keys: Vec<&String> = map.keys().collect();
                        keys.sort_by_key(|key| (key.len(), key.as_bytes()));
                        for (at, key) in keys.into_iter().enumerate() {
                            let before = if at == 0 { "{" } else { ", " };
                            write!(out, "{before}\"{key}\": ").unwrap();
                            write(&map[key], out);
                        }
                        out.push_str(if map.is_empty() { "{}" } else { "}" });
                    }
                    serde_json::Value::Array(items) => {
                        for (at, item) in items.iter().enumerate() {
                            out.push_str(if at == 0 { "[" } else { ", " });
                            write(item, out);
                        }
                        out.push_str(if items.is_empty() { "[]" } else { "]" });
                    }
                    other => write!(out, "{other}").unwrap(),
                }
            }
            let mut out = String::new();
            write(&serde_json::from_str(data).unwrap(), &mut out);
            out
        }

    } manager merges merged_keys late rotation times maintenance maintenance_times users;
}
