//! A store that counts what it is asked.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Result;
use crate::id::StoredId;
use crate::record::{Lookup, Record, Save, Saved, Timeouts};
use crate::store::Store;

/// Wraps a store and counts the calls of each operation.
#[derive(Debug)]
pub struct Counting<S> {
    store: S,
    find: AtomicU64,
    save: AtomicU64,
    destroy: AtomicU64,
    touch: AtomicU64,
}

/// How often each operation was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// [`Store::find`]
    pub find: u64,
    /// [`Store::save`]
    pub save: u64,
    /// [`Store::destroy`]
    pub destroy: u64,
    /// [`Store::touch`]
    pub touch: u64,
}

impl<S> Counting<S> {
    /// Counts from zero.
    pub fn new(store: S) -> Self {
        let zero = || AtomicU64::new(0);
        Self { store, find: zero(), save: zero(), destroy: zero(), touch: zero() }
    }

    /// The calls since the last time this was asked.
    pub fn take(&self) -> Calls {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Calls {
            find: take(&self.find),
            save: take(&self.save),
            destroy: take(&self.destroy),
            touch: take(&self.touch),
        }
    }
}

impl<S: Store> Store for Counting<S> {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        self.find.fetch_add(1, Ordering::Relaxed);
        self.store.find(lookup).await
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        self.save.fetch_add(1, Ordering::Relaxed);
        self.store.save(save).await
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        self.destroy.fetch_add(1, Ordering::Relaxed);
        self.store.destroy(lookup).await
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        self.touch.fetch_add(1, Ordering::Relaxed);
        self.store.touch(id, timeouts).await
    }
}
