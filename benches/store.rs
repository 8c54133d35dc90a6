//! `store/sqlite/{find,save,insert,mix}/{600b,4kb,32kb}/c{1,64}`, with the floor beside each: one
//! thread, one rusqlite connection, prepared statements, stock pragmas, the same durability.
//!
//! `cargo bench --bench store -- store/sqlite/find/600b`

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use rusqlite::{Connection, params};
use sqlbypass::{Insert, Lookup, Save, Saved, SessionId, SqliteStore, Store, StoredId, Update};
use tokio::runtime::Runtime;

/// Name, bytes of data, and rows in the table: about 60 MB at each size, all in the page cache.
const SIZES: [(&str, usize, usize); 3] =
    [("600b", 600, 100_000), ("4kb", 4_096, 15_000), ("32kb", 32_768, 2_000)];
const TASKS: [usize; 2] = [1, 64];
const OPERATIONS: [Operation; 4] =
    [Operation::Find, Operation::Save, Operation::Insert, Operation::Mix];

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Find,
    Save,
    Insert,
    /// Nine finds, one save.
    Mix,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Save => "save",
            Self::Insert => "insert",
            Self::Mix => "mix",
        }
    }

    /// The operation of step `n`.
    fn at(self, n: usize) -> Self {
        match self {
            Self::Mix if n.is_multiple_of(10) => Self::Save,
            Self::Mix => Self::Find,
            other => other,
        }
    }
}

struct Bed {
    ids: Vec<SessionId>,
    size: usize,
    next: AtomicUsize,
}

impl Bed {
    /// Steps through the ids in an order that is the same in every run and jumps about.
    fn id(&self) -> (usize, &SessionId) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        (n, &self.ids[n.wrapping_mul(7_919) % self.ids.len()])
    }

    fn data(&self, n: usize) -> Bytes {
        let text = format!("{{\"value\":{{\"n\":{n},\"t\":\"");
        let mut data = text.into_bytes();
        data.resize(self.size.saturating_sub(3), b'x');
        data.extend_from_slice(b"\"}}");
        data.into()
    }
}

fn fill(path: &Path, size: usize, rows: usize) -> Bed {
    let bed = Bed {
        ids: (0..rows).map(|_| SessionId::generate().expect("randomness")).collect(),
        size,
        next: AtomicUsize::new(0),
    };
    let mut connection = Connection::open(path).expect("a database");
    let transaction = connection.transaction().expect("a transaction");
    for (n, id) in bed.ids.iter().enumerate() {
        let private = id.private();
        let text = String::from_utf8(bed.data(n).into()).expect("text");
        transaction
            .prepare_cached("INSERT INTO sessions (session_id, data, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)")
            .and_then(|mut insert| insert.execute(params![private.as_str(), text, "2026-01-01 00:00:00"]))
            .expect("a row");
    }
    transaction.commit().expect("a commit");
    bed
}

async fn ours(store: &SqliteStore, bed: &Bed, operation: Operation) {
    let (n, id) = bed.id();
    match operation.at(n) {
        Operation::Find | Operation::Mix => {
            let found = store.find(&Lookup::with_legacy(id)).await.expect("a find");
            assert!(black_box(found).is_some());
        }
        Operation::Save => {
            let update = Update::new(StoredId::from(id.private())).data(bed.data(n));
            let saved = store.save(&Save::Update(update)).await.expect("a save");
            assert_eq!(saved, Saved::Applied);
        }
        Operation::Insert => {
            let id = SessionId::generate().expect("randomness").private();
            let insert = Insert { id, data: bed.data(n), expires_in: None };
            let saved = store.save(&Save::Insert(insert)).await.expect("an insert");
            assert_eq!(saved, Saved::Applied);
        }
    }
}

fn floor(connection: &Connection, bed: &Bed, operation: Operation) {
    let (n, id) = bed.id();
    let private = id.private();
    let now = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
        format!("2026-01-01 00:00:{:02}.{:06}", now.as_secs() % 60, now.subsec_micros())
    };
    match operation.at(n) {
        Operation::Find | Operation::Mix => {
            let data: Vec<u8> = connection
                .prepare_cached("SELECT session_id, data, created_at, updated_at FROM sessions WHERE session_id = ?1")
                .and_then(|mut find| find.query_row([private.as_str()], |row| row.get_ref(1)?.as_bytes().map(<[u8]>::to_vec).map_err(Into::into)))
                .expect("a row");
            black_box(data);
        }
        Operation::Save => {
            let text = String::from_utf8(bed.data(n).into()).expect("text");
            let rows = connection
                .prepare_cached(
                    "UPDATE sessions SET data = ?1, updated_at = ?2 WHERE session_id = ?3",
                )
                .and_then(|mut save| save.execute(params![text, now(), private.as_str()]))
                .expect("a save");
            assert_eq!(rows, 1);
        }
        Operation::Insert => {
            let id = SessionId::generate().expect("randomness").private();
            let text = String::from_utf8(bed.data(n).into()).expect("text");
            connection
                .prepare_cached("INSERT INTO sessions (session_id, data, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)")
                .and_then(|mut insert| insert.execute(params![id.as_str(), text, now()]))
                .expect("a row");
        }
    }
}

/// Time for `iterations` operations by `tasks` concurrent tasks.
fn concurrently(
    runtime: &Runtime,
    store: &SqliteStore,
    bed: &Arc<Bed>,
    operation: Operation,
    tasks: usize,
    iterations: u64,
) -> Duration {
    runtime.block_on(async {
        let left = Arc::new(AtomicUsize::new(usize::try_from(iterations).expect("a count")));
        let begun = Instant::now();
        let handles: Vec<_> = (0..tasks)
            .map(|_| {
                let (store, bed, left) = (store.clone(), Arc::clone(bed), Arc::clone(&left));
                tokio::spawn(async move {
                    while left
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                        .is_ok()
                    {
                        ours(&store, &bed, operation).await;
                    }
                })
            })
            .collect();
        for handle in handles {
            handle.await.expect("a task");
        }
        begun.elapsed()
    })
}

fn bench_size(c: &mut Criterion, runtime: &Runtime, size: (&str, usize, usize)) {
    let (name, bytes, rows) = size;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sessions.db");
    let store = runtime.block_on(SqliteStore::builder(&path).create(true).open()).expect("a store");
    let bed = Arc::new(fill(&path, bytes, rows));
    let mut connection = Connection::open(&path).expect("a database");
    // A plain connection as anybody would open it; `synchronous` is FULL by default, as ours.
    connection.busy_handler(Some(|_| true)).expect("a handler");
    for operation in OPERATIONS {
        let title = format!("store/sqlite/{}/{name}", operation.name());
        let mut group = c.benchmark_group(title);
        settings(&mut group);
        group.bench_function("floor", |b| b.iter(|| floor(&connection, &bed, operation)));
        for tasks in TASKS {
            group.bench_function(format!("c{tasks}"), |b| {
                b.iter_custom(|n| concurrently(runtime, &store, &bed, operation, tasks, n));
            });
        }
        group.finish();
    }
    runtime.block_on(store.close()).expect("a close");
}

fn settings(group: &mut BenchmarkGroup<'_, WallTime>) {
    group
        .throughput(Throughput::Elements(1))
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(10);
}

fn sqlite(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("tokio");
    for size in SIZES {
        bench_size(c, &runtime, size);
    }
}

/// A private id against the same made with `format!`.
fn id(c: &mut Criterion) {
    use sha2::{Digest, Sha256};
    let id = SessionId::parse(b"0123456789abcdef0123456789abcdef").expect("an id");
    let mut group = c.benchmark_group("id/private");
    group.bench_function("ours", |b| b.iter(|| black_box(&id).private()));
    group.bench_function("format", |b| {
        b.iter(|| {
            let digest = Sha256::digest(black_box(&id).as_str().as_bytes());
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("2::{hex}")
        });
    });
    group.finish();
    c.bench_function("id/generate", |b| b.iter(|| SessionId::generate().expect("randomness")));
}

criterion_group!(benches, id, sqlite);
criterion_main!(benches);
