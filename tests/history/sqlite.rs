//! SQLite: processes that wait for each other's lock, a table that is altered, a store that is closed
//! and opened again.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sqlbypass::rusqlite::{Connection, ErrorCode};
use sqlbypass::{SqliteBuilder, SqliteStore};
use tempfile::TempDir;

use super::random::Random;
use super::run::{DEADLINE, Faulty, histories};

struct Place {
    stores: Vec<SqliteStore>,
    beside: Mutex<Connection>,
    _folder: TempDir,
}

impl Place {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let builder = || SqliteStore::builder(&path).create(true).deadline(DEADLINE);
        let mut stores = Vec::new();
        let change: [fn(SqliteBuilder) -> SqliteBuilder; 3] =
            [|it| it, |it| it.lanes(false), |it| it.blocking_reads(true)];
        for change in change {
            stores.push(change(builder()).open().await.unwrap());
        }
        let beside = Mutex::new(Connection::open(path).unwrap());
        Self { stores, beside, _folder: folder }
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
    type Store = SqliteStore;

    fn stores(&self) -> Vec<SqliteStore> {
        self.stores.clone()
    }

    fn faults(&self) -> usize {
        4
    }

    async fn suffer(&self, fault: usize, random: &mut Random) -> &'static str {
        match fault {
            // Somebody holds the lock, mostly for longer than anybody waits.
            0 | 1 => {
                self.run("BEGIN IMMEDIATE").await;
                tokio::time::sleep(Duration::from_millis(100 + random.next() % 700)).await;
                self.run("ROLLBACK").await;
                "somebody held the lock"
            }
            2 => {
                self.run("ALTER TABLE sessions ADD COLUMN more text").await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.run("ALTER TABLE sessions DROP COLUMN more").await;
                "a column was added and dropped"
            }
            _ => {
                self.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
                "a checkpoint"
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_sqlite() {
    histories("SQLite", &Place::open().await).await;
}
