//! MySQL and MariaDB: what goes wrong with servers, networks, columns and tables, on servers of our
//! own. `caching_sha2_password` and MySQL's own servers are not tested: they are not to be had here.

mod collation;
mod connect;
mod disk;
mod faults;
mod lanes;
mod limits;
mod pool;
mod promises;
mod proxies;
mod schema;
mod tls;
mod trips;

/// The same without lanes.
#[path = "."]
mod plain {
    use super::{AnyPlace, GEM, RAILS, data, insert, new_id, start, update};

    type Place = AnyPlace<false>;

    #[allow(clippy::duplicate_mod)]
    #[path = "faults.rs"]
    mod faults;
    #[allow(clippy::duplicate_mod)]
    #[path = "limits.rs"]
    mod limits;
    #[allow(clippy::duplicate_mod)]
    #[path = "promises.rs"]
    mod promises;
    #[allow(clippy::duplicate_mod)]
    #[path = "schema.rs"]
    mod schema;
}

use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, Params};
use sqlbypass::{MySqlBuilder, MySqlStore};
use tokio::sync::Mutex;

use crate::promises::{data, insert, new_id, update};
use crate::servers::MariaDb;
use crate::servers::mariadb::Options;

/// As Rails' migration makes it, where `{id}` stands for more of the id column.
const RAILS: &str = "
    CREATE TABLE sessions (
        id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, session_id varchar(255) {id} NOT NULL,
        data text, created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL,
        UNIQUE INDEX index_sessions_on_session_id (session_id),
        INDEX index_sessions_on_updated_at (updated_at))";

/// As the gem's own `create_table!` makes it.
const GEM: &str = "
    CREATE TABLE sessions (
        id int NOT NULL AUTO_INCREMENT PRIMARY KEY, session_id varchar(255), data text,
        UNIQUE INDEX index_sessions_on_session_id (session_id))";

/// A database of its own with a table, and a connection beside the store's, which has lanes or not.
struct AnyPlace<const LANES: bool> {
    raw: Mutex<Conn>,
    database: String,
}

type Place = AnyPlace<true>;

impl<const LANES: bool> AnyPlace<LANES> {
    /// On the server that most tests share, with the table that Rails makes.
    async fn shared() -> Self {
        Self::on(MariaDb::shared(), RAILS).await
    }

    async fn on(server: &MariaDb, ddl: &str) -> Self {
        let database = server.create_schema().await;
        let place = Self { raw: Mutex::new(server.connect(&database).await), database };
        place.run(&ddl.replace("{id}", "")).await;
        place
    }

    /// The store's settings for its table, by the URL that a server has for a database.
    fn builder(&self, url: impl FnOnce(&str) -> String) -> MySqlBuilder {
        MySqlStore::url(&url(&self.database)).unwrap().lanes(LANES).max_connections(4)
    }

    async fn open(&self) -> MySqlStore {
        self.builder(|database| MariaDb::shared().socket_url(database)).open().await.unwrap()
    }

    /// The statements, one after another.
    async fn run(&self, sql: &str) {
        let mut raw = self.raw.lock().await;
        for statement in sql.split(';').filter(|statement| !statement.trim().is_empty()) {
            raw.query_drop(statement).await.unwrap();
        }
    }

    /// The rows of an answer.
    async fn rows<T: FromRow + Send + 'static>(
        &self,
        sql: &str,
        params: impl Into<Params> + Send,
    ) -> Vec<T> {
        self.raw.lock().await.exec(sql, params).await.unwrap()
    }

    /// The only value of an answer.
    async fn one(&self, sql: &str) -> i64 {
        self.raw.lock().await.query_first(sql).await.unwrap().unwrap()
    }

    async fn count(&self) -> i64 {
        self.one("SELECT COUNT(*) FROM sessions").await
    }

    async fn put(&self, id: &str, data: &str) {
        let times = "SELECT COUNT(*) FROM information_schema.columns WHERE table_name = 'sessions'
                     AND table_schema = DATABASE() AND column_name = 'created_at'";
        let sql = if self.one(times).await == 0 {
            "INSERT INTO sessions (session_id, data) VALUES (?, ?)"
        } else {
            "INSERT INTO sessions (session_id, data, created_at, updated_at)
             VALUES (?, ?, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))"
        };
        self.raw.lock().await.exec_drop(sql, (id, data)).await.unwrap();
    }

    /// A user without rights over the server, who may use this database.
    async fn user(&self, name: &str) {
        let database = &self.database;
        self.run(&format!(
            "CREATE USER IF NOT EXISTS {name}@'%' IDENTIFIED BY 'plain';
             GRANT ALL ON {database}.* TO {name}@'%'"
        ))
        .await;
    }
}

fn start(settings: &[&str]) -> MariaDb {
    let settings = settings.iter().map(|line| (*line).to_owned()).collect();
    MariaDb::start(Options { settings, ..Options::default() })
}
