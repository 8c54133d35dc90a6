//! What the writer is asked to do, and who has a say in it: the caller until it is begun, the writer
//! afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;

use super::SYSTEM;
use super::connect::{Connection, Fault};
use super::error::is_io_failure;
use crate::error::{Error, Result};
use crate::observe::{Waiting, waiting};

/// Nobody has begun with the job: whoever moves it on decides.
const QUEUED: u8 = 0;
/// The writer has begun: the change may happen.
const STARTED: u8 = 1;
/// The caller has left: the writer must not begin.
const ABANDONED: u8 = 2;

/// Where a job stands, for its caller and the writer.
#[derive(Default)]
pub(super) struct State(AtomicU8);

impl State {
    fn go(&self, to: u8) -> Result<u8, u8> {
        self.0.compare_exchange(QUEUED, to, Ordering::AcqRel, Ordering::Acquire)
    }
}

/// Takes a job back when the caller leaves before it has begun.
pub(super) struct Abandon(pub(super) Arc<State>);

impl Abandon {
    /// Whether the job had not begun, and now never will.
    pub(super) fn now(&self) -> bool {
        matches!(self.0.go(ABANDONED), Ok(_) | Err(ABANDONED))
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        self.now();
    }
}

/// Whether a job may share its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// It is a statement, and weighs so many bytes.
    Welcome(usize),
    /// It is a transaction by itself, or none.
    None,
}

/// One thing to write.
pub(super) struct Job {
    state: Arc<State>,
    until: Instant,
    company: Company,
    /// Until it is begun or given up.
    waiting: Option<Waiting>,
    work: Box<dyn Work>,
}

impl Job {
    pub(super) fn new<T: Send + 'static>(
        doing: &'static str,
        company: Company,
        until: Instant,
        state: Arc<State>,
        operation: impl FnMut(&Connection) -> Result<T, Fault> + Send + 'static,
        answer: oneshot::Sender<Result<T>>,
    ) -> Self {
        let work = Box::new(Call { doing, operation, result: None, answer });
        Self { state, until, company, waiting: Some(waiting(SYSTEM)), work }
    }

    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// The bytes that it brings into a shared transaction, if it may be in one.
    pub(super) fn joins(&self) -> Option<usize> {
        match self.company {
            Company::Welcome(bytes) => Some(bytes),
            Company::None => None,
        }
    }

    /// Whether the job is still wanted; if so it counts as begun from here on.
    pub(super) fn begin(&mut self) -> bool {
        self.waiting = None;
        let to = if Instant::now() < self.until { STARTED } else { ABANDONED };
        self.state.go(to).is_ok() && to == STARTED
    }

    /// Runs it and keeps its result; says whether what it did may be committed.
    pub(super) fn run(&mut self, connection: Result<&Connection>) -> bool {
        self.work.run(connection)
    }

    /// Gives the caller the result of the last run.
    pub(super) fn answer(self) {
        self.work.answer(true);
    }

    /// Tells the caller that nobody knows.
    pub(super) fn answer_unknown(self) {
        self.work.answer(false);
    }
}

trait Work: Send {
    fn run(&mut self, connection: Result<&Connection>) -> bool;
    fn answer(self: Box<Self>, is_known: bool);
}

struct Call<T, F> {
    doing: &'static str,
    operation: F,
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T, F> Work for Call<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, Fault> + Send,
{
    fn run(&mut self, connection: Result<&Connection>) -> bool {
        let result = match connection {
            Ok(connection) => (self.operation)(connection),
            Err(error) => Err(Fault::Ours(error)),
        };
        let is_sound = !matches!(&result, Err(Fault::Sql(fault)) if is_io_failure(fault));
        self.result = Some(result.map_err(|fault| match fault {
            Fault::Sql(_) if !is_sound => disk_failed(self.doing),
            fault => fault.into_error(self.doing),
        }));
        is_sound
    }

    fn answer(self: Box<Self>, is_known: bool) {
        let Self { doing, result, answer, .. } = *self;
        let result = if is_known { result } else { Some(Err(disk_failed(doing))) };
        if let Some(result) = result {
            // A caller that has left takes no answer.
            drop(answer.send(result));
        }
    }
}

fn disk_failed(doing: &'static str) -> Error {
    Error::unknown_outcome(doing, "the disk failed while it was written")
}
