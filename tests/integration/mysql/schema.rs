//! Tables that do not fit, and tables that change while the store is open.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use sqlbypass::Saved;

use super::{GEM, Place, RAILS, data, insert, new_id, start, update};
use crate::mysql::proxies::failed;
use crate::promises::load::Traffic;
use crate::promises::works;
use crate::servers::proxy::{Answer, Mode};
use crate::servers::{MariaDb, Proxy};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_does_not_fit_is_told_at_open() {
    if !MariaDb::available() {
        return;
    }
    for (ddl, problem) in [
        ("CREATE TABLE other (id int)", "no table"),
        ("CREATE TABLE sessions (id int, data text)", "no column \"session_id\""),
        ("CREATE TABLE sessions (id int, session_id varchar(255))", "no column \"data\""),
    ] {
        let place = Place::on(MariaDb::shared(), ddl).await;
        let url = |name: &str| MariaDb::shared().socket_url(name);
        let error = place.builder(url).open().await.unwrap_err();
        assert!(error.is_schema() && error.to_string().contains(problem), "{error}");
    }
}

/// Opens the store, uses it, changes the table, and uses it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_the_table_cost_one_retry() {
    if !MariaDb::available() {
        return;
    }
    let times = "ALTER TABLE sessions
        ADD created_at datetime(6) NOT NULL DEFAULT UTC_TIMESTAMP(6),
        ADD updated_at datetime(6) NOT NULL DEFAULT UTC_TIMESTAMP(6)";
    let filled = "ALTER TABLE sessions ADD created_at datetime(6), ADD updated_at datetime(6);
        UPDATE sessions SET created_at = UTC_TIMESTAMP(6), updated_at = UTC_TIMESTAMP(6);
        ALTER TABLE sessions MODIFY created_at datetime(6) NOT NULL, MODIFY updated_at datetime(6) NOT NULL";
    for (before, change) in [
        (RAILS, "ALTER TABLE sessions DROP created_at, DROP updated_at"),
        (RAILS, "ALTER TABLE sessions DROP updated_at"),
        (RAILS, "ALTER TABLE sessions MODIFY data mediumblob"),
        (RAILS, "ALTER TABLE sessions MODIFY data longtext"),
        (RAILS, "ALTER TABLE sessions MODIFY updated_at datetime NOT NULL"),
        (RAILS, "ALTER TABLE sessions MODIFY session_id varchar(100) COLLATE utf8mb4_bin NOT NULL"),
        (RAILS, "ALTER TABLE sessions CONVERT TO CHARACTER SET utf8mb4 COLLATE uca1400_ai_ci"),
        (RAILS, "ALTER TABLE sessions ADD expires_at datetime(6)"),
        (RAILS, "ALTER TABLE sessions DROP id"),
        (RAILS, "ALTER TABLE sessions DROP INDEX index_sessions_on_updated_at"),
        (
            RAILS,
            "CREATE TABLE new LIKE sessions; INSERT INTO new SELECT * FROM sessions;
                 RENAME TABLE sessions TO old, new TO sessions; DROP TABLE old",
        ),
        (GEM, times),
        (GEM, filled),
    ] {
        let place = Place::on(MariaDb::shared(), before).await;
        let store = place.open().await;
        let id = new_id();
        insert(&store, &id, "one").await.unwrap();
        works(&store, &id).await;
        place.run(change).await;
        works(&store, &id).await;
    }
}

/// A migration in the middle of traffic: nobody gets an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_altered_under_load() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let traffic = Traffic::start(&place.open().await, 8);
    for change in [
        "ALTER TABLE sessions DROP updated_at",
        "ALTER TABLE sessions ADD updated_at datetime(6) NOT NULL DEFAULT UTC_TIMESTAMP(6)",
        "ALTER TABLE sessions MODIFY session_id varchar(191) NOT NULL",
        "ALTER TABLE sessions MODIFY data mediumtext",
        "ALTER TABLE sessions ADD note text",
        "ALTER TABLE sessions CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "ALTER TABLE sessions DROP created_at",
    ] {
        tokio::time::sleep(Duration::from_millis(100)).await;
        place.run(change).await;
    }
    traffic.stop().await;
}

/// The server forgets what was prepared, or takes no more of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_are_forgotten_are_prepared_again() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&[]);
    let place = Place::on(&server, RAILS).await;
    let one = mysql_async::PoolConstraints::new(1, 1).unwrap();
    let settings = mysql_async::PoolOpts::new().with_constraints(one).with_reset_connection(false);
    let opts = server.opts().db_name(Some(&place.database)).client_found_rows(true);
    let pool = mysql_async::Pool::new(opts.pool_opts(settings));
    let store = sqlbypass::MySqlStore::pool(pool.clone()).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    works(&store, &id).await;
    let mut conn = pool.get_conn().await.unwrap();
    // As a pool does that resets its connections.
    conn.reset().await.unwrap();
    conn.query_drop(format!("USE {}", place.database)).await.unwrap();
    drop(conn);
    works(&store, &id).await;

    let other = place.builder(|name| server.socket_url(name)).open().await.unwrap();
    place.run("SET GLOBAL max_prepared_stmt_count = 0").await;
    let error = update(&other, &id, "late").await.unwrap_err();
    assert!(error.is_overloaded() && error.code() == Some("1461"), "{error}");
    place.run("SET GLOBAL max_prepared_stmt_count = 16382").await;
    works(&other, &id).await;
    assert_eq!(data(&other, &id).await.unwrap(), "changed");
}

/// A server that does not know a statement which it has prepared on that connection: it is prepared
/// again there, and the change is made, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_the_server_does_not_know_is_prepared_again() {
    const PREPARE: u8 = 0x16;
    const EXECUTE: u8 = 0x17;
    if !MariaDb::available() {
        return;
    }
    // One of its own: statements are numbered through all of a server's connections.
    let server = start(&[]);
    let place = Place::on(&server, RAILS).await;
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).max_connections(1).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    update(&store, &id, "two").await.unwrap();
    let connections = proxy.connections();
    // Which number it has is the server's; then follow no flags and a count of one.
    for number in 1..=64 {
        let to = vec![EXECUTE, number, 0, 0, 0, 0, 1, 0, 0, 0];
        let instead = Some(b"\x01\0\0\0\x0e".to_vec());
        proxy.set(Mode::Answer(Answer { to, instead, with: failed(1243) }));
        proxy.take_turns();
        let text = format!("three {number}");
        assert_eq!(update(&store, &id, text.clone()).await.unwrap(), Saved::Applied);
        assert_eq!(proxy.connections(), connections, "it was left for another connection");
        let is_prepared = proxy.take_turns().iter().any(|[.., command]| *command == PREPARE);
        assert_eq!(data(&store, &id).await.unwrap(), text);
        if is_prepared {
            return;
        }
    }
    panic!("the update has no number up to 64");
}
