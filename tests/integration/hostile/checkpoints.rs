//! The WAL is carried back into the file while saves go on, and stays below a bound.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlbypass::{Saved, SessionId, SqliteStore};

use super::{Place, data, insert, new_id, update};

/// A save brings nine pages of the file and more.
const BYTES: usize = 32 << 10;
const BOUND: u64 = 64 << 20;
/// What a save may take on a busy machine; one that waited for the reader would take its deadline.
const DELAY: Duration = Duration::from_secs(2);

struct Wal {
    path: PathBuf,
    largest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Wal {
    /// Looks at its size again and again.
    fn watch(place: &Place) -> Self {
        let mut path = place.path().into_os_string();
        path.push("-wal");
        let wal = Self { path: path.into(), largest: Arc::default(), stop: Arc::default() };
        let (path, largest, stop) = (wal.path.clone(), wal.largest.clone(), wal.stop.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                largest.fetch_max(size(&path), Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        wal
    }

    fn largest(&self) -> u64 {
        self.largest.fetch_max(size(&self.path), Ordering::Relaxed).max(size(&self.path))
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn size(path: &PathBuf) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// So many saves by 16 tasks, with a find after every fourth. How long the slowest save took.
async fn load(store: &SqliteStore, ids: &[SessionId], saves: usize) -> Duration {
    let tasks: Vec<_> = ids
        .iter()
        .map(|id| {
            let (store, id, saves) = (store.clone(), id.clone(), saves / ids.len());
            tokio::spawn(async move {
                let mut slowest = Duration::ZERO;
                for n in 0..saves {
                    // Another letter in each page: SQLite leaves out those that stay as they were.
                    let letter = char::from(b'a' + (n % 26) as u8);
                    let text = letter.to_string().repeat(BYTES);
                    let begun = Instant::now();
                    assert_eq!(update(&store, &id, text.clone()).await.unwrap(), Saved::Applied);
                    slowest = slowest.max(begun.elapsed());
                    if n % 4 == 0 {
                        assert!(data(&store, &id).await.unwrap() == text);
                    }
                }
                slowest
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for task in tasks {
        slowest = slowest.max(task.await.unwrap());
    }
    slowest
}

async fn rows(store: &SqliteStore) -> Vec<SessionId> {
    let ids: Vec<SessionId> = (0..16).map(|_| new_id()).collect();
    for id in &ids {
        insert(store, id, "one").await.unwrap();
    }
    ids
}

/// More than twice the bound is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wal_is_bounded_under_load() {
    let place = Place::rails();
    let store = place.open().await;
    let ids = rows(&store).await;
    let wal = Wal::watch(&place);
    load(&store, &ids, 4_800).await;
    let largest = wal.largest();
    assert!(largest > 0 && largest <= BOUND, "{largest}");
    store.close().await.unwrap();
    assert_eq!(size(&wal.path), 0, "the WAL is carried back at the end");
}

/// Somebody's long transaction keeps the WAL from beginning anew: saves go on, and when it has
/// ended the WAL is small again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_holds_the_wal_delays_no_save() {
    let place = Place::rails();
    let store = place.open().await;
    let ids = rows(&store).await;
    let raw = place.raw();
    raw.execute_batch("BEGIN").unwrap();
    let count = |raw: &rusqlite::Connection| -> i64 {
        raw.query_row("SELECT count(*) FROM sessions WHERE data = 'one'", (), |row| row.get(0))
            .unwrap()
    };
    assert_eq!(count(&raw), 16);
    let wal = Wal::watch(&place);
    let slowest = load(&store, &ids, 2_400).await;
    println!("the slowest save took {slowest:?}");
    assert!(slowest < DELAY, "a save took {slowest:?} beside a reader");
    assert!(wal.largest() > BOUND, "{}", wal.largest());
    assert_eq!(count(&raw), 16);
    raw.execute_batch("COMMIT").unwrap();
    load(&store, &ids, 2_400).await;
    // Cut where it begins anew.
    assert!(size(&wal.path) <= BOUND, "{}", size(&wal.path));
}
