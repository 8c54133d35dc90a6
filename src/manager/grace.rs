//! Which ids have become others a moment ago, and what parallel requests read that still bear them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::id::PrivateId;
use crate::record::Record;

/// Longer would be a second id, not a grace.
const LONGEST: Duration = Duration::from_secs(60);
const MAX_ROTATIONS: usize = 1_024;
const MAX_BYTES: usize = 8 << 20;

/// Rotations of this process: which id became which, and the session as it was before.
///
/// It decides nothing: whether the session still lives under its new id is for the database to say.
/// A rotation is in here before its row moves, and stays for its time whatever becomes of the
/// session: who finds no row under an id learns afterwards where it may have gone.
pub(super) struct Grace {
    time: Duration,
    /// The oldest first.
    rotations: Mutex<VecDeque<Rotation>>,
}

struct Rotation {
    old: PrivateId,
    new: PrivateId,
    /// `None` when nobody is to read it any more.
    record: Option<Record>,
    until: Instant,
}

impl Grace {
    pub(super) fn new(time: Duration) -> Self {
        Self { time: time.min(LONGEST), rotations: Mutex::default() }
    }

    /// Keeps what was read under `old`, which is about to become `new`, unless another request is
    /// faster: each one's attempt stands for itself. The oldest make room.
    pub(super) fn keep(&self, old: PrivateId, new: PrivateId, record: &Record) {
        let mut record = record.clone();
        // On its own, lest it hold on to a larger buffer.
        record.data = record.data.map(|data| Bytes::copy_from_slice(&data));
        let needed = size(&record);
        if needed > MAX_BYTES {
            return;
        }
        let mut rotations = self.rotations();
        let records = rotations.iter().filter_map(|rotation| rotation.record.as_ref());
        let mut bytes: usize = records.map(size).sum();
        while rotations.len() >= MAX_ROTATIONS || bytes + needed > MAX_BYTES {
            let Some(oldest) = rotations.pop_front() else { break };
            bytes -= oldest.record.as_ref().map_or(0, size);
        }
        let until = Instant::now() + self.time;
        rotations.push_back(Rotation { old, new, record: Some(record), until });
    }

    /// What was read under this id before it became another.
    pub(super) fn find(&self, old: &PrivateId) -> Option<Record> {
        let rotations = self.rotations();
        let mut of_old = rotations.iter().filter(|rotation| rotation.old == *old);
        of_old.find_map(|rotation| rotation.record.clone())
    }

    /// What this id may have become: more than one only while several requests rotate it.
    pub(super) fn successors(&self, old: &PrivateId) -> Vec<PrivateId> {
        let rotations = self.rotations();
        let of_old = rotations.iter().filter(|rotation| rotation.old == *old);
        of_old.map(|rotation| rotation.new).collect()
    }

    /// The row has moved: no other attempt can move it, and ids from before lead to where it is.
    pub(super) fn moved(&self, old: &PrivateId, new: PrivateId) {
        let mut rotations = self.rotations();
        rotations.retain(|rotation| rotation.old != *old || rotation.new == new);
        for rotation in rotations.iter_mut().filter(|rotation| rotation.new == *old) {
            rotation.new = new;
        }
    }

    /// It did not become this one after all.
    pub(super) fn forget(&self, old: &PrivateId, new: &PrivateId) {
        self.rotations().retain(|rotation| rotation.old != *old || rotation.new != *new);
    }

    /// Nobody reads on who bears this id, or one that became it.
    pub(super) fn end(&self, id: &PrivateId) {
        for rotation in self.rotations().iter_mut() {
            if rotation.old == *id || rotation.new == *id {
                rotation.record = None;
            }
        }
    }

    /// Those whose time has not passed.
    fn rotations(&self) -> MutexGuard<'_, VecDeque<Rotation>> {
        // Whatever panicked, each rotation in it is whole.
        let mut rotations = self.rotations.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while rotations.front().is_some_and(|oldest| oldest.until <= now) {
            rotations.pop_front();
        }
        rotations
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
        for (bytes, most) in [(10, MAX_ROTATIONS), (MAX_BYTES / 4, 4)] {
            let grace = Grace::new(LONGEST);
            let ids = ids(most + 3);
            for id in &ids {
                grace.keep(*id, ids[0], &record(*id, bytes));
            }
            assert_eq!(grace.rotations().len(), most);
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
        assert!(grace.find(&ids[0]).is_none() && grace.successors(&ids[0]).is_empty());
        assert_eq!(Grace::new(Duration::MAX).time, LONGEST);
    }

    #[test]
    fn ids_from_before_follow_and_end_with_the_session() {
        let (grace, ids) = (Grace::new(LONGEST), ids(4));
        grace.keep(ids[0], ids[1], &record(ids[0], 1));
        grace.keep(ids[1], ids[2], &record(ids[1], 1));
        grace.moved(&ids[1], ids[2]);
        assert!(grace.successors(&ids[0]) == [ids[2]]);
        grace.keep(ids[3], ids[1], &record(ids[3], 1));
        grace.end(&ids[2]);
        assert!(grace.find(&ids[0]).is_none() && grace.find(&ids[1]).is_none());
        assert!(grace.find(&ids[3]).is_some());
        // Whoever ends the session still finds it.
        assert!(grace.successors(&ids[0]) == [ids[2]]);
    }

    #[test]
    fn one_of_several_attempts_stands() {
        let (grace, ids) = (Grace::new(LONGEST), ids(4));
        for new in &ids[1..] {
            grace.keep(ids[0], *new, &record(ids[0], 1));
        }
        grace.forget(&ids[0], &ids[3]);
        assert!(grace.successors(&ids[0]) == ids[1..3]);
        grace.moved(&ids[0], ids[1]);
        grace.forget(&ids[0], &ids[2]);
        assert!(grace.successors(&ids[0]) == [ids[1]] && grace.find(&ids[0]).is_some());
    }
}
