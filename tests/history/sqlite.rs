//! SQLite: processes that wait for each other's lock, a table that is altered, a store that is closed
//! and opened again.

use std::sync::Mutex;
use std::time::Duration;

use sqlbypass::rusqlite::Connection;
use sqlbypass::{SqliteBuilder, SqliteStore};
use tempfile::TempDir;

use super::random::Random;
use super::run::{DEADLINE, Faulty, NEEDS, histories};

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

    fn run(&self, sql: &str) {
        let beside = self.beside.lock().unwrap();
        beside.busy_timeout(Duration::from_secs(20)).unwrap();
        beside.execute_batch(sql).unwrap();
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

    async fn suffer(&self, fault: usize, random: &mut Random) {
        match fault {
            // Somebody holds the lock, mostly for longer than anybody waits.
            0 | 1 => {
                self.run("BEGIN IMMEDIATE");
                tokio::time::sleep(Duration::from_millis(100 + random.next() % 700)).await;
                self.run("ROLLBACK");
            }
            2 => {
                self.run("ALTER TABLE sessions ADD COLUMN more text");
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.run("ALTER TABLE sessions DROP COLUMN more");
            }
            _ => self.run("PRAGMA wal_checkpoint(TRUNCATE)"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_sqlite() {
    histories("SQLite", &Place::open().await, &NEEDS).await;
}
