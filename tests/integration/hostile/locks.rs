//! Another process that holds the write lock, and callers that queue behind it.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use sqlbypass::{Saved, SqliteStore};

use super::{Place, data, insert, new_id, update};

/// Somebody else's write transaction; it ends when this is dropped.
pub(super) struct Lock(Connection);

impl Lock {
    pub(super) fn take(place: &Place) -> Self {
        let raw = place.raw();
        raw.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self(raw)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").unwrap();
    }
}

async fn open(place: &Place, deadline: Duration) -> SqliteStore {
    place.builder().deadline(deadline).open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_waits_for_the_lock() {
    let place = Place::rails();
    let store = open(&place, Duration::from_secs(20)).await;
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    let lock = Lock::take(&place);
    let waiting = tokio::spawn({
        let (store, id) = (store.clone(), id.clone());
        async move { update(&store, &id, "two").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    assert_eq!(data(&store, &id).await.unwrap(), "one", "readers do not wait");
    drop(lock);
    assert_eq!(waiting.await.unwrap().unwrap(), Saved::Applied);
    assert_eq!(data(&store, &id).await.unwrap(), "two");
}

/// The first write of a store opens its connection, and waits for the lock like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_save_of_a_lazy_store_waits_for_the_lock() {
    let place = Place::rails();
    let builder = place.builder().lazy(true).deadline(Duration::from_secs(20));
    let store = builder.open().await.unwrap();
    let lock = Lock::take(&place);
    let id = new_id();
    let waiting = tokio::spawn({
        let (store, id) = (store.clone(), id.clone());
        async move { insert(&store, &id, "one").await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    drop(lock);
    waiting.await.unwrap().unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "one");
}

#[tokio::test]
async fn a_lock_past_the_deadline_is_a_timeout_and_nothing_is_written() {
    let place = Place::rails();
    let deadline = Duration::from_millis(60);
    let store = open(&place, deadline).await;
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    let lock = Lock::take(&place);
    // Often, since an answer at the deadline must not be taken for none.
    for _ in 0..10 {
        let begun = Instant::now();
        let error = update(&store, &id, "two").await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(begun.elapsed() >= deadline);
    }
    drop(lock);
    assert_eq!(data(&store, &id).await.unwrap(), "one");
    assert_eq!(update(&store, &id, "three").await.unwrap(), Saved::Applied);
    assert_eq!(data(&store, &id).await.unwrap(), "three");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_overload_and_the_refused_are_not_written() {
    let place = Place::rails();
    let store = place.builder().queue(1).open().await.unwrap();
    let lock = Lock::take(&place);
    let saves: Vec<_> = (0..6)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { insert(&store, &new_id(), "one").await })
        })
        .collect();
    // One is under way at most and one is queued; the others know at once.
    while saves.iter().filter(|save| save.is_finished()).count() < 4 {
        tokio::task::yield_now().await;
    }
    drop(lock);
    let mut written = 0;
    for save in saves {
        match save.await.unwrap() {
            Ok(saved) => written += i64::from(saved == Saved::Applied),
            Err(error) => assert!(error.is_overloaded(), "{error}"),
        }
    }
    assert!((1..=2).contains(&written));
    let rows: i64 =
        place.raw().query_row("SELECT count(*) FROM sessions", (), |row| row.get(0)).unwrap();
    assert_eq!(rows, written);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_save_whose_deadline_passes_is_never_written() {
    let place = Place::rails();
    let store = open(&place, Duration::from_millis(100)).await;
    let ids = [new_id(), new_id(), new_id()];
    let lock = Lock::take(&place);
    let saves: Vec<_> = ids
        .iter()
        .map(|id| {
            let (store, id) = (store.clone(), id.clone());
            tokio::spawn(async move { insert(&store, &id, "one").await })
        })
        .collect();
    for save in saves {
        let error = save.await.unwrap().unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
    drop(lock);
    // The writer has passed them by when it answers this one.
    insert(&store, &new_id(), "one").await.unwrap();
    for id in &ids {
        assert!(data(&store, id).await.is_none());
    }
}

#[tokio::test]
async fn a_queued_save_whose_caller_leaves_is_never_written() {
    let place = Place::rails();
    let store = open(&place, Duration::from_secs(20)).await;
    let (first, left) = (new_id(), new_id());
    let lock = Lock::take(&place);
    let blocked = tokio::spawn({
        let (store, id) = (store.clone(), first.clone());
        async move { insert(&store, &id, "one").await }
    });
    tokio::task::yield_now().await;
    let leaving = tokio::spawn({
        let (store, id) = (store.clone(), left.clone());
        async move { insert(&store, &id, "one").await }
    });
    tokio::task::yield_now().await;
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    drop(lock);
    assert_eq!(blocked.await.unwrap().unwrap(), Saved::Applied);
    insert(&store, &new_id(), "one").await.unwrap();
    assert!(data(&store, &left).await.is_none());
}
