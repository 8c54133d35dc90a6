//! Clients that know to the row what they were told, and check every answer against it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sqlbypass::{
    Error, Guard, Insert, Lookup, Result, Save, Saved, SessionId, Store, Timeouts, Update,
};

use super::random::Random;

const SESSIONS: usize = 8;
/// Sessions that are gone and are looked for again, of each client.
const GONE: usize = 100;

/// What became of the operations, of all clients.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) done: AtomicU64,
    /// Those that certainly did nothing.
    pub(super) failed: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) slowest_ms: AtomicU64,
    pub(super) stop: AtomicBool,
}

impl Counts {
    /// Counts an operation; its answer, or nothing where it failed.
    fn note<T>(&self, begun: Instant, result: Result<T>) -> Told<T> {
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap();
        self.slowest_ms.fetch_max(took, Ordering::Relaxed);
        let (count, told) = match result {
            Ok(answer) => (&self.done, Told::Answer(answer)),
            Err(error) if error.is_unknown_outcome() => (&self.unknown, Told::Unknown),
            Err(error) => {
                assert!(is_expected(&error), "{error}");
                (&self.failed, Told::Nothing)
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        told
    }
}

fn is_expected(error: &Error) -> bool {
    error.is_timeout() || error.is_unavailable() || error.is_overloaded()
}

enum Told<T> {
    Answer(T),
    /// It failed and changed nothing.
    Nothing,
    /// It may have been done, or may yet be.
    Unknown,
}

/// A session of one client alone.
struct Kept {
    id: SessionId,
    /// The number of what it holds, unless one of the unknown writes was done.
    holds: u64,
    /// Writes that nobody knows of, each on the condition that it still held `holds`: so at most one
    /// of them was done, and none of them once another write was.
    unknown: Vec<u64>,
    /// The last number that was used.
    last: u64,
    /// Nobody knows whether it was destroyed.
    perhaps_gone: bool,
}

impl Kept {
    /// Settles what it holds by what was found.
    fn settle(&mut self, found: &Bytes) {
        if *found == text(self.holds) {
            return;
        }
        let done = self.unknown.iter().copied().find(|n| *found == text(*n));
        let Some(done) = done else {
            panic!("{} was acknowledged and something else is there", self.holds)
        };
        self.holds = done;
        self.unknown.clear();
    }
}

/// Another text and another length for each number.
fn text(number: u64) -> String {
    let length = 200 + usize::try_from(number * 37 % 2_000).unwrap();
    format!("{number}:{}", "x".repeat(length))
}

pub(super) struct Client<S> {
    store: S,
    counts: Arc<Counts>,
    random: Random,
    kept: Vec<Kept>,
    gone: VecDeque<SessionId>,
}

impl<S: Store> Client<S> {
    pub(super) fn new(store: S, counts: Arc<Counts>, random: Random) -> Self {
        Self { store, counts, random, kept: Vec::new(), gone: VecDeque::new() }
    }

    /// Works until it is told to stop, then checks everything that it knows.
    pub(super) async fn run(mut self, pause: Duration) {
        while self.kept.len() < SESSIONS {
            let kept = self.begin().await;
            self.kept.push(kept);
        }
        while !self.counts.stop.load(Ordering::Relaxed) {
            let at = self.random.below(SESSIONS);
            match self.random.below(100) {
                0..89 => _ = self.find(at).await,
                89 => self.look_for_gone().await,
                90..97 => self.update(at).await,
                97..99 => self.touch(at).await,
                _ => self.destroy(at).await,
            }
            tokio::time::sleep(pause).await;
        }
        for at in 0..SESSIONS {
            assert!(self.find(at).await, "the database is well and a find failed");
        }
        while !self.gone.is_empty() {
            self.look_for_gone().await;
        }
    }

    /// A new session; asks until it is told that it is there.
    async fn begin(&mut self) -> Kept {
        let id = SessionId::generate().unwrap();
        let mut unknown = false;
        loop {
            let save = Save::Insert(Insert::new(id.private(), text(0)));
            let begun = Instant::now();
            match self.counts.note(begun, self.store.save(&save).await) {
                Told::Answer(Saved::Applied) => break,
                Told::Answer(Saved::Duplicate) if unknown => break,
                Told::Answer(saved) => panic!("{saved:?} of an id that was never used"),
                Told::Unknown => unknown = true,
                Told::Nothing => {}
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Kept { id, holds: 0, unknown: Vec::new(), last: 0, perhaps_gone: false }
    }

    /// Whether there was an answer.
    async fn find(&mut self, at: usize) -> bool {
        let lookup = Lookup::new(&self.kept[at].id);
        let begun = Instant::now();
        match self.counts.note(begun, self.store.find(&lookup).await) {
            Told::Answer(Some(record)) => self.kept[at].settle(&record.data.unwrap()),
            Told::Answer(None) => self.is_gone(at).await,
            Told::Nothing => return false,
            Told::Unknown => panic!("a find has no unknown outcome"),
        }
        true
    }

    async fn update(&mut self, at: usize) {
        let kept = &mut self.kept[at];
        kept.last += 1;
        let next = kept.last;
        let mut update = Update::new(kept.id.private().into()).data(text(next));
        update.guard = Guard::Data(Some(text(kept.holds).into()));
        let begun = Instant::now();
        let result = self.store.save(&Save::Update(update)).await;
        match self.counts.note(begun, result) {
            Told::Answer(Saved::Applied) => {
                kept.holds = next;
                kept.unknown.clear();
            }
            Told::Answer(Saved::Conflict) => {
                assert!(!kept.unknown.is_empty(), "a conflict with nobody");
                self.find(at).await;
            }
            Told::Answer(Saved::Gone) => self.is_gone(at).await,
            Told::Answer(saved) => panic!("{saved:?} of an update"),
            Told::Unknown => kept.unknown.push(next),
            Told::Nothing => {}
        }
    }

    async fn touch(&mut self, at: usize) {
        let id = self.kept[at].id.private().into();
        let begun = Instant::now();
        let result = self.store.touch(&id, Timeouts::default()).await;
        if let Told::Answer(false) = self.counts.note(begun, result) {
            self.is_gone(at).await;
        }
    }

    async fn destroy(&mut self, at: usize) {
        let lookup = Lookup::new(&self.kept[at].id);
        let begun = Instant::now();
        match self.counts.note(begun, self.store.destroy(&lookup).await) {
            Told::Answer(was_there) => {
                assert!(was_there || self.kept[at].perhaps_gone, "destroyed by nobody");
                self.replace(at).await;
            }
            Told::Unknown => self.kept[at].perhaps_gone = true,
            Told::Nothing => {}
        }
    }

    /// It was not there.
    async fn is_gone(&mut self, at: usize) {
        assert!(self.kept[at].perhaps_gone, "a session that was acknowledged is lost");
        self.replace(at).await;
    }

    async fn replace(&mut self, at: usize) {
        let fresh = self.begin().await;
        let old = std::mem::replace(&mut self.kept[at], fresh);
        self.gone.push_back(old.id);
        if self.gone.len() > GONE {
            self.gone.pop_front();
        }
    }

    /// Once gone, never seen.
    async fn look_for_gone(&mut self) {
        let Some(id) = self.gone.pop_front() else { return };
        let begun = Instant::now();
        let found = self.counts.note(begun, self.store.find(&Lookup::new(&id)).await);
        assert!(!matches!(found, Told::Answer(Some(_))), "a session that was gone is there again");
        if !self.counts.stop.load(Ordering::Relaxed) {
            self.gone.push_back(id);
        }
    }
}
