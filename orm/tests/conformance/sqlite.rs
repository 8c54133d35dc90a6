//! On SQLite, in a file with several connections and in memory with one.

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use crate::fixture::{Migrated, Place};

pub(crate) struct InFile;

impl Place for InFile {
    /// Goes with its file when the test ends.
    type Guard = tempfile::TempDir;

    async fn connect() -> (DatabaseConnection, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
        options.max_connections(4);
        // No power is cut here.
        options.map_sqlx_sqlite_opts(|sqlite| {
            sqlite.pragma("journal_mode", "WAL").pragma("synchronous", "OFF")
        });
        (Database::connect(options).await.unwrap(), folder)
    }
}

pub(crate) struct InMemory;

impl Place for InMemory {
    type Guard = ();

    async fn connect() -> (DatabaseConnection, ()) {
        let mut options = ConnectOptions::new("sqlite::memory:");
        // The database goes with its connection, and sqlx closes one whose test a caller abandons.
        options.max_connections(1).test_before_acquire(false);
        options.idle_timeout(Duration::from_secs(3_600));
        (Database::connect(options).await.unwrap(), ())
    }
}

mod in_file {
    use super::{InFile, Migrated};
    sqlbypass::conformance_tests!(
        Migrated<InFile>: store, races, manager, merges, merged_keys, late, rotation, times,
            maintenance, maintenance_times, users
    );
}

mod in_memory {
    use super::{InMemory, Migrated};
    sqlbypass::conformance_tests!(
        Migrated<InMemory>: store, races, manager, merges, merged_keys, late, rotation, times,
            maintenance, maintenance_times, users
    );
}
