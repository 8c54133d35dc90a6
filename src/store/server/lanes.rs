//! What lanes do on a server: finds and changes, each by one statement or many in one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::many::{ChangeMany, FindMany};
use super::operations::{Destroy, Find, Operation, Touch, Write};
use crate::error::Result;
use crate::id::StoredId;
use crate::observe::{System, batch};
use crate::record::{Lookup, Record, Save, Saved, Timeouts};
use crate::store::lane::{
    Change, Failed, Keys, Lane, Permits, Settings, Way, Work, save_bytes, share,
};

/// What lanes need of a store.
pub(in crate::store) trait Batches: Send + Sync + 'static {
    /// A connection that nobody uses yet.
    type Ready: Send;

    /// For metrics.
    const SYSTEM: System;

    /// Runs an operation as if there were no lanes; it ends by `until`.
    fn single<O: Operation>(
        &self,
        operation: O,
        until: Instant,
    ) -> impl Future<Output = Result<O::Output>> + Send;

    /// A connection for a batch, by `until`.
    fn ready(
        &self,
        doing: &'static str,
        until: Instant,
    ) -> impl Future<Output = Result<Self::Ready>> + Send;

    /// Runs a batch once. Whatever went wrong, it is put right for those who come after.
    fn batch<O: Operation>(
        &self,
        batch: O,
        ready: Self::Ready,
        until: Instant,
    ) -> impl Future<Output = Result<O::Output, Failed>> + Send;

    /// Whether each operation goes by itself all the same.
    fn has_no_batches(&self) -> bool;

    /// Whether each change does.
    fn has_no_batches_of_changes(&self) -> bool {
        self.has_no_batches()
    }
}

/// How a store's lanes are set up.
#[derive(Clone, Copy)]
pub(in crate::store) struct Limits {
    pub(in crate::store) connections: usize,
    /// Operations that may wait.
    pub(in crate::store) queue: usize,
    /// Operations in a batch, and the bytes that it brings.
    pub(in crate::store) count: usize,
    pub(in crate::store) bytes: usize,
    /// A save of so many bytes gains nothing from company.
    pub(in crate::store) large: usize,
    pub(in crate::store) deadline: Duration,
}

/// A store's lanes.
pub(in crate::store) struct Lanes<S: Batches> {
    store: Arc<S>,
    limits: Limits,
    finds: Lane<Finds<S>>,
    changes: Lane<Changes<S>>,
}

impl<S: Batches> Clone for Lanes<S> {
    fn clone(&self) -> Self {
        let (finds, changes) = (self.finds.clone(), self.changes.clone());
        Self { store: Arc::clone(&self.store), limits: self.limits, finds, changes }
    }
}

impl<S: Batches> Lanes<S> {
    pub(in crate::store) fn new(store: &Arc<S>, limits: Limits) -> Self {
        let Limits { connections, queue, count, bytes, deadline, .. } = limits;
        let settings = |permits: Permits, alone: Permits| Settings {
            permits,
            alone,
            queue,
            count,
            bytes,
            deadline,
        };
        // Each change waits for the disk, and the fewer go out at a time the more share that wait:
        // two are enough up to a pool of 16. Large ones share nothing.
        let changes = (connections / 4).min((connections / 8).max(2));
        let wanted = [connections / 2, changes, connections];
        let [find, change, alone] = share(connections, wanted);
        let finds = Lane::new(Finds(Arc::clone(store)), settings(find, Permits::NONE));
        let changes = Lane::new(Changes(Arc::clone(store)), settings(change, alone));
        Self { store: Arc::clone(store), limits, finds, changes }
    }

    pub(in crate::store) async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        let one = || self.single(Find(lookup));
        if self.store.has_no_batches() {
            return one().await;
        }
        self.finds.run(Way::Together, Keys::default, || lookup.clone(), one).await
    }

    pub(in crate::store) async fn save(&self, save: &Save) -> Result<Saved> {
        let one = || self.single(Write(save));
        if self.store.has_no_batches_of_changes() {
            return one().await;
        }
        let is_large = save_bytes(save) >= self.limits.large;
        let way = if is_large { Way::Alone } else { Way::Together };
        self.changes.run(way, || Change::save_keys(save), || Change::Save(save.clone()), one).await
    }

    pub(in crate::store) async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        if self.store.has_no_batches_of_changes() {
            return self.single(Destroy(lookup)).await;
        }
        let one = async || self.single(Destroy(lookup)).await.map(saved_if);
        let keys = || Change::destroy_keys(lookup);
        let own = || Change::Destroy(lookup.clone());
        let done = self.changes.run(Way::Together, keys, own, one).await?;
        Ok(done == Saved::Applied)
    }

    pub(in crate::store) async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        if self.store.has_no_batches_of_changes() {
            return self.single(Touch { id: *id, timeouts }).await;
        }
        let one = async || self.single(Touch { id: *id, timeouts }).await.map(saved_if);
        let keys = || Change::touch_keys(id);
        let own = || Change::Touch(*id, timeouts);
        let done = self.changes.run(Way::Together, keys, own, one).await?;
        Ok(done == Saved::Applied)
    }

    /// Takes in nothing more, and returns when what waits has its answers.
    pub(in crate::store) async fn close(&self) {
        tokio::join!(self.finds.close(), self.changes.close());
    }

    async fn single<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.store.single(operation, Instant::now() + self.limits.deadline).await
    }
}

/// A destroy or a touch met its row, or did not.
fn saved_if(met: bool) -> Saved {
    if met { Saved::Applied } else { Saved::Gone }
}

struct Finds<S>(Arc<S>);

impl<S: Batches> Work for Finds<S> {
    type Ask = Lookup;
    type Answer = Option<Record>;
    type Ready = S::Ready;
    const WRITES: bool = false;

    fn doing(_: &Lookup) -> &'static str {
        Find::DOING
    }

    async fn one(&self, lookup: &Lookup, until: Instant) -> Result<Option<Record>> {
        self.0.single(Find(lookup), until).await
    }

    async fn ready(&self, until: Instant) -> Result<S::Ready> {
        self.0.ready(Find::DOING, until).await
    }

    async fn many(
        &self,
        ready: S::Ready,
        lookups: &[Lookup],
        until: Instant,
    ) -> Result<Vec<Option<Option<Record>>>, Failed> {
        batch(S::SYSTEM, "find", lookups.len());
        self.0.batch(FindMany(lookups), ready, until).await
    }
}

struct Changes<S>(Arc<S>);

impl<S: Batches> Work for Changes<S> {
    type Ask = Change;
    type Answer = Saved;
    type Ready = S::Ready;
    const WRITES: bool = true;

    fn doing(change: &Change) -> &'static str {
        match change {
            Change::Save(_) => Write::DOING,
            Change::Touch(..) => Touch::DOING,
            Change::Destroy(_) => Destroy::DOING,
        }
    }

    async fn one(&self, change: &Change, until: Instant) -> Result<Saved> {
        match change {
            Change::Save(save) => self.0.single(Write(save), until).await,
            Change::Touch(id, timeouts) => {
                let touch = Touch { id: *id, timeouts: *timeouts };
                self.0.single(touch, until).await.map(saved_if)
            }
            Change::Destroy(lookup) => self.0.single(Destroy(lookup), until).await.map(saved_if),
        }
    }

    async fn ready(&self, until: Instant) -> Result<S::Ready> {
        self.0.ready(ChangeMany::DOING, until).await
    }

    async fn many(
        &self,
        ready: S::Ready,
        changes: &[Change],
        until: Instant,
    ) -> Result<Vec<Option<Saved>>, Failed> {
        batch(S::SYSTEM, "change", changes.len());
        self.0.batch(ChangeMany(changes), ready, until).await
    }
}
