//! SQLite. The floor is one thread with one rusqlite connection, prepared statements, stock pragmas
//! and the same durability, whatever the number of tasks.

use std::hint::black_box;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, params};
use sqlbypass::{SessionId, SqliteStore};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::bed::{Bed, Compared, Operation, TASKS, Which, concurrently, in_a_loop};

/// There is no server to start.
pub(crate) fn start() -> Option<()> {
    Some(())
}

/// A file for each of those that are compared: none finds what another left in its WAL.
pub(crate) struct Rig {
    bed: Arc<Bed>,
    floor: Mutex<Connection>,
    plain: SqliteStore,
    lanes: SqliteStore,
    _folder: TempDir,
}

impl Rig {
    pub(crate) fn new(runtime: &Runtime, _: &(), (_, bytes, rows): (&str, usize, usize)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bed = Arc::new(Bed::new(bytes, rows));
        let open = |name: &str, lanes| {
            let path = folder.path().join(name);
            let builder = SqliteStore::builder(&path).create(true).lanes(lanes);
            let store = runtime.block_on(builder.open()).expect("a store");
            fill(&path, &bed);
            store
        };
        let (plain, lanes) = (open("plain.db", false), open("lanes.db", true));
        let path = folder.path().join("floor.db");
        let made = SqliteStore::builder(&path).create(true).open();
        runtime.block_on(async { made.await?.close().await }).expect("a table");
        fill(&path, &bed);
        // As anybody would open it; `synchronous` is FULL by default, as ours.
        let floor = Mutex::new(Connection::open(&path).expect("a database"));
        Self { bed, floor, plain, lanes, _folder: folder }
    }
}

impl Compared for Rig {
    fn subjects(&self, _: Operation) -> Vec<Which> {
        let of_task = |index| [Which::Floor(index), Which::Ours(index), Which::Lanes(index)];
        (0..TASKS.len()).flat_map(of_task).collect()
    }

    fn time(&self, runtime: &Runtime, which: Which, operation: Operation, n: u64) -> Duration {
        let bed = &self.bed;
        match which {
            Which::Floor(_) | Which::Driver(_) | Which::Shared(_) => {
                let floor = self.floor.lock().expect("the floor");
                in_a_loop(n, || operate(&floor, bed, operation))
            }
            Which::Ours(index) => {
                concurrently(runtime, &self.plain, bed, operation, TASKS[index].0, n)
            }
            Which::Lanes(index) => {
                concurrently(runtime, &self.lanes, bed, operation, TASKS[index].0, n)
            }
        }
    }
}

const FIND: &str =
    "SELECT session_id, data, created_at, updated_at FROM sessions WHERE session_id = ?1";
const SAVE: &str = "UPDATE sessions SET data = ?1, updated_at = ?2 WHERE session_id = ?3";
const INSERT: &str = "INSERT INTO sessions (session_id, data, created_at, updated_at) \
    VALUES (?1, ?2, ?3, ?3)";

fn fill(path: &Path, bed: &Bed) {
    let mut connection = Connection::open(path).expect("a database");
    let transaction = connection.transaction().expect("a transaction");
    for (n, id) in bed.ids.iter().enumerate() {
        let private = id.private();
        let text = String::from_utf8(bed.data(n).into()).expect("text");
        transaction
            .prepare_cached(INSERT)
            .and_then(|mut insert| {
                insert.execute(params![private.as_str(), text, "2026-01-01 00:00:00"])
            })
            .expect("a row");
    }
    transaction.commit().expect("a commit");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
}

fn operate(connection: &Connection, bed: &Bed, operation: Operation) {
    let (n, id) = bed.id();
    let private = id.private();
    let now = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
        format!("2026-01-01 00:00:{:02}.{:06}", now.as_secs() % 60, now.subsec_micros())
    };
    match operation.at(n) {
        Operation::Find | Operation::Mix => {
            let data: Vec<u8> = connection
                .prepare_cached(FIND)
                .and_then(|mut find| {
                    find.query_row([private.as_str()], |row| {
                        row.get_ref(1)?.as_bytes().map(<[u8]>::to_vec).map_err(Into::into)
                    })
                })
                .expect("a row");
            black_box(data);
        }
        Operation::Save => {
            let text = String::from_utf8(bed.data(n).into()).expect("text");
            let rows = connection
                .prepare_cached(SAVE)
                .and_then(|mut save| save.execute(params![text, now(), private.as_str()]))
                .expect("a save");
            assert_eq!(rows, 1);
        }
        Operation::Insert => {
            let id = SessionId::generate().expect("randomness").private();
            let text = String::from_utf8(bed.data(n).into()).expect("text");
            connection
                .prepare_cached(INSERT)
                .and_then(|mut insert| insert.execute(params![id.as_str(), text, now()]))
                .expect("a row");
        }
    }
}
