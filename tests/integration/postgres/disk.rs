//! A server whose disk fails at the very commit: it may come up with the change or without it.

use std::time::{Duration, Instant};

use sqlbypass::{Lookup, PostgresStore, Saved, Store};

use super::{Place, data, insert, new_id, update};
use crate::conformance::postgres::RAILS;
use crate::servers::{Failing, Options, Postgres, SickDisk};

/// Waits until it takes writes again, as it does by itself.
async fn recovered(store: &PostgresStore) {
    let until = Instant::now() + Duration::from_secs(60);
    while let Err(error) = insert(store, &new_id(), "after").await {
        assert!(Instant::now() < until, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A session that is there, and one more write of each sort while the disk fails: whoever had a
/// write under way is told that nobody knows, and no write is sent again.
async fn a_failing_disk_is_an_unknown_outcome(failing: Failing) {
    if !Postgres::available() {
        return;
    }
    let disk = SickDisk::new();
    let options = Options { durable: true, disk: Some(disk.clone()), ..Options::default() };
    let server = Postgres::start(options);
    let place = Place::on(&server, RAILS).await;
    let builder = place.builder(&server.url("postgres")).deadline(Duration::from_secs(5));
    let store = builder.open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();

    disk.fail(failing);
    let ids: Vec<_> = (0..40).map(|_| new_id()).collect();
    let begun: Vec<_> = ids
        .iter()
        .map(|id| {
            let (store, id) = (store.clone(), id.clone());
            tokio::spawn(async move { insert(&store, &id, "new").await })
        })
        .collect();
    let updated = update(&store, &id, "changed").await;
    // Nothing was acknowledged, and none was refused as if it were there already: that would be one
    // that was sent twice.
    let mut unknown = 0;
    for insert in begun {
        match insert.await.unwrap() {
            Ok(saved) => panic!("{saved:?} was acknowledged by a disk that fails"),
            Err(error) if error.is_unknown_outcome() => unknown += 1,
            Err(error) => assert!(error.is_unavailable() || error.is_timeout(), "{error}"),
        }
    }
    let error = updated.unwrap_err();
    unknown += u32::from(error.is_unknown_outcome());
    assert!(unknown > 0, "nobody was told that the outcome is unknown: {error}");
    assert!(!error.is_storage_full(), "the change may be there: {error}");

    disk.heal();
    recovered(&store).await;
    let found = data(&store, &id).await.unwrap();
    assert!(found == "before" || found == "changed", "{found:?}");
    for id in &ids {
        // A retry of the caller's own converges, whatever became of the first.
        let again = insert(&store, id, "new").await.unwrap();
        assert!(matches!(again, Saved::Applied | Saved::Duplicate));
        assert!(store.find(&Lookup::new(id)).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_cannot_be_synced_is_an_unknown_outcome() {
    a_failing_disk_is_an_unknown_outcome(Failing::Syncs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_on_a_full_disk_is_an_unknown_outcome() {
    a_failing_disk_is_an_unknown_outcome(Failing::Writes).await;
}
