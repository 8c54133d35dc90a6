//! How far an operation has come, for whoever has to say why it did not end; and its end by the
//! deadline.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use crate::error::{Error, Result};

/// A write that is under way when the deadline passes may be answered a moment later: that nothing
/// was written is worth more than that nobody knows.
const LAST_WORD: Duration = Duration::from_millis(200);

/// It waits for a connection.
const WAITING: u8 = 0;
/// It has one, and nothing that writes is on its way.
const CONNECTED: u8 = 1;
/// A statement that writes was sent and its answer has not come.
const WRITING: u8 = 2;

/// Kept beside an operation, so that it can be read while the operation is under way.
pub(in crate::store) struct Progress {
    step: AtomicU8,
    pub(in crate::store) until: Instant,
}

impl Progress {
    /// Of an operation that begins, with its deadline.
    pub(in crate::store) fn new(until: Instant) -> Self {
        Self { step: AtomicU8::new(WAITING), until }
    }

    pub(in crate::store) fn connected(&self) {
        self.step.store(CONNECTED, Ordering::Relaxed);
    }

    pub(in crate::store) fn writing(&self) {
        self.step.store(WRITING, Ordering::Relaxed);
    }

    /// Whoever gives up now does not know whether the change was made.
    pub(in crate::store) fn is_unknown(&self) -> bool {
        self.step.load(Ordering::Relaxed) == WRITING
    }

    /// The result of the work, by the deadline; a write may have its last word a moment later.
    pub(in crate::store) async fn bounded<T>(
        &self,
        doing: &'static str,
        mut work: Pin<&mut (impl Future<Output = Result<T>> + Send)>,
    ) -> Result<T> {
        if let Ok(result) = timeout_at(self.until.into(), &mut work).await {
            return result;
        }
        if !self.is_unknown() {
            return Err(self.timeout(doing));
        }
        match timeout_at((self.until + LAST_WORD).into(), work).await {
            Ok(result) => result,
            Err(_) if self.is_unknown() => {
                Err(Error::unknown_outcome(doing, "the server did not answer by the deadline"))
            }
            Err(_) => Err(self.timeout(doing)),
        }
    }

    /// The error of an operation that was given up before it wrote.
    fn timeout(&self, doing: &'static str) -> Error {
        Error::timeout(
            doing,
            match self.step.load(Ordering::Relaxed) {
                WAITING => "no connection could be had by the deadline",
                _ => "the server did not answer by the deadline",
            },
        )
    }
}
