//! Behind PgBouncer in transaction mode, where two processes share the server's connections.

use std::process::{Command, Stdio};
use std::time::Duration;

use sqlbypass::{Lookup, PostgresStore, Saved, Store, Table};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::{Place, data, insert, new_id, update};
use crate::conformance::postgres::RAILS;
use crate::promises::load::leave_half_way;
use crate::servers::{Options, PgBouncer, Postgres, Proxy};

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

/// What the server's connection has, by questions that set nothing.
pub(super) async fn is_clean(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    for (sql, expected) in [
        ("SELECT count(*) FROM pg_prepared_statements", "0"),
        (
            "SELECT count(*) FROM pg_settings
             WHERE source = 'session' AND name <> 'application_name'",
            "0",
        ),
        ("SELECT current_setting('statement_timeout') || current_setting('lock_timeout')", "00"),
        ("SELECT now() = statement_timestamp()", "t"),
    ] {
        let messages = client.simple_query(sql).await.unwrap();
        let value = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        assert_eq!(value, Some(expected), "{sql}");
    }
}

/// On the one connection that PgBouncer has to the server: no statement with a name, nothing set,
/// no transaction open, also where callers left half-way, ran into a lock or asked wrongly; and no
/// connection beside the store's own, as a cancel request would be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_on_the_servers_connection() {
    if !Postgres::available() || !PgBouncer::available() {
        return;
    }
    let settings = vec!["log_statement = 'all'".into()];
    let server = Postgres::start(Options { settings, ..Options::default() });
    let place = Place::on(&server, RAILS).await;
    let pooler = PgBouncer::start(&server, 1);
    let proxy = Proxy::start(pooler.port()).await;
    let url = server.url_through(proxy.port(), "postgres");
    let deadline = Duration::from_secs(1);
    let builder = place.builder(&url).pgbouncer(true).deadline(deadline);
    let store = builder.max_connections(4).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    leave_half_way(&store, &id, 200).await;
    // The finds among them have no limit of their own, and would wait for the lock.
    tokio::time::sleep(deadline).await;
    place.raw.batch_execute(&format!("BEGIN; LOCK TABLE {}", place.table())).await.unwrap();
    let error = update(&store, &id, "late").await.unwrap_err();
    assert_eq!((error.is_timeout(), error.code()), (true, Some("55P03")), "{error}");
    place.raw.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(update(&store, &id, "two").await.unwrap(), Saved::Applied);
    assert!(proxy.connections() <= 4, "{} connections", proxy.connections());

    is_clean(&server.url_through(pooler.port(), "postgres")).await;
    let log = server.log();
    let executed: Vec<&str> =
        log.lines().filter_map(|line| line.split_once("LOG:  execute ")).map(|(_, s)| s).collect();
    // Those of callers who left may not have come so far; the others have.
    assert!(executed.len() >= 3, "{} statements", executed.len());
    assert!(executed.iter().all(|statement| statement.starts_with("<unnamed>")));
    assert!(!log.contains("due to user request"), "a statement was cancelled");
}
