//! The hook for unknown ids: whoever guesses ids sends many.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::IdHash;

/// Where a manager reports well-formed ids that find no session; see
/// [`ManagerOptions::unknown_ids`](crate::ManagerOptions::unknown_ids).
///
/// A report is put into a bounded queue and read elsewhere, so no request ever waits for whoever
/// listens: when the queue is full, or nobody listens any more, the report is dropped and counted.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlbypass::Result<()> {
/// use sqlbypass::{Json, ManagerOptions, SessionId, SessionManager, SqliteStore, UnknownIds};
///
/// let store = SqliteStore::builder(":memory:").create(true).open().await?;
/// let (unknown_ids, mut guesses) = UnknownIds::channel(1_024);
/// let options = ManagerOptions { unknown_ids: Some(unknown_ids), ..ManagerOptions::default() };
/// let manager = SessionManager::with_options(store, Json, options);
///
/// let guessed = SessionId::generate()?;
/// manager.session(Some(guessed.clone())).get::<u64>("user").await?;
/// let unknown = guesses.recv().await.unwrap();
/// assert_eq!(unknown.hash, manager.id_hash(&guessed));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct UnknownIds {
    queue: mpsc::Sender<UnknownId>,
    missed: Arc<AtomicU64>,
}

/// Reads what [`UnknownIds`] reports.
pub struct UnknownIdsReceiver {
    queue: mpsc::Receiver<UnknownId>,
    missed: Arc<AtomicU64>,
}

/// A well-formed id that found no session: it expired or was ended, or somebody guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownId {
    /// What logs call it: a stale cookie comes with the same hash again and again, a guesser with
    /// a new one each time.
    pub hash: IdHash,
}

impl UnknownIds {
    /// A queue for so many reports, and its reader.
    pub fn channel(reports: usize) -> (Self, UnknownIdsReceiver) {
        let (sender, receiver) = mpsc::channel(reports.clamp(1, 1 << 20));
        let missed = Arc::<AtomicU64>::default();
        let reader = UnknownIdsReceiver { queue: receiver, missed: Arc::clone(&missed) };
        (Self { queue: sender, missed }, reader)
    }

    pub(crate) fn report(&self, hash: IdHash) {
        if self.queue.try_send(UnknownId { hash }).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl UnknownIdsReceiver {
    /// The next report, when there is one; `None` when the last manager that reports here is gone.
    /// It may be dropped while it waits, without losing a report.
    pub async fn recv(&mut self) -> Option<UnknownId> {
        self.queue.recv().await
    }

    /// Reports that found the queue full, since this was last asked.
    pub fn take_missed(&self) -> u64 {
        self.missed.swap(0, Ordering::Relaxed)
    }
}

impl fmt::Debug for UnknownIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownIds").finish_non_exhaustive()
    }
}

impl fmt::Debug for UnknownIdsReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownIdsReceiver").finish_non_exhaustive()
    }
}
