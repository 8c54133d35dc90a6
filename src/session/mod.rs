//! What a request handler holds.

mod backend;
mod options;
mod outcome;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{Changes, Content, Document};
use crate::cookie::{CookieOptions, SessionOptions};
use crate::error::{Error, Kind, Result};
use crate::id::{SessionId, StoredId};
use crate::record::Record;
use crate::value::{Map, Value, ValueRef};

pub(crate) use backend::{Action, Backend, BoxFuture, Loaded, Pending};
#[cfg(feature = "http")]
pub(crate) use options::Asked;
pub use outcome::{Commit, CookieChange, Outcome, SessionInfo};

/// The key that answers the public id in Rails and is never stored.
const VIRTUAL_KEY: &str = "session_id";

/// The session of one request: lazy, typed, and the same type whatever store is behind it.
///
/// Nothing is read until a value is asked for, nothing is decoded but the key asked for, and
/// nothing is written at the commit when the content did not change. Clones are handles to the
/// same session. `Debug` shows no id and no data.
///
/// # Examples
///
/// ```
/// # use sqlbypass::{Json, SessionManager, SqliteStore};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlbypass::Result<()> {
/// # let store = SqliteStore::builder(":memory:").create(true).open().await?;
/// let manager = SessionManager::new(store, Json);
/// let session = manager.session(None);
/// let visits: u32 = session.get("visits").await?.unwrap_or(0);
/// session.insert("visits", visits + 1)?;
/// session.commit().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    backend: Arc<dyn Backend>,
    /// The cookie of the layer that the session is of, and whether its request came over TLS.
    layer: Option<(Arc<CookieOptions>, bool)>,
    state: Mutex<State>,
    /// Held while the row is read, so that two handles do not read it twice.
    loading: tokio::sync::Mutex<()>,
}

struct State {
    id: Option<SessionId>,
    loaded: Loaded,
    /// Opened at the first read.
    document: Option<Box<dyn Document>>,
    changes: Changes,
    action: Action,
    /// Whether a value that was stored before was changed in place.
    edits: bool,
    stage: Stage,
    /// This request's own; without them the layer's hold.
    options: Option<Box<SessionOptions>>,
}

/// How far the session's life has come.
enum Stage {
    Open,
    /// A commit has begun; it stays so if its future is dropped.
    Closed,
    /// The commit failed, and whoever asked for it was told.
    Failed,
    Committed(Commit),
}

impl Session {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        id: Option<SessionId>,
        layer: Option<(Arc<CookieOptions>, bool)>,
    ) -> Self {
        let loaded = if id.is_some() { Loaded::No } else { Loaded::Missing };
        let state = State {
            id,
            loaded,
            document: None,
            changes: Changes::new(),
            action: Action::Keep,
            edits: false,
            stage: Stage::Open,
            options: None,
        };
        Self(Arc::new(Inner {
            backend,
            layer,
            state: Mutex::new(state),
            loading: tokio::sync::Mutex::new(()),
        }))
    }

    /// The value of a key, read into any type that serde can deserialize.
    ///
    /// # Errors
    ///
    /// When the row cannot be read or decoded, or the value does not fit the type.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        self.read(key, |value| value.deserialize()).await
    }

    /// The value of a key as it is, with every type that its codec knows.
    ///
    /// # Errors
    ///
    /// When the row cannot be read or decoded.
    pub async fn value(&self, key: &str) -> Result<Option<Value>> {
        self.read(key, |value| value.to_value()).await
    }

    /// All keys and values.
    ///
    /// # Errors
    ///
    /// When the row cannot be read or decoded.
    pub async fn to_map(&self) -> Result<Map> {
        self.load().await?;
        let mut guard = self.state();
        let state = &mut *guard;
        let mut map = Map::new();
        let cleared = state.changes.is_cleared();
        if !cleared {
            let document = state.document(&*self.0.backend)?;
            for key in document.keys() {
                if let Some(value) = document.get(key)? {
                    map.insert(key, value.to_value()?);
                }
            }
        }
        state.changes.apply(&mut map);
        Ok(map)
    }

    /// Whether the session holds nothing.
    ///
    /// # Errors
    ///
    /// When the row cannot be read or decoded.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.to_map().await?.is_empty())
    }

    /// Sets a key. A value that serializes to nil removes it, as in Rails.
    ///
    /// It goes by way of serde: a [`Value`] loses here what serde has not, so that a symbol becomes a
    /// string and a time RFC 3339 text. [`insert_value`](Self::insert_value) keeps both.
    ///
    /// Nothing is read or written before the commit.
    ///
    /// # Errors
    ///
    /// When the value cannot be stored, the key is `session_id` (which Rails never stores), or the
    /// session was committed already.
    pub fn insert<T: Serialize>(&self, key: impl Into<String>, value: T) -> Result<()> {
        self.insert_value(key, Value::from_serialize(&value)?)
    }

    /// Sets a key to a value as it is, with every type that its codec knows.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    pub fn insert_value(&self, key: impl Into<String>, value: Value) -> Result<()> {
        let key = key.into();
        if key == VIRTUAL_KEY {
            return Err(reserved());
        }
        self.change(|state| state.changes.set(key, value))
    }

    /// Removes a key.
    ///
    /// # Errors
    ///
    /// When the session was committed already.
    pub fn remove(&self, key: impl Into<String>) -> Result<()> {
        let key = key.into();
        self.change(|state| state.changes.remove(key))
    }

    /// Changes the value of a key in place, however deep; a key that is not there begins as nil.
    ///
    /// Safe between clones of this handle, which is locked while `change` runs: it must not use the
    /// session. Between requests the key's whole value is what is merged:
    /// of two that change the same key at the same time, the later commit's value is, unless
    /// [`Merges`](crate::ManagerOptions::merges) says how both count.
    ///
    /// # Errors
    ///
    /// When the row cannot be read or decoded, or the session was committed already.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sqlbypass::{Session, Value};
    /// # async fn handler(session: Session) -> sqlbypass::Result<()> {
    /// session.update("cart", |cart| match cart {
    ///     Value::Array(items) => items.push(7.into()),
    ///     other => *other = Value::Array(vec![7.into()]),
    /// }).await
    /// # }
    /// ```
    pub async fn update(&self, key: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
        if key == VIRTUAL_KEY {
            return Err(reserved());
        }
        self.load().await?;
        // Read, changed and set under one lock, so that no handle's change gets lost.
        let mut state = self.state();
        let (value, edits) = match state.changes.get(key) {
            Some(touched) => (touched.cloned(), false),
            None => {
                let document = state.document(&*self.0.backend)?;
                let stored = document.get(key)?.map(ValueRef::to_value).transpose()?;
                let edits = stored.is_some();
                (stored, edits)
            }
        };
        let mut value = value.unwrap_or_default();
        change(&mut value);
        let state = state.open()?;
        state.changes.set(key, value);
        state.edits |= edits;
        Ok(())
    }

    /// Removes every key and keeps the id: what Warden does when everybody signs out.
    ///
    /// # Errors
    ///
    /// When the session was committed already.
    pub fn clear(&self) -> Result<()> {
        self.change(State::forget)
    }

    /// Gives the session a new id at the commit and keeps its data and `created_at`: for a login
    /// that keeps what was there, as Warden does it, and for any change of rights. The old id is dead
    /// at once, whatever [`rotation_grace`](crate::ManagerOptions::rotation_grace) says.
    ///
    /// # Errors
    ///
    /// When the session was committed already.
    pub fn renew(&self) -> Result<()> {
        self.change(|state| {
            if matches!(state.action, Action::Keep | Action::Rotate) {
                state.action = Action::Renew;
            }
        })
    }

    /// The same for a session in which nobody's rights change, for instance once an hour: requests
    /// that still bear the old id may read what was there before, if
    /// [`rotation_grace`](crate::ManagerOptions::rotation_grace) says so. Never for a login: there an
    /// attacker may have chosen the old id.
    ///
    /// # Errors
    ///
    /// When the session was committed already.
    pub fn rotate(&self) -> Result<()> {
        self.change(|state| {
            if state.action == Action::Keep {
                state.action = Action::Rotate;
            }
        })
    }

    /// Ends the session and begins a new one under a new id: for a login. What is inserted
    /// afterwards is in the new one.
    ///
    /// # Errors
    ///
    /// When the session was committed already.
    pub fn reset(&self) -> Result<()> {
        self.change(|state| {
            state.action = Action::Reset;
            state.forget();
        })
    }

    /// Ends the session: for a logout. The row is removed at the commit, under either id. What is
    /// inserted afterwards begins a new session under a new id.
    ///
    /// # Errors
    ///
    /// When the session was committed already.
    pub fn destroy(&self) -> Result<()> {
        self.change(|state| {
            state.action = Action::Destroy;
            state.forget();
        })
    }

    /// The public id of a session that is stored; `None` for a new one, which gets its id at the
    /// commit. Handle it like a password.
    ///
    /// # Errors
    ///
    /// When the row cannot be read.
    pub async fn id(&self) -> Result<Option<SessionId>> {
        self.load().await?;
        let state = self.state();
        Ok(match (&state.stage, &state.loaded) {
            (Stage::Committed(Commit { cookie: CookieChange::Set(id), .. }), _) => Some(id.clone()),
            (Stage::Committed(Commit { cookie: CookieChange::Clear, .. }), _) => None,
            (_, loaded) => loaded.record().and(state.id.clone()),
        })
    }

    /// Times and size of a session that is stored; `None` for a new one.
    ///
    /// # Errors
    ///
    /// When the row cannot be read.
    pub async fn info(&self) -> Result<Option<SessionInfo>> {
        self.load().await?;
        let info = |record: &Record| SessionInfo {
            created_at: record.created_at,
            updated_at: record.updated_at,
            size: record.data.as_ref().map_or(0, Bytes::len),
        };
        Ok(self.state().loaded.record().map(info))
    }

    /// Whether this is the session as it was before its id was rotated a moment ago, which cannot be
    /// changed: see [`rotation_grace`](crate::ManagerOptions::rotation_grace).
    ///
    /// # Errors
    ///
    /// When the row cannot be read.
    pub async fn is_snapshot(&self) -> Result<bool> {
        self.load().await?;
        Ok(matches!(self.state().loaded, Loaded::Snapshot { .. }))
    }

    /// Whether the row was asked for.
    pub fn is_loaded(&self) -> bool {
        let state = self.state();
        state.id.is_some() && !matches!(state.loaded, Loaded::No)
    }

    /// Writes what has changed; the middleware does it after the handler. The session can be read
    /// afterwards and no longer changed.
    ///
    /// In a handler it does what the middleware would: where the request may keep no session
    /// ([`skip`](crate::SessionOptions::skip), or `secure` over plain HTTP) nothing is written, and
    /// an id that was ended or renewed ends. The middleware still sends the cookie, whatever the
    /// status, and leaves the answer to who has seen the outcome.
    ///
    /// # Errors
    ///
    /// When nothing was written, or when that is unknown; the error says which. Also when the
    /// session was committed already, or its options do not go with the cookie's name.
    pub async fn commit(&self) -> Result<Commit> {
        self.state().open()?;
        let quiet = if self.keeps()? { self.close_if_quiet() } else { !self.forget_changes() };
        if quiet {
            return Ok(unchanged());
        }
        let _loading = self.0.loading.lock().await;
        self.commit_locked().await
    }

    /// Commits, or answers what the handler's own commit did: for a middleware, which has a cookie
    /// to write either way. Waits for a commit that is under way.
    ///
    /// # Errors
    ///
    /// As for [`commit`](Self::commit); an unknown outcome when the handler began a commit and
    /// dropped it.
    pub async fn finish(&self) -> Result<Commit> {
        let _loading = self.0.loading.lock().await;
        match &self.state().stage {
            Stage::Open => {}
            Stage::Committed(commit) => return Ok(commit.clone()),
            // The handler has seen its commit fail and answered as it saw fit.
            Stage::Failed => return Ok(unchanged()),
            Stage::Closed => {
                return Err(Error::unknown_outcome("saving a session", "its commit was dropped"));
            }
        }
        self.commit_locked().await
    }

    /// The commit, with `loading` held.
    async fn commit_locked(&self) -> Result<Commit> {
        let pending = self.state().take()?;
        let result = self.0.backend.commit(pending).await;
        let mut state = self.state();
        state.stage = match &result {
            Ok(commit) => {
                // What is read afterwards is read under the new id.
                if let CookieChange::Set(id) = &commit.cookie {
                    state.id = Some(id.clone());
                }
                Stage::Committed(commit.clone())
            }
            Err(_) => Stage::Failed,
        };
        result
    }

    /// Reads what it holds, this request's changes included.
    pub(crate) async fn content<T>(
        &self,
        read: impl FnOnce(&Content<'_>) -> Result<T>,
    ) -> Result<T> {
        self.load().await?;
        let mut state = self.state();
        if !state.changes.is_cleared() {
            state.document(&*self.0.backend)?;
        }
        read(&Content::changed(state.document.as_deref(), &state.changes))
    }

    /// The ids that its row may be stored under, as far as this request knows.
    pub(crate) async fn stored_ids(&self) -> Result<Vec<StoredId>> {
        let id = self.id().await?;
        let state = self.state();
        let mut ids: Vec<StoredId> = id.iter().map(|id| id.private().into()).collect();
        match &state.loaded {
            Loaded::Row(record) => ids.push(record.id),
            Loaded::Snapshot { successor, .. } => ids.push((*successor).into()),
            Loaded::No | Loaded::Missing => {}
        }
        Ok(ids)
    }

    /// Nothing is committed any more, if nobody has begun to: later changes are errors. Says whether.
    #[cfg(feature = "http")]
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state();
        let open = matches!(state.stage, Stage::Open);
        if open {
            state.stage = Stage::Committed(unchanged());
        }
        open
    }

    /// Ends the session if a commit has nothing to do, so that none has to be awaited.
    pub(crate) fn close_if_quiet(&self) -> bool {
        let mut state = self.state();
        state.apply_options();
        let quiet = state.changes.is_empty()
            && state.action == Action::Keep
            && matches!(state.stage, Stage::Open)
            && match &state.loaded {
                Loaded::Row(record) => self.0.backend.is_settled(record),
                Loaded::No | Loaded::Missing | Loaded::Snapshot { .. } => true,
            };
        if quiet {
            state.stage = Stage::Committed(unchanged());
        }
        quiet
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held leaves no half-done change: every change is one assignment.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> Result<()> {
        change(self.state().open()?);
        Ok(())
    }

    async fn read<T>(
        &self,
        key: &str,
        read: impl Fn(ValueRef<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        if key == VIRTUAL_KEY {
            let id = self.id().await?.map(|id| Value::from(id.as_str()));
            return id.map(|id| read(ValueRef::owned(&id))).transpose();
        }
        let touched = |state: &State| {
            state.changes.get(key).map(|value| value.map(ValueRef::owned).map(&read).transpose())
        };
        if let Some(value) = touched(&self.state()) {
            return value;
        }
        self.load().await?;
        let mut state = self.state();
        // Another handle may have touched it while the row was read.
        if let Some(value) = touched(&state) {
            return value;
        }
        state.document(&*self.0.backend)?.get(key)?.map(read).transpose()
    }

    async fn load(&self) -> Result<()> {
        if !matches!(self.state().loaded, Loaded::No) {
            return Ok(());
        }
        let _loading = self.0.loading.lock().await;
        let id = {
            let state = self.state();
            match (&state.loaded, &state.id) {
                (Loaded::No, Some(id)) => id.clone(),
                _ => return Ok(()),
            }
        };
        let loaded = self.0.backend.find(&id).await?;
        self.state().loaded = loaded;
        Ok(())
    }
}

impl State {
    fn document(&mut self, backend: &dyn Backend) -> Result<&dyn Document> {
        let document = match self.document.take() {
            Some(document) => document,
            None => match self.loaded.record() {
                Some(record) => {
                    backend.codec().open_row(&record.id.private(), record.data.clone())?
                }
                None => backend.codec().open(None)?,
            },
        };
        Ok(&**self.document.insert(document))
    }

    /// The state, while it can still be changed.
    fn open(&mut self) -> Result<&mut Self> {
        match self.stage {
            Stage::Open => Ok(self),
            Stage::Closed | Stage::Failed | Stage::Committed(_) => Err(committed()),
        }
    }

    /// Everything of before is to go.
    fn forget(&mut self) {
        self.changes.clear();
        self.edits = false;
    }

    fn take(&mut self) -> Result<Pending> {
        self.open()?.apply_options();
        self.stage = Stage::Closed;
        Ok(Pending {
            id: self.id.clone(),
            loaded: self.loaded.clone(),
            document: self.document.take(),
            changes: self.changes.clone(),
            action: self.action,
            edits: self.edits,
        })
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Session")
            .field("loaded", &!matches!(state.loaded, Loaded::No))
            .field("changed", &!state.changes.is_empty())
            .field("action", &state.action)
            .field("committed", &!matches!(state.stage, Stage::Open))
            .finish_non_exhaustive()
    }
}

fn unchanged() -> Commit {
    Commit { outcome: Outcome::Unchanged, cookie: CookieChange::Keep }
}

fn reserved() -> Error {
    Error::value("changing a session", "session_id is not a key to store")
}

fn committed() -> Error {
    Error::new(Kind::Committed, "changing a session", "it was committed already")
        .advice("change it before the response's head goes out")
}
