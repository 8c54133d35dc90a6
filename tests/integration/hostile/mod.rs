//! What goes wrong: bad files, bad tables, locks, full disks. Each has a clear answer, and nothing
//! that was acknowledged is lost.

mod checkpoints;
mod files;
mod full;
mod leaks;
mod locks;
mod neighbours;
mod power;
mod recording;
mod schema;
mod together;

use std::path::PathBuf;

use bytes::Bytes;
use rusqlite::Connection;
use sqlbypass::{
    Insert, Lookup, Result, Save, Saved, SessionId, SqliteBuilder, SqliteStore, Store, Synchronous,
    Update,
};

use crate::conformance::sqlite::{Layout, Rails};

/// A file in a folder that goes with the test.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With the table that Rails makes.
    fn rails() -> Self {
        Self::with(Rails::SCHEMA)
    }

    fn with(schema: &str) -> Self {
        let place = Self::empty();
        place.raw().execute_batch(schema).unwrap();
        place
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sessions.db")
    }

    /// Another process, as it were.
    fn raw(&self) -> Connection {
        let raw = Connection::open(self.path()).unwrap();
        raw.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").unwrap();
        raw
    }

    fn builder(&self) -> SqliteBuilder {
        SqliteStore::builder(self.path()).synchronous(Synchronous::Normal)
    }

    async fn open(&self) -> SqliteStore {
        self.builder().open().await.unwrap()
    }
}

fn new_id() -> SessionId {
    SessionId::generate().unwrap()
}

async fn insert(store: &SqliteStore, id: &SessionId, data: impl Into<Bytes>) -> Result<Saved> {
    let insert = Insert::new(id.private(), data);
    store.save(&Save::Insert(insert)).await
}

async fn update(store: &SqliteStore, id: &SessionId, data: impl Into<Bytes>) -> Result<Saved> {
    store.save(&Save::Update(Update::new(id.private().into()).data(data))).await
}

async fn data(store: &SqliteStore, id: &SessionId) -> Option<Bytes> {
    store.find(&Lookup::new(id)).await.unwrap().and_then(|record| record.data)
}
