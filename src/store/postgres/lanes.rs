//! What lanes do on PostgreSQL: finds and changes, each by one statement or many by one.

use std::sync::Arc;

use tokio::time::Instant;

use super::connection::Ready;
use super::many::{ChangeMany, FindMany};
use super::operations::{Destroy, Find, Operation, Touch, Write};
use super::shared::Shared;
use crate::error::Result;
use crate::id::StoredId;
use crate::record::{Lookup, Record, Save, Saved, Timeouts};
use crate::store::lane::{
    Change, Failed, Keys, Lane, Permits, Settings, Way, Work, save_bytes, share,
};

/// Operations in a batch: more would save nothing more, and wait longer.
const COUNT: usize = 64;
/// Bytes that a batch brings. Beyond, a statement for each is faster, since several connections
/// share the work.
const BYTES: usize = 64 << 10;
/// A save of so many bytes gains nothing from company.
const LARGE: usize = 16 << 10;

/// A store's lanes. Behind a transaction pooler they are not used.
#[derive(Clone)]
pub(super) struct Lanes {
    shared: Arc<Shared>,
    finds: Lane<Finds>,
    changes: Lane<Changes>,
}

impl Lanes {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let options = &shared.options;
        let settings = |permits: Permits, alone: Permits| Settings {
            permits,
            alone,
            queue: options.queue,
            count: COUNT,
            bytes: BYTES,
            deadline: options.deadline,
        };
        // Each change waits for the disk, and the fewer go out at a time the more share that wait.
        // Large ones share nothing.
        let connections = shared.max_connections();
        let count = [connections / 2, connections / 4, connections];
        let [find, change, alone] = share(connections, count);
        let finds = Lane::new(Finds(Arc::clone(shared)), settings(find, Permits::NONE));
        let changes = Lane::new(Changes(Arc::clone(shared)), settings(change, alone));
        Self { shared: Arc::clone(shared), finds, changes }
    }

    pub(super) async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        if self.shared.is_pgbouncer() {
            return self.shared.run(Find(lookup)).await;
        }
        let one = || self.shared.run(Find(lookup));
        self.finds.run(Way::Together, Keys::default, || lookup.clone(), one).await
    }

    pub(super) async fn save(&self, save: &Save) -> Result<Saved> {
        if self.shared.is_pgbouncer() {
            return self.shared.run(Write(save)).await;
        }
        let one = || self.shared.run(Write(save));
        let is_large = save_bytes(save) >= LARGE;
        let way = if is_large { Way::Alone } else { Way::Together };
        self.changes.run(way, || Change::save_keys(save), || Change::Save(save.clone()), one).await
    }

    pub(super) async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        if self.shared.is_pgbouncer() {
            return self.shared.run(Destroy(lookup)).await;
        }
        let one = async || self.shared.run(Destroy(lookup)).await.map(saved_if);
        let keys = || Change::destroy_keys(lookup);
        let done =
            self.changes.run(Way::Together, keys, || Change::Destroy(lookup.clone()), one).await?;
        Ok(done == Saved::Applied)
    }

    pub(super) async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        if self.shared.is_pgbouncer() {
            return self.shared.run(Touch { id: *id, timeouts }).await;
        }
        let one = async || self.shared.run(Touch { id: *id, timeouts }).await.map(saved_if);
        let keys = || Change::touch_keys(id);
        let done =
            self.changes.run(Way::Together, keys, || Change::Touch(*id, timeouts), one).await?;
        Ok(done == Saved::Applied)
    }

    /// Takes in nothing more, and returns when what waits has its answers.
    pub(super) async fn close(&self) {
        tokio::join!(self.finds.close(), self.changes.close());
    }
}

/// A destroy or a touch met its row, or did not.
fn saved_if(met: bool) -> Saved {
    if met { Saved::Applied } else { Saved::Gone }
}

struct Finds(Arc<Shared>);

impl Work for Finds {
    type Ask = Lookup;
    type Answer = Option<Record>;
    type Ready = Ready;
    const WRITES: bool = false;

    fn doing(_: &Lookup) -> &'static str {
        Find::DOING
    }

    async fn one(&self, lookup: &Lookup, until: Instant) -> Result<Option<Record>> {
        self.0.run_until(Find(lookup), until.into_std()).await
    }

    async fn ready(&self, until: Instant) -> Result<Ready> {
        self.0.ready(Find::DOING, until.into_std()).await
    }

    async fn many(
        &self,
        ready: Ready,
        lookups: &[Lookup],
        until: Instant,
    ) -> Result<Vec<Option<Option<Record>>>, Failed> {
        self.0.run_batch(FindMany(lookups), ready, until.into_std()).await
    }
}

struct Changes(Arc<Shared>);

impl Work for Changes {
    type Ask = Change;
    type Answer = Saved;
    type Ready = Ready;
    const WRITES: bool = true;

    fn doing(change: &Change) -> &'static str {
        match change {
            Change::Save(_) => Write::DOING,
            Change::Touch(..) => Touch::DOING,
            Change::Destroy(_) => Destroy::DOING,
        }
    }

    async fn one(&self, change: &Change, until: Instant) -> Result<Saved> {
        let until = until.into_std();
        match change {
            Change::Save(save) => self.0.run_until(Write(save), until).await,
            Change::Touch(id, timeouts) => {
                let touch = Touch { id: *id, timeouts: *timeouts };
                self.0.run_until(touch, until).await.map(saved_if)
            }
            Change::Destroy(lookup) => self.0.run_until(Destroy(lookup), until).await.map(saved_if),
        }
    }

    async fn ready(&self, until: Instant) -> Result<Ready> {
        self.0.ready(ChangeMany::DOING, until.into_std()).await
    }

    async fn many(
        &self,
        ready: Ready,
        changes: &[Change],
        until: Instant,
    ) -> Result<Vec<Option<Saved>>, Failed> {
        self.0.run_batch(ChangeMany(changes), ready, until.into_std()).await
    }
}
