//! A lane's state: permits, the queue, and which ids are under way. No clock of its own, no lock,
//! no task; every step is one call, so that a model checker can try all orders of them.
//!
//! What holds after every step:
//! - there are as many permits as there were in the beginning: free, or held by one holder;
//! - an operation is in the queue, or was handed out once, in a batch, or was withdrawn;
//! - where a lane keeps ids apart, no id is under way twice, except for an operation whose permit
//!   was taken back because nobody drove it, and operations on one id are handed out in the order in
//!   which they came: each id has a line, and only who is first in all of its lines may go;
//! - no more callers than their share are out with an operation of their own, also when permits were
//!   taken back from them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use super::{Permits, Way};

/// Entries that a batch is chosen from, so that choosing stays cheap.
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
    /// By [`Way`].
    pub(super) permits: [Permits; 2],
    /// Operations that may wait.
    pub(super) queue: usize,
    /// Operations in a batch.
    pub(super) count: usize,
    /// Bytes in a batch of more than one.
    pub(super) bytes: usize,
    /// Whether an id is under way once at most, as for writes.
    pub(super) apart: bool,
}

impl Limits {
    /// Operations on one id that may wait: one id does not fill the queue.
    pub(super) fn line(&self) -> usize {
        self.queue.div_ceil(4)
    }
}

/// Leave to send; whoever has one gives it back with [`Core::release`], once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permit {
    pub(super) way: Way,
    slot: usize,
    generation: u64,
    /// It was given to a caller, and counts as one of theirs until it is given back.
    is_callers: bool,
}

struct Slot {
    way: Way,
    generation: u64,
    holder: Holder,
    /// When it was taken, by [`Core::tick`].
    since: u64,
    keys: Keys,
}

impl Slot {
    fn new(way: Way) -> Self {
        Self { way, generation: 0, holder: Holder::Nobody, since: 0, keys: Keys::default() }
    }
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
    /// Too many wait for one of its ids.
    Crowded,
    Closed,
}

/// An operation in the queue.
struct Entry<A, R> {
    way: Way,
    ask: A,
    keys: Keys,
    until: Instant,
    reply: R,
}

/// Who is under way with an id and who waits for it.
#[derive(Default)]
struct Line {
    is_held: bool,
    /// Tickets, the oldest first.
    waiting: VecDeque<u64>,
}

/// The permits of a way that are free, and those who may go by it.
struct Road<A, R> {
    /// The one given back last is taken first: its connection is the warmest.
    free: Vec<usize>,
    /// How many more callers may have a permit.
    callers: usize,
    /// By ticket.
    ready: BTreeMap<u64, Entry<A, R>>,
}

/// What goes out together.
pub(super) struct Batch<A, R> {
    pub(super) asks: Vec<A>,
    /// Of each of them.
    pub(super) keys: Vec<Keys>,
    /// When the last of those who wait for it gives up, of each of them.
    pub(super) untils: Vec<Instant>,
    /// Who waits for which of them.
    pub(super) replies: Vec<(usize, R)>,
    /// Those whose deadline had passed: they are not sent.
    pub(super) late: Vec<(A, R)>,
    /// The ids of `asks`.
    taken: Vec<u64>,
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
    /// By [`Way`].
    roads: [Road<A, R>; 2],
    /// Those who wait for others on their ids, by ticket.
    blocked: HashMap<u64, Entry<A, R>>,
    /// Of ids under way or waited for, where they are kept apart.
    lines: HashMap<u64, Line>,
    /// Handed out in batches and not yet [`done`](Self::done).
    under_way: usize,
    ticks: u64,
    closed: bool,
}

impl<A: Ask, R> Core<A, R> {
    pub(super) fn new(limits: Limits) -> Self {
        let mut slots = Vec::new();
        let roads = [Way::Together, Way::Alone].map(|way| {
            let Permits { count, callers } = limits.permits[way as usize];
            let first = slots.len();
            slots.extend((0..count).map(|_| Slot::new(way)));
            Road { free: (first..first + count).rev().collect(), callers, ready: BTreeMap::new() }
        });
        Self {
            limits,
            slots,
            roads,
            blocked: HashMap::new(),
            lines: HashMap::new(),
            under_way: 0,
            ticks: 0,
            closed: false,
        }
    }

    /// A caller comes with an operation on these ids.
    pub(super) fn enter(&mut self, way: Way, keys: Keys) -> Entered {
        if self.closed {
            return Entered::Closed;
        }
        let longest = keys.iter().filter_map(|key| self.lines.get(&key)).map(|l| l.waiting.len());
        let longest = longest.max();
        if longest.is_none()
            && self.roads[way as usize].callers > 0
            && let Some(permit) = self.take(way, Holder::Caller, keys)
        {
            self.roads[way as usize].callers -= 1;
            return Entered::Go(Permit { is_callers: true, ..permit });
        }
        if self.queued() >= self.limits.queue {
            return Entered::Full;
        }
        if longest >= Some(self.limits.line()) { Entered::Crowded } else { Entered::Wait }
    }

    /// Puts an operation into the queue that [`enter`](Self::enter) told to wait; its ticket.
    pub(super) fn push(&mut self, way: Way, ask: A, until: Instant, reply: R) -> u64 {
        let ticket = self.tick();
        let keys = ask.keys();
        if self.limits.apart {
            for key in keys.iter() {
                self.lines.entry(key).or_default().waiting.push_back(ticket);
            }
        }
        let entry = Entry { way, ask, keys, until, reply };
        if self.is_first(ticket, &keys) {
            self.roads[way as usize].ready.insert(ticket, entry);
        } else {
            self.blocked.insert(ticket, entry);
        }
        ticket
    }

    /// A permit for a new runner, if there is something for it to do.
    pub(super) fn start(&mut self) -> Option<Permit> {
        let way = [Way::Together, Way::Alone].into_iter().find(|way| {
            let road = &self.roads[*way as usize];
            !road.free.is_empty() && !road.ready.is_empty()
        })?;
        self.take(way, Holder::Runner, Keys::default())
    }

    /// A runner is about to send one operation as a caller would: it may be long.
    pub(super) fn lend(&mut self, permit: Permit) {
        let since = self.tick();
        let slot = &mut self.slots[permit.slot];
        if slot.generation == permit.generation {
            (slot.holder, slot.since) = (Holder::Caller, since);
        }
    }

    /// Whether a runner goes on with its permit; it was given back if not.
    pub(super) fn go_on(&mut self, permit: Permit) -> bool {
        let slot = &mut self.slots[permit.slot];
        if slot.generation != permit.generation {
            return false;
        }
        slot.holder = Holder::Runner;
        let goes_on = !self.roads[permit.way as usize].ready.is_empty();
        if !goes_on {
            self.release(permit);
        }
        goes_on
    }

    /// Takes out of the queue what goes together, the oldest first.
    pub(super) fn gather(&mut self, way: Way, now: Instant) -> Batch<A, R> {
        let mut batch = Batch::default();
        let mut next = 0;
        for _ in 0..SEEN {
            let ready = &self.roads[way as usize].ready;
            let Some((&ticket, entry)) = ready.range(next..).next() else { break };
            next = ticket + 1;
            let step = self.judge(entry, &batch, now);
            match step {
                Step::Stays => continue,
                Step::Full => break,
                Step::Late | Step::Joins(_) | Step::Goes => {}
            }
            let Some(entry) = self.roads[way as usize].ready.remove(&ticket) else { break };
            self.step_out(ticket, entry.keys, matches!(step, Step::Goes));
            match step {
                Step::Late => batch.late.push((entry.ask, entry.reply)),
                Step::Joins(at) => batch.add_reply(at, entry.until, entry.reply),
                _ => batch.add(entry),
            }
        }
        self.under_way += batch.asks.len();
        batch
    }

    /// What becomes of the next entry that may go.
    fn judge(&self, entry: &Entry<A, R>, batch: &Batch<A, R>, now: Instant) -> Step {
        if entry.until <= now {
            return Step::Late;
        }
        let Some(first) = batch.asks.first() else { return Step::Goes };
        if entry.way == Way::Alone {
            return Step::Full;
        }
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
        if permit.is_callers {
            self.roads[permit.way as usize].callers += 1;
        }
        self.take_back(permit.slot, permit.generation);
    }

    fn take_back(&mut self, slot: usize, generation: u64) {
        let state = &mut self.slots[slot];
        if state.generation != generation || state.holder == Holder::Nobody {
            return;
        }
        state.generation += 1;
        state.holder = Holder::Nobody;
        let keys = std::mem::take(&mut state.keys);
        self.roads[state.way as usize].free.push(slot);
        self.let_go(keys);
    }

    /// Takes an operation out of the queue; `None` if it was handed out before.
    pub(super) fn withdraw(&mut self, ticket: u64) -> Option<(A, R)> {
        let ready = self.roads.iter_mut().find_map(|road| road.ready.remove(&ticket));
        let entry = ready.or_else(|| self.blocked.remove(&ticket))?;
        self.step_out(ticket, entry.keys, false);
        Some((entry.ask, entry.reply))
    }

    /// An operation has waited for long: the permits that callers' tasks held all the time since
    /// `mark` are taken back, since nobody knows whether these tasks are polled. The mark for the
    /// next time; `None` if the operation does not wait any more.
    pub(super) fn overdue(&mut self, ticket: u64, mark: u64) -> Option<u64> {
        let is_ready = self.roads.iter().any(|road| road.ready.contains_key(&ticket));
        if !is_ready && !self.blocked.contains_key(&ticket) {
            return None;
        }
        for slot in 0..self.slots.len() {
            let Slot { generation, ref holder, since, .. } = self.slots[slot];
            if *holder == Holder::Caller && since <= mark {
                self.take_back(slot, generation);
            }
        }
        Some(self.tick())
    }

    /// Takes in nothing more; what is queued still goes out.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Nothing is queued or under way, in a batch or by a caller's own task.
    pub(super) fn is_drained(&self) -> bool {
        let all = |road: &Road<A, R>, permits: &Permits| road.callers == permits.callers;
        let no_callers = self.roads.iter().zip(&self.limits.permits).all(|(r, p)| all(r, p));
        no_callers && self.queued() == 0 && self.under_way == 0
    }

    fn queued(&self) -> usize {
        self.blocked.len() + self.roads.iter().map(|road| road.ready.len()).sum::<usize>()
    }

    fn take(&mut self, way: Way, holder: Holder, keys: Keys) -> Option<Permit> {
        let slot = self.roads[way as usize].free.pop()?;
        let since = self.tick();
        if self.limits.apart {
            for key in keys.iter() {
                self.lines.entry(key).or_default().is_held = true;
            }
        }
        let state = &mut self.slots[slot];
        (state.holder, state.since, state.keys) = (holder, since, keys);
        Some(Permit { way, slot, generation: state.generation, is_callers: false })
    }

    fn tick(&mut self) -> u64 {
        self.ticks += 1;
        self.ticks
    }

    /// One leaves the lines of its ids, which are under way with it or the next one's.
    fn step_out(&mut self, ticket: u64, keys: Keys, is_held: bool) {
        for key in keys.iter() {
            let Some(line) = self.lines.get_mut(&key) else { continue };
            if let Ok(at) = line.waiting.binary_search(&ticket) {
                line.waiting.remove(at);
            }
            line.is_held |= is_held;
            self.call_next(key);
        }
    }

    fn let_go(&mut self, keys: Keys) {
        for key in keys.iter() {
            if let Some(line) = self.lines.get_mut(&key) {
                line.is_held = false;
            }
            self.call_next(key);
        }
    }

    /// The first in the line of an id is ready, if it is the first in all of its lines.
    fn call_next(&mut self, key: u64) {
        let Some(line) = self.lines.get(&key) else { return };
        if line.is_held {
            return;
        }
        let Some(&ticket) = line.waiting.front() else {
            self.lines.remove(&key);
            return;
        };
        let Some(keys) = self.blocked.get(&ticket).map(|entry| entry.keys) else { return };
        if self.is_first(ticket, &keys)
            && let Some(entry) = self.blocked.remove(&ticket)
        {
            self.roads[entry.way as usize].ready.insert(ticket, entry);
        }
    }

    /// Whether an operation in the queue waits for nobody.
    fn is_first(&self, ticket: u64, keys: &Keys) -> bool {
        let mut lines = keys.iter().filter_map(|key| self.lines.get(&key));
        lines.all(|line| !line.is_held && line.waiting.front() == Some(&ticket))
    }
}

impl<A: Ask, R> Batch<A, R> {
    fn add(&mut self, entry: Entry<A, R>) {
        self.bytes += entry.ask.bytes();
        self.taken.extend(entry.keys.iter());
        self.keys.push(entry.keys);
        self.asks.push(entry.ask);
        self.untils.push(entry.until);
        self.replies.push((self.asks.len() - 1, entry.reply));
    }

    fn add_reply(&mut self, at: usize, until: Instant, reply: R) {
        self.untils[at] = self.untils[at].max(until);
        self.replies.push((at, reply));
    }
}

impl<A, R> Default for Batch<A, R> {
    fn default() -> Self {
        Self {
            asks: Vec::new(),
            keys: Vec::new(),
            untils: Vec::new(),
            replies: Vec::new(),
            late: Vec::new(),
            taken: Vec::new(),
            bytes: 0,
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
