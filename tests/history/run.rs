//! A run: clients, faults, a last look at every session, and the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlbypass::{ManagerOptions, Policy, Store, Timeouts};
use tokio::task::JoinHandle;

use super::book::{Book, Shared};
use super::checker::{Refusal, check};
use super::clients::Client;
use super::history::{Answer, Op};
use super::model::Model;
use super::random::Random;

/// Short: a fault of a few hundred milliseconds is to outlast it now and then.
pub(crate) const DEADLINE: Duration = Duration::from_millis(400);
/// Longer than most faults, and short enough for sessions to expire in a run.
const IDLE: Duration = Duration::from_secs(1);
const CLIENTS: usize = 9;
/// After the last fault everything answers within this.
const RECOVERY: Duration = Duration::from_secs(30);

/// What has to happen in a run.
pub(crate) const NEEDS: [&str; 12] = [
    "created",
    "saved",
    "renewed",
    "touched",
    "merged",
    "destroyed",
    "found",
    "missed",
    "gone",
    "in conflict",
    "failed",
    "unknown",
];

/// A database that misbehaves on demand, and stores on it as several processes have them.
pub(crate) trait Faulty {
    type Store: Store + Clone;

    fn stores(&self) -> Vec<Self::Store>;

    /// How many kinds of faults there are.
    fn faults(&self) -> usize;

    /// One fault, from its beginning to its end.
    async fn suffer(&self, fault: usize, random: &mut Random);
}

/// The run's seed and its length for each policy, as `HISTORY_SEED` and `HISTORY_SECONDS` have them.
fn settings() -> (u64, Duration) {
    let number = |name: &str, or: f64| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => or,
    };
    let length = Duration::from_secs_f64(number("HISTORY_SECONDS", 1.3));
    (number("HISTORY_SEED", 11.0) as u64, length)
}

/// Histories under each policy; `needed` has to have happened in all together, or nothing was tried.
pub(crate) async fn histories<F: Faulty>(name: &str, place: &F, needed: &[&str]) {
    let (seed, length) = settings();
    let mut tally = Tally::new();
    let mut faults = Faults { place, random: Random(seed), left: Vec::new(), rounds: 0 };
    for policy in [Policy::Merge, Policy::Reject, Policy::LastWriteWins] {
        let book = Arc::new(Book::new());
        let options = ManagerOptions {
            policy,
            timeouts: Timeouts { idle: Some(IDLE), lifetime: None },
            deadline: DEADLINE,
            ..ManagerOptions::default()
        };
        let clients = Clients::start(&place.stores(), seed, &book, &options);
        // The last one goes on until each fault was there.
        let is_last = policy == Policy::LastWriteWins;
        faults.suffer(length, is_last).await;
        clients.stop().await;
        last_look(place, &book, &options).await;
        let sessions = book.all();
        verdict(name, seed, policy, &sessions, &mut tally);
        println!("{name}, {policy:?}, seed {seed}: {} sessions", sessions.len());
    }
    println!("{name}: {tally:?}");
    for what in needed {
        assert!(tally.contains_key(*what), "on {name} nothing was {what}: {tally:?}");
    }
}

/// Faults in an order that the seed decides, each once in a round.
struct Faults<'p, F> {
    place: &'p F,
    random: Random,
    left: Vec<usize>,
    rounds: usize,
}

impl<F: Faulty> Faults<'_, F> {
    async fn suffer(&mut self, length: Duration, all: bool) {
        let begun = Instant::now();
        while begun.elapsed() < length || (all && self.rounds == 0) {
            if self.left.is_empty() {
                self.left = (0..self.place.faults()).collect();
            }
            let fault = self.left.swap_remove(self.random.below(self.left.len()));
            self.place.suffer(fault, &mut self.random).await;
            self.rounds += usize::from(self.left.is_empty());
            tokio::time::sleep(Duration::from_millis(50 + self.random.next() % 100)).await;
        }
    }
}

/// Clients that go on until they are told to stop.
struct Clients {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Clients {
    fn start<S: Store + Clone>(
        stores: &[S],
        seed: u64,
        book: &Arc<Book>,
        options: &ManagerOptions,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number: usize| {
            let (store, stop) = (stores[number % stores.len()].clone(), Arc::clone(&stop));
            let seed = seed.wrapping_mul(1_000).wrapping_add(number as u64);
            let mut client = Client::new(number, seed, Arc::clone(book), store, options.clone());
            tokio::spawn(async move {
                let mut pauses = Random(seed);
                while !stop.load(Ordering::Relaxed) {
                    client.turn().await;
                    tokio::time::sleep(Duration::from_micros(pauses.next() % 4_000)).await;
                }
            })
        };
        let tasks = (0..CLIENTS).map(client).collect();
        Self { stop, tasks }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// What became of every session, and of those that were used last once more when they have expired.
async fn last_look<F: Faulty>(place: &F, book: &Arc<Book>, options: &ManagerOptions) {
    let store = place.stores().swap_remove(0);
    let mut client = Client::new(CLIENTS, 0, Arc::clone(book), store, options.clone());
    let until = Instant::now() + RECOVERY;
    let sessions = book.all();
    for entry in sessions.iter().rev() {
        while !client.look(entry).await {
            assert!(Instant::now() < until, "the database does not answer any more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    tokio::time::sleep(IDLE + IDLE / 10).await;
    for entry in sessions.iter().rev().take(CLIENTS) {
        client.look(entry).await;
    }
}

/// How often each answer was given, so that a run in which nothing happened is no proof.
type Tally = BTreeMap<&'static str, usize>;

fn verdict(name: &str, seed: u64, policy: Policy, sessions: &[Shared], tally: &mut Tally) {
    let mut refused: Vec<(usize, Refusal)> = Vec::new();
    for (number, entry) in sessions.iter().enumerate() {
        let history = &entry.lock().unwrap().history;
        for event in history {
            *tally.entry(kind(&event.op, &event.answer)).or_default() += 1;
        }
        if let Err(refusal) = check(history, Model { idle: Some(IDLE) }) {
            refused.push((number, refusal));
        }
    }
    let Some((number, refusal)) = refused.iter().min_by_key(|(_, refusal)| refusal.events.len())
    else {
        return;
    };
    panic!(
        "{} of {} sessions on {name} under {policy:?} break the contract (HISTORY_SEED={seed}). The \
         shortest is s{number}; times are milliseconds:\n{refusal}",
        refused.len(),
        sessions.len()
    );
}

fn kind(op: &Op, answer: &Answer) -> &'static str {
    match (op, answer) {
        (Op::Create { .. }, Answer::Done) => "created",
        (Op::Write(write), Answer::Done) if write.to.is_some() => "renewed",
        (Op::Write(write), Answer::Done) if write.set.is_none() => "touched",
        (_, Answer::Done) => "saved",
        (_, Answer::Merged) => "merged",
        (_, Answer::Found(Some(_))) => "found",
        (_, Answer::Found(None)) => "missed",
        (_, Answer::Destroyed(_)) => "destroyed",
        (_, Answer::Gone) => "gone",
        (_, Answer::Conflict) => "in conflict",
        (_, Answer::Duplicate) => "duplicate",
        (_, Answer::Failed) => "failed",
        (_, Answer::Unknown) => "unknown",
    }
}
