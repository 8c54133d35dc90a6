//! The floor on SQLite: one thread, one rusqlite connection, prepared statements, stock pragmas, the
//! same durability.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use criterion::Criterion;
use rusqlite::{Connection, params};
use sqlbypass::{SessionId, SqliteStore};
use tokio::runtime::Runtime;

use crate::bed::{Bed, OPERATIONS, Operation, SIZES, concurrently};
use crate::settings;

const TASKS: [usize; 2] = [1, 64];

pub(crate) fn sqlite(c: &mut Criterion, runtime: &Runtime) {
    for size in SIZES {
        bench_size(c, runtime, size);
    }
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

fn fill(path: &Path, size: usize, rows: usize) -> Bed {
    let bed = Bed::new(size, rows);
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
