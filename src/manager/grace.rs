//! What parallel requests read that still bear the id from before a rotation.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::id::PrivateId;
use crate::record::Record;

/// Longer would be a second id, not a grace.
const LONGEST: Duration = Duration::from_secs(60);
const MAX_SNAPSHOTS: usize = 1_024;
const MAX_BYTES: usize = 8 << 20;

/// Sessions as they were before their ids were rotated, by the old ids; of this process alone.
///
/// It decides nothing: whether the session still lives under its new id is for the database to say.
pub(super) struct Grace {
    time: Duration,
    snapshots: Mutex<HashMap<PrivateId, Snapshot>>,
}

struct Snapshot {
    record: Record,
    successor: PrivateId,
    until: Instant,
}

impl Grace {
    pub(super) fn new(time: Duration) -> Self {
        Self { time: time.min(LONGEST), snapshots: Mutex::default() }
    }

    /// Keeps what was read under `old`, which is about to become `new`. The oldest make room.
    pub(super) fn keep(&self, old: PrivateId, new: PrivateId, record: &Record) {
        let mut record = record.clone();
        // On its own, lest it hold on to a larger buffer.
        record.data = record.data.map(|data| Bytes::copy_from_slice(&data));
        let (now, needed) = (Instant::now(), size(&record));
        let mut snapshots = self.snapshots();
        snapshots.retain(|_, snapshot| snapshot.until > now);
        snapshots.remove(&old);
        if needed > MAX_BYTES {
            return;
        }
        let mut bytes: usize = snapshots.values().map(|snapshot| size(&snapshot.record)).sum();
        while snapshots.len() >= MAX_SNAPSHOTS || bytes + needed > MAX_BYTES {
            let oldest = snapshots.iter().min_by_key(|(_, snapshot)| snapshot.until);
            let Some(oldest) = oldest.map(|(id, _)| *id) else { return };
            bytes -= snapshots.remove(&oldest).map_or(0, |snapshot| size(&snapshot.record));
        }
        snapshots.insert(old, Snapshot { record, successor: new, until: now + self.time });
    }

    /// What was read under this id before it became another, and which that is.
    pub(super) fn find(&self, old: &PrivateId) -> Option<(Record, PrivateId)> {
        let mut snapshots = self.snapshots();
        let snapshot = snapshots.get(old)?;
        if snapshot.until <= Instant::now() {
            snapshots.remove(old);
            return None;
        }
        Some((snapshot.record.clone(), snapshot.successor))
    }

    /// The session has been rotated once more: those who bear ids from before follow it.
    pub(super) fn follow(&self, from: &PrivateId, to: PrivateId) {
        for snapshot in self.snapshots().values_mut() {
            if snapshot.successor == *from {
                snapshot.successor = to;
            }
        }
    }

    /// Forgets what stands under this id: it did not become another after all.
    pub(super) fn forget(&self, id: &PrivateId) {
        self.snapshots().remove(id);
    }

    /// Forgets what stands under this id, and under those that became it.
    pub(super) fn end(&self, id: &PrivateId) {
        self.snapshots().retain(|old, snapshot| old != id && snapshot.successor != *id);
    }

    fn snapshots(&self) -> MutexGuard<'_, HashMap<PrivateId, Snapshot>> {
        // Whatever panicked, each snapshot in it is whole.
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(record: &Record) -> usize {
    record.data.as_ref().map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    fn ids(count: usize) -> Vec<PrivateId> {
        (0..count).map(|_| SessionId::generate().unwrap().private()).collect()
    }

    fn record(id: PrivateId, bytes: usize) -> Record {
        Record::new(id.into(), Some(vec![b'x'; bytes].into()))
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        for (bytes, most) in [(10, MAX_SNAPSHOTS), (MAX_BYTES / 4, 4)] {
            let grace = Grace::new(LONGEST);
            let ids = ids(most + 3);
            for id in &ids {
                grace.keep(*id, ids[0], &record(*id, bytes));
            }
            assert_eq!(grace.snapshots().len(), most);
            let kept: Vec<bool> = ids.iter().map(|id| grace.find(id).is_some()).collect();
            assert!(kept[..3].iter().all(|kept| !kept) && kept[3..].iter().all(|kept| *kept));
        }
        let (grace, ids) = (Grace::new(LONGEST), ids(2));
        grace.keep(ids[0], ids[1], &record(ids[0], MAX_BYTES + 1));
        assert!(grace.find(&ids[0]).is_none());
    }

    #[test]
    fn it_ends_by_itself_and_is_a_minute_at_most() {
        let ids = ids(2);
        let grace = Grace::new(Duration::ZERO);
        grace.keep(ids[0], ids[1], &record(ids[0], 1));
        assert!(grace.find(&ids[0]).is_none() && grace.snapshots().is_empty());
        assert_eq!(Grace::new(Duration::MAX).time, LONGEST);
    }

    #[test]
    fn ids_from_before_follow_and_end_with_the_session() {
        let (grace, ids) = (Grace::new(LONGEST), ids(4));
        grace.keep(ids[0], ids[1], &record(ids[0], 1));
        grace.keep(ids[1], ids[2], &record(ids[1], 1));
        grace.follow(&ids[1], ids[2]);
        assert!(grace.find(&ids[0]).unwrap().1 == ids[2]);
        grace.keep(ids[3], ids[1], &record(ids[3], 1));
        grace.end(&ids[2]);
        assert!(grace.find(&ids[0]).is_none() && grace.find(&ids[1]).is_none());
        assert!(grace.find(&ids[3]).is_some());
        grace.end(&ids[3]);
        assert!(grace.snapshots().is_empty());
    }
}
