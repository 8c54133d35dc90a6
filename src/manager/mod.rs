//! The one place where a store meets a codec: load, commit, merge, policy.

mod commit;
mod grace;
mod life;
mod merges;
mod options;
mod touches;
mod users;

use std::fmt;
use std::sync::Arc;

use crate::codec::{Changes, Codec};
#[cfg(feature = "http")]
use crate::cookie::CookieOptions;
use crate::error::Result;
use crate::id::{PrivateId, SessionId, StoredId};
use crate::observe::{IdHash, describe};
use crate::record::{Lookup, Record};
use crate::session::{Backend, BoxFuture, Commit, Loaded, Pending, Session};
use crate::store::Store;

use grace::Grace;
pub use merges::Merges;
pub use options::{Late, ManagerOptions, Policy};
use touches::Touches;
pub use users::Users;
pub(crate) use users::name;

/// A store with a codec and a policy: where sessions come from.
///
/// Clones share the store.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlbypass::Result<()> {
/// use std::time::Duration;
/// use sqlbypass::{Json, ManagerOptions, SessionManager, SqliteStore, Timeouts};
///
/// let store = SqliteStore::builder(":memory:").create(true).open().await?;
/// let options = ManagerOptions {
///     timeouts: Timeouts { idle: Some(Duration::from_secs(1_800)), lifetime: None },
///     ..ManagerOptions::default()
/// };
/// let manager = SessionManager::with_options(store, Json, options);
///
/// let session = manager.session(None);
/// session.insert("user", 42)?;
/// session.commit().await?;
/// # Ok(()) }
/// ```
pub struct SessionManager<S>(Arc<Shared<S>>);

struct Shared<S> {
    store: S,
    codec: Arc<dyn Codec>,
    options: ManagerOptions,
    grace: Option<Grace>,
    touches: Touches,
}

impl<S> Clone for SessionManager<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Store> SessionManager<S> {
    /// A manager with default settings.
    pub fn new(store: S, codec: impl Codec) -> Self {
        Self::with_options(store, codec, ManagerOptions::default())
    }

    /// A manager with these settings.
    pub fn with_options(store: S, codec: impl Codec, options: ManagerOptions) -> Self {
        describe();
        let grace = options.rotation_grace.map(Grace::new);
        let codec = Arc::new(codec);
        Self(Arc::new(Shared { store, codec, options, grace, touches: Touches::default() }))
    }

    /// The session of a request that bore this id, or none. Nothing is read yet.
    pub fn session(&self, id: Option<SessionId>) -> Session {
        let backend: Arc<dyn Backend> = Arc::<Shared<S>>::clone(&self.0);
        Session::new(backend, id, None)
    }

    /// The same for a layer with this cookie, whose request came over TLS or did not.
    #[cfg(feature = "http")]
    pub(crate) fn session_of(
        &self,
        id: Option<SessionId>,
        cookie: Arc<CookieOptions>,
        over_tls: bool,
    ) -> Session {
        let backend: Arc<dyn Backend> = Arc::<Shared<S>>::clone(&self.0);
        Session::new(backend, id, Some((cookie, over_tls)))
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// What logs call the session of this id.
    pub fn id_hash(&self, id: &SessionId) -> IdHash {
        self.0.life().hash(id)
    }

    /// The settings.
    pub fn options(&self) -> &ManagerOptions {
        &self.0.options
    }

    /// What the data is written by.
    pub(crate) fn codec(&self) -> &Arc<dyn Codec> {
        &self.0.codec
    }

    /// The ids that this session's row may be stored under, those that it was rotated to included.
    pub(crate) async fn stored_ids(&self, session: &Session) -> Result<Vec<StoredId>> {
        let mut ids = session.stored_ids().await?;
        let mut at = 0;
        while let Some(id) = ids.get(at) {
            if let StoredId::Private(id) = id {
                let fresh = self.0.successors(id).into_iter().map(StoredId::from);
                ids.extend(fresh.filter(|id| !ids.contains(id)).collect::<Vec<_>>());
            }
            at += 1;
        }
        Ok(ids)
    }
}

impl<S> fmt::Debug for SessionManager<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("codec", &self.0.codec)
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl<S: Store> Backend for Shared<S> {
    fn codec(&self) -> &dyn Codec {
        &*self.codec
    }

    fn is_settled(&self, record: &Record) -> bool {
        !record.id.is_legacy() && !self.is_touch_due(record)
    }

    fn find<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Loaded>> {
        Box::pin(self.load(id))
    }

    fn commit(&self, mut pending: Pending) -> BoxFuture<'_, Result<Commit>> {
        Box::pin(async move { self.commit(&mut pending).await })
    }
}

impl<S: Store> Shared<S> {
    fn lookup(&self, id: &SessionId) -> Lookup {
        let legacy = self.options.legacy_fallback;
        let lookup = if legacy { Lookup::with_legacy(id) } else { Lookup::new(id) };
        lookup.timeouts(self.options.timeouts)
    }

    async fn find(&self, id: &SessionId) -> Result<Loaded> {
        let lookup = self.lookup(id);
        if let Some(record) = self.store.find(&lookup).await? {
            return Ok(Loaded::Row(record));
        }
        let kept = self.grace.as_ref().and_then(|grace| grace.find(&lookup.private));
        match kept {
            None => Ok(Loaded::Missing),
            // Rare, and boxed so that each find is not as large.
            Some(record) => Box::pin(self.snapshot(&lookup.private, record)).await,
        }
    }

    /// The session as it was before its id was rotated, while the database still has it under the
    /// new id, and without the keys that it has lost since: signing out of Warden's scopes removes
    /// keys and keeps the row.
    async fn snapshot(&self, old: &PrivateId, mut record: Record) -> Result<Loaded> {
        let Some((successor, live)) = self.living(old).await? else { return Ok(Loaded::Missing) };
        if live.data != record.data {
            let live = self.codec.open_row(&successor, live.data)?;
            let before = self.codec.open_row(old, record.data)?;
            let mut lost = Changes::new();
            for key in before.keys() {
                if live.get(key)?.is_none() {
                    lost.remove(key);
                }
            }
            record.data = Some(before.encode(&lost)?);
        }
        Ok(Loaded::Snapshot { record, successor })
    }

    /// The row of a session whose id has become another. Each id before those that it became: a row
    /// that moves on meanwhile is met later.
    async fn living(&self, old: &PrivateId) -> Result<Option<(PrivateId, Record)>> {
        let mut successors = self.successors(old);
        while let Some(id) = successors.pop() {
            if let Some(live) = self.store.find(&self.successor(id)).await? {
                return Ok(Some((id, live)));
            }
            successors.extend(self.successors(&id));
        }
        Ok(None)
    }

    /// The ids that this one may have been rotated to, while there is grace.
    fn successors(&self, old: &PrivateId) -> Vec<PrivateId> {
        self.grace.as_ref().map(|grace| grace.successors(old)).unwrap_or_default()
    }

    /// How a session is found under the id that a rotation gave it.
    fn successor(&self, id: PrivateId) -> Lookup {
        Lookup { private: id, legacy: None, timeouts: self.options.timeouts }
    }

    fn is_touch_due(&self, record: &Record) -> bool {
        let Some(interval) = self.touch_interval() else { return false };
        let (Some(updated_at), Some(read_at)) = (record.updated_at, record.read_at) else {
            return true;
        };
        read_at.duration_since(updated_at).is_ok_and(|age| age >= interval)
    }

    /// Seldom enough to cost little, and often enough that an active session never expires; `None`
    /// without an idle timeout.
    fn touch_interval(&self) -> Option<std::time::Duration> {
        self.options.timeouts.idle.map(|idle| self.options.touch_interval.min(idle / 2))
    }
}
