//! Who is inside a store, so that closing it can wait for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::error::{Error, Result};

/// The bit that says that nobody comes in any more; the others count who is inside.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Counts the operations that are under way.
#[derive(Default)]
pub(in crate::store) struct Gate {
    state: AtomicUsize,
    left: Notify,
}

/// An operation that is under way.
pub(in crate::store) struct Inside<'a>(&'a Gate);

impl Gate {
    /// Comes in, unless it is closed.
    pub(in crate::store) fn enter(&self, doing: &'static str) -> Result<Inside<'_>> {
        let inside = Inside(self);
        if self.state.fetch_add(1, Ordering::AcqRel) & CLOSED == 0 {
            return Ok(inside);
        }
        Err(Error::unavailable(doing, "the store is closed"))
    }

    /// Lets nobody in any more, and returns when all have left.
    pub(in crate::store) async fn close(&self) {
        self.state.fetch_or(CLOSED, Ordering::AcqRel);
        loop {
            // Registered before the look, so that whoever leaves meanwhile is not missed.
            let left = self.left.notified();
            if self.state.load(Ordering::Acquire) == CLOSED {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.0.state.fetch_sub(1, Ordering::AcqRel) == CLOSED + 1 {
            self.0.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn closing_waits_for_those_inside_and_lets_nobody_in() {
        let gate = Gate::default();
        let (first, second) = (gate.enter("a test").unwrap(), gate.enter("a test").unwrap());
        let mut closing = pin!(gate.close());
        let mut is_closed =
            async || poll_fn(|cx| Poll::Ready(closing.as_mut().poll(cx).is_ready())).await;
        assert!(!is_closed().await);
        assert!(gate.enter("a test").is_err_and(|error| error.is_unavailable()));
        drop(first);
        assert!(!is_closed().await);
        drop(second);
        assert!(is_closed().await);
        gate.close().await;
    }
}
