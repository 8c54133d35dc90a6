//! Our stores behind the `tower-sessions` middleware.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::{Error as TowerError, Result as TowerResult};

use crate::codec::{Changes, Codec};
use crate::error::Error;
use crate::id::{PrivateId, SessionId, StoredId};
use crate::record::{Expiry, Insert, Lookup, Save, Saved, Timeouts, Update};
use crate::store::Store;
use crate::value::Value;

/// Where the data keep the expiry, in microseconds since 1970 UTC.
const EXPIRY_KEY: &str = "tower_sessions.expiry";
/// What `tower-sessions` gives a session that has no expiry of its own; rows that others wrote.
const DEFAULT_EXPIRY: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Fresh ids that are tried before randomness is taken for broken.
const ID_TRIES: usize = 4;

/// A store of ours as a store of `tower-sessions`: its users change one line.
///
/// What differs from its own stores:
///
/// - A save is an UPDATE. One that comes after a logout is an error, and revives nothing.
/// - An id that is taken is never written over: the new session gets another.
/// - The table holds `2::` and the SHA-256 of the cookie's id, so a leaked table logs nobody in.
/// - The expiry stands in the data, as microseconds under the key `tower_sessions.expiry`, and also
///   in the column `expires_at` where the table has it: then the database's clock decides too. A row
///   without that key, which another program wrote, is taken to expire in two weeks.
/// - Expired rows go with a trim of the table.
///
/// `tower-sessions` hands over whole sessions, so of two requests that change one session at once the
/// later one wins: [`SessionLayer`](crate::SessionLayer) merges them. Its values are JSON: with
/// [`Marshal`](crate::Marshal) what JSON cannot say is lost at the first save.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use sqlbypass::{Json, SqliteStore, TowerSessions};
/// use tower_sessions::SessionManagerLayer;
///
/// let store = SqliteStore::builder(":memory:").create(true).open().await?;
/// let layer = SessionManagerLayer::new(TowerSessions::new(store, Json));
/// # drop(layer);
/// # Ok::<(), sqlbypass::Error>(())
/// # }).unwrap();
/// ```
pub struct TowerSessions<S>(Arc<Inner<S>>);

struct Inner<S> {
    store: S,
    codec: Box<dyn Codec>,
}

impl<S: Store> TowerSessions<S> {
    /// Sessions of this store, written by this codec.
    pub fn new(store: S, codec: impl Codec) -> Self {
        Self(Arc::new(Inner { store, codec: Box::new(codec) }))
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    fn encode(&self, row: &PrivateId, record: &Record) -> crate::Result<bytes::Bytes> {
        let mut changes = Changes::new();
        for (key, value) in &record.data {
            changes.set(key, value.clone().into());
        }
        let micros = record.expiry_date.unix_timestamp_nanos() / 1_000;
        changes.set(EXPIRY_KEY, Value::Int(micros));
        self.0.codec.open(None)?.encode_row(row, &changes)
    }

    fn decode(&self, id: Id, row: &PrivateId, data: Option<bytes::Bytes>) -> crate::Result<Record> {
        let document = self.0.codec.open_row(row, data)?;
        let mut record = Record {
            id,
            data: Default::default(),
            expiry_date: OffsetDateTime::now_utc() + DEFAULT_EXPIRY,
        };
        for key in document.keys() {
            let Some(value) = document.get(key)? else { continue };
            let value = value.to_value()?;
            if key != EXPIRY_KEY {
                record.data.insert(key.to_owned(), value.into());
            } else if let Some(expiry) = expiry(&value) {
                record.expiry_date = expiry;
            }
        }
        Ok(record)
    }
}

#[async_trait]
impl<S: Store> SessionStore for TowerSessions<S> {
    async fn create(&self, record: &mut Record) -> TowerResult<()> {
        for _ in 0..ID_TRIES {
            let (id, expires_in) = (private(&record.id)?, Some(rest(record)));
            let data = self.encode(&id, record).map_err(fault)?;
            let insert = Insert { expires_in, ..Insert::new(id, data) };
            match self.0.store.save(&Save::Insert(insert)).await.map_err(fault)? {
                Saved::Applied => return Ok(()),
                Saved::Duplicate => record.id = Id::default(),
                Saved::Gone | Saved::Conflict => break,
            }
        }
        Err(TowerError::Backend("creating a session: every id that was tried is taken".into()))
    }

    async fn save(&self, record: &Record) -> TowerResult<()> {
        let row = private(&record.id)?;
        let expiry = Expiry::After(rest(record));
        let update = Update { expiry, ..Update::new(StoredId::from(row)) };
        let update = update.data(self.encode(&row, record).map_err(fault)?);
        match self.0.store.save(&Save::Update(update)).await.map_err(fault)? {
            Saved::Applied => Ok(()),
            _ => Err(TowerError::Backend(
                "saving a session: it has ended meanwhile; nothing was written".into(),
            )),
        }
    }

    async fn load(&self, id: &Id) -> TowerResult<Option<Record>> {
        let found = self.0.store.find(&lookup(id)?).await.map_err(fault)?;
        let Some(found) = found else { return Ok(None) };
        let record = self.decode(*id, &found.id.private(), found.data).map_err(fault)?;
        Ok(Some(record).filter(|record| record.expiry_date > OffsetDateTime::now_utc()))
    }

    async fn delete(&self, id: &Id) -> TowerResult<()> {
        self.0.store.destroy(&lookup(id)?).await.map_err(fault)?;
        Ok(())
    }
}

impl<S> Clone for TowerSessions<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for TowerSessions<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessions").field("codec", &self.0.codec).finish_non_exhaustive()
    }
}

fn private(id: &Id) -> TowerResult<PrivateId> {
    // Its text is 22 characters of base64 and never looks like a private id.
    let id = SessionId::parse(id.to_string().as_bytes());
    id.map(|id| id.private()).ok_or_else(|| TowerError::Backend("reading a session's id".into()))
}

fn lookup(id: &Id) -> TowerResult<Lookup> {
    Ok(Lookup { private: private(id)?, legacy: None, timeouts: Timeouts::default() })
}

/// How long the session still lives.
fn rest(record: &Record) -> Duration {
    (record.expiry_date - OffsetDateTime::now_utc()).try_into().unwrap_or_default()
}

fn expiry(value: &Value) -> Option<OffsetDateTime> {
    let Value::Int(micros) = value else { return None };
    OffsetDateTime::from_unix_timestamp_nanos(micros.checked_mul(1_000)?).ok()
}

fn fault(error: Error) -> TowerError {
    if error.is_decode() {
        TowerError::Decode(error.to_string())
    } else if error.is_value() {
        TowerError::Encode(error.to_string())
    } else {
        TowerError::Backend(error.to_string())
    }
}
