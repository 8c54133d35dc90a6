//! The one place where a store meets a codec: load, commit, merge, policy.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::codec::{Changes, Codec, Document};
#[cfg(feature = "http")]
use crate::cookie::CookieOptions;
use crate::error::{Error, Kind, Result};
use crate::id::SessionId;
use crate::record::{Expiry, Guard, Insert, Lookup, Record, Save, Saved, Timeouts, Update};
use crate::session::{
    Action, Backend, BoxFuture, Commit, CookieChange, Loaded, Outcome, Pending, Session,
};
use crate::store::Store;

/// New ids tried when the table already has one: with 128 random bits the second is one too many.
const ID_TRIES: usize = 3;

/// What happens when somebody else has changed the row since it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// This request's own changes of top-level keys are applied to the fresh row: keys that it did
    /// not touch survive, and of a key that both changed the later commit's value is. The default.
    #[default]
    Merge,
    /// The row is overwritten, as Rails does: what the other wrote is lost.
    LastWriteWins,
    /// Nothing is written ([`Outcome::Conflict`]).
    Reject,
}

/// Settings of a [`SessionManager`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManagerOptions {
    /// What happens on a concurrent change; [`Policy::Merge`] by default.
    pub policy: Policy,
    /// Whether rows of gem 1.x, stored under their raw id, are found and re-keyed: the gem's
    /// default, and ours. The opposite is its `secure_session_only`.
    pub legacy_fallback: bool,
    /// Idle timeout and lifetime; none by default. A request that never asks for the session does
    /// not count as a use of it.
    pub timeouts: Timeouts,
    /// With an idle timeout, an unchanged session is touched at most this often, or twice per
    /// idle timeout if that is more often. A minute by default.
    pub touch_interval: Duration,
    /// The longest that a commit goes on merging; five seconds by default.
    pub deadline: Duration,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        Self {
            policy: Policy::Merge,
            legacy_fallback: true,
            timeouts: Timeouts::default(),
            touch_interval: Duration::from_secs(60),
            deadline: Duration::from_secs(5),
        }
    }
}

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
    codec: Box<dyn Codec>,
    options: ManagerOptions,
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
        Self(Arc::new(Shared { store, codec: Box::new(codec), options }))
    }

    /// The session of a request that bore this id, or none. Nothing is read yet.
    pub fn session(&self, id: Option<SessionId>) -> Session {
        let backend: Arc<dyn Backend> = Arc::<Shared<S>>::clone(&self.0);
        Session::new(backend, id, None)
    }

    /// The same for a layer with this cookie.
    #[cfg(feature = "http")]
    pub(crate) fn session_of(&self, id: Option<SessionId>, cookie: Arc<CookieOptions>) -> Session {
        let backend: Arc<dyn Backend> = Arc::<Shared<S>>::clone(&self.0);
        Session::new(backend, id, Some(cookie))
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// The settings.
    pub fn options(&self) -> &ManagerOptions {
        &self.0.options
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

    fn find<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Record>>> {
        Box::pin(async move { self.store.find(&self.lookup(id)).await })
    }

    fn commit(&self, pending: Pending) -> BoxFuture<'_, Result<Commit>> {
        Box::pin(self.commit(pending))
    }
}

/// A row that was found, and the public id that found it.
struct Found<'a> {
    id: &'a SessionId,
    record: Record,
    document: Option<Box<dyn Document>>,
}

impl<S: Store> Shared<S> {
    fn lookup(&self, id: &SessionId) -> Lookup {
        let legacy = self.options.legacy_fallback;
        let lookup = if legacy { Lookup::with_legacy(id) } else { Lookup::new(id) };
        lookup.timeouts(self.options.timeouts)
    }

    async fn commit(&self, pending: Pending) -> Result<Commit> {
        let Pending { id, loaded, document, changes, action } = pending;
        if action == Action::Destroy {
            let ended = self.destroy(id.as_ref()).await?;
            // What was inserted since then is a new session.
            if !changes.sets_anything() {
                return Ok(ended);
            }
            return self.create(&changes).await.map_err(|fault| {
                Error::unknown_outcome(
                    "saving a session",
                    "the old one was ended, the new one failed",
                )
                .caused_by(fault)
            });
        }
        let loaded = match (loaded, &id) {
            (Loaded::No, Some(id)) => {
                self.store.find(&self.lookup(id)).await?.map_or(Loaded::Missing, Loaded::Row)
            }
            (loaded, _) => loaded,
        };
        let (Loaded::Row(record), Some(id)) = (loaded, &id) else {
            return self.create(&changes).await;
        };
        let found = Found { id, record, document };
        match action {
            Action::Reset => self.reset(found, &changes).await,
            _ => self.update(found, &changes, action).await,
        }
    }

    async fn destroy(&self, id: Option<&SessionId>) -> Result<Commit> {
        let Some(id) = id else {
            return Ok(kept(Outcome::Unchanged));
        };
        self.store.destroy(&self.lookup(id)).await?;
        Ok(Commit { outcome: Outcome::Destroyed, cookie: CookieChange::Clear })
    }

    /// A new row for what was inserted, if anything was.
    async fn create(&self, changes: &Changes) -> Result<Commit> {
        if !changes.sets_anything() {
            return Ok(kept(Outcome::Unchanged));
        }
        let data = self.codec.open(None)?.encode(changes)?;
        for _ in 0..ID_TRIES {
            let id = SessionId::generate()?;
            let insert = Insert { id: id.private(), data: data.clone(), expires_in: None };
            match self.store.save(&Save::Insert(insert)).await? {
                Saved::Duplicate => {}
                Saved::Applied => {
                    return Ok(Commit { outcome: Outcome::Created, cookie: CookieChange::Set(id) });
                }
                Saved::Gone | Saved::Conflict => {
                    return Err(breach("an INSERT answered otherwise"));
                }
            }
        }
        Err(taken())
    }

    /// The row moves to a new id with what was inserted since and nothing of before. A row that is
    /// gone does not stand in a login's way: there is a new one then.
    async fn reset(&self, found: Found<'_>, changes: &Changes) -> Result<Commit> {
        let data = self.codec.open(None)?.encode(changes)?;
        for _ in 0..ID_TRIES {
            let id = SessionId::generate()?;
            let move_from = |stored| {
                let expiry = Expiry::Never;
                let update = Update { restart: true, expiry, ..Update::new(stored) };
                Save::Update(update.data(data.clone()).rekey(id.private()))
            };
            self.bury_twin(&found, &id).await?;
            let mut outcome = Outcome::Saved;
            let mut saved = self.store.save(&move_from(found.record.id)).await?;
            if saved == Saved::Gone && found.record.id.is_legacy() {
                // Another request may have secured the raw row: the old id must not live on.
                saved = self.store.save(&move_from(found.id.private().into())).await?;
            }
            if saved == Saved::Gone {
                let insert = Insert { id: id.private(), data: data.clone(), expires_in: None };
                outcome = Outcome::Created;
                saved = self.store.save(&Save::Insert(insert)).await?;
            }
            match saved {
                Saved::Duplicate => {}
                Saved::Applied => {
                    return Ok(Commit { outcome, cookie: CookieChange::Set(id) });
                }
                Saved::Gone | Saved::Conflict => return Err(breach("no guard was asked for")),
            }
        }
        Err(taken())
    }

    /// Removes the raw row that the old id would still find after its private row has moved to
    /// `new_id`. Before the move, so that a failure in between leaves the session as it was.
    async fn bury_twin(&self, found: &Found<'_>, new_id: &SessionId) -> Result<()> {
        if found.record.legacy_twin {
            // Nothing is stored under the new id yet: only the raw row goes.
            let raw = Lookup { private: new_id.private(), ..self.lookup(found.id) };
            self.store.destroy(&raw).await?;
        }
        Ok(())
    }

    /// Writes the changes to the row that was found; renews its id where that is wanted.
    async fn update(
        &self,
        mut found: Found<'_>,
        changes: &Changes,
        action: Action,
    ) -> Result<Commit> {
        let begun = Instant::now();
        let mut outcome = Outcome::Saved;
        let mut tries = ID_TRIES;
        loop {
            let renewed = match action {
                Action::Renew => Some(SessionId::generate()?),
                _ => None,
            };
            let Some(update) = self.plan(&mut found, changes, renewed.as_ref())? else {
                if outcome == Outcome::Merged && !changes.is_empty() {
                    return Ok(kept(Outcome::Merged));
                }
                return self.unchanged(&found).await;
            };
            if let Some(new_id) = &renewed {
                self.bury_twin(&found, new_id).await?;
            }
            let saved = match self.store.save(&Save::Update(update)).await {
                // Securing a legacy row is no wish of the request: a later one does it.
                Err(_) if changes.is_empty() && renewed.is_none() => {
                    return Ok(kept(Outcome::Unchanged));
                }
                saved => saved?,
            };
            match saved {
                Saved::Applied => {
                    let Some(id) = renewed else { return Ok(kept(outcome)) };
                    return Ok(Commit { outcome, cookie: CookieChange::Set(id) });
                }
                Saved::Gone if !found.record.id.is_legacy() => return Ok(kept(Outcome::Gone)),
                Saved::Duplicate if renewed.is_some() && tries > 1 => tries -= 1,
                Saved::Duplicate if renewed.is_some() => return Err(taken()),
                // A private row of the same id, which was not found: it is the session, and it has
                // expired.
                Saved::Duplicate if found.record.id.is_legacy() => return Ok(kept(Outcome::Gone)),
                Saved::Duplicate => return Err(breach("no new id was asked for")),
                Saved::Conflict if self.options.policy == Policy::Reject => {
                    return Ok(kept(Outcome::Conflict));
                }
                Saved::Conflict | Saved::Gone if begun.elapsed() >= self.options.deadline => {
                    return Err(contended());
                }
                // A raw row that is gone may have been secured by another request.
                Saved::Conflict | Saved::Gone => {
                    let Some(fresh) = self.store.find(&self.lookup(found.id)).await? else {
                        return Ok(kept(Outcome::Gone));
                    };
                    if fresh.data != found.record.data {
                        if self.options.policy == Policy::Reject {
                            return Ok(kept(Outcome::Conflict));
                        }
                        outcome = Outcome::Merged;
                    }
                    found = Found { record: fresh, document: None, ..found };
                }
            }
        }
    }

    /// The one UPDATE that is needed, if any: for changed content, a new id, or a legacy row.
    fn plan(
        &self,
        found: &mut Found<'_>,
        changes: &Changes,
        renewed: Option<&SessionId>,
    ) -> Result<Option<Update>> {
        let data = self.changed_data(found, changes)?;
        let stored = found.record.id;
        let secured = || stored.is_legacy().then(|| found.id.private());
        let new_id = renewed.map(SessionId::private).or_else(secured);
        if data.is_none() && new_id.is_none() {
            return Ok(None);
        }
        let guarded =
            data.is_some() && !changes.is_cleared() && self.options.policy != Policy::LastWriteWins;
        Ok(Some(Update {
            guard: if guarded { Guard::Data(found.record.data.clone()) } else { Guard::Off },
            // Re-keying a legacy row is no use of the session.
            touch: data.is_some() || renewed.is_some(),
            data,
            new_id,
            restart: false,
            expiry: Expiry::Keep,
            timeouts: self.options.timeouts,
            id: stored,
        }))
    }

    /// The row's data with the changes in it, or `None` if they change nothing.
    fn changed_data(
        &self,
        found: &mut Found<'_>,
        changes: &Changes,
    ) -> Result<Option<bytes::Bytes>> {
        if changes.is_empty() {
            return Ok(None);
        }
        // What replaces everything need not be able to read what it replaces.
        let document = match found.document.take() {
            Some(document) => document,
            None => match self.codec.open(found.record.data.clone()) {
                Err(fault) if changes.is_cleared() && fault.is_decode() => {
                    return self.codec.open(None)?.encode(changes).map(Some);
                }
                opened => opened?,
            },
        };
        let document = found.document.insert(document);
        let altered = match changes.alter(&**document) {
            Err(fault) if changes.is_cleared() && fault.is_decode() => true,
            altered => altered?,
        };
        if altered { document.encode(changes).map(Some) } else { Ok(None) }
    }

    /// A loaded, unchanged session costs no SQL, but a touch now and then under an idle timeout.
    async fn unchanged(&self, found: &Found<'_>) -> Result<Commit> {
        if self.is_touch_due(&found.record) {
            let touch = self.store.touch(&found.record.id, self.options.timeouts).await;
            // A read is not to fail for a touch: a later request touches again.
            if matches!(touch, Ok(false)) {
                return Ok(kept(Outcome::Gone));
            }
        }
        Ok(kept(Outcome::Unchanged))
    }

    fn is_touch_due(&self, record: &Record) -> bool {
        let Some(idle) = self.options.timeouts.idle else { return false };
        // Seldom enough to cost little, and often enough that an active session never expires.
        let interval = self.options.touch_interval.min(idle / 2);
        let (Some(updated_at), Some(read_at)) = (record.updated_at, record.read_at) else {
            return true;
        };
        read_at.duration_since(updated_at).is_ok_and(|age| age >= interval)
    }
}

fn kept(outcome: Outcome) -> Commit {
    Commit { outcome, cookie: CookieChange::Keep }
}

fn taken() -> Error {
    Error::new(Kind::Database, "saving a session", "its new id is in the table already")
}

fn contended() -> Error {
    Error::new(Kind::Conflict, "merging a session", "others changed it until the deadline")
        .advice("try the request again; nothing of it was written")
}

fn breach(problem: &'static str) -> Error {
    Error::new(Kind::Database, "saving a session", problem)
        .advice("the store breaks the contract: run the conformance suite")
}
