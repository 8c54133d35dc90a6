//! A disk without room for more data; InnoDB's log has its own from the start.

use std::time::{Duration, Instant};

use sqlbypass::admin::{TrimOptions, trim};
use sqlbypass::{Error, Lookup, Saved, SessionId, Store, Timeouts};

use super::{Place, RAILS, data, insert, new_id, update};
use crate::servers::mariadb::Options;
use crate::servers::{Failing, MariaDb, SickDisk};

/// Saves until one is refused; those that were not.
async fn fill(store: &impl Store, text: &str) -> (Vec<SessionId>, Error) {
    let mut ids = Vec::new();
    loop {
        let id = new_id();
        match insert(store, &id, text.to_owned()).await {
            Ok(saved) => assert_eq!(saved, Saved::Applied),
            Err(error) => return (ids, error),
        }
        ids.push(id);
        assert!(ids.len() < 10_000, "the disk never filled up");
    }
}

fn on_a_disk() -> (SickDisk, MariaDb) {
    let disk = SickDisk::new();
    let options = Options { durable: true, disk: Some(disk.clone()), ..Options::default() };
    (disk, MariaDb::start(options))
}

async fn is_whole(place: &Place) {
    let rows: Vec<(String, String, String, String)> =
        place.rows("CHECK TABLE sessions EXTENDED", ()).await;
    assert!(rows.iter().all(|(.., found)| found == "OK"), "{rows:?}");
}

/// The room that is in the files already goes on being used; what needs more is refused, at once and
/// by its name, and a trim either finds what it needs or says so. With room there again all is as
/// before, and nothing that was acknowledged is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_and_loses_nothing() {
    if !MariaDb::available() {
        return;
    }
    let (disk, server) = on_a_disk();
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(|name| server.url(name)).open().await.unwrap();
    // As long as most are; those that do not fit into half a page are another matter, see below.
    let usual = "x".repeat(2_000);
    for _ in 0..200 {
        insert(&store, &new_id(), usual.clone()).await.unwrap();
    }
    assert_eq!(insert(&store, &new_id(), "first").await.unwrap(), Saved::Applied);

    disk.fail(Failing::Growth);
    let (ids, error) = fill(&store, &usual).await;
    println!("{} sessions fit; then: {error}", ids.len());
    assert!(error.is_storage_full() && error.code() == Some("1114"), "{error}");
    is_whole(&place).await;
    for id in &ids {
        assert!(data(&store, id).await.unwrap() == usual);
    }
    let begun = Instant::now();
    let grown = insert(&store, &new_id(), "y".repeat(4_000)).await.unwrap_err();
    println!("told after {:?}", begun.elapsed());
    assert!(grown.is_storage_full() && begun.elapsed() < Duration::from_secs(1), "{grown}");
    // What takes no more room works, and makes some.
    assert!(store.touch(&ids[0].private().into(), Timeouts::default()).await.unwrap());
    assert_eq!(update(&store, &ids[0], "small").await.unwrap(), Saved::Applied);
    assert!(store.destroy(&Lookup::new(&ids[1])).await.unwrap());
    place.run("UPDATE sessions SET updated_at = '2020-01-01' WHERE data = 'first'").await;
    let begun = Instant::now();
    match trim(&store, &TrimOptions::default(), |_| std::ops::ControlFlow::Continue(())).await {
        Ok(report) => assert_eq!(report.deleted, 1),
        Err(error) => assert!(error.is_storage_full(), "{error}"),
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "a trim that insists");

    disk.heal();
    let after: Vec<_> = (0..50).map(|_| new_id()).collect();
    for id in &after {
        assert_eq!(insert(&store, id, usual.clone()).await.unwrap(), Saved::Applied);
    }
    server.kill();
    server.restart();
    for id in ids[2..].iter().chain(&after) {
        assert!(data(&store, id).await.unwrap() == usual);
    }
    assert_eq!(data(&store, &ids[0]).await.unwrap(), "small");
    assert!(data(&store, &ids[1]).await.is_none());
    store.close().await.unwrap();
}

/// MariaDB 10.11 may end itself when it finds no room to take a large row back that found none: its
/// clients hear of a lost connection, as from any server that dies. Nothing that was acknowledged is
/// lost by that either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_a_full_disk_ends_has_lost_nothing() {
    if !MariaDb::available() {
        return;
    }
    let (disk, server) = on_a_disk();
    let place = Place::on(&server, RAILS).await;
    let store = place.builder(|name| server.url(name)).open().await.unwrap();
    let large = "x".repeat(20_000);
    let mut ids = Vec::new();
    for _ in 0..200 {
        let id = new_id();
        insert(&store, &id, large.clone()).await.unwrap();
        ids.push(id);
    }
    disk.fail(Failing::Growth);
    for _ in 0..5 {
        let (more, error) = fill(&store, &large).await;
        println!("{} more; then: {error}", more.len());
        let is_dead = error.is_unknown_outcome() || error.is_unavailable();
        assert!(error.is_storage_full() || is_dead || error.is_timeout(), "{error}");
        ids.extend(more);
    }
    disk.heal();
    server.kill();
    server.restart();
    let place = Place { raw: server.connect(&place.database).await.into(), ..place };
    is_whole(&place).await;
    for id in &ids {
        assert!(data(&store, id).await.unwrap() == large);
    }
    assert_eq!(insert(&store, &new_id(), large).await.unwrap(), Saved::Applied);
    store.close().await.unwrap();
}
