//! `store/{sqlite,postgres,mysql}/{find,save,insert,mix}/{600b,4kb,32kb}/{,lanes-}c{1,64}`, with each
//! database's floor beside: a loop over rusqlite's prepared statements; `pgbench -M prepared`; threads
//! of libmariadb.
//!
//! `cargo bench --bench store -- store/sqlite/find/600b`, and with `--features postgres,mysql` for
//! PostgreSQL and MariaDB, whose servers the bench starts itself.

mod bed;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres"))]
#[path = "../../tests/servers/mod.rs"]
mod servers;
mod sqlite;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use sqlbypass::SessionId;
use tokio::runtime::Runtime;

use bed::{Compared, OPERATIONS, SIZES};

fn stores(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("tokio");
    compare(c, &runtime, "sqlite", sqlite::start, sqlite::Rig::new);
    #[cfg(feature = "postgres")]
    compare(c, &runtime, "postgres", postgres::start, postgres::Rig::new);
    #[cfg(feature = "mysql")]
    compare(c, &runtime, "mysql", mysql::start, mysql::Rig::new);
}

fn compare<S, R: Compared>(
    c: &mut Criterion,
    runtime: &Runtime,
    database: &str,
    start: impl Fn() -> Option<S>,
    rig: impl Fn(&Runtime, &S, (&'static str, usize, usize)) -> R,
) {
    let Some(server) = start() else { return };
    for size in SIZES {
        let rig = rig(runtime, &server, size);
        for operation in OPERATIONS {
            let title = format!("store/{database}/{}/{}", operation.name(), size.0);
            let mut group = c.benchmark_group(title);
            settings(&mut group);
            for subject in rig.subjects(operation) {
                group.bench_function(subject.name(), |b| {
                    b.iter_custom(|n| rig.time(runtime, subject, operation, n));
                });
            }
            group.finish();
        }
    }
}

pub(crate) fn settings(group: &mut BenchmarkGroup<'_, WallTime>) {
    group
        .throughput(Throughput::Elements(1))
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(10);
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

criterion_group!(benches, id, stores);
criterion_main!(benches);
