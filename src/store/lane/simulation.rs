//! The engine on a paused clock, with a database that is slow, refuses, loses answers and passes
//! operations over, as a seed has it; and with callers that leave or are not polled.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::*;

/// SplitMix64: the same numbers from the same seed.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// What the database makes of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Fine,
    /// It fails, and in company it fails all.
    Refused,
    /// Its answer is lost, and those of its company.
    Lost,
    /// In company it is not applied; alone it is.
    PassedOver,
    /// It waits for a lock: in company for a short time and in vain, alone for long.
    Locked,
}

#[derive(Clone, Debug)]
struct Op {
    number: u64,
    id: u64,
    fate: Fate,
}

impl Ask for Op {
    type Class = bool;

    fn class(&self) -> Option<bool> {
        (!self.number.is_multiple_of(17)).then_some(self.number.is_multiple_of(5))
    }

    fn keys(&self) -> Keys {
        Keys::new(self.id, self.number.is_multiple_of(7).then_some((self.id + 1) % 150))
    }

    fn bytes(&self) -> usize {
        usize::from(self.fate == Fate::Fine)
    }

    fn same(&self, _: &Self) -> bool {
        false
    }
}

/// A lock is held so long; a batch waits less.
const LOCK: Duration = Duration::from_millis(250);
const LOCK_BOUND: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(1);
const SETTINGS: Settings = Settings {
    permits: Permits { count: 2, callers: 2 },
    alone: Permits { count: 2, callers: 1 },
    queue: 1_000,
    count: 8,
    bytes: 6,
    deadline: DEADLINE,
};

#[derive(Default)]
struct Table {
    /// How often each operation was applied.
    applied: HashMap<u64, u32>,
    /// Ids that a statement works on just now.
    busy: HashSet<u64>,
    batches: usize,
}

struct Database {
    table: Mutex<Table>,
    random: Mutex<Random>,
}

impl Database {
    fn new(seed: u64) -> Self {
        Self { table: Mutex::default(), random: Mutex::new(Random(seed)) }
    }

    async fn work(&self) {
        let micros = self.random.lock().unwrap().below(3_000);
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    fn apply(&self, op: &Op) {
        *self.table.lock().unwrap().applied.entry(op.number).or_default() += 1;
    }

    fn begin(&self, ops: &[Op]) {
        let mut table = self.table.lock().unwrap();
        for key in ops.iter().flat_map(|op| op.keys().iter().collect::<Vec<_>>()) {
            assert!(table.busy.insert(key), "two statements work on one id");
        }
    }

    fn end(&self, ops: &[Op]) {
        let mut table = self.table.lock().unwrap();
        for key in ops.iter().flat_map(|op| op.keys().iter().collect::<Vec<_>>()) {
            table.busy.remove(&key);
        }
    }
}

/// The lane's database is shared with the test.
struct Sim(Arc<Database>);

impl Work for Sim {
    type Ask = Op;
    type Answer = u64;
    type Ready = ();
    const WRITES: bool = true;

    fn doing(_: &Op) -> &'static str {
        "simulating"
    }

    async fn one(&self, op: &Op, _: Instant) -> Result<u64> {
        single(&self.0, op).await
    }

    async fn ready(&self, _: Instant) -> Result<()> {
        self.0.work().await;
        if self.0.random.lock().unwrap().below(50) == 0 {
            return Err(Error::unavailable("simulating", "no connection"));
        }
        Ok(())
    }

    async fn many(&self, (): (), ops: &[Op], _: Instant) -> Result<Vec<Option<u64>>, Failed> {
        assert!(ops.len() > 1 && ops.len() <= SETTINGS.count);
        assert!(ops.iter().map(Ask::bytes).sum::<usize>() <= SETTINGS.bytes);
        assert!(ops.iter().all(|op| op.class() == ops[0].class() && op.class().is_some()));
        let database = &*self.0;
        database.table.lock().unwrap().batches += 1;
        database.begin(ops);
        database.work().await;
        let has = |fate| ops.iter().any(|op| op.fate == fate);
        if has(Fate::Locked) {
            tokio::time::sleep(LOCK_BOUND).await;
        }
        database.end(ops);
        if has(Fate::Locked) || has(Fate::Refused) {
            return Err(Failed::Undone);
        }
        let is_applied = !has(Fate::Lost) || database.random.lock().unwrap().below(2) == 0;
        let goes = |op: &&Op| op.fate != Fate::PassedOver;
        if is_applied {
            ops.iter().filter(goes).for_each(|op| database.apply(op));
        }
        if has(Fate::Lost) {
            return Err(Failed::Unknown);
        }
        Ok(ops.iter().map(|op| goes(&op).then_some(op.number)).collect())
    }
}

async fn single(database: &Database, op: &Op) -> Result<u64> {
    database.work().await;
    if op.fate == Fate::Locked {
        tokio::time::sleep(LOCK).await;
        return Err(Error::timeout("simulating", format!("{} met a lock", op.number)));
    }
    match op.fate {
        Fate::Refused => Err(Error::database("simulating", format!("{} is refused", op.number))),
        Fate::Lost => {
            database.apply(op);
            Err(Error::unknown_outcome("simulating", format!("{} is lost", op.number)))
        }
        _ => {
            database.apply(op);
            Ok(op.number)
        }
    }
}

async fn run(lane: &Lane<Sim>, op: &Op) -> Result<u64> {
    let one = || single(&lane.0.work.0, op);
    let way = if op.number.is_multiple_of(10) { Way::Alone } else { Way::Together };
    lane.run(way, || op.keys(), || op.clone(), one).await
}

/// Whether the answer is the operation's own.
fn check(op: &Op, result: &Result<u64>, applied: u32) {
    assert!(applied <= 1, "{op:?} was applied {applied} times");
    match result {
        Ok(number) => assert!(*number == op.number && applied == 1, "{op:?} {result:?}"),
        Err(error) if error.is_unknown_outcome() => {}
        Err(error) => {
            assert_eq!(applied, 0, "{op:?} {error}");
            // Waiting behind a lock on the same id may use up the time.
            let is_own = error.to_string().contains(&format!(" {} ", op.number));
            assert!(is_own || error.is_timeout(), "{op:?} {error}");
            assert!(is_own || op.fate != Fate::Refused || error.is_timeout());
        }
    }
}

async fn simulate(seed: u64) {
    let mut random = Random(seed);
    let database = Arc::new(Database::new(seed));
    let lane = Lane::new(Sim(Arc::clone(&database)), SETTINGS);
    let calls: Vec<_> = (1..=300)
        .map(|number| {
            let fate = match random.below(100) {
                0 => Fate::Locked,
                1 => Fate::Lost,
                2..=4 => Fate::Refused,
                5..=9 => Fate::PassedOver,
                _ => Fate::Fine,
            };
            let op = Op { number, id: random.below(150), fate };
            let (lane, comes) = (lane.clone(), Duration::from_micros(random.below(20_000)));
            let leaves = Duration::from_micros(random.below(5_000));
            let is_patient = random.below(5) > 0;
            tokio::spawn(async move {
                tokio::time::sleep(comes).await;
                if is_patient {
                    return (op.clone(), Some(run(&lane, &op).await));
                }
                (op.clone(), tokio::time::timeout(leaves, run(&lane, &op)).await.ok())
            })
        })
        .collect();
    let mut done = Vec::new();
    for call in calls {
        done.push(call.await.unwrap());
    }
    lane.close().await;
    // What a caller who left had in a batch is through as well.
    tokio::time::sleep(DEADLINE).await;
    for (op, result) in &done {
        let applied = database.table.lock().unwrap().applied.get(&op.number).copied();
        match result {
            Some(result) => check(op, result, applied.unwrap_or(0)),
            None => assert!(applied.unwrap_or(0) <= 1),
        }
    }
    assert!(database.table.lock().unwrap().batches > 10);
    assert!(lane.lock().is_drained());
}

#[tokio::test(start_paused = true)]
async fn each_has_its_own_answer_whatever_happens() {
    for seed in 0..100 {
        simulate(seed).await;
    }
}

fn fine(number: u64, id: u64) -> Op {
    // Numbers like this one have one id and the common class.
    Op { number: 1_000 * 17 * 5 * 7 * number + 1, id, fate: Fate::Fine }
}

/// Polls a future once and no more.
async fn poll_once<F: Future>(future: &mut std::pin::Pin<Box<F>>) {
    poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn callers_that_are_not_polled_delay_nobody() {
    let lane = Lane::new(Sim(Arc::new(Database::new(1))), SETTINGS);
    let ops: Vec<Op> = (0..20).map(|n| fine(n, n)).collect();
    let mut stuck: Vec<_> = ops.iter().map(|op| Box::pin(run(&lane, op))).collect();
    for future in &mut stuck {
        poll_once(future).await;
    }
    // They hold all permits and wait in the queue, and this one comes on an id of theirs.
    let begun = Instant::now();
    let op = fine(100, 0);
    assert_eq!(run(&lane, &op).await.unwrap(), op.number);
    assert!(begun.elapsed() < 3 * PATIENCE, "{:?}", begun.elapsed());
    // Now nobody has to doubt any more.
    let begun = Instant::now();
    let op = fine(101, 1);
    assert_eq!(run(&lane, &op).await.unwrap(), op.number);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    for (future, op) in stuck.into_iter().zip(&ops) {
        assert_eq!(future.await.unwrap(), op.number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_locked_row_costs_its_neighbours_a_moment() {
    let lane = Lane::new(Sim(Arc::new(Database::new(2))), SETTINGS);
    let calls = (0..40).map(|n| {
        let (lane, fate) = (lane.clone(), if n == 5 { Fate::Locked } else { Fate::Fine });
        tokio::spawn(async move {
            let begun = Instant::now();
            let result = run(&lane, &Op { fate, ..fine(n, n) }).await;
            (n, result, begun.elapsed())
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let (n, result, took) = call.await.unwrap();
        assert_eq!(result.is_ok(), n != 5, "{n}");
        assert!(n == 5 || took < 2 * LOCK_BOUND, "{n} took {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_who_leaves_is_taken_out() {
    let settings = Settings { permits: Permits { count: 1, callers: 1 }, queue: 2, ..SETTINGS };
    let database = Arc::new(Database::new(3));
    let lane = Lane::new(Sim(Arc::clone(&database)), settings);
    // The lane's only permit and its only id are held by one that waits for a lock.
    let locked = Op { fate: Fate::Locked, ..fine(0, 0) };
    let mut holder = pin!(run(&lane, &locked));
    let late = fine(1, 0);
    let leaves = fine(2, 2);
    let full = fine(3, 0);
    let work = async {
        let mut waiting = Box::pin(run(&lane, &leaves));
        poll_once(&mut waiting).await;
        let mut late = Box::pin(run(&lane, &late));
        poll_once(&mut late).await;
        assert!(run(&lane, &full).await.unwrap_err().is_overloaded());
        drop(waiting);
        late.await
    };
    let (held, late) = tokio::join!(&mut holder, work);
    assert!(held.unwrap_err().is_timeout());
    assert_eq!(late.unwrap(), fine(1, 0).number);
    let table = database.table.lock().unwrap();
    assert!(!table.applied.contains_key(&leaves.number), "its caller had left");
    assert!(!table.applied.contains_key(&full.number));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_in_the_queue_leaves_nothing_applied() {
    let deadline = Duration::from_millis(100);
    let database = Arc::new(Database::new(5));
    let lane = Lane::new(Sim(Arc::clone(&database)), Settings { deadline, ..SETTINGS });
    let first = [fine(0, 0), fine(1, 1)];
    // A runner sends this one alone, and nobody else may have its id meanwhile.
    let locked = Op { fate: Fate::Locked, ..fine(2, 2) };
    let late = fine(3, 2);
    let begun = Instant::now();
    let work = async {
        let result = run(&lane, &late).await;
        (result, begun.elapsed())
    };
    let (first, second, locked, (late_result, took)) =
        tokio::join!(run(&lane, &first[0]), run(&lane, &first[1]), run(&lane, &locked), work,);
    assert!(first.is_ok() && second.is_ok());
    assert!(locked.unwrap_err().to_string().contains("met a lock"));
    let error = late_result.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(took >= deadline && took < 2 * deadline, "{took:?}");
    assert!(!database.table.lock().unwrap().applied.contains_key(&late.number));
}

#[tokio::test(start_paused = true)]
async fn closing_refuses_what_comes_and_ends_what_waits() {
    let lane = Lane::new(Sim(Arc::new(Database::new(4))), SETTINGS);
    let calls: Vec<_> = (0..40)
        .map(|n| {
            let lane = lane.clone();
            tokio::spawn(async move { run(&lane, &fine(n, n)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    lane.close().await;
    assert!(run(&lane, &fine(50, 50)).await.unwrap_err().is_unavailable());
    for call in calls {
        call.await.unwrap().unwrap();
    }
}
