//! How far an operation has come, for whoever has to say why it did not end.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use crate::error::Error;

/// It waits for a connection.
const WAITING: u8 = 0;
/// It has one, and nothing that writes is on its way.
const CONNECTED: u8 = 1;
/// A statement that writes was sent and its answer has not come.
const WRITING: u8 = 2;

/// Kept beside an operation, so that it can be read while the operation is under way.
pub(crate) struct Progress {
    step: AtomicU8,
    pub(crate) until: Instant,
}

impl Progress {
    /// Of an operation that begins, with its deadline.
    pub(crate) fn new(until: Instant) -> Self {
        Self { step: AtomicU8::new(WAITING), until }
    }

    pub(crate) fn connected(&self) {
        self.step.store(CONNECTED, Ordering::Relaxed);
    }

    pub(crate) fn writing(&self) {
        self.step.store(WRITING, Ordering::Relaxed);
    }

    /// Whoever gives up now does not know whether the change was made.
    pub(crate) fn is_unknown(&self) -> bool {
        self.step.load(Ordering::Relaxed) == WRITING
    }

    /// The error of an operation that was given up before it wrote.
    pub(crate) fn timeout(&self, doing: &'static str) -> Error {
        Error::timeout(
            doing,
            match self.step.load(Ordering::Relaxed) {
                WAITING => "no connection could be had by the deadline",
                _ => "the server did not answer by the deadline",
            },
        )
    }
}
