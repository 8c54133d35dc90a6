//! `store/{sqlite,postgres}/{find,save,insert,mix}/{600b,4kb,32kb}/c{1,64}`, with each database's
//! floor beside: a loop over rusqlite's prepared statements; `pgbench -M prepared`.
//!
//! `cargo bench --bench store -- store/sqlite/find/600b`, and with `--features postgres` for
//! PostgreSQL, whose server the bench starts itself.

mod bed;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
#[path = "../../tests/servers/mod.rs"]
mod servers;
mod sqlite;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sqlbypass::SessionId;

fn stores(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("tokio");
    sqlite::sqlite(c, &runtime);
    #[cfg(feature = "postgres")]
    postgres::postgres(c, &runtime);
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
