//! A run: clients, faults, a last look at every session, and the verdict.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlbypass::{ManagerOptions, Policy, Store, Timeouts};

use super::book::{Book, Shared};
use super::checker::{Refusal, check};
use super::clients::Client;
use super::history::{Answer, Op};
use super::model::Model;
use super::random::Random;

/// Short: a fault of a few hundred milliseconds is to outlast it now and then.
pub(crate) const DEADLINE: Duration = Duration::from_millis(400);
/// Longer than most faults, and short enough for sessions to expire in a run.
const IDLE: Duration = Duration::from_millis(1_500);
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
    let number = |name: &str, or: u64| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is a number")),
        Err(_) => or,
    };
    (number("HISTORY_SEED", 11), Duration::from_secs(number("HISTORY_SECONDS", 2)))
}

/// Histories under each policy; `needed` has to have happened in all together, or nothing was tried.
pub(crate) async fn histories<F: Faulty>(name: &str, place: &F, needed: &[&str]) {
    let (seed, length) = settings();
    let mut tally = Tally::new();
    for policy in [Policy::Merge, Policy::Reject, Policy::LastWriteWins] {
        let book = Arc::new(Book::new());
        let options = ManagerOptions {
            policy,
            timeouts: Timeouts { idle: Some(IDLE), lifetime: None },
            deadline: DEADLINE,
            ..ManagerOptions::default()
        };
        work(place, seed, length, &book, &options).await;
        last_look(place, &book, &options).await;
        let worked = book.now();
        verdict(name, seed, policy, &book.all(), &mut tally);
        let checked = Duration::from_nanos(book.now() - worked);
        tell(&format!(
            "{name}, {policy:?}, seed {seed}: {} sessions, checked in {checked:?}",
            book.all().len()
        ));
    }
    tell(&format!("{name}: {tally:?}"));
    for what in needed {
        assert!(tally.contains_key(*what), "on {name} nothing was {what}: {tally:?}");
    }
}

/// All clients, and one fault after another, until the time is over and each fault was there once.
async fn work<F: Faulty>(
    place: &F,
    seed: u64,
    length: Duration,
    book: &Arc<Book>,
    options: &ManagerOptions,
) {
    let stop = Arc::new(AtomicBool::new(false));
    let stores = place.stores();
    let client = |number: usize| {
        let (store, seed) = (stores[number % stores.len()].clone(), seed * 1_000 + number as u64);
        let mut client = Client::new(number, seed, Arc::clone(book), store, options.clone());
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let mut pauses = Random(seed);
            while !stop.load(Ordering::Relaxed) {
                client.turn().await;
                tokio::time::sleep(Duration::from_micros(pauses.next() % 4_000)).await;
            }
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let (begun, mut random) = (Instant::now(), Random(seed));
    let mut faults: Vec<usize> = Vec::new();
    let mut all = false;
    while !all || begun.elapsed() < length {
        if faults.is_empty() {
            faults = (0..place.faults()).collect();
        }
        let fault = faults.swap_remove(random.below(faults.len()));
        place.suffer(fault, &mut random).await;
        all |= faults.is_empty();
        tokio::time::sleep(Duration::from_millis(50 + random.next() % 150)).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
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

fn tell(text: &str) {
    writeln!(std::io::stdout(), "{text}").unwrap();
}
