//! Which sessions were touched a moment ago, so that requests that meet touch each once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::id::StoredId;

/// Of so many sessions it is known; of more a touch too many is written, which does no harm.
const MAX_KNOWN: usize = 4_096;

/// Touches of this process, by id.
#[derive(Default)]
pub(super) struct Touches(Mutex<HashMap<StoredId, Instant>>);

/// The right to touch a session; given back unless it is kept.
pub(super) struct Claim<'a> {
    touches: &'a Touches,
    id: StoredId,
    kept: bool,
}

impl Touches {
    /// The right to touch this session, if nobody here had it within the interval.
    pub(super) fn claim(&self, id: StoredId, interval: Duration) -> Option<Claim<'_>> {
        let (now, mut known) = (Instant::now(), self.known());
        let is_recent = |at: &Instant| now.duration_since(*at) < interval;
        if known.get(&id).is_some_and(is_recent) {
            return None;
        }
        if known.len() >= MAX_KNOWN {
            known.retain(|_, at| is_recent(at));
        }
        if known.len() < MAX_KNOWN {
            known.insert(id, now);
        }
        Some(Claim { touches: self, id, kept: false })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<StoredId, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim<'_> {
    /// The touch was written.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim<'_> {
    /// A touch that failed, or whose request went away, leaves the next request to it: an active
    /// session must not expire.
    fn drop(&mut self) {
        if !self.kept {
            self.touches.known().remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    fn id() -> StoredId {
        SessionId::generate().unwrap().private().into()
    }

    #[test]
    fn one_has_the_right_and_gives_it_back() {
        let (touches, id, hour) = (Touches::default(), id(), Duration::from_secs(3_600));
        let claim = touches.claim(id, hour).unwrap();
        assert!(touches.claim(id, hour).is_none());
        drop(claim);
        touches.claim(id, hour).unwrap().keep();
        assert!(touches.claim(id, hour).is_none());
        assert!(touches.claim(id, Duration::ZERO).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let (touches, hour) = (Touches::default(), Duration::from_secs(3_600));
        for _ in 0..MAX_KNOWN + 10 {
            touches.claim(id(), hour).unwrap().keep();
        }
        assert_eq!(touches.known().len(), MAX_KNOWN);
        touches.claim(id(), Duration::ZERO).unwrap().keep();
        assert_eq!(touches.known().len(), 1);
    }
}
