//! SQLite: processes that wait for each other's lock, are stopped and killed, and a table that is
//! altered.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use sqlbypass::rusqlite::{Connection, ErrorCode};
use sqlbypass::{
    Lookup, Record, Result, Save, Saved, SqliteBuilder, SqliteStore, Store, StoredId, Timeouts,
};
use tempfile::TempDir;

use super::process::{FILE, Process, serve};
use super::random::Random;
use super::run::{DEADLINE, Faulty, histories};

/// A store in this process or in another one.
#[derive(Clone)]
enum Party {
    Here(SqliteStore),
    There(Process),
}

struct Place {
    parties: Vec<Party>,
    /// Those that can be killed.
    processes: Vec<Process>,
    beside: Mutex<Connection>,
    _folder: TempDir,
}

fn builder(path: &Path) -> SqliteBuilder {
    SqliteStore::builder(path).deadline(DEADLINE)
}

impl Place {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let here = builder(&path).create(true).open().await.unwrap();
        let singly = builder(&path).lanes(false).open().await.unwrap();
        let processes: Vec<_> =
            (0..2).map(|_| Process::start("sqlite::serves_a_store", &path)).collect();
        let there = processes.iter().cloned().map(Party::There);
        let parties = [Party::Here(here), Party::Here(singly)].into_iter().chain(there).collect();
        let beside = Mutex::new(Connection::open(path).unwrap());
        Self { parties, processes, beside, _folder: folder }
    }

    /// As soon as nobody else has the lock.
    async fn run(&self, sql: &str) {
        let run = || self.beside.lock().unwrap().execute_batch(sql);
        let until = Instant::now() + Duration::from_secs(20);
        while let Err(error) = run() {
            let is_busy = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
            assert!(is_busy && Instant::now() < until, "{error}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Faulty for Place {
    type Store = Party;

    fn stores(&self) -> Vec<Party> {
        self.parties.clone()
    }

    fn faults(&self) -> usize {
        6
    }

    async fn suffer(&self, fault: usize, random: &mut Random) -> &'static str {
        let time = Duration::from_millis(50 + random.next() % 600);
        let process = &self.processes[random.below(self.processes.len())];
        match fault {
            0 => {
                self.run("BEGIN IMMEDIATE").await;
                tokio::time::sleep(time).await;
                self.run("ROLLBACK").await;
                "somebody held the lock"
            }
            1 => {
                self.run("ALTER TABLE sessions ADD COLUMN more text").await;
                tokio::time::sleep(time / 4).await;
                self.run("ALTER TABLE sessions DROP COLUMN more").await;
                "a column was added and dropped"
            }
            2 => {
                self.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
                "a checkpoint"
            }
            // It may have the lock.
            3 => {
                process.signal("STOP").await;
                tokio::time::sleep(time).await;
                process.signal("CONT").await;
                "a process was stopped for a while"
            }
            _ => {
                process.kill().await;
                tokio::time::sleep(time / 4).await;
                process.restart();
                "a process was killed and started again"
            }
        }
    }
}

impl Store for Party {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        match self {
            Self::Here(store) => store.find(lookup).await,
            Self::There(store) => store.find(lookup).await,
        }
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        match self {
            Self::Here(store) => store.save(save).await,
            Self::There(store) => store.save(save).await,
        }
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        match self {
            Self::Here(store) => store.destroy(lookup).await,
            Self::There(store) => store.destroy(lookup).await,
        }
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        match self {
            Self::Here(store) => store.touch(id, timeouts).await,
            Self::There(store) => store.touch(id, timeouts).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_sqlite() {
    histories("SQLite", &Place::open().await).await;
}

/// What the test above starts, stops and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serves_a_store() {
    let Some(path) = std::env::var_os(FILE) else { return };
    serve(builder(path.as_ref()).blocking_reads(true).open().await.unwrap()).await;
}
