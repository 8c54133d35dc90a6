//! The state alone, step by step, and under all orders of a few threads' steps.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shuttle::rand::Rng;
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

use super::Way::{Alone, Together};
use super::*;

/// An operation of the tests: its number, its ids, its class.
#[derive(Clone, Debug)]
struct Op {
    number: u64,
    keys: Keys,
    class: Option<u8>,
    bytes: usize,
}

impl Op {
    fn on(number: u64, key: u64) -> Self {
        Self { number, keys: Keys::new(key, None), class: Some(0), bytes: 1 }
    }
}

impl Ask for Op {
    type Class = u8;

    fn class(&self) -> Option<u8> {
        self.class
    }

    fn keys(&self) -> Keys {
        self.keys
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn same(&self, other: &Self) -> bool {
        self.keys == other.keys && self.class == other.class
    }
}

/// Like [`Op`], and never the same as another, as changes are.
#[derive(Clone, Debug)]
struct Change(Op);

impl Ask for Change {
    type Class = u8;

    fn class(&self) -> Option<u8> {
        self.0.class
    }

    fn keys(&self) -> Keys {
        self.0.keys
    }

    fn bytes(&self) -> usize {
        self.0.bytes
    }

    fn same(&self, _: &Self) -> bool {
        false
    }
}

const LIMITS: Limits = Limits { permits: permits(1), queue: 32, count: 3, bytes: 10, apart: true };

const fn permits(count: usize) -> [Permits; 2] {
    [Permits { count, callers: count }, Permits { count: 1, callers: 1 }]
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(3_600)
}

/// A lane whose only permit is held, with these operations in its queue.
fn busy<A: Ask>(limits: Limits, asks: impl IntoIterator<Item = A>) -> (Core<A, ()>, Permit) {
    let mut core = Core::new(limits);
    let Entered::Go(permit) = core.enter(Together, Keys::new(u64::MAX, None)) else {
        panic!("no permit")
    };
    for ask in asks {
        assert_eq!(core.enter(Together, ask.keys()), Entered::Wait);
        core.push(Together, ask, later(), ());
    }
    (core, permit)
}

fn numbers(batch: &Batch<Change, ()>) -> Vec<u64> {
    batch.asks.iter().map(|ask| ask.0.number).collect()
}

fn change(number: u64, key: u64) -> Change {
    Change(Op::on(number, key))
}

#[test]
fn a_batch_holds_each_id_once_and_keeps_their_order() {
    let moves = Change(Op { keys: Keys::new(1, Some(2)), ..Op::on(2, 1) });
    let queue = [change(1, 1), moves, change(3, 2), change(4, 3)];
    let (mut core, permit) = busy(LIMITS, queue);
    core.release(permit);
    let runner = core.start().unwrap();
    let first = core.gather(Together, Instant::now());
    // The third waits for the second, which has the id as its new one.
    assert_eq!(numbers(&first), [1, 4]);
    assert!(!core.go_on(runner), "both that are left wait for an id under way");
    assert_eq!(core.enter(Together, Keys::new(2, None)), Entered::Wait, "the queue has it");
    first.keys.iter().for_each(|keys| core.done(*keys));
    assert!(core.start().is_some());
    let second = core.gather(Together, Instant::now());
    assert_eq!(numbers(&second), [2]);
    second.keys.iter().for_each(|keys| core.done(*keys));
    assert_eq!(numbers(&core.gather(Together, Instant::now())), [3]);
}

#[test]
fn batches_are_capped_by_count_and_bytes_and_hold_one_class() {
    let heavy = |number| Change(Op { bytes: 6, ..Op::on(number, number) });
    let (mut core, _) = busy(LIMITS, [heavy(1), heavy(2), change(3, 3)]);
    assert_eq!(numbers(&core.gather(Together, Instant::now())), [1]);
    assert_eq!(numbers(&core.gather(Together, Instant::now())), [2, 3]);
    let huge = Change(Op { bytes: 1_000, ..Op::on(1, 1) });
    let (mut core, _) = busy(LIMITS, [huge]);
    assert_eq!(numbers(&core.gather(Together, Instant::now())), [1], "alone it goes at any size");
    let (mut core, _) = busy(LIMITS, (1..=5).map(|number| change(number, number)));
    assert_eq!(numbers(&core.gather(Together, Instant::now())), [1, 2, 3]);
    let other = |number| Change(Op { class: Some(1), ..Op::on(number, number) });
    let alone = |number| Change(Op { class: None, ..Op::on(number, number) });
    let (mut core, _) = busy(LIMITS, [alone(1), change(2, 2), other(3), change(4, 4), alone(5)]);
    let batches: Vec<_> = (0..5).map(|_| numbers(&core.gather(Together, Instant::now()))).collect();
    assert_eq!(batches, [vec![1], vec![2, 4], vec![3], vec![5], vec![]]);
}

#[test]
fn one_answer_serves_those_that_ask_the_same() {
    let limits = Limits { apart: false, ..LIMITS };
    let other = Op { class: Some(1), ..Op::on(4, 7) };
    let (mut core, _) = busy(limits, [Op::on(1, 7), Op::on(2, 8), Op::on(3, 7), other]);
    let batch = core.gather(Together, Instant::now());
    assert_eq!(batch.asks.iter().map(|ask| ask.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(batch.replies.iter().map(|(at, ())| *at).collect::<Vec<_>>(), [0, 1, 0]);
    // The other variant of the same id comes next; finds of one id may be under way at once.
    assert_eq!(core.gather(Together, Instant::now()).asks[0].number, 4);
}

#[test]
fn what_is_past_its_deadline_is_not_sent() {
    let (mut core, permit) = busy(LIMITS, [change(1, 1)]);
    core.push(Together, change(2, 2), Instant::now(), ());
    let batch = core.gather(Together, Instant::now());
    assert_eq!(numbers(&batch), [1]);
    assert_eq!(batch.late.len(), 1);
    batch.keys.iter().for_each(|keys| core.done(*keys));
    core.release(permit);
    assert!(core.is_drained());
}

#[test]
fn the_queue_is_bounded_and_closes() {
    let (mut core, permit) = busy(Limits { queue: 8, ..LIMITS }, (0..8).map(|n| change(n, n)));
    assert_eq!(core.enter(Together, Keys::new(9, None)), Entered::Full);
    core.close();
    core.release(permit);
    assert_eq!(core.enter(Together, Keys::new(9, None)), Entered::Closed);
    assert!(!core.is_drained());
    assert!(core.start().is_some(), "what is queued still goes out");
}

#[test]
fn a_permit_that_nobody_drives_is_taken_back() {
    let mut core = Core::new(LIMITS);
    let Entered::Go(lost) = core.enter(Together, Keys::new(1, None)) else { panic!("no permit") };
    let ticket = core.push(Together, change(1, 1), later(), ());
    let mark = core.overdue(ticket, ticket).unwrap();
    let runner = core.start().expect("the permit and the id are free again");
    let batch = core.gather(Together, Instant::now());
    assert_eq!(numbers(&batch), [1]);
    // Its holder comes back after all: it gives back nothing, and frees no id.
    core.release(lost);
    assert_eq!(core.enter(Together, Keys::new(1, None)), Entered::Wait);
    assert_eq!(core.overdue(ticket, mark), None, "it waits no more");
    let other = core.push(Together, change(2, 2), later(), ());
    core.overdue(other, other);
    assert!(core.start().is_none(), "a runner's permit stays its own");
    core.lend(runner);
    let mark = core.overdue(other, other).unwrap();
    assert!(core.start().is_none(), "it was lent after the mark");
    core.overdue(other, mark);
    assert!(core.start().is_some());
    assert!(!core.go_on(runner));
}

/// What the threads of a model have done.
#[derive(Default)]
struct Ledger {
    pushed: u64,
    answered: HashSet<u64>,
    withdrawn: HashSet<u64>,
    /// The highest number sent for each id, and the ids under way.
    last: HashMap<u64, u64>,
    under_way: HashSet<u64>,
}

/// The state as the shell has it, and a bell that rings after each step.
#[derive(Clone)]
struct Shared(Arc<(Mutex<State>, Condvar)>);

type State = (Core<Change, u64>, Ledger);

impl Shared {
    fn new(limits: Limits) -> Self {
        let state = (Core::new(limits), Ledger::default());
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// What the shell does: a change of the state, and a runner if there is something for one to do.
    fn step<T>(&self, change: impl FnOnce(&mut Core<Change, u64>, &mut Ledger) -> T) -> T {
        let (state, bell) = &*self.0;
        let mut state = state.lock().unwrap();
        let (core, ledger) = &mut *state;
        let result = change(core, ledger);
        let start = core.start();
        bell.notify_all();
        drop(state);
        if let Some(permit) = start {
            let shared = self.clone();
            thread::spawn(move || shared.run(permit));
        }
        result
    }

    /// Takes such steps until one of them says that it is enough.
    fn until(&self, mut enough: impl FnMut(&mut Core<Change, u64>, &Ledger) -> bool) {
        let (state, bell) = &*self.0;
        loop {
            let mut state = state.lock().unwrap();
            let (core, ledger) = &mut *state;
            if enough(core, ledger) {
                return;
            }
            if let Some(permit) = core.start() {
                let shared = self.clone();
                thread::spawn(move || shared.run(permit));
            }
            drop(bell.wait(state).unwrap());
        }
    }

    /// A runner.
    fn run(&self, permit: Permit) {
        loop {
            let batch = self.step(|core, ledger| {
                let batch = core.gather(Together, Instant::now());
                batch.asks.iter().for_each(|ask| ledger.begin(&ask.0));
                batch
            });
            let goes_on = self.step(|core, ledger| {
                for (ask, keys) in batch.asks.iter().zip(&batch.keys) {
                    ledger.end(&ask.0);
                    core.done(*keys);
                }
                for (_, number) in &batch.replies {
                    assert!(ledger.answered.insert(*number), "answered twice");
                }
                core.go_on(permit)
            });
            if !goes_on {
                return;
            }
        }
    }

    /// A caller with one operation; the permit of one that is stuck.
    fn call(&self, keys: Keys, caller: Caller) -> Option<Permit> {
        let (permit, ticket, op) = self.step(|core, ledger| {
            ledger.pushed += 1;
            let op = Op { number: ledger.pushed, keys, class: Some(0), bytes: 1 };
            match core.enter(Together, keys) {
                Entered::Go(permit) if caller == Caller::Stuck => {
                    ledger.answered.insert(op.number);
                    (Some(permit), None, op)
                }
                Entered::Go(permit) => {
                    ledger.begin(&op);
                    (Some(permit), None, op)
                }
                Entered::Wait => {
                    let ticket = core.push(Together, Change(op.clone()), later(), op.number);
                    (None, Some(ticket), op)
                }
                refused => panic!("{refused:?}"),
            }
        });
        match (permit, ticket) {
            (Some(permit), _) if caller == Caller::Stuck => return Some(permit),
            (Some(permit), _) => self.step(|core, ledger| {
                ledger.end(&op);
                ledger.answered.insert(op.number);
                core.release(permit);
            }),
            (None, Some(ticket)) if caller == Caller::Leaves => self.step(|core, ledger| {
                if core.withdraw(ticket).is_some() {
                    ledger.withdrawn.insert(op.number);
                }
            }),
            (None, Some(ticket)) if caller == Caller::Stays => self.wait(ticket),
            _ => {}
        }
        None
    }

    /// Doubts others' permits until its turn has come.
    fn wait(&self, ticket: u64) {
        let mut mark = Some(ticket);
        self.until(|core, ledger| {
            // Those who are polled are quicker than anybody's patience; the second time it is over
            // with whoever came after the ticket.
            for _ in 0..2 {
                if let (Some(seen), true) = (mark, ledger.under_way.is_empty()) {
                    mark = core.overdue(ticket, seen);
                }
            }
            mark.is_none()
        });
    }

    /// Every operation is answered once or was withdrawn, and all permits are back.
    fn check(&self, permits: usize) {
        self.until(|core, _| core.is_drained() && core.roads[0].free.len() == permits);
        let (core, ledger) = &*self.0.0.lock().unwrap();
        assert!(core.lines.is_empty() && core.blocked.is_empty());
        let all = ledger.answered.len() + ledger.withdrawn.len();
        assert_eq!(all as u64, ledger.pushed);
        assert!(ledger.answered.is_disjoint(&ledger.withdrawn));
    }
}

impl Ledger {
    fn begin(&mut self, op: &Op) {
        for key in op.keys.iter() {
            assert!(self.under_way.insert(key), "an id is under way twice");
            let before = self.last.insert(key, op.number);
            assert!(before < Some(op.number), "out of order");
        }
    }

    fn end(&mut self, op: &Op) {
        for key in op.keys.iter() {
            self.under_way.remove(&key);
        }
    }
}

/// What a caller does while its operation is under way or waits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    Stays,
    /// It takes the operation back if that still waits.
    Leaves,
    /// Nobody polls it: a permit that it has comes back at the very end.
    Stuck,
}

fn model(permits: usize, calls: Vec<(Keys, Caller)>) {
    let shared = Shared::new(Limits { permits: self::permits(permits), count: 2, ..LIMITS });
    let callers: Vec<_> = calls
        .into_iter()
        .map(|(keys, caller)| {
            let shared = shared.clone();
            thread::spawn(move || shared.call(keys, caller))
        })
        .collect();
    for caller in callers {
        if let Some(permit) = caller.join().unwrap() {
            // Others had no need of it, or took it back.
            shared.step(|core, _| core.release(permit));
        }
    }
    shared.check(permits);
}

/// Orders of two callers' steps and of their runners', one after another: how many are tried.
const ORDERS: usize = 2_000;

#[test]
fn orders_of_two_callers_one_after_another() {
    let (one, two, both) = (Keys::new(1, None), Keys::new(2, None), Keys::new(1, Some(2)));
    for calls in [
        [(one, Caller::Stays), (one, Caller::Stays)],
        [(one, Caller::Stays), (both, Caller::Leaves)],
        [(one, Caller::Stuck), (two, Caller::Stays)],
    ] {
        shuttle::check_dfs(move || model(1, calls.to_vec()), Some(ORDERS));
    }
}

/// Many orders of more callers' steps, drawn at random.
#[test]
fn random_orders_of_many_callers() {
    let calls = || {
        let mut random = shuttle::rand::thread_rng();
        (0..7)
            .map(|_| {
                let second = random.gen_bool(0.3).then(|| random.gen_range(0..4));
                let caller = [Caller::Stays, Caller::Stays, Caller::Leaves, Caller::Stuck];
                (Keys::new(random.gen_range(0..4), second), caller[random.gen_range(0..4)])
            })
            .collect()
    };
    for permits in [1, 2, 3] {
        shuttle::check_random(move || model(permits, calls()), 150);
        shuttle::check_pct(move || model(permits, calls()), 50, 3);
    }
}

#[test]
fn a_hot_id_delays_no_other() {
    let limits = Limits { permits: permits(2), queue: 2_000, ..LIMITS };
    let mut core = Core::new(limits);
    let Entered::Go(_hot) = core.enter(Together, Keys::new(1, None)) else { panic!("no permit") };
    let Entered::Go(other) = core.enter(Together, Keys::new(2, None)) else { panic!("no permit") };
    for number in 0..300 {
        core.push(Together, change(number, 1), later(), ());
    }
    core.push(Together, change(300, 3), later(), ());
    core.release(other);
    assert!(core.start().is_some(), "a permit is free");
    assert_eq!(numbers(&core.gather(Together, Instant::now())), [300]);
}

#[test]
fn one_id_does_not_fill_the_queue() {
    let (mut core, _) = busy(Limits { queue: 8, ..LIMITS }, [change(1, 1), change(2, 1)]);
    assert_eq!(core.enter(Together, Keys::new(1, None)), Entered::Crowded);
    assert_eq!(core.enter(Together, Keys::new(2, Some(1))), Entered::Crowded);
    assert_eq!(core.enter(Together, Keys::new(2, None)), Entered::Wait);
}

/// One that leaves from the middle of its lines, or is late there, lets those behind it go on.
#[test]
fn who_leaves_its_lines_is_waited_for_no_more() {
    let moves = Change(Op { keys: Keys::new(1, Some(2)), ..Op::on(2, 1) });
    let (mut core, _) = busy(LIMITS, []);
    core.push(Together, change(1, 1), later(), ());
    let leaves = core.push(Together, moves.clone(), later(), ());
    core.push(Together, change(3, 2), later(), ());
    let first = core.gather(Together, Instant::now());
    assert_eq!(numbers(&first), [1], "the third waits for the second");
    assert!(core.withdraw(leaves).is_some());
    core.push(Together, moves, Instant::now(), ());
    core.push(Together, change(5, 2), later(), ());
    assert_eq!(numbers(&core.gather(Together, Instant::now())), [3]);
    core.done(Keys::new(2, None));
    first.keys.iter().for_each(|keys| core.done(*keys));
    let last = core.gather(Together, Instant::now());
    assert_eq!((numbers(&last), last.late.len()), (vec![5], 1));
}

/// Large operations have permits of their own and go one by one, in line with small ones on their id.
#[test]
fn what_goes_alone_keeps_its_place() {
    let (mut core, permit) = busy(LIMITS, [change(1, 1)]);
    assert_eq!(core.enter(Alone, Keys::new(1, None)), Entered::Wait);
    core.push(Alone, change(2, 1), later(), ());
    let Entered::Go(large) = core.enter(Alone, Keys::new(2, None)) else { panic!("no permit") };
    core.push(Alone, change(3, 3), later(), ());
    core.push(Alone, change(4, 4), later(), ());
    core.push(Together, change(5, 3), later(), ());
    core.release(permit);
    let small = core.start().unwrap();
    assert_eq!(small.way, Together);
    assert_eq!(numbers(&core.gather(Together, Instant::now())), [1]);
    assert!(core.start().is_none(), "no permit is left");
    core.done(Keys::new(1, None));
    assert!(!core.go_on(small), "the large ones come first");
    core.release(large);
    assert_eq!(core.start().unwrap().way, Alone);
    let batches: Vec<_> = (0..4).map(|_| numbers(&core.gather(Alone, Instant::now()))).collect();
    assert_eq!(batches, [vec![2], vec![3], vec![4], vec![]]);
}

/// Callers that do not come back have as many permits as callers may have, and no more.
#[test]
fn permits_that_were_taken_back_are_for_runners() {
    let (mut core, lost) = busy(LIMITS, [change(1, 1)]);
    let ticket = core.push(Together, change(2, 2), later(), ());
    core.overdue(ticket, ticket).unwrap();
    let runner = core.start().unwrap();
    core.gather(Together, Instant::now()).keys.iter().for_each(|keys| core.done(*keys));
    assert!(!core.go_on(runner));
    // A permit is free, and who comes has to wait for a runner all the same.
    assert_eq!(core.enter(Together, Keys::new(3, None)), Entered::Wait);
    core.push(Together, change(3, 3), later(), ());
    let runner = core.start().unwrap();
    core.gather(Together, Instant::now()).keys.iter().for_each(|keys| core.done(*keys));
    assert!(!core.go_on(runner));
    assert!(!core.is_drained(), "the caller has not come back");
    core.release(lost);
    assert!(core.is_drained());
    assert!(matches!(core.enter(Together, Keys::new(3, None)), Entered::Go(_)));
}
