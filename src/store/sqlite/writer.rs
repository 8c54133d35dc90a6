//! The one writer: a thread that owns the only writing connection, and its bounded queue.
//!
//! SQLite lets one connection write at a time; a thread of its own keeps fsyncs off the executor.
//! What has gathered while the last transaction was on its way to the disk is the next one
//! (`group.rs`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::checkpoints::Checkpoints;
use super::connect::{Connection, Fault, Shared, waiting};
use super::group::{self, Outcome};
use super::job::{Abandon, Company, Job, State};
use super::queue::{Jobs, Queue};
use crate::error::{Error, Result};

/// A job that was begun ends its wait for a lock at the deadline; its answer, that nothing was
/// written, is worth a moment more than the answer that nobody knows.
const LAST_WORD: Duration = Duration::from_millis(200);

pub(super) struct Writer {
    queue: Arc<Queue>,
}

impl Writer {
    /// Starts the thread; it opens its connection with the first job and ends with the store.
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self> {
        let (queue, jobs) = Queue::new(shared.options.queue);
        let thread = Thread { open: None, shared, jobs };
        std::thread::Builder::new()
            .name("sqlbypass-writer".into())
            .spawn(move || thread.run())
            .map_err(|fault| {
                Error::unavailable("opening a SQLite database", "the writer's thread did not start")
                    .caused_by(fault)
            })?;
        Ok(Self { queue })
    }

    /// Runs `operation` on the writing connection, perhaps more than once: again only after what
    /// the first run did has been rolled back.
    ///
    /// A caller that leaves, or whose deadline passes, before the writer has begun takes the job
    /// back; after that the outcome is unknown.
    ///
    /// Queued before the future is made, which then has no room for the operation.
    pub(super) fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        company: Company,
        until: Instant,
        operation: impl FnMut(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> impl Future<Output = Result<T>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let state = Arc::new(State::default());
        let job = Job::new(doing, company, until, Arc::clone(&state), operation, answer);
        let queued = self.queue.push(doing, job);
        answer_of(doing, until, queued, Abandon(state), answered)
    }

    /// Finishes what is queued, closes the connection and ends the thread.
    pub(super) async fn close(&self) {
        self.queue.close();
        self.queue.ended().await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}

async fn answer_of<T>(
    doing: &'static str,
    until: Instant,
    queued: Result<()>,
    abandon: Abandon,
    mut answered: oneshot::Receiver<Result<T>>,
) -> Result<T> {
    queued?;
    let mut result = tokio::time::timeout_at(until.into(), &mut answered).await;
    // The writer drops a job that it has not begun when it ends, and when the deadline passes.
    if !matches!(result, Ok(Ok(_))) && abandon.now() {
        return Err(if Instant::now() < until {
            Error::unavailable(doing, "the store is closed")
        } else {
            Error::timeout(doing, "the writer was busy until the deadline")
        });
    }
    if result.is_err() {
        result = tokio::time::timeout(LAST_WORD, answered).await;
    }
    match result {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::unknown_outcome(doing, "the writer failed without an answer")),
        Err(_) => Err(Error::unknown_outcome(doing, "the deadline passed while it was written")),
    }
}

struct Thread {
    /// Goes before the queue: whoever waits for the end finds it closed.
    open: Option<Open>,
    shared: Arc<Shared>,
    jobs: Jobs,
}

/// The connection, and what carries its WAL back into the file.
struct Open {
    connection: Connection,
    checkpoints: Option<Checkpoints>,
}

impl Thread {
    fn run(mut self) {
        while let Some(job) = self.jobs.next() {
            self.serve(job);
            if let Some(Open { connection, checkpoints: Some(checkpoints) }) = &mut self.open {
                checkpoints.after_commit(connection);
            }
        }
    }

    fn serve(&mut self, mut first: Job) {
        let joins = |job: &Job| job.joins().is_some();
        if self.shared.options.lanes && joins(&first) && self.jobs.is_next(joins) {
            return self.together(first);
        }
        if first.begin() {
            self.alone(first);
        }
    }

    /// Runs what goes together in one transaction. The lock comes first and only then they begin:
    /// until then each can still be taken back.
    fn together(&mut self, mut first: Job) {
        let begun = match &self.open {
            Some(open) => waiting(first.until(), || open.connection.begin_writing().is_ok()),
            None => false,
        };
        if !begun {
            // It will be told why, and the next one is tried.
            if first.begin() {
                self.alone(first);
            }
            return;
        }
        let mut jobs = self.gather(first);
        let Some(open) = &self.open else { return };
        let latest = jobs.iter().map(Job::until).max().unwrap_or_else(Instant::now);
        let work = || waiting(latest, || group::run(&open.connection, &mut jobs));
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Outcome::Broken);
        if matches!(outcome, Outcome::Broken | Outcome::Unknown) {
            // A connection that is closed has rolled back.
            self.open = None;
        }
        match outcome {
            Outcome::Committed => jobs.into_iter().for_each(Job::answer),
            Outcome::Unknown => jobs.into_iter().for_each(Job::answer_unknown),
            Outcome::Undone | Outcome::Broken => jobs.into_iter().for_each(|job| self.alone(job)),
        }
    }

    /// The jobs of the next transaction, those whose callers are still there.
    fn gather(&mut self, first: Job) -> Vec<Job> {
        let mut room = group::Room::default();
        room.takes(&first);
        let mut jobs = vec![first];
        jobs.extend(self.jobs.take_while(|job| room.takes(job)));
        jobs.retain_mut(Job::begin);
        jobs
    }

    /// Runs a job that was begun, in a transaction of its own.
    fn alone(&mut self, mut job: Job) {
        let until = job.until();
        // A factory or a hook of the user's may panic: the connection goes, the writer stays, and
        // the caller is told that there is no answer.
        let work = || waiting(until, || job.run(open(&mut self.open, &self.shared, until)));
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.open = None;
            return;
        }
        job.answer();
    }
}

fn open<'c>(
    open: &'c mut Option<Open>,
    shared: &Arc<Shared>,
    until: Instant,
) -> Result<&'c Connection> {
    if open.is_none() {
        let mut connection = Connection::open(shared, until)?;
        let checkpoints = Checkpoints::start(shared, &mut connection)?;
        *open = Some(Open { connection, checkpoints });
    }
    open.as_ref().map(|open| &open.connection).ok_or_else(|| {
        Error::unavailable("opening a SQLite database", "the connection is not there")
    })
}
