//! The reading connections, used directly by whichever thread asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use super::connect::{Connection, Shared, waiting};
use crate::error::Result;

/// A few connections, each behind a lock that is held for microseconds.
pub(super) struct Readers {
    slots: Box<[Mutex<Option<Connection>>]>,
}

impl Readers {
    pub(super) fn new(count: usize) -> Self {
        Self { slots: (0..count).map(|_| Mutex::new(None)).collect() }
    }

    /// Runs `operation` on a connection that is open and free, if there is one.
    pub(super) fn try_run<T>(
        &self,
        until: Instant,
        operation: impl FnOnce(&Connection) -> T,
    ) -> Option<T> {
        let slot = self.free()?;
        let connection = slot.as_ref()?;
        Some(waiting(until, || operation(connection)))
    }

    /// Runs `operation`, opening a connection and waiting for a free one if it has to.
    pub(super) fn run<T>(
        &self,
        shared: &Arc<Shared>,
        until: Instant,
        operation: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let mut slot = self.free().unwrap_or_else(|| lock(&self.slots[start(self.slots.len())]));
        let connection = match &*slot {
            Some(connection) => connection,
            None => slot.insert(Connection::open(shared, until)?),
        };
        waiting(until, || operation(connection))
    }

    /// Closes every connection; a later use opens one again.
    pub(super) fn close(&self) {
        for slot in &self.slots {
            if let Some(connection) = lock(slot).take() {
                connection.close();
            }
        }
    }

    fn free(&self) -> Option<MutexGuard<'_, Option<Connection>>> {
        let count = self.slots.len();
        let first = start(count);
        (0..count).find_map(|step| match self.slots[(first + step) % count].try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }
}

fn lock(slot: &Mutex<Option<Connection>>) -> MutexGuard<'_, Option<Connection>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread begins its search at a place of its own, so that threads rarely meet.
fn start(count: usize) -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    PLACE.with(|place| place % count)
}
