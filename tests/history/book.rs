//! What the clients know of the sessions, and what they write down.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlbypass::{Error, Result, SessionId};

use super::history::{Answer, Event, Id, Op, Time};
use super::random::Random;

/// A session is left alone when so much has happened to it.
const FULL: usize = 40;
/// Or when it was missed so often.
const MISSED: usize = 6;
/// Nobody comes back to it when so much has.
const CLOSED: usize = 80;
/// So many sessions are worked on at a time.
const AT_ONCE: usize = 2;

/// One session: the ids that it was given, as far as anybody was told, and its history.
#[derive(Default)]
pub(crate) struct Entry {
    pub(crate) ids: Vec<Option<SessionId>>,
    pub(crate) history: Vec<Event>,
}

pub(crate) type Shared = Arc<Mutex<Entry>>;

pub(crate) struct Book {
    begun: Instant,
    values: AtomicU64,
    /// Changes of which a store said that their outcome is unknown.
    unknown: AtomicU64,
    sessions: Mutex<Vec<Shared>>,
}

impl Book {
    pub(crate) fn new() -> Self {
        let (values, unknown) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { begun: Instant::now(), values, unknown, sessions: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Time {
        self.begun.elapsed().as_nanos() as Time
    }

    /// A value that nobody has written yet.
    pub(crate) fn value(&self) -> u64 {
        self.values.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a fault has met a change that was under way.
    pub(crate) fn has_unknown(&self) -> bool {
        self.unknown.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn add(&self, entry: Shared) {
        self.sessions.lock().unwrap().push(entry);
    }

    pub(crate) fn all(&self) -> Vec<Shared> {
        self.sessions.lock().unwrap().clone()
    }

    /// A session to work on, mostly one of the last; `None` where a new one is due.
    pub(crate) fn choose(&self, random: &mut Random) -> Option<Shared> {
        let sessions = self.sessions.lock().unwrap();
        if random.percent(10) && !sessions.is_empty() {
            let old = &sessions[random.below(sessions.len())];
            return (old.lock().unwrap().history.len() < CLOSED).then(|| Arc::clone(old));
        }
        let is_open = |entry: &&Shared| entry.lock().unwrap().is_open();
        let last: Vec<_> = sessions.iter().rev().take(2 * AT_ONCE).filter(is_open).collect();
        (last.len() >= AT_ONCE).then(|| Arc::clone(last[random.below(last.len())]))
    }
}

impl Entry {
    fn is_open(&self) -> bool {
        let is_missed = |event: &&Event| matches!(event.answer, Answer::Gone | Answer::Found(None));
        self.history.len() < FULL && self.history.iter().filter(is_missed).count() < MISSED
    }

    /// One of its ids that is known, mostly the last.
    pub(crate) fn id(&self, random: &mut Random) -> Option<(Id, SessionId)> {
        let known: Vec<_> = (0..self.ids.len()).filter(|id| self.ids[*id].is_some()).collect();
        let last = *known.last()?;
        let id = if random.percent(80) { last } else { random.one_of(&known) };
        Some((id, self.ids[id].clone()?))
    }

    /// The number of the next id, which nobody knows yet.
    pub(crate) fn next_id(&mut self) -> Id {
        self.ids.push(None);
        self.ids.len() - 1
    }
}

/// What came of an operation, its answer to be read by whoever knows what was asked.
pub(crate) struct Told<T> {
    begun: Time,
    ended: Time,
    pub(crate) answer: std::result::Result<T, Answer>,
}

impl<T> Told<T> {
    /// Asks; a client now and then goes away before it is answered.
    pub(crate) async fn by(
        book: &Book,
        patience: Option<Duration>,
        asked: impl Future<Output = Result<T>>,
    ) -> Self {
        let begun = book.now();
        let answer = match patience {
            Some(patience) => tokio::time::timeout(patience, asked).await.ok(),
            None => Some(asked.await),
        };
        let answer = match answer {
            Some(answer) => answer.map_err(|error| {
                book.unknown.fetch_add(u64::from(error.is_unknown_outcome()), Ordering::Relaxed);
                told(&error)
            }),
            None => Err(Answer::Unknown),
        };
        Self { begun, ended: book.now(), answer }
    }

    /// Writes it down, but for a question that was not answered.
    pub(crate) fn note(&self, entry: &Shared, client: usize, op: Op, answer: Answer) {
        if matches!(op, Op::Find { .. }) && self.answer.is_err() {
            return;
        }
        let ended = if answer == Answer::Unknown { Time::MAX } else { self.ended };
        let event = Event { client, begun: self.begun, ended, op, answer };
        entry.lock().unwrap().history.push(event);
    }

    pub(crate) fn answer(&self, of: impl FnOnce(&T) -> Answer) -> Answer {
        self.answer.as_ref().map_or_else(Clone::clone, of)
    }
}

/// What an error says of its operation. A store under faults has no other errors than these.
fn told(error: &Error) -> Answer {
    if error.is_unknown_outcome() {
        return Answer::Unknown;
    }
    let is_passing = error.is_timeout() || error.is_unavailable() || error.is_overloaded();
    assert!(is_passing || error.is_conflict(), "{error}");
    Answer::Failed
}
