//! A store in memory: the contract in its plainest form, and the model that others are held to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use sqlbypass::conformance::{Fixture, RawRow};
use sqlbypass::{
    Expiry, Filter, Guard, Insert, Lookup, Maintenance, Owner, PrivateId, Record, Result, Row,
    RowKey, Save, Saved, Scan, Schema, Store, StoredId, Timeouts, Update,
};

/// Clones share the table.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    rows: BTreeMap<i64, Stored>,
    last_key: i64,
}

struct Stored {
    id: String,
    data: Option<Bytes>,
    created_at: SystemTime,
    updated_at: SystemTime,
    expires_at: Option<SystemTime>,
}

impl Stored {
    fn is_alive(&self, timeouts: Timeouts) -> bool {
        let now = SystemTime::now();
        let within = |since: SystemTime, limit: Option<Duration>| {
            limit.is_none_or(|limit| now.duration_since(since).is_ok_and(|age| age < limit))
        };
        within(self.updated_at, timeouts.idle)
            && within(self.created_at, timeouts.lifetime)
            && self.expires_at.is_none_or(|at| at > now)
    }

    fn matches(&self, filter: &Filter) -> bool {
        let timeouts = Timeouts { idle: filter.idle_for, lifetime: None };
        let lifetime = Timeouts { idle: None, lifetime: filter.older_than };
        let ageless = Stored { expires_at: None, id: String::new(), data: None, ..*self };
        *filter == Filter::default() || !ageless.is_alive(timeouts) || !ageless.is_alive(lifetime)
    }

    fn row(&self, key: i64, with_data: bool) -> Row {
        Row {
            key: RowKey::Int(key),
            stored_id: self.id.as_str().into(),
            size: self.data.as_ref().map_or(0, |data| data.len() as u64),
            data: self.data.clone().filter(|_| with_data),
            created_at: Some(self.created_at),
            updated_at: Some(self.updated_at),
            owner: Owner::Unknown,
        }
    }
}

impl Table {
    fn is_taken(&self, id: &str) -> bool {
        self.rows.values().any(|row| row.id == id)
    }

    fn alive(&mut self, id: &str, timeouts: Timeouts) -> Option<&mut Stored> {
        self.rows.values_mut().find(|row| row.id == id && row.is_alive(timeouts))
    }

    fn put(&mut self, id: &str, data: Option<Bytes>, expires_in: Option<Duration>) -> Saved {
        if self.is_taken(id) {
            return Saved::Duplicate;
        }
        let now = SystemTime::now();
        let expires_at = expires_in.map(|time| now + time);
        let row = Stored { id: id.to_owned(), data, created_at: now, updated_at: now, expires_at };
        self.last_key += 1;
        self.rows.insert(self.last_key, row);
        Saved::Applied
    }

    fn update(&mut self, update: &Update) -> Saved {
        let new_id = update.new_id.as_ref().map(PrivateId::as_str);
        let taken = new_id.is_some_and(|id| id != update.id.as_str() && self.is_taken(id));
        let Some(row) = self.alive(update.id.as_str(), update.timeouts) else {
            return Saved::Gone;
        };
        if matches!(&update.guard, Guard::Data(data) if *data != row.data) {
            return Saved::Conflict;
        }
        if taken {
            return Saved::Duplicate;
        }
        let now = SystemTime::now();
        if let Some(data) = &update.data {
            row.data = Some(data.clone());
        }
        if let Some(id) = new_id {
            row.id = id.to_owned();
        }
        if update.restart {
            row.created_at = now;
        }
        if update.touch {
            row.updated_at = now;
        }
        match update.expiry {
            Expiry::Keep => {}
            Expiry::After(time) => row.expires_at = Some(now + time),
            Expiry::Never => row.expires_at = None,
        }
        Saved::Applied
    }
}

impl Memory {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap()
    }
}

impl Store for Memory {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        let private = StoredId::from(lookup.private);
        let mut table = self.table();
        let hidden = table.is_taken(private.as_str())
            && table.alive(private.as_str(), lookup.timeouts).is_none();
        let ids = [Some(private), lookup.legacy.map(StoredId::from).filter(|_| !hidden)];
        let twin =
            lookup.legacy.is_some_and(|id| table.alive(id.as_str(), lookup.timeouts).is_some());
        Ok(ids.into_iter().flatten().find_map(|id| {
            let row = table.alive(id.as_str(), lookup.timeouts)?;
            Some(Record {
                id,
                data: row.data.clone(),
                created_at: Some(row.created_at),
                updated_at: Some(row.updated_at),
                read_at: Some(SystemTime::now()),
                legacy_twin: twin && !id.is_legacy(),
            })
        }))
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        Ok(match save {
            Save::Insert(Insert { id, data, expires_in, .. }) => {
                self.table().put(id.as_str(), Some(data.clone()), *expires_in)
            }
            Save::Update(update) => self.table().update(update),
        })
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        let legacy = lookup.legacy.as_ref().map(|id| id.as_str());
        let mut table = self.table();
        let before = table.rows.len();
        table.rows.retain(|_, row| row.id != lookup.private.as_str() && Some(&*row.id) != legacy);
        Ok(table.rows.len() < before)
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        let update = Update { timeouts, ..Update::new(*id) };
        Ok(self.table().update(&update) == Saved::Applied)
    }
}

impl Maintenance for Memory {
    async fn create(&self) -> Result<bool> {
        Ok(false)
    }

    async fn inspect(&self) -> Result<Schema> {
        let mut schema = Schema::default();
        schema.created_at = true;
        schema.updated_at = true;
        schema.expires_at = true;
        schema.unique_id = true;
        Ok(schema)
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<Row>> {
        let after = match &scan.after {
            Some(RowKey::Int(key)) => *key,
            _ => 0,
        };
        let table = self.table();
        let rows = table.rows.range(after + 1..).filter(|(_, row)| row.matches(&scan.filter));
        let rows = rows.map(|(key, row)| row.row(*key, scan.with_data));
        Ok(rows.take(scan.limit as usize).collect())
    }

    async fn delete(&self, keys: &[RowKey], filter: &Filter) -> Result<u64> {
        let mut table = self.table();
        let before = table.rows.len();
        table.rows.retain(|key, row| !(keys.contains(&RowKey::Int(*key)) && row.matches(filter)));
        Ok((before - table.rows.len()) as u64)
    }

    async fn rekey(&self, row: &Row, new_id: &PrivateId) -> Result<Saved> {
        let mut table = self.table();
        let taken = table.is_taken(new_id.as_str());
        let RowKey::Int(key) = row.key else { return Ok(Saved::Gone) };
        Ok(match table.rows.get_mut(&key) {
            Some(stored) if *stored.id == *row.stored_id && taken => Saved::Duplicate,
            Some(stored) if *stored.id == *row.stored_id => {
                stored.id = new_id.as_str().to_owned();
                Saved::Applied
            }
            _ => Saved::Gone,
        })
    }

    async fn clear(&self) -> Result<u64> {
        let rows = std::mem::take(&mut self.table().rows);
        Ok(rows.len() as u64)
    }
}

/// The store is its own way round itself.
impl Fixture for Memory {
    type Store = Self;

    async fn open() -> (Self, Self) {
        let store = Self::default();
        (store.clone(), store)
    }

    async fn put(&self, id: &str, data: Option<&[u8]>) {
        let data = data.map(Bytes::copy_from_slice);
        assert_eq!(self.table().put(id, data, None), Saved::Applied);
    }

    async fn rows(&self) -> Vec<RawRow> {
        let row = |row: &Stored| (row.id.clone(), row.data.as_ref().map(|data| data.to_vec()));
        self.table().rows.values().map(row).collect()
    }

    async fn age(&self, id: &str, by: Duration) {
        let mut table = self.table();
        let row = table.rows.values_mut().find(|row| row.id == id).unwrap();
        row.created_at -= by;
        row.updated_at -= by;
        row.expires_at = row.expires_at.map(|at| at - by);
    }
}

sqlbypass::conformance_tests!(
    Memory: store, races, manager, merges, merged_keys, late, rotation, times, expiry, any_bytes, maintenance, maintenance_times, users
);
