//! The races on PostgreSQL and SQLite; MariaDB's stand with its other tests.

use rusqlite::Connection;
use sqlbypass::{PostgresStore, SqliteStore, Table};
use tempfile::TempDir;
use tokio_postgres::Client;

use super::races::{WholeRows, logouts, races, writers_beside_rails, writers_lose_nothing};
use crate::servers::Postgres;

async fn sqlite(lanes: bool) -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let store = SqliteStore::builder(path).create(true).lanes(lanes).open().await.unwrap();
    (folder, store)
}

async fn postgres() -> (String, PostgresStore) {
    let server = Postgres::shared();
    let table = format!("{}.sessions", server.create_schema().await);
    let builder = PostgresStore::url(&server.socket_url("postgres")).unwrap();
    let builder = builder.table(Table::new(&*table).unwrap()).max_connections(4);
    let store = builder.create(true).open().await.unwrap();
    (table, store)
}

/// Rails on a file of its own connection.
struct SqliteRails(Connection);

impl WholeRows for SqliteRails {
    async fn read(&mut self, stored: &str) -> String {
        let sql = "SELECT data FROM sessions WHERE session_id = ?1";
        self.0.query_row(sql, [stored], |row| row.get(0)).unwrap()
    }

    async fn write(&mut self, stored: &str, data: &str) {
        let sql = "UPDATE sessions SET data = ?1 WHERE session_id = ?2";
        assert_eq!(self.0.execute(sql, [data, stored]).unwrap(), 1);
    }
}

struct PostgresRails(Client, String);

impl WholeRows for PostgresRails {
    async fn read(&mut self, stored: &str) -> String {
        let sql = format!("SELECT data FROM {} WHERE session_id = $1", self.1);
        self.0.query_one(&sql, &[&stored]).await.unwrap().get(0)
    }

    async fn write(&mut self, stored: &str, data: &str) {
        let sql = format!("UPDATE {} SET data = $1 WHERE session_id = $2", self.1);
        assert_eq!(self.0.execute(&sql, &[&data, &stored]).await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_is_final_on_sqlite() {
    for lanes in [true, false] {
        let (_folder, store) = sqlite(lanes).await;
        logouts(&store, races(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_is_final_on_postgres() {
    if !Postgres::available() {
        return;
    }
    logouts(&postgres().await.1, races(500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_beside_rails_lose_only_what_rails_erases_on_sqlite() {
    for lanes in [true, false] {
        let (folder, store) = sqlite(lanes).await;
        let mut raw = Connection::open(folder.path().join("sessions.db")).unwrap();
        raw.busy_handler(Some(|_| true)).unwrap();
        writers_beside_rails(&store, SqliteRails(raw)).await;
        writers_lose_nothing(&[store]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_beside_rails_lose_only_what_rails_erases_on_postgres() {
    if !Postgres::available() {
        return;
    }
    let (table, store) = postgres().await;
    let raw = Postgres::shared().connect("postgres").await;
    writers_beside_rails(&store, PostgresRails(raw, table)).await;
    writers_lose_nothing(&[store.clone(), store]).await;
}
