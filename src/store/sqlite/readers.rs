//! The reading connections, used directly by whichever thread asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::connect::{Connection, Fault, Shared, waiting};
use super::error::is_busy;
use crate::error::{Error, Result};

/// How long a read on the caller's thread may wait for a lock before it moves to a blocking one.
pub(super) const DIRECT_WAIT: Duration = Duration::from_millis(1);

/// A few connections, each behind a lock that is held for microseconds.
pub(super) struct Readers {
    shared: Arc<Shared>,
    slots: Box<[Mutex<Option<Connection>>]>,
}

impl Readers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let slots = (0..shared.options.readers).map(|_| Mutex::new(None)).collect();
        Self { shared, slots }
    }

    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Runs a read: on this thread if a connection is free and no lock is met, else on a blocking
    /// one.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        operation: impl Fn(&Connection) -> Result<T, Fault> + Clone + Send + 'static,
    ) -> Result<T> {
        if !self.shared.options.blocking_reads {
            match self.try_run(Instant::now() + DIRECT_WAIT, &operation) {
                Some(Err(Fault::Sql(fault))) if is_busy(&fault) => {}
                Some(result) => return result.map_err(|fault| fault.into_error(doing)),
                None => {}
            }
        }
        let until = Instant::now() + self.shared.options.deadline;
        // Boxed: rare, and each read would be as large.
        Box::pin(self.read_blocking(doing, until, operation)).await
    }

    /// Runs a read on a blocking thread.
    pub(super) async fn read_blocking<T: Send + 'static>(
        self: &Arc<Self>,
        doing: &'static str,
        until: Instant,
        operation: impl Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T> {
        let readers = Arc::clone(self);
        // The place of the thread that asks: its next reads find the connection there.
        let place = place(self.slots.len());
        let task = tokio::task::spawn_blocking(move || {
            let run = |connection: &Connection| {
                operation(connection).map_err(|fault| fault.into_error(doing))
            };
            readers.run(place, until, run)
        });
        match tokio::time::timeout_at(until.into(), task).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::database(doing, "the reading thread ended without an answer")),
            Err(_) => Err(Error::timeout(doing, "the read did not end by the deadline")),
        }
    }

    /// Runs `operation` on a connection that is open and free, if there is one.
    pub(super) fn try_run<T>(
        &self,
        until: Instant,
        operation: impl FnOnce(&Connection) -> T,
    ) -> Option<T> {
        let slot = self.free(place(self.slots.len()), Option::is_some)?;
        let connection = slot.as_ref()?;
        Some(waiting(until, || operation(connection)))
    }

    /// Runs `operation`, opening a connection and waiting for a free one if it has to.
    fn run<T>(
        &self,
        place: usize,
        until: Instant,
        operation: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let mut slot = self.free(place, |_| true).unwrap_or_else(|| lock(&self.slots[place]));
        let connection = match &*slot {
            Some(connection) => connection,
            None => slot.insert(Connection::open(&self.shared, until)?),
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

    /// The first one from this place on that nobody uses and that is wanted.
    fn free(
        &self,
        first: usize,
        wanted: impl Fn(&Option<Connection>) -> bool,
    ) -> Option<MutexGuard<'_, Option<Connection>>> {
        let count = self.slots.len();
        let free = |step: usize| match self.slots[(first + step) % count].try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        (0..count).filter_map(free).find(|slot| wanted(slot))
    }
}

pub(super) fn lock<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread begins its search at a place of its own, so that threads rarely meet.
pub(super) fn place(count: usize) -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PLACE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    PLACE.with(|place| place % count)
}
