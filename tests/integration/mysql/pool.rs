//! A pool of the user's own, which others may use too.

use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{OptsBuilder, Pool, PoolConstraints, PoolOpts};
use sqlbypass::{Error, Lookup, MySqlStore, Saved, Store};

use super::{GEM, Place, data, insert, new_id, start, update};
use crate::promises::works;
use crate::servers::proxy::Mode;
use crate::servers::{MariaDb, Proxy};

/// As the documentation asks for it.
fn opts(place: &Place) -> OptsBuilder {
    MariaDb::shared().opts().db_name(Some(&place.database)).client_found_rows(true)
}

/// With one connection, which goes back as it is.
fn one(opts: impl Into<mysql_async::Opts>) -> Pool {
    let one = PoolConstraints::new(1, 1).unwrap();
    let settings = PoolOpts::new().with_constraints(one).with_reset_connection(false);
    Pool::new(OptsBuilder::from_opts(opts).pool_opts(settings))
}

/// Why there is no store over it.
async fn failure(pool: Pool) -> Error {
    match MySqlStore::pool(pool).open().await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

/// A pool of the user's: its settings stand, and the deadline holds all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_of_the_users_serves() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let pool = one(opts(&place));
    let builder = MySqlStore::pool(pool.clone());
    let store = builder.deadline(Duration::from_millis(300)).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    let held = pool.get_conn().await.unwrap();
    let error = update(&store, &id, "two").await.unwrap_err();
    assert!(error.is_timeout() && !error.is_unknown_outcome(), "{error}");
    drop(held);
    assert_eq!(data(&store, &id).await.unwrap(), "one");
    assert!(store.destroy(&Lookup::new(&id)).await.unwrap());
}

/// What would make the store tell falsehoods, or leave statements behind on the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_with_settings_that_do_harm_is_refused() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let changed = OptsBuilder::from_opts(opts(&place)).client_found_rows(false);
    let uncached = OptsBuilder::from_opts(opts(&place)).stmt_cache_size(0_usize);
    let open = OptsBuilder::from_opts(opts(&place)).init(vec!["SET autocommit = 0"]);
    for (opts, words) in [
        (changed, "client_found_rows(true)"),
        (uncached, "stmt_cache_size"),
        (open, "autocommit = 1"),
    ] {
        let error = failure(one(opts)).await;
        assert!(error.is_config() && error.to_string().contains(words), "{error}");
    }
}

/// The caller leaves while the server prepares the statement: what it answered to that says nothing of
/// the connection's state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_leaves_half_way_costs_the_pool_nothing() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let opts = OptsBuilder::from_opts(server.tcp_opts(proxy.port()));
    let opts = opts.db_name(Some(&place.database)).client_found_rows(true);
    let store = MySqlStore::pool(one(opts)).open().await.unwrap();
    let id = new_id();
    proxy.set(Mode::Delay(Duration::from_millis(100)));
    let left = tokio::time::timeout(Duration::from_millis(50), insert(&store, &id, "left")).await;
    assert!(left.is_err());
    proxy.set(Mode::Pass);
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..5 {
        assert!(data(&store, &id).await.is_none());
    }
    insert(&store, &id, "one").await.unwrap();
    works(&store, &id).await;
}

/// Somebody else has left a transaction open: what is written in it is not there until somebody
/// commits, and nobody would.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_called_saved_in_the_transaction_of_others() {
    if !MariaDb::available() {
        return;
    }
    let place = Place::shared().await;
    let pool = one(opts(&place));
    let store = MySqlStore::pool(pool.clone()).open().await.unwrap();
    let (id, ended) = (new_id(), new_id());
    insert(&store, &ended, "one").await.unwrap();
    let begin = async || {
        let mut conn = pool.get_conn().await.unwrap();
        conn.query_drop("BEGIN").await.unwrap();
    };
    begin().await;
    let error = insert(&store, &id, "one").await.unwrap_err();
    assert!(error.is_config() && !error.is_unknown_outcome(), "{error}");
    assert!(error.to_string().contains("transaction"), "{error}");
    assert_eq!(place.count().await, 1);
    insert(&store, &id, "one").await.unwrap();
    works(&store, &id).await;

    // What is read there can be as old as the transaction, and so a session that has ended.
    let mut conn = pool.get_conn().await.unwrap();
    conn.query_drop("BEGIN").await.unwrap();
    conn.query_drop("SELECT * FROM sessions").await.unwrap();
    place.run("DELETE FROM sessions").await;
    drop(conn);
    let error = store.find(&Lookup::new(&ended)).await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("transaction"), "{error}");
    assert!(data(&store, &ended).await.is_none());
    assert!(!store.destroy(&Lookup::new(&id)).await.unwrap());
}

/// The server would end the connection over a packet that is too large, also where the pool's
/// settings say nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packet_is_never_larger_than_the_server_takes() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&["max_allowed_packet = 1M"]);
    let place = Place::on(&server, &GEM.replace("data text", "data longtext")).await;
    let opts = server.opts().db_name(Some(&place.database)).client_found_rows(true);
    let store = MySqlStore::pool(one(opts.max_allowed_packet(Some(1 << 30)))).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    let error = update(&store, &id, "x".repeat(1 << 20)).await.unwrap_err();
    assert!(error.is_overflow(), "{error}");
    assert_eq!(update(&store, &id, "x".repeat(1_000_000)).await.unwrap(), Saved::Applied);
}
