//! Counts that must not grow: allocations of the hot paths. Counts, not times, so that noise of
//! the machine cannot fail them. Spans that nobody hears and metrics that nobody records cost none.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use sqlbypass::{
    Json, Lookup, Session, SessionId, SessionLayer, SessionManager, SqliteStore, Store,
};
use tower::{Layer, Service, service_fn};

#[cfg(feature = "postgres")]
#[path = "../servers/mod.rs"]
mod servers;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came; the counter beside it allocates
// nothing, since the thread-local is const-initialised and needs no destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above with this layout.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread during `work`.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const ROUNDS: usize = 100;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A store with one row, and the row's public id.
async fn store(folder: &tempfile::TempDir, lanes: bool) -> (SqliteStore, SessionId) {
    let path = folder.path().join("sessions.db");
    let store = SqliteStore::builder(path).create(true).lanes(lanes).open().await.unwrap();
    let session = SessionManager::new(store.clone(), Json).session(None);
    session.insert("text", "x".repeat(600)).unwrap();
    let commit = session.commit().await.unwrap();
    let sqlbypass::CookieChange::Set(id) = commit.cookie else { panic!("no id") };
    (store, id)
}

#[test]
fn a_private_id_allocates_nothing() {
    let id = SessionId::parse(b"0123456789abcdef0123456789abcdef").unwrap();
    let count = allocations(|| {
        for _ in 0..ROUNDS {
            black_box(black_box(&id).private());
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn a_find_allocates_at_most_three_times_beyond_the_driver() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (store, id) = store(&folder, true).await;
        let lookup = Lookup::with_legacy(&id);
        store.find(&lookup).await.unwrap().unwrap();
        let before = ALLOCATIONS.get();
        for _ in 0..ROUNDS {
            black_box(store.find(&lookup).await.unwrap());
        }
        let ours = (ALLOCATIONS.get() - before) / ROUNDS;
        let driver = driver_allocations(&folder, lookup.private.as_str());
        println!("allocations per find: ours {ours}, of which the driver's own {driver}");
        assert!(ours <= driver + 3, "{ours} against the driver's own {driver}");
    });
}

/// Wherever the store was opened, and whichever thread asks: once a reader is open, a find is answered
/// by the thread that asks, in its first poll. One that goes by way of a blocking thread is not.
#[test]
fn finds_stay_on_the_threads_that_ask() {
    let folder = tempfile::tempdir().unwrap();
    for workers in 1..=3 {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(workers).enable_all().build().unwrap();
        // With lanes one find in a few waits, to see whether others come.
        let (store, id) = runtime.block_on(store(&folder, false));
        for _ in 0..2 * workers {
            let (store, lookup) = (store.clone(), Lookup::new(&id));
            let at_once = async move {
                store.find(&lookup).await.unwrap().unwrap();
                let find =
                    || pin!(store.find(&lookup)).poll(&mut Context::from_waker(Waker::noop()));
                (0..ROUNDS).filter(|_| matches!(find(), Poll::Ready(Ok(Some(_))))).count()
            };
            assert_eq!(
                runtime.block_on(runtime.spawn(at_once)).unwrap(),
                ROUNDS,
                "{workers} workers"
            );
        }
    }
}

/// The same statement with rusqlite alone, the row's columns only looked at.
fn driver_allocations(folder: &tempfile::TempDir, id: &str) -> usize {
    let connection = rusqlite::Connection::open(folder.path().join("sessions.db")).unwrap();
    let sql = "SELECT session_id, data, created_at, updated_at FROM sessions WHERE session_id IN (?1, ?2)";
    let find = || {
        let mut statement = connection.prepare_cached(sql).unwrap();
        let mut rows = statement.query((id, "")).unwrap();
        let row = rows.next().unwrap().unwrap();
        black_box(row.get_ref(1).unwrap());
        assert!(rows.next().unwrap().is_none());
    };
    find();
    allocations(|| (0..ROUNDS).for_each(|_| find())) / ROUNDS
}

/// Those of the task that drives the connection are the driver's, and the same on both sides.
#[cfg(feature = "postgres")]
#[test]
fn a_find_on_postgres_allocates_at_most_three_times_beyond_the_driver() {
    if !servers::Postgres::available() {
        return;
    }
    runtime().block_on(async {
        let url = servers::Postgres::shared().socket_url("postgres");
        let builder = sqlbypass::PostgresStore::url(&url).unwrap();
        let store = builder.create(true).max_connections(1).open().await.unwrap();
        let session = SessionManager::new(store.clone(), Json).session(None);
        session.insert("text", "x".repeat(600)).unwrap();
        let commit = session.commit().await.unwrap();
        let sqlbypass::CookieChange::Set(id) = commit.cookie else { panic!("no id") };
        let lookup = Lookup::with_legacy(&id);
        for _ in 0..ROUNDS {
            store.find(&lookup).await.unwrap().unwrap();
        }
        let before = ALLOCATIONS.get();
        for _ in 0..ROUNDS {
            black_box(store.find(&lookup).await.unwrap());
        }
        let ours = (ALLOCATIONS.get() - before) / ROUNDS;
        let driver = postgres_driver_allocations(lookup.private.as_str(), id.as_str()).await;
        println!("allocations per find: ours {ours}, of which the driver's own {driver}");
        assert!(ours <= driver + 3, "{ours} against the driver's own {driver}");
    });
}

/// The same statement with tokio-postgres alone, the row's columns only looked at.
#[cfg(feature = "postgres")]
async fn postgres_driver_allocations(private: &str, raw: &str) -> usize {
    let client = servers::Postgres::shared().connect("postgres").await;
    let sql = "SELECT session_id, data, created_at, updated_at, clock_timestamp()
               FROM sessions WHERE session_id IN ($1, $2)";
    let statement = client.prepare(sql).await.unwrap();
    let find = async || {
        let row = client.query_one(&statement, &[&private, &raw]).await.unwrap();
        black_box(row.get::<_, &str>(1));
    };
    for _ in 0..ROUNDS {
        find().await;
    }
    let before = ALLOCATIONS.get();
    for _ in 0..ROUNDS {
        find().await;
    }
    (ALLOCATIONS.get() - before) / ROUNDS
}

/// The session's own handle and what `http::Extensions` needs to carry it; nothing for the commit.
#[test]
fn an_untouched_request_allocates_its_handle_alone() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let (store, id) = store(&folder, true).await;
        let layer = SessionLayer::new(SessionManager::new(store, Json));
        let handler = service_fn(|request: Request<()>| async move {
            assert!(request.extensions().get::<Session>().is_some());
            Ok::<_, std::convert::Infallible>(Response::new(()))
        });
        let mut service = layer.layer(handler);
        let cookie = format!("_session_id={}", id.as_str());
        let request = || Request::builder().header("cookie", &cookie).body(()).unwrap();
        service.call(request()).await.unwrap();
        let requests: Vec<_> = (0..ROUNDS).map(|_| request()).collect();
        let before = ALLOCATIONS.get();
        for request in requests {
            service.call(request).await.unwrap();
        }
        let count = (ALLOCATIONS.get() - before) / ROUNDS;
        println!("allocations per untouched request: {count}");
        assert!(count <= 4, "{count}");
    });
}

/// What is rare, as connecting is, stays out of the future that each operation has: whoever spawns
/// or boxes an operation moves all of it.
#[cfg(all(feature = "postgres", feature = "mysql"))]
#[test]
fn futures_are_small() {
    runtime().block_on(async {
        let id = SessionId::generate().unwrap();
        let (lookup, stored) = (Lookup::with_legacy(&id), id.private().into());
        let save = sqlbypass::Save::Update(sqlbypass::Update::new(id.private().into()));
        for url in ["sqlite::memory:", "postgres://a@127.0.0.1:1/b", "mysql://a@127.0.0.1:1/b"] {
            let builder = sqlbypass::AnyStore::url(url).unwrap();
            let store = builder.lazy(!url.starts_with("sqlite")).create(true).open().await.unwrap();
            let timeouts = sqlbypass::Timeouts::default();
            for (operation, bytes) in [
                ("find", size_of_val(&store.find(&lookup))),
                ("save", size_of_val(&store.save(&save))),
                ("destroy", size_of_val(&store.destroy(&lookup))),
                ("touch", size_of_val(&store.touch(&stored, timeouts))),
            ] {
                assert!(bytes <= 5 << 10, "{operation} on {url}: a future of {bytes} bytes");
            }
        }
    });
}
