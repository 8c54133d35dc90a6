//! The races on PostgreSQL and SQLite; MariaDB's stand with its other tests.

use sqlbypass::{PostgresStore, SqliteStore, Table};
use tempfile::TempDir;

use super::races::{logouts, races, writers_beside_rails, writers_lose_nothing};
use crate::life::rails::Rails;
use crate::servers::Postgres;

async fn sqlite(lanes: bool) -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let store = SqliteStore::builder(path).create(true).lanes(lanes).open().await.unwrap();
    (folder, store)
}

async fn postgres(lanes: bool) -> (String, PostgresStore) {
    let server = Postgres::shared();
    let table = format!("{}.sessions", server.create_schema().await);
    let builder = PostgresStore::url(&server.socket_url("postgres")).unwrap();
    let builder = builder.table(Table::new(&*table).unwrap()).max_connections(4);
    let store = builder.lanes(lanes).create(true).open().await.unwrap();
    (table, store)
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
    for lanes in [true, false] {
        logouts(&postgres(lanes).await.1, races(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_beside_rails_lose_only_what_rails_erases_on_sqlite() {
    for lanes in [true, false] {
        let (folder, store) = sqlite(lanes).await;
        let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
        writers_beside_rails(&store, Rails::start(&url, "sessions").await).await;
        writers_lose_nothing(&[store]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_beside_rails_lose_only_what_rails_erases_on_postgres() {
    if !Postgres::available() {
        return;
    }
    for lanes in [true, false] {
        let (table, store) = postgres(lanes).await;
        let url = Postgres::shared().socket_url("postgres");
        writers_beside_rails(&store, Rails::start(&url, &table).await).await;
        writers_lose_nothing(&[store.clone(), store]).await;
    }
}
