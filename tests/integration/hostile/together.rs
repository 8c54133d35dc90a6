//! Operations that meet share a transaction: each has its own answer, the one that it has alone.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::limits::Limit;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use sqlbypass::{
    Guard, Lookup, Result, Save, Saved, SessionId, SqliteBuilder, SqliteStore, Store, Timeouts,
    Update,
};

use tokio::task::JoinSet;

use super::locks::Lock;
use super::{Place, data, insert, new_id, update};
use crate::conformance::sqlite::{Layout, Rails};

/// Statements that were run, by their first word.
#[derive(Clone, Default)]
struct Counts(Arc<[AtomicUsize; 4]>);

const WORDS: [&str; 4] = ["BEGIN", "SELECT", "COMMIT", "INSERT"];

impl Counts {
    /// Settings for connections that count.
    fn builder(&self, place: &Place) -> SqliteBuilder {
        let (path, counts) = (place.path(), self.clone());
        SqliteStore::factory(move || {
            let mut raw = Connection::open(&path)?;
            let counts = counts.clone();
            let count = move |event: TraceEvent<'_>| {
                let TraceEvent::Stmt(_, sql) = event else { return };
                if let Some(at) = WORDS.iter().position(|word| sql.starts_with(word)) {
                    counts.0[at].fetch_add(1, Ordering::Relaxed);
                }
            };
            raw.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(count))?;
            raw.set_limit(Limit::SQLITE_LIMIT_LENGTH, 5_000)?;
            Ok(raw)
        })
    }

    /// How many of each word since the last call.
    fn take(&self) -> [usize; 4] {
        std::array::from_fn(|at| self.0[at].swap(0, Ordering::Relaxed))
    }
}

/// Runs saves that queue while somebody else holds the lock.
async fn behind_a_lock(place: &Place, store: &SqliteStore, saves: Vec<Save>) -> Vec<Result<Saved>> {
    let lock = Lock::take(place);
    let saves: Vec<_> = saves
        .into_iter()
        .map(|save| {
            let store = store.clone();
            tokio::spawn(async move { store.save(&save).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(lock);
    let mut answers = Vec::new();
    for save in saves {
        answers.push(save.await.unwrap());
    }
    answers
}

fn changed(id: &SessionId, was: &str, data: String) -> Update {
    let guard = Guard::Data(Some(was.to_owned().into()));
    Update { guard, ..Update::new(id.private().into()).data(data) }
}

/// A row that is refused costs its neighbours nothing, also where it ends the transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_row_of_a_group_has_its_own_answer() {
    let place = Place::with(&format!(
        "{}
         CREATE TRIGGER refuse BEFORE UPDATE ON sessions WHEN NEW.data = 'refused'
         BEGIN SELECT RAISE(ABORT, 'refused'); END;
         CREATE TRIGGER end_all BEFORE UPDATE ON sessions WHEN NEW.data = 'ends all'
         BEGIN SELECT RAISE(ROLLBACK, 'ended'); END;",
        Rails::SCHEMA
    ));
    let counts = Counts::default();
    let store = counts.builder(&place).open().await.unwrap();
    let ids: Vec<SessionId> = (0..60).map(|_| new_id()).collect();
    for id in &ids {
        insert(&store, id, "before").await.unwrap();
    }
    store.destroy(&Lookup::new(&ids[13])).await.unwrap();
    for round in 0..2 {
        let (was, now) = (format!("was {round}"), format!("now {round}"));
        for id in ids.iter().enumerate().filter(|(at, _)| *at != 13).map(|(_, id)| id) {
            assert_eq!(update(&store, id, was.clone()).await.unwrap(), Saved::Applied);
        }
        counts.take();
        let saves = ids.iter().enumerate().map(|(at, id)| {
            Save::Update(match at {
                11 => changed(id, &was, "refused".into()),
                17 => changed(id, "other", now.clone()),
                19 => changed(id, &was, "x".repeat(5_001)),
                23 => changed(id, &was, now.clone()).rekey(ids[24].private()),
                29 if round == 1 => changed(id, &was, "ends all".into()),
                _ => changed(id, &was, now.clone()),
            })
        });
        let answers = behind_a_lock(&place, &store, saves.collect()).await;
        for (at, answer) in answers.iter().enumerate() {
            match (at, answer) {
                (11, Err(error)) => assert_eq!(error.code(), Some("1811"), "{error}"),
                (13, Ok(answer)) => assert_eq!(*answer, Saved::Gone),
                (17, Ok(answer)) => assert_eq!(*answer, Saved::Conflict),
                (19, Err(error)) => assert!(error.is_overflow(), "{error}"),
                (23, Ok(answer)) => assert_eq!(*answer, Saved::Duplicate),
                (29, Err(error)) if round == 1 => {
                    assert_eq!(error.code(), Some("1811"), "{error}");
                }
                (_, Ok(answer)) => assert_eq!(*answer, Saved::Applied, "{at}"),
                (_, Err(error)) => panic!("{at}: {error}"),
            }
        }
        for (at, id) in ids.iter().enumerate().filter(|(at, _)| *at != 13) {
            let is_old = [11, 17, 19, 23].contains(&at) || (round == 1 && at == 29);
            assert_eq!(data(&store, id).await.unwrap(), if is_old { &was } else { &now }[..]);
        }
        let [begins, ..] = counts.take();
        assert!(begins > 0, "there was no group");
    }
}

/// 200 writes at the same time are a few transactions; so are finds.
#[tokio::test]
async fn what_meets_shares_a_transaction() {
    let place = Place::rails();
    let counts = Counts::default();
    let store = counts.builder(&place).open().await.unwrap();
    let ids: Vec<SessionId> = (0..200).map(|_| new_id()).collect();
    counts.take();
    let inserts = ids.iter().map(|id| Save::Insert(sqlbypass::Insert::new(id.private(), "one")));
    for saved in behind_a_lock(&place, &store, inserts.collect()).await {
        assert_eq!(saved.unwrap(), Saved::Applied);
    }
    let [_, _, commits, inserts] = counts.take();
    assert_eq!(inserts, 200);
    assert!((1..=5).contains(&commits), "{commits} transactions");

    finds(&store, &ids, 10).await;
    let [begins, selects, _, _] = counts.take();
    assert!(selects >= 2_000);
    assert!((1..selects / 4).contains(&begins), "{begins} transactions for {selects} finds");
    // With nobody there to share with they go directly, but for a few that try.
    for _ in 0..500 {
        data(&store, &ids[0]).await.unwrap();
    }
    let [begins, selects, _, _] = counts.take();
    assert_eq!(selects, 500);
    assert!(begins < 50, "{begins} of 500 lone finds");
}

#[tokio::test]
async fn without_lanes_each_has_a_transaction() {
    let place = Place::rails();
    let counts = Counts::default();
    let store = counts.builder(&place).lanes(false).open().await.unwrap();
    let ids: Vec<SessionId> = (0..50).map(|_| new_id()).collect();
    counts.take();
    let inserts = ids.iter().map(|id| Save::Insert(sqlbypass::Insert::new(id.private(), "one")));
    for saved in behind_a_lock(&place, &store, inserts.collect()).await {
        assert_eq!(saved.unwrap(), Saved::Applied);
    }
    finds(&store, &ids, 10).await;
    assert_eq!(counts.take(), [0, 500, 0, 50]);
}

/// Each of these finds so often, all at the same time.
async fn finds(store: &SqliteStore, ids: &[SessionId], times: usize) {
    let tasks: Vec<_> = ids
        .iter()
        .map(|id| {
            let (store, id) = (store.clone(), id.clone());
            tokio::spawn(async move {
                for _ in 0..times {
                    assert_eq!(data(&store, &id).await.unwrap(), "one");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A find that is begun and left, in a runtime that nobody drives any more, keeps nobody waiting;
/// and has its answer when it is polled again, wherever that is.
#[test]
fn finds_that_are_not_polled_delay_nobody() {
    let place = Place::rails();
    let driven = runtime();
    let id = new_id();
    let store = driven.block_on(place.open());
    driven.block_on(insert(&store, &id, "one")).unwrap();
    for leave_with_runtime in [false, true] {
        let left = runtime();
        let lookup = Lookup::new(&id);
        let mut waiting = Vec::new();
        // Lone finds mostly go directly; enough of them, and one has waited.
        for _ in 0..20_000 {
            let mut find = Box::pin(store.find(&lookup));
            let _entered = left.enter();
            if poll_once(find.as_mut()).is_pending() {
                waiting.push(find);
                break;
            }
        }
        assert_eq!(waiting.len(), 1, "no find has waited for company");
        let left = (!leave_with_runtime).then_some(left);
        let ids = vec![id.clone(); 64];
        driven.block_on(async {
            let all = finds(&store, &ids, 50);
            tokio::time::timeout(Duration::from_secs(20), all).await.expect("an end");
            let find = waiting.pop().unwrap();
            let found = tokio::time::timeout(Duration::from_secs(20), find).await.expect("an end");
            assert_eq!(found.unwrap().unwrap().data.unwrap(), "one");
        });
        drop(left);
    }
}

/// Finds that are dropped half-way, among others.
#[tokio::test]
async fn finds_that_are_dropped_cost_the_others_nothing() {
    let place = Place::rails();
    let store = place.open().await;
    let ids: Vec<SessionId> = (0..64).map(|_| new_id()).collect();
    for (at, id) in ids.iter().enumerate() {
        insert(&store, id, at.to_string()).await.unwrap();
    }
    let mut dropped = 0;
    for _ in 0..20 {
        // Each has data of its own: an answer to one that left is nobody else's.
        let mut others = JoinSet::new();
        for (at, id) in ids.iter().cloned().enumerate() {
            let store = store.clone();
            others.spawn(async move {
                for _ in 0..5 {
                    assert_eq!(data(&store, &id).await.unwrap(), at.to_string());
                }
            });
        }
        let others = tokio::time::timeout(Duration::from_secs(20), others.join_all());
        let leaving = async {
            for id in ids.iter().cycle().take(200) {
                let lookup = Lookup::new(id);
                let find = pin!(store.find(&lookup));
                dropped += usize::from(poll_once(find).is_pending());
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(others, leaving).0.expect("a find waits for one that was dropped");
    }
    assert!(dropped > 0, "none of them had to wait");
    assert!(store.touch(&ids[0].private().into(), Timeouts::default()).await.unwrap());
}

/// A find sees what was acknowledged before it was asked, also in company.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_in_company_see_what_was_acknowledged() {
    let place = Place::rails();
    let store = place.open().await;
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let id = new_id();
                insert(&store, &id, "0").await.unwrap();
                for n in 1..60 {
                    update(&store, &id, n.to_string()).await.unwrap();
                    for _ in 0..5 {
                        assert_eq!(data(&store, &id).await.unwrap(), n.to_string());
                    }
                }
                assert!(store.destroy(&Lookup::new(&id)).await.unwrap());
                assert!(data(&store, &id).await.is_none(), "revived");
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// On cold disks' threads a store refuses what it has no room for, and answers the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_on_threads_share_and_are_bounded() {
    let place = Place::rails();
    let counts = Counts::default();
    let store =
        counts.builder(&place).blocking_reads(true).readers(2).queue(100).open().await.unwrap();
    let ids: Vec<SessionId> = (0..100).map(|_| new_id()).collect();
    for id in &ids {
        insert(&store, id, "one").await.unwrap();
    }
    counts.take();
    finds(&store, &ids, 20).await;
    let [begins, selects, _, _] = counts.take();
    assert!(selects >= 1_000 && begins > 0 && begins < selects, "{begins} for {selects}");
    crate::promises::load::some_are_refused(&store, &ids[0], 2_000).await;
    assert_eq!(data(&store, &ids[0]).await.unwrap(), "one");
    store.close().await.unwrap();
    assert!(store.find(&Lookup::new(&ids[0])).await.unwrap_err().is_unavailable());
}
