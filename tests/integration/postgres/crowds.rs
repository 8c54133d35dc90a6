//! What one id, one locked row, one large save or one caller that nobody polls costs the others.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use sqlbypass::{Lookup, PostgresStore, Result, Saved, SessionId, Store};
use tokio::task::JoinHandle;

use super::{Place, data, insert, new_id, update};
use crate::servers::Postgres;

const DEADLINE: Duration = Duration::from_secs(5);
/// Far more than an operation takes, far less than its deadline.
const SOON: Duration = Duration::from_millis(1_500);

async fn open(place: &Place, connections: usize) -> PostgresStore {
    let builder = place.builder(&Postgres::shared().socket_url("postgres"));
    builder.max_connections(connections).deadline(DEADLINE).open().await.unwrap()
}

async fn rows(store: &PostgresStore, count: usize) -> Vec<SessionId> {
    let ids: Vec<SessionId> = (0..count).map(|_| new_id()).collect();
    for id in &ids {
        insert(store, id, "before").await.unwrap();
    }
    ids
}

fn spawn_update(store: &PostgresStore, id: &SessionId, data: String) -> JoinHandle<Result<Saved>> {
    let (store, id) = (store.clone(), id.clone());
    tokio::spawn(async move { update(&store, &id, &data).await })
}

/// Somebody else locks these rows, until it is rolled back.
async fn lock(place: &Place, ids: &[SessionId]) {
    place.raw.batch_execute("BEGIN").await.unwrap();
    let sql = format!("UPDATE {} SET data = data WHERE session_id = $1", place.table());
    for id in ids {
        place.raw.execute(&sql, &[&id.private().as_str()]).await.unwrap();
    }
}

async fn unlock(place: &Place) {
    place.raw.batch_execute("ROLLBACK").await.unwrap();
}

fn is_in_time(begun: Instant) {
    let took = begun.elapsed();
    assert!(took < SOON, "{took:?}");
}

type Stuck = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Begun, and left.
async fn poll_once(mut future: Stuck) -> Stuck {
    poll_fn(|context| {
        let _ = future.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    future
}

/// Finds, saves and large saves are begun and left, again and again, by far more callers than there
/// are connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_are_not_polled_leave_connections_to_others() {
    if !Postgres::available() {
        return;
    }
    for connections in [2, 3, 8] {
        let place = Place::shared().await;
        let store = open(&place, connections).await;
        let ids = rows(&store, 40).await;
        let mut stuck = Vec::new();
        for wave in 0..4 {
            for (at, id) in ids.iter().take(30).enumerate() {
                let (store, id) = (store.clone(), id.clone());
                let text = "x".repeat(if at % 3 == 2 { 20_000 } else { 100 });
                let future: Stuck = match at % 3 {
                    0 => Box::pin(async move { drop(data(&store, &id).await) }),
                    _ => Box::pin(async move { drop(update(&store, &id, &text).await) }),
                };
                stuck.push(poll_once(future).await);
            }
            let begun = Instant::now();
            let large = "y".repeat(20_000);
            for text in ["after", &large] {
                let id = &ids[30 + wave];
                assert_eq!(update(&store, id, text).await.unwrap(), Saved::Applied);
                assert_eq!(data(&store, id).await.unwrap(), text);
            }
            assert!(store.destroy(&Lookup::new(&ids[34 + wave])).await.unwrap());
            is_in_time(begun);
        }
        drop(stuck);
        store.close().await.unwrap();
    }
}

/// Hundreds of saves wait for a row that somebody else has locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_of_one_locked_row_delay_no_others() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let store = open(&place, 8).await;
    let ids = rows(&store, 3).await;
    lock(&place, &ids[..1]).await;
    let hot: Vec<_> = (0..400).map(|n| spawn_update(&store, &ids[0], format!("hot {n}"))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    let others: Vec<_> =
        (0..40).map(|n| spawn_update(&store, &ids[1 + n % 2], format!("other {n}"))).collect();
    for other in others {
        assert_eq!(other.await.unwrap().unwrap(), Saved::Applied);
    }
    is_in_time(begun);
    unlock(&place).await;
    for save in hot {
        assert_eq!(save.await.unwrap().unwrap(), Saved::Applied);
    }
    assert!(data(&store, &ids[0]).await.unwrap().starts_with(b"hot "));
}

/// One that comes later is written later, whatever their sizes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_save_keeps_its_place() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let store = open(&place, 8).await;
    let ids = rows(&store, 12).await;
    let large = "x".repeat(20_000);
    lock(&place, &ids[..8]).await;
    // These are under way, so that what follows has to wait.
    let first: Vec<_> = (0..2).map(|n| spawn_update(&store, &ids[n], "first".into())).collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let small = spawn_update(&store, &ids[9], "small".into());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let later = spawn_update(&store, &ids[9], large.clone());
    assert_eq!(small.await.unwrap().unwrap(), Saved::Applied);
    assert_eq!(later.await.unwrap().unwrap(), Saved::Applied);
    assert_eq!(data(&store, &ids[9]).await.unwrap(), large);
    unlock(&place).await;
    for save in first {
        assert_eq!(save.await.unwrap().unwrap(), Saved::Applied);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_what_is_under_way() {
    if !Postgres::available() {
        return;
    }
    let place = Place::shared().await;
    let store = open(&place, 8).await;
    let ids = rows(&store, 1).await;
    lock(&place, &ids).await;
    let save = spawn_update(&store, &ids[0], "after".into());
    tokio::time::sleep(Duration::from_millis(20)).await;
    let closing = tokio::spawn(async move { store.close().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!closing.is_finished(), "the save is under way");
    unlock(&place).await;
    assert_eq!(save.await.unwrap().unwrap(), Saved::Applied);
    closing.await.unwrap().unwrap();
}
