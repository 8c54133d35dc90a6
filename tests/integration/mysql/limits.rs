//! Data that do not fit: found out before anything is sent.

use std::time::Duration;

use sqlbypass::{Error, Lookup, MySqlStore, Saved, SessionId, Store, Timeouts};

use super::{GEM, Place, data, insert, new_id, start, update};
use crate::servers::{MariaDb, Proxy};

/// The error of data that the store has not sent.
async fn refused(store: &MySqlStore, proxy: &Proxy, id: &SessionId, text: &str) -> Error {
    // The statement is prepared, and so nothing else is sent.
    update(store, id, "small").await.unwrap();
    let before = proxy.bytes();
    let error = update(store, id, text.to_owned()).await.unwrap_err();
    // A connection that has rested is asked whether it is there, which takes a few bytes.
    let sent = proxy.bytes() - before;
    assert!(sent < 100, "{sent} bytes were sent");
    assert!(error.is_overflow(), "{error}");
    let inserted = insert(store, &new_id(), text.to_owned()).await.unwrap_err();
    assert!(inserted.is_overflow(), "{inserted}");
    assert_eq!(data(store, id).await.unwrap(), "small");
    error
}

/// A table whose data column has this type, a store through a proxy, and a session.
async fn on(server: &MariaDb, data_type: &str) -> (Place, MySqlStore, Proxy, SessionId) {
    let place = Place::on(server, &GEM.replace("data text", &format!("data {data_type}"))).await;
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).max_connections(1).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "first").await.unwrap();
    (place, store, proxy, id)
}

/// A column of text counts bytes, also where its characters have several. The server would cut the
/// rest off in silence where `sql_mode` lets it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_a_text_column_counts_bytes() {
    if !MariaDb::available() {
        return;
    }
    let server = start(&["sql_mode = ''", "max_allowed_packet = 64M"]);
    for (data_type, limit) in [
        ("text", 65_535),
        ("tinytext", 255),
        ("mediumtext", (1 << 24) - 1),
        ("blob", 65_535),
        ("varbinary(300)", 300),
        ("text CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", 65_535),
    ] {
        let (_place, store, proxy, id) = on(&server, data_type).await;
        let fits = "x".repeat(limit);
        update(&store, &id, fits.clone()).await.unwrap();
        assert!(data(&store, &id).await.unwrap() == fits, "{data_type}");
        // As many characters as half of the limit.
        let fits = "\u{e9}".repeat(limit / 2);
        update(&store, &id, fits.clone()).await.unwrap();
        assert!(data(&store, &id).await.unwrap() == fits, "{data_type}");
        for (text, size) in [
            ("x".repeat(limit + 1), limit + 1),
            ("\u{e9}".repeat(limit / 2 + 1), limit / 2 * 2 + 2),
            ("\u{1f980}".repeat(limit / 4 + 1), limit / 4 * 4 + 4),
        ] {
            let error = refused(&store, &proxy, &id, &text).await;
            assert_eq!(error.overflow_sizes(), Some((limit as u64, size as u64)), "{data_type}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_a_varchar_counts_characters() {
    if !MariaDb::available() {
        return;
    }
    let (_place, store, proxy, id) = on(MariaDb::shared(), "varchar(10)").await;
    for fits in ["0123456789", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}9"] {
        update(&store, &id, fits).await.unwrap();
        assert_eq!(data(&store, &id).await.unwrap(), fits);
    }
    for text in ["01234567890".to_owned(), "\u{1f980}".repeat(11)] {
        refused(&store, &proxy, &id, &text).await;
    }
}

/// The server would end the connection over a packet that is too large.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packet_is_never_larger_than_the_server_takes() {
    if !MariaDb::available() {
        return;
    }
    const PACKET: usize = 1 << 20;
    let server = start(&["max_allowed_packet = 1M"]);
    for data_type in ["mediumtext", "longtext", "longblob"] {
        let (_place, store, proxy, id) = on(&server, data_type).await;
        let connections = proxy.connections();
        let fits = "x".repeat(PACKET - 2_000);
        update(&store, &id, fits.clone()).await.unwrap();
        assert!(data(&store, &id).await.unwrap() == fits, "{data_type}");
        for size in [PACKET, 2 * PACKET, PACKET + 1] {
            let error = refused(&store, &proxy, &id, &"x".repeat(size)).await;
            let (limit, told) = error.overflow_sizes().unwrap();
            assert!(told == size as u64 && limit <= PACKET as u64, "{error}");
        }
        // On the edge either the store refuses it or the server takes it.
        for less in (0..1_200).step_by(29) {
            match update(&store, &id, "x".repeat(PACKET - less)).await {
                Ok(_) => {}
                Err(error) => assert!(error.is_overflow(), "{less}: {error}"),
            }
        }
        assert_eq!(proxy.connections(), connections, "a connection was lost");
    }
}

/// What was known when data were refused may be out of date: whoever comes next looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_was_made_wider_is_noticed() {
    if !MariaDb::available() {
        return;
    }
    let (place, store, proxy, id) = on(MariaDb::shared(), "tinytext").await;
    let (text, long) = ("x".repeat(300), "x".repeat(65_536));
    refused(&store, &proxy, &id, &text).await;
    place.run("ALTER TABLE sessions MODIFY data text").await;
    assert!(update(&store, &id, text.clone()).await.unwrap_err().is_overflow());
    assert_eq!(update(&store, &id, text).await.unwrap(), Saved::Applied);
    assert!(update(&store, &id, long.clone()).await.unwrap_err().is_overflow());
    place.run("ALTER TABLE sessions MODIFY data mediumtext").await;
    assert_eq!(update(&store, &id, long.clone()).await.unwrap(), Saved::Applied);
    assert_eq!(data(&store, &id).await.unwrap(), long);

    // So with a column that a timeout needs.
    let hour = Some(Duration::from_secs(3_600));
    let lookup = Lookup::new(&id).timeouts(Timeouts { idle: hour, lifetime: None });
    assert!(store.find(&lookup).await.unwrap_err().is_config());
    place.run("ALTER TABLE sessions ADD updated_at datetime(6) DEFAULT UTC_TIMESTAMP(6)").await;
    assert!(store.find(&lookup).await.unwrap().is_some());
}

/// The column is made narrower while the store is open: the server refuses, and the store learns why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_was_made_narrower_is_noticed() {
    if !MariaDb::available() {
        return;
    }
    let (place, store, proxy, id) = on(MariaDb::shared(), "mediumtext").await;
    let text = "x".repeat(70_000);
    update(&store, &id, text.clone()).await.unwrap();
    update(&store, &id, "small").await.unwrap();
    place.run("ALTER TABLE sessions MODIFY data text").await;
    let error = update(&store, &id, text.clone()).await.unwrap_err();
    assert_eq!(error.overflow_sizes(), Some((65_535, 70_000)), "{error}");
    refused(&store, &proxy, &id, &text).await;
}
