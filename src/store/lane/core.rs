//! A lane's state: permits, the queue, and which ids are under way. No clock of its own, no lock,
//! no task; every step is one call, so that a model checker can try all orders of them.
//!
//! What holds after every step:
//! - there are as many permits as there were in the beginning: free, or held by one holder;
//! - an operation is in the queue, or was handed out once, in a batch, or was withdrawn;
//! - no id of a lane that keeps ids apart is under way twice, except for an operation whose permit
//!   was taken back because nobody drove it;
//! - operations on one id are handed out in the order in which they came.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

/// Entries of the queue that a batch is chosen from, so that choosing stays cheap.
const SEEN: usize = 256;

/// What a lane has to know of an operation.
pub(in crate::store) trait Ask {
    /// Only operations of one class go together.
    type Class: PartialEq;

    /// `None`: it goes alone.
    fn class(&self) -> Option<Self::Class>;

    /// The ids that it concerns, old and new.
    fn keys(&self) -> Keys;

    /// What it weighs in a batch.
    fn bytes(&self) -> usize;

    /// Whether one answer serves both.
    fn same(&self, other: &Self) -> bool;
}

/// The ids of an operation as hashes: two ids of one hash are kept apart without need, no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Keys([Option<u64>; 2]);

impl Keys {
    pub(super) fn new(first: u64, second: Option<u64>) -> Self {
        Self([Some(first), second.filter(|second| *second != first)])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.into_iter().flatten()
    }

    fn meet(&self, keys: &[u64]) -> bool {
        self.iter().any(|key| keys.contains(&key))
    }
}

/// Bounds of a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) permits: usize,
    /// Operations that may wait.
    pub(super) queue: usize,
    /// Operations in a batch.
    pub(super) count: usize,
    /// Bytes in a batch of more than one.
    pub(super) bytes: usize,
    /// Whether an id is under way once at most, as for writes.
    pub(super) apart: bool,
}

/// Leave to send; whoever has one gives it back with [`Core::release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permit {
    slot: usize,
    generation: u64,
}

struct Slot {
    generation: u64,
    holder: Holder,
    /// When it was taken, by [`Core::tick`].
    since: u64,
    keys: Keys,
}

#[derive(PartialEq)]
enum Holder {
    Nobody,
    /// A caller's own task, which may be left unpolled.
    Caller,
    Runner,
}

/// What an operation that comes in is told.
#[derive(Debug, PartialEq)]
pub(super) enum Entered {
    Go(Permit),
    Wait,
    Full,
    Closed,
}

/// An operation in the queue.
struct Entry<A, R> {
    ticket: u64,
    ask: A,
    keys: Keys,
    until: Instant,
    reply: R,
}

/// What goes out together.
pub(super) struct Batch<A, R> {
    pub(super) asks: Vec<A>,
    /// Of each of them.
    pub(super) keys: Vec<Keys>,
    /// Who waits for which of them.
    pub(super) replies: Vec<(usize, R)>,
    /// The latest deadline among them.
    pub(super) until: Option<Instant>,
    /// Those whose deadline had passed: they are not sent.
    pub(super) late: Vec<(A, R)>,
    /// The ids of `asks`, and of what stays in the queue before the entry that is looked at.
    taken: Vec<u64>,
    passed: Vec<u64>,
    bytes: usize,
}

/// What becomes of an entry of the queue while a batch is chosen.
enum Step {
    Late,
    /// The answer to this one of the batch serves it too. It came while that one was queued: an
    /// answer that is under way already could be older than what its caller has seen.
    Joins(usize),
    Goes,
    Stays,
    Full,
}

pub(super) struct Core<A, R> {
    limits: Limits,
    slots: Vec<Slot>,
    /// The one given back last is taken first: its connection is the warmest.
    free: Vec<usize>,
    /// In the order of their tickets.
    queue: VecDeque<Entry<A, R>>,
    held: HashSet<u64>,
    /// Handed out in batches and not yet [`done`](Self::done).
    under_way: usize,
    ticks: u64,
    closed: bool,
}

impl<A: Ask, R> Core<A, R> {
    pub(super) fn new(limits: Limits) -> Self {
        let slot =
            |_| Slot { generation: 0, holder: Holder::Nobody, since: 0, keys: Keys::default() };
        Self {
            limits,
            slots: (0..limits.permits).map(slot).collect(),
            free: (0..limits.permits).rev().collect(),
            queue: VecDeque::new(),
            held: HashSet::new(),
            under_way: 0,
            ticks: 0,
            closed: false,
        }
    }

    /// A caller comes with an operation on these ids.
    pub(super) fn enter(&mut self, keys: Keys) -> Entered {
        if self.closed {
            return Entered::Closed;
        }
        if !self.free.is_empty()
            && !self.must_wait(&keys)
            && let Some(permit) = self.take(Holder::Caller, keys)
        {
            return Entered::Go(permit);
        }
        if self.queue.len() >= self.limits.queue { Entered::Full } else { Entered::Wait }
    }

    /// Puts an operation into the queue that [`enter`](Self::enter) told to wait; its ticket.
    pub(super) fn push(&mut self, ask: A, until: Instant, reply: R) -> u64 {
        let ticket = self.tick();
        let keys = ask.keys();
        self.queue.push_back(Entry { ticket, ask, keys, until, reply });
        ticket
    }

    /// A permit for a new runner, if there is something for it to do.
    pub(super) fn start(&mut self) -> Option<Permit> {
        if self.free.is_empty() || !self.has_work() {
            return None;
        }
        self.take(Holder::Runner, Keys::default())
    }

    /// A runner is about to send one operation as a caller would: it may be long.
    pub(super) fn lend(&mut self, permit: Permit) {
        let since = self.tick();
        let slot = &mut self.slots[permit.slot];
        (slot.holder, slot.since) = (Holder::Caller, since);
    }

    /// Whether a runner goes on with its permit; it was given back if not.
    pub(super) fn go_on(&mut self, permit: Permit) -> bool {
        let slot = &mut self.slots[permit.slot];
        if slot.generation != permit.generation {
            return false;
        }
        slot.holder = Holder::Runner;
        let goes_on = self.has_work();
        if !goes_on {
            self.release(permit);
        }
        goes_on
    }

    /// Takes out of the queue what goes together, the oldest first.
    pub(super) fn gather(&mut self, now: Instant) -> Batch<A, R> {
        let mut batch = Batch::default();
        let mut kept: Vec<Entry<A, R>> = Vec::new();
        for _ in 0..self.queue.len().min(SEEN) {
            let Some(entry) = self.queue.pop_front() else { break };
            match self.judge(&entry, &batch, now) {
                Step::Late => batch.late.push((entry.ask, entry.reply)),
                Step::Joins(at) => batch.add_reply(at, entry.until, entry.reply),
                Step::Goes => batch.add(entry),
                Step::Stays => {
                    batch.passed.extend(entry.keys.iter());
                    kept.push(entry);
                }
                Step::Full => {
                    kept.push(entry);
                    break;
                }
            }
        }
        for entry in kept.into_iter().rev() {
            self.queue.push_front(entry);
        }
        self.under_way += batch.asks.len();
        if self.limits.apart {
            self.held.extend(&batch.taken);
        }
        batch
    }

    /// What becomes of the queue's next entry.
    fn judge(&self, entry: &Entry<A, R>, batch: &Batch<A, R>, now: Instant) -> Step {
        if entry.until <= now {
            return Step::Late;
        }
        let is_held = self.limits.apart && entry.keys.iter().any(|key| self.held.contains(&key));
        if is_held || entry.keys.meet(&batch.passed) {
            return Step::Stays;
        }
        let Some(first) = batch.asks.first() else { return Step::Goes };
        if entry.keys.meet(&batch.taken) {
            let twin = batch.asks.iter().position(|ask| ask.same(&entry.ask));
            return twin.map_or(Step::Stays, Step::Joins);
        }
        let class = entry.ask.class();
        if class.is_none() || class != first.class() {
            return Step::Stays;
        }
        let bytes = batch.bytes + entry.ask.bytes();
        let fits = batch.asks.len() < self.limits.count && bytes <= self.limits.bytes;
        if fits { Step::Goes } else { Step::Full }
    }

    /// An operation of a batch has its answer: others on its ids may go.
    pub(super) fn done(&mut self, keys: Keys) {
        self.under_way -= 1;
        self.let_go(keys);
    }

    /// Gives a permit back. One that was taken back meanwhile is nobody's any more.
    pub(super) fn release(&mut self, permit: Permit) {
        let slot = &mut self.slots[permit.slot];
        if slot.generation != permit.generation || slot.holder == Holder::Nobody {
            return;
        }
        slot.generation += 1;
        slot.holder = Holder::Nobody;
        let keys = std::mem::take(&mut slot.keys);
        self.free.push(permit.slot);
        self.let_go(keys);
    }

    /// Takes an operation out of the queue; `None` if it was handed out before.
    pub(super) fn withdraw(&mut self, ticket: u64) -> Option<(A, R)> {
        let at = self.queue.binary_search_by_key(&ticket, |entry| entry.ticket).ok()?;
        self.queue.remove(at).map(|entry| (entry.ask, entry.reply))
    }

    /// An operation has waited for long: the permits that callers' tasks held all the time since
    /// `mark` are taken back, since nobody knows whether these tasks are polled. The mark for the
    /// next time; `None` if the operation does not wait any more.
    pub(super) fn overdue(&mut self, ticket: u64, mark: u64) -> Option<u64> {
        self.queue.binary_search_by_key(&ticket, |entry| entry.ticket).ok()?;
        for slot in 0..self.slots.len() {
            let Slot { generation, ref holder, since, .. } = self.slots[slot];
            if *holder == Holder::Caller && since <= mark {
                self.release(Permit { slot, generation });
            }
        }
        Some(self.tick())
    }

    /// Takes in nothing more; what is queued still goes out.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Nothing is queued or in a batch under way.
    pub(super) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.under_way == 0
    }

    fn take(&mut self, holder: Holder, keys: Keys) -> Option<Permit> {
        let slot = self.free.pop()?;
        let since = self.tick();
        if self.limits.apart {
            self.held.extend(keys.iter());
        }
        let state = &mut self.slots[slot];
        (state.holder, state.since, state.keys) = (holder, since, keys);
        Some(Permit { slot, generation: state.generation })
    }

    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    fn let_go(&mut self, keys: Keys) {
        for key in keys.iter() {
            self.held.remove(&key);
        }
    }

    /// One of its ids is under way, or others wait for it.
    fn must_wait(&self, keys: &Keys) -> bool {
        let waited_for = |key| self.queue.iter().any(|entry| entry.keys.meet(&[key]));
        self.limits.apart && keys.iter().any(|key| self.held.contains(&key) || waited_for(key))
    }

    /// Whether the queue has something that can go.
    fn has_work(&self) -> bool {
        if !self.limits.apart {
            return !self.queue.is_empty();
        }
        let mut passed = Vec::new();
        self.queue.iter().take(SEEN).any(|entry| {
            let is_held = entry.keys.iter().any(|key| self.held.contains(&key));
            let waits = is_held || entry.keys.meet(&passed);
            passed.extend(entry.keys.iter());
            !waits
        })
    }
}

impl<A: Ask, R> Batch<A, R> {
    fn add(&mut self, entry: Entry<A, R>) {
        self.bytes += entry.ask.bytes();
        self.taken.extend(entry.keys.iter());
        self.keys.push(entry.keys);
        self.asks.push(entry.ask);
        self.add_reply(self.asks.len() - 1, entry.until, entry.reply);
    }

    fn add_reply(&mut self, at: usize, until: Instant, reply: R) {
        self.until = self.until.max(Some(until));
        self.replies.push((at, reply));
    }
}

impl<A, R> Default for Batch<A, R> {
    fn default() -> Self {
        Self {
            asks: Vec::new(),
            keys: Vec::new(),
            replies: Vec::new(),
            until: None,
            late: Vec::new(),
            taken: Vec::new(),
            passed: Vec::new(),
            bytes: 0,
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
