//! A run: clients, faults, a last look at every session, and the verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlbypass::{ManagerOptions, Policy, Store, Timeouts};
use tokio::task::JoinHandle;

use super::book::Book;
use super::clients::Client;
use super::model::Model;
use super::random::Random;
use super::verdict::{happened, verdict};

/// Short: a fault of a few hundred milliseconds is to outlast it now and then.
pub(crate) const DEADLINE: Duration = Duration::from_millis(400);
/// Longer than most faults, and short enough for sessions to expire in a run.
const IDLE: Duration = Duration::from_secs(1);
const CLIENTS: usize = 9;
/// For each policy, in the quick part.
const QUICK: Duration = Duration::from_millis(1_300);
/// Within so much more all has happened, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// After the last fault everything answers within this.
const RECOVERY: Duration = Duration::from_secs(30);

/// A database that misbehaves on demand, and stores on it as several processes have them.
pub(crate) trait Faulty {
    type Store: Store + Clone;

    fn stores(&self) -> Vec<Self::Store>;

    /// How many kinds of faults there are.
    fn faults(&self) -> usize;

    /// One fault, from its beginning to its end; says which it was.
    async fn suffer(&self, fault: usize, random: &mut Random) -> &'static str;
}

/// What the environment says, if it does.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The run's seed and its length for each policy, as `HISTORY_SEED` and `HISTORY_SECONDS` have them.
fn settings() -> (u64, Duration) {
    let length = number("HISTORY_SECONDS").map_or(QUICK, Duration::from_secs);
    (number("HISTORY_SEED").unwrap_or(11), length)
}

/// Histories under each policy, checked.
pub(crate) async fn histories<F: Faulty>(name: &str, place: &F) {
    let (seed, length) = settings();
    let mut faults = Faults { place, random: Random(seed), left: Vec::new(), rounds: 0 };
    for policy in [Policy::Merge, Policy::Reject, Policy::LastWriteWins] {
        println!("{name}, {policy:?}, seed {seed}");
        let book = Arc::new(Book::new());
        let options = ManagerOptions {
            policy,
            timeouts: Timeouts { idle: Some(IDLE), lifetime: None },
            deadline: DEADLINE,
            ..ManagerOptions::default()
        };
        let clients = Clients::start(&place.stores(), seed, &book, &options);
        faults.begin();
        faults.suffer(length, &book, policy).await;
        clients.stop().await;
        last_look(place, &book, &options).await;
        println!("{:?}", happened(&book.all()));
        if let Err(refusals) = verdict(&book.all(), Model { idle: Some(IDLE) }) {
            panic!("{name} under {policy:?}, HISTORY_SEED={seed}: {refusals}");
        }
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
    fn begin(&mut self) {
        (self.left, self.rounds) = (Vec::new(), 0);
    }

    /// So long, and until each fault has been there and whatever can happen has happened: else it proves
    /// nothing.
    async fn suffer(&mut self, length: Duration, book: &Book, policy: Policy) {
        let begun = Instant::now();
        while begun.elapsed() < length || self.rounds == 0 || lacks(book, policy) {
            assert!(
                begun.elapsed() < length + PATIENCE,
                "not all happens: {:?}",
                happened(&book.all())
            );
            if self.left.is_empty() {
                let one = number("HISTORY_FAULT").map(|fault| vec![fault as usize]);
                self.left = one.unwrap_or_else(|| (0..self.place.faults()).collect());
            }
            tokio::time::sleep(Duration::from_millis(50 + self.random.next() % 100)).await;
            let fault = self.left.swap_remove(self.random.below(self.left.len()));
            let (from, fault) = (begun.elapsed(), self.place.suffer(fault, &mut self.random).await);
            println!("{:>6} .. {:>6} ms: {fault}", from.as_millis(), begun.elapsed().as_millis());
            self.rounds += usize::from(self.left.is_empty());
        }
    }
}

/// Whether something that can happen under the policy has not happened.
fn lacks(book: &Book, policy: Policy) -> bool {
    const ALWAYS: [&str; 10] = [
        "created",
        "saved",
        "renewed",
        "touched",
        "destroyed",
        "found",
        "missed",
        "gone",
        "failed",
        "unknown",
    ];
    let more: &[&str] = match policy {
        Policy::Merge => &["merged", "in conflict"],
        Policy::Reject => &["in conflict"],
        Policy::LastWriteWins => &[],
    };
    let happened = happened(&book.all());
    !book.has_unknown() || ALWAYS.iter().chain(more).any(|what| !happened.contains_key(what))
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

/// What became of every session's rows, and of those that were used last when they have expired.
async fn last_look<F: Faulty>(place: &F, book: &Arc<Book>, options: &ManagerOptions) {
    let store = place.stores().swap_remove(0);
    let mut client = Client::new(CLIENTS, 0, Arc::clone(book), store, options.clone());
    let until = Instant::now() + RECOVERY;
    let sessions = book.all();
    // Of any age: no loss of a row is taken for its end.
    for entry in sessions.iter().rev() {
        while !client.look(entry, false).await {
            assert!(Instant::now() < until, "the database does not answer any more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    tokio::time::sleep(IDLE + IDLE / 10).await;
    for entry in sessions.iter().rev().take(CLIENTS) {
        client.look(entry, true).await;
    }
}
