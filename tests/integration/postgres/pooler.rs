//! Behind PgBouncer in transaction mode, where two processes share the server's connections.

use std::process::{Command, Stdio};

use sqlbypass::{Lookup, PostgresStore, Saved, Store, Table};

use super::{Place, data, insert, new_id, update};
use crate::servers::{PgBouncer, Postgres};

const URL: &str = "SQLBYPASS_TEST_POOLER_URL";
const TABLE: &str = "SQLBYPASS_TEST_POOLER_TABLE";

/// One of the two processes that the test below starts: every answer has to be its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_processes() {
    let (Ok(url), Ok(table)) = (std::env::var(URL), std::env::var(TABLE)) else { return };
    let builder = PostgresStore::url(&url).unwrap().table(Table::new(table).unwrap());
    let store = builder.pgbouncer(true).max_connections(4).open().await.unwrap();
    let tasks = (0..8).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..100 {
                let id = new_id();
                let text = format!("{task} {round}");
                assert_eq!(insert(&store, &id, &text).await.unwrap(), Saved::Applied);
                assert_eq!(data(&store, &id).await.unwrap(), text);
                assert_eq!(update(&store, &id, "changed").await.unwrap(), Saved::Applied);
                assert_eq!(data(&store, &id).await.unwrap(), "changed");
                assert!(store.destroy(&Lookup::new(&id)).await.unwrap());
                assert_eq!(update(&store, &id, "revived").await.unwrap(), Saved::Gone);
                assert!(data(&store, &id).await.is_none());
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_connections() {
    if !Postgres::available() || !PgBouncer::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::shared().await;
    let pooler = PgBouncer::start(server, 2);
    let processes = (0..2).map(|_| {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["--exact", "postgres::pooler::one_of_two_processes"]);
        tests.env(URL, server.url_through(pooler.port(), "postgres")).env(TABLE, place.table());
        tests.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for process in processes.collect::<Vec<_>>() {
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
    }
    assert_eq!(place.count().await, 0);
}
