//! Lanes: adaptive batching, one engine for all databases.
//!
//! A lane has a few permits and a queue. With a permit free the caller's own task sends its single
//! statement at once, and nothing is added to it. With none free the operation waits, and what has
//! gathered when a permit comes back goes out as one batch, in a task that owns the permit. So a
//! caller's task drives only its own statement: one that is dropped delays nobody, and one that is
//! not polled any more keeps a connection and no more. Callers may be out with fewer connections than
//! there are, so that some are left for what is queued.
//!
//! `core.rs` is the state, `ask.rs` what goes through it, `runner.rs` the task that sends batches.

mod ask;
mod core;
#[cfg(test)]
mod late;
#[cfg(test)]
mod mute;
mod runner;
#[cfg(test)]
mod runner_tests;
#[cfg(test)]
mod simulation;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::pin;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

pub(in crate::store) use self::ask::{Change, save_bytes};
pub(in crate::store) use self::core::{Ask, Keys};
use self::core::{Core, Entered, Limits, Permit};
use self::runner::Runner;
use crate::error::{Error, Result};

/// How long an operation waits before it doubts that those with permits are polled; twice as long
/// each further time. Far above what a statement takes.
const PATIENCE: Duration = Duration::from_millis(20);
/// A write that is under way when its deadline passes may be answered so much later.
const LAST_WORD: Duration = Duration::from_millis(200);

/// What a database does for a lane: one operation by one statement, or many by one.
pub(in crate::store) trait Work: Send + Sync + 'static {
    type Ask: Ask + Send + Sync + 'static;
    type Answer: Clone + Send + 'static;
    /// A connection to send a batch on.
    type Ready: Send;

    /// Whether an answer that is lost leaves an unknown outcome.
    const WRITES: bool;

    /// For errors.
    fn doing(ask: &Self::Ask) -> &'static str;

    /// Runs an operation as if there were no lanes; it ends by `until`.
    fn one(
        &self,
        ask: &Self::Ask,
        until: Instant,
    ) -> impl Future<Output = Result<Self::Answer>> + Send;

    /// A connection, by `until`. A batch is chosen when it is there.
    fn ready(&self, until: Instant) -> impl Future<Output = Result<Self::Ready>> + Send;

    /// Runs a batch in one transaction; it ends by `until`, a write by a last word later. No answer
    /// for what was not applied and has to be asked singly: its own statement tells why.
    fn many(
        &self,
        ready: Self::Ready,
        asks: &[Self::Ask],
        until: Instant,
    ) -> impl Future<Output = Result<Vec<Option<Self::Answer>>, Failed>> + Send;
}

/// Why a batch has no answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Failed {
    /// Nothing of it was applied, for sure: each operation may be tried singly.
    Undone,
    /// It may have been applied, and must not be sent again.
    Unknown,
}

/// How an operation is sent. Either way the order of those on one id is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Way {
    /// With others, if it has to wait.
    Together,
    /// By itself, by other permits, if it gains nothing from company.
    Alone,
}

/// How many operations or batches may be sent at a time.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Permits {
    pub(in crate::store) count: usize,
    /// How many of them may be with callers' own tasks. Of all lanes together these must be fewer
    /// than there are connections: callers that are not polled keep theirs.
    pub(in crate::store) callers: usize,
}

impl Permits {
    pub(in crate::store) const NONE: Self = Self { count: 0, callers: 0 };
}

/// Permits for so many connections, by how many are wanted of each kind: at least one, and while
/// callers have all of theirs a connection is left. Only a pool of one has none to leave.
pub(in crate::store) fn share<const N: usize>(
    connections: usize,
    wanted: [usize; N],
) -> [Permits; N] {
    let mut left = connections.saturating_sub(1);
    wanted.map(|count| {
        let count = count.max(1);
        let callers = if connections == 1 { 1 } else { count.min(left) };
        left -= callers.min(left);
        Permits { count, callers }
    })
}

/// How a lane is set up.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Settings {
    pub(in crate::store) permits: Permits,
    /// For [`Way::Alone`].
    pub(in crate::store) alone: Permits,
    /// Operations that may wait.
    pub(in crate::store) queue: usize,
    /// Operations in a batch.
    pub(in crate::store) count: usize,
    /// Bytes in a batch of more than one.
    pub(in crate::store) bytes: usize,
    pub(in crate::store) deadline: Duration,
}

type Reply<W> = oneshot::Sender<Result<<W as Work>::Answer>>;

/// A lane; clones are the same one.
pub(in crate::store) struct Lane<W: Work>(Arc<Inner<W>>);

struct Inner<W: Work> {
    work: W,
    settings: Settings,
    core: Mutex<Core<W::Ask, Reply<W>>>,
}

/// How an operation was let in.
enum Admitted<'a, W: Work> {
    Go(Held<'a, W>),
    Wait(Waiter<'a, W>),
}

impl<W: Work> Lane<W> {
    pub(in crate::store) fn new(work: W, settings: Settings) -> Self {
        let Settings { permits, alone, queue, count, bytes, .. } = settings;
        let limits = Limits { permits: [permits, alone], queue, count, bytes, apart: W::WRITES };
        Self(Arc::new(Inner { work, settings, core: Mutex::new(Core::new(limits)) }))
    }

    /// Runs an operation: `one` on this task if it may go at once, else `own` in a batch or alone.
    /// `keys` are those of the operation where the lane keeps ids apart.
    pub(in crate::store) async fn run<F>(
        &self,
        way: Way,
        keys: impl FnOnce() -> Keys,
        own: impl FnOnce() -> W::Ask,
        one: impl FnOnce() -> F,
    ) -> Result<W::Answer>
    where
        F: Future<Output = Result<W::Answer>>,
    {
        match self.admit(way, keys(), own)? {
            Admitted::Go(_held) => {
                let one = one();
                pin!(one);
                one.await
            }
            Admitted::Wait(waiter) => waiter.answer().await,
        }
    }

    /// Takes in nothing more, and returns when all that was let in before has ended, or should have.
    pub(in crate::store) async fn close(&self) {
        self.lock().close();
        let until = Instant::now() + self.0.settings.deadline + LAST_WORD;
        while !self.lock().is_drained() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn admit(&self, way: Way, keys: Keys, own: impl FnOnce() -> W::Ask) -> Result<Admitted<'_, W>> {
        let entered = self.lock().enter(way, keys);
        if let Entered::Go(permit) = entered {
            return Ok(Admitted::Go(Held { lane: self, permit }));
        }
        let (reply, answer) = oneshot::channel();
        let (ask, until) = (own(), Instant::now() + self.0.settings.deadline);
        let doing = W::doing(&ask);
        // A permit may have come back meanwhile; whoever gave it saw an empty queue.
        let entered = self.change(|core| match core.enter(way, keys) {
            Entered::Wait => Ok(core.push(way, ask, until.into_std(), reply)),
            entered => Err(entered),
        });
        let limit = self.0.settings.queue;
        match entered {
            Ok(ticket) => {
                let ticket = Some(ticket);
                Ok(Admitted::Wait(Waiter { lane: self, ticket, answer, until, doing }))
            }
            Err(Entered::Go(permit)) => Ok(Admitted::Go(Held { lane: self, permit })),
            Err(Entered::Closed) => Err(Error::unavailable(doing, "the store is closed")),
            Err(Entered::Crowded) => {
                let problem = "too many operations on this session wait already";
                Err(Error::overloaded(doing, problem))
            }
            Err(Entered::Full | Entered::Wait) => {
                let problem = format!("{limit} operations wait for a connection already");
                Err(Error::overloaded(doing, problem))
            }
        }
    }

    /// Changes the state and starts a runner if there is something for one to do then.
    fn change<T>(&self, change: impl FnOnce(&mut Core<W::Ask, Reply<W>>) -> T) -> T {
        let mut core = self.lock();
        let result = change(&mut core);
        let start = core.start();
        drop(core);
        if let Some(permit) = start {
            self.start(permit);
        }
        result
    }

    /// Without a runtime the operations that wait start a runner when their patience ends.
    fn start(&self, permit: Permit) {
        let runner = Runner::new(self.clone(), permit);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(runner.run());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Core<W::Ask, Reply<W>>> {
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Work> Clone for Lane<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A permit of a caller's own task.
struct Held<'a, W: Work> {
    lane: &'a Lane<W>,
    permit: Permit,
}

impl<W: Work> Drop for Held<'_, W> {
    fn drop(&mut self) {
        self.lane.change(|core| core.release(self.permit));
    }
}

/// An operation in the queue, as its caller has it.
struct Waiter<'a, W: Work> {
    lane: &'a Lane<W>,
    /// Until there is an answer.
    ticket: Option<u64>,
    answer: oneshot::Receiver<Result<W::Answer>>,
    until: Instant,
    doing: &'static str,
}

impl<W: Work> Waiter<'_, W> {
    async fn answer(mut self) -> Result<W::Answer> {
        let Some(ticket) = self.ticket else { return Err(self.lost()) };
        let (mut patience, mut mark) = (PATIENCE, Some(ticket));
        while Instant::now() < self.until {
            let doubts = mark.map_or(self.until, |_| Instant::now() + patience);
            if let Ok(answer) = timeout_at(doubts.min(self.until), &mut self.answer).await {
                self.ticket = None;
                return answer.unwrap_or_else(|_| Err(self.lost()));
            }
            mark = mark.and_then(|mark| self.lane.change(|core| core.overdue(ticket, mark)));
            patience *= 2;
        }
        if self.lane.change(|core| core.withdraw(ticket)).is_some() {
            return Err(queued_for_too_long(self.doing));
        }
        self.ticket = None;
        let last_word = if W::WRITES { LAST_WORD } else { Duration::ZERO };
        match timeout_at(self.until + last_word, &mut self.answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(self.lost())),
            Err(_) if W::WRITES => Err(unknown(self.doing)),
            Err(_) => Err(Error::timeout(self.doing, "the server did not answer by the deadline")),
        }
    }

    /// The task that had the operation ended without an answer: its runtime was shut down.
    fn lost(&self) -> Error {
        if W::WRITES {
            return unknown(self.doing);
        }
        Error::unavailable(self.doing, "the runtime that sent it has ended")
    }
}

impl<W: Work> Drop for Waiter<'_, W> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.lane.change(|core| core.withdraw(ticket));
        }
    }
}

fn unknown(doing: &'static str) -> Error {
    Error::unknown_outcome(doing, "the server's answer did not come")
}

fn queued_for_too_long(doing: &'static str) -> Error {
    Error::timeout(doing, "no connection became free by the deadline")
        .advice("allow more connections, or find out what keeps them busy")
}
