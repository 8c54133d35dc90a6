//! A store of your own, whole: a file for each session, and the conformance suite that proves it.
//! `docs/your-own-store.md` explains it; `cargo test --features conformance --example custom_store`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqlbypass::{
    Error, Expiry, Guard, Insert, Json, Lookup, PrivateId, Record, Result, Save, Saved, Session,
    SessionManager, Store, StoredId, Timeouts, Update,
};

/// Sessions in the files of a folder, which one process at a time may use. Clones share them.
#[derive(Clone)]
struct FileStore(Arc<Mutex<Table>>);

/// The rows in memory; each is in a file too before a save is answered.
struct Table {
    folder: PathBuf,
    rows: BTreeMap<u64, Row>,
    last_key: u64,
}

/// A row. Its file is named by a number and not by the id, so that a change of the id is the
/// same single step as any other: a new file is renamed over the old one.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    id: String,
    data: Option<Vec<u8>>,
    created_at: SystemTime,
    updated_at: SystemTime,
    expires_at: Option<SystemTime>,
}

impl Row {
    fn new(id: &str, data: Option<&[u8]>, expires_in: Option<Duration>) -> Self {
        let now = SystemTime::now();
        let (id, data) = (id.to_owned(), data.map(<[u8]>::to_vec));
        Self { id, data, created_at: now, updated_at: now, expires_at: expires_in.map(|t| now + t) }
    }

    /// The one clock that decides is the one that wrote the times.
    fn is_alive(&self, timeouts: Timeouts) -> bool {
        let now = SystemTime::now();
        let within = |since: SystemTime, limit: Option<Duration>| {
            limit.is_none_or(|limit| now.duration_since(since).is_ok_and(|age| age < limit))
        };
        within(self.updated_at, timeouts.idle)
            && within(self.created_at, timeouts.lifetime)
            && self.expires_at.is_none_or(|at| at > now)
    }

    fn apply(&mut self, update: &Update) {
        let now = SystemTime::now();
        if let Some(data) = &update.data {
            self.data = Some(data.to_vec());
        }
        if let Some(id) = &update.new_id {
            self.id = id.as_str().to_owned();
        }
        if update.restart {
            self.created_at = now;
        }
        if update.touch {
            self.updated_at = now;
        }
        match update.expiry {
            Expiry::Keep => {}
            Expiry::After(time) => self.expires_at = Some(now + time),
            Expiry::Never => self.expires_at = None,
        }
    }
}

impl Table {
    fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        File::open(folder.join(".."))?.sync_all()?; // Its own name is in the folder above.
        let mut table = Self { folder: folder.to_owned(), rows: BTreeMap::new(), last_key: 0 };
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            // What has another name is a file that was being written when the process ended.
            let Some(key) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            let row = serde_json::from_slice(&fs::read(folder.join(name))?)?;
            table.rows.insert(key, row);
            table.last_key = table.last_key.max(key);
        }
        Ok(table)
    }

    /// The row is either the old one or the new one, also when the power fails.
    fn write(&mut self, key: u64, row: Row) -> Result<()> {
        let text = serde_json::to_vec(&row).map_err(|error| not_written(error.into()))?;
        let draft = self.folder.join("draft");
        let written = File::create(&draft).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&draft, self.folder.join(key.to_string()))
        });
        written.map_err(not_written)?;
        self.rows.insert(key, row);
        self.sync()
    }

    /// Names are durable when their folder is; until then nobody knows.
    fn sync(&self) -> Result<()> {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(half_written)
    }

    fn key_of(&self, id: &str) -> Option<u64> {
        self.rows.iter().find(|(_, row)| row.id == id).map(|(key, _)| *key)
    }

    fn alive(&self, id: &str, timeouts: Timeouts) -> Option<(u64, &Row)> {
        let key = self.key_of(id)?;
        self.rows.get(&key).filter(|row| row.is_alive(timeouts)).map(|row| (key, row))
    }

    fn find(&self, lookup: &Lookup) -> Option<Record> {
        let legacy = lookup.legacy.filter(|id| self.alive(id.as_str(), lookup.timeouts).is_some());
        let private = StoredId::from(lookup.private);
        // A private row decides even when it has expired: a raw row does not take its place.
        let id = match self.key_of(private.as_str()) {
            Some(_) => private,
            None => legacy?.into(),
        };
        let (_, row) = self.alive(id.as_str(), lookup.timeouts)?;
        let mut record = Record::new(id, row.data.clone().map(Bytes::from));
        record.created_at = Some(row.created_at);
        record.updated_at = Some(row.updated_at);
        record.read_at = Some(SystemTime::now());
        record.legacy_twin = legacy.is_some() && !id.is_legacy();
        Some(record)
    }

    /// Never onto an id that is there, expired or not.
    fn insert(&mut self, row: Row) -> Result<Saved> {
        if self.key_of(&row.id).is_some() {
            return Ok(Saved::Duplicate);
        }
        self.last_key += 1;
        self.write(self.last_key, row).map(|()| Saved::Applied)
    }

    /// Never makes a row: a session that has ended stays so.
    fn update(&mut self, update: &Update) -> Result<Saved> {
        let Some((key, row)) = self.alive(update.id.as_str(), update.timeouts) else {
            return Ok(Saved::Gone);
        };
        if matches!(&update.guard, Guard::Data(data) if data.as_deref() != row.data.as_deref()) {
            return Ok(Saved::Conflict);
        }
        let owner = update.new_id.as_ref().map(PrivateId::as_str).and_then(|id| self.key_of(id));
        if owner.is_some_and(|owner| owner != key) {
            return Ok(Saved::Duplicate);
        }
        let mut row = row.clone();
        row.apply(update);
        self.write(key, row).map(|()| Saved::Applied)
    }

    fn destroy(&mut self, lookup: &Lookup) -> Result<bool> {
        let ids = [Some(lookup.private.into()), lookup.legacy.map(StoredId::from)];
        let keys = ids.iter().flatten().filter_map(|id| self.key_of(id.as_str()));
        let keys: Vec<u64> = keys.collect();
        for (nth, key) in keys.iter().enumerate() {
            let told = if nth == 0 { not_written } else { half_written };
            fs::remove_file(self.folder.join(key.to_string())).map_err(told)?;
            self.rows.remove(key);
        }
        self.sync().map(|()| !keys.is_empty())
    }
}

fn half_written(error: io::Error) -> Error {
    Error::unknown_outcome("writing a session", error.kind().to_string())
}

/// Of the system's error only its kind is told: its text may name what it should not.
fn not_written(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull => Error::storage_full("writing a session", "no space is left"),
        kind => Error::database("writing a session", kind.to_string()),
    }
}

impl FileStore {
    /// Opens a folder, which is made where it is missing.
    fn open(folder: &Path) -> Result<Self> {
        let closed = |error: io::Error| Error::unavailable("opening a store", error.to_string());
        Ok(Self(Arc::new(Mutex::new(Table::open(folder).map_err(closed)?))))
    }

    /// Memory and file agree after each step, so a panic elsewhere spoils nothing.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On a thread that may wait for a disk. A caller who leaves half-way leaves a step that is
    /// carried through; one who waits in vain cannot know whether a change was made.
    async fn run<T: Send + 'static>(
        &self,
        late: fn(&'static str, &'static str) -> Error,
        step: impl FnOnce(&mut Table) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        let step = tokio::task::spawn_blocking(move || step(&mut store.table()));
        match tokio::time::timeout(Duration::from_secs(10), step).await {
            Ok(Ok(answer)) => answer,
            _ => Err(late("using a file", "no answer by the deadline")),
        }
    }
}

impl Store for FileStore {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        let lookup = lookup.clone();
        self.run(Error::timeout, move |table| Ok(table.find(&lookup))).await
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        let save = save.clone();
        self.run(Error::unknown_outcome, move |table| match save {
            Save::Insert(Insert { id, data, expires_in, .. }) => {
                table.insert(Row::new(id.as_str(), Some(&data), expires_in))
            }
            Save::Update(update) => table.update(&update),
        })
        .await
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        let lookup = lookup.clone();
        self.run(Error::unknown_outcome, move |table| table.destroy(&lookup)).await
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        let update = Update { timeouts, ..Update::new(*id) };
        self.run(Error::unknown_outcome, move |table| Ok(table.update(&update)? == Saved::Applied))
            .await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let sessions = SessionManager::new(FileStore::open(Path::new("sessions"))?, Json);
    let session: Session = sessions.session(None);
    session.insert("visits", 1)?;
    println!("{:?}: see the folder sessions", session.commit().await?.outcome);
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlbypass::conformance::{Fixture, RawRow};

    use super::*;

    struct Files(FileStore, tempfile::TempDir);

    impl Fixture for Files {
        type Store = FileStore;

        async fn open() -> (Self, FileStore) {
            let folder = tempfile::tempdir().expect("a folder");
            let store = FileStore::open(folder.path()).expect("an empty store");
            (Self(store.clone(), folder), store)
        }

        async fn put(&self, id: &str, data: Option<&[u8]>) {
            self.0.table().insert(Row::new(id, data, None)).expect("a row is put");
        }

        /// What a process that starts now would find.
        async fn rows(&self) -> Vec<RawRow> {
            let table = Table::open(self.1.path()).expect("the files are whole");
            table.rows.into_values().map(|row| (row.id, row.data)).collect()
        }

        async fn age(&self, id: &str, by: Duration) {
            let mut table = self.0.table();
            let key = table.key_of(id).expect("the row is there");
            let mut row = table.rows[&key].clone();
            row.created_at -= by;
            row.updated_at -= by;
            row.expires_at = row.expires_at.map(|at| at - by);
            table.write(key, row).expect("the row is written");
        }
    }

    sqlbypass::conformance_tests!(
        Files: store, races, manager, merges, merged_keys, late, rotation, times, expiry, any_bytes
    );
}
