//! Many callers at once, and callers that leave half-way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlbypass::{Lookup, Saved, SessionId};
use tokio::task::JoinHandle;

use super::{Shared, data, insert, new_id, update};

/// Drops so many operations after times that differ, most of them half-way.
pub(crate) async fn leave_half_way<S: Shared>(store: &S, id: &SessionId, count: u64) {
    let mut dropped = 0;
    for round in 0..count {
        let (store, id) = (store.clone(), id.clone());
        let task = tokio::spawn(async move {
            match round % 4 {
                0 => drop(store.find(&Lookup::new(&id)).await),
                1 => drop(update(&store, &id, "dropped").await),
                2 => drop(store.destroy(&Lookup::new(&new_id())).await),
                _ => drop(insert(&store, &new_id(), "dropped").await),
            }
        });
        // A timer's tick would be longer than an operation.
        let until = Instant::now() + Duration::from_micros(round % 40 * 10);
        while Instant::now() < until {
            tokio::task::yield_now().await;
        }
        task.abort();
        dropped += u64::from(task.await.is_err_and(|error| error.is_cancelled()));
    }
    assert!(dropped > count / 4, "of {count} operations {dropped} were dropped half-way");
}

/// Drops 1,000 operations; the next one is as fast as ever.
pub(crate) async fn drop_a_thousand_futures<S: Shared>(store: &S) {
    let id = new_id();
    insert(store, &id, "before").await.unwrap();
    leave_half_way(store, &id, 1_000).await;
    let begun = Instant::now();
    assert_eq!(update(store, &id, "after").await.unwrap(), Saved::Applied);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

/// Writers and readers that go on until they are told to stop; to none of them is anything amiss.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<u64>>,
}

impl Traffic {
    pub(crate) fn start<S: Shared>(store: &S, workers: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = |_| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let id = new_id();
                insert(&store, &id, "0").await.unwrap();
                let mut n = 0;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                    let text = n.to_string();
                    assert_eq!(update(&store, &id, text.clone()).await.unwrap(), Saved::Applied);
                    assert_eq!(data(&store, &id).await.unwrap(), text);
                }
                n
            })
        };
        Self { workers: (0..workers).map(worker).collect(), stop }
    }

    pub(crate) async fn stop(self) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.stop.store(true, Ordering::Relaxed);
        for worker in self.workers {
            assert!(worker.await.unwrap() > 0);
        }
    }
}

/// Of so many finds at the same time some are refused as overload and none in another way.
pub(crate) async fn some_are_refused<S: Shared>(store: &S, id: &SessionId, callers: usize) {
    let finds = (0..callers).map(|_| {
        let (store, id) = (store.clone(), id.clone());
        tokio::spawn(async move { store.find(&Lookup::new(&id)).await })
    });
    let mut refused = 0;
    for find in finds.collect::<Vec<_>>() {
        if let Err(error) = find.await.unwrap() {
            assert!(error.is_overloaded(), "{error}");
            refused += 1;
        }
    }
    assert!(refused > 0, "{callers} were served");
}
