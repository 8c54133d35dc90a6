//! The one writer: a thread that owns the only writing connection, and its bounded queue.
//!
//! SQLite lets one connection write at a time; a thread of its own keeps fsyncs off the executor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::connect::{Connection, Shared, waiting};
use crate::error::{Error, Result};

/// Nobody has begun with the job: whoever moves it on decides.
const QUEUED: u8 = 0;
/// The writer has begun: the change may happen.
const STARTED: u8 = 1;
/// The caller has left: the writer must not begin.
const ABANDONED: u8 = 2;

/// A job that was begun ends its wait for a lock at the deadline; its answer, that nothing was
/// written, is worth a moment more than the answer that nobody knows.
const LAST_WORD: Duration = Duration::from_millis(200);

type Work = Box<dyn FnOnce(Result<&Connection>) + Send>;

enum Message {
    Job { state: Arc<AtomicU8>, until: Instant, work: Work },
    Close(oneshot::Sender<()>),
}

pub(super) struct Writer {
    queue: SyncSender<Message>,
}

impl Writer {
    /// Starts the thread; it opens its connection with the first job and ends with the store.
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self> {
        let (queue, jobs) = sync_channel(shared.options.queue);
        std::thread::Builder::new()
            .name("sqlbypass-writer".into())
            .spawn(move || write(&shared, &jobs))
            .map_err(|fault| {
                Error::unavailable("opening a SQLite database", "the writer's thread did not start")
                    .caused_by(fault)
            })?;
        Ok(Self { queue })
    }

    /// Runs `operation` on the writing connection.
    ///
    /// A caller that leaves, or whose deadline passes, before the writer has begun takes the job
    /// back; after that the outcome is unknown.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        until: Instant,
        operation: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, mut answered) = oneshot::channel();
        let state = Arc::new(AtomicU8::new(QUEUED));
        let work: Work = Box::new(move |connection| {
            // A caller that has left takes no answer.
            drop(answer.send(connection.and_then(operation)));
        });
        self.enqueue(doing, Message::Job { state: Arc::clone(&state), until, work })?;
        let abandon = Abandon(&state);
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
            Err(_) => {
                Err(Error::unknown_outcome(doing, "the deadline passed while it was written"))
            }
        }
    }

    /// Finishes what is queued, closes the connection and ends the thread.
    pub(super) async fn close(&self) -> Result<()> {
        let (done, closed) = oneshot::channel();
        let mut message = Message::Close(done);
        // The queue may be full for a moment; what is in it is acknowledged first.
        while let Err(refused) = self.queue.try_send(message) {
            match refused {
                TrySendError::Disconnected(_) => return Ok(()),
                TrySendError::Full(back) => message = back,
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // An error means that the thread has ended already.
        let _ = closed.await;
        Ok(())
    }

    fn enqueue(&self, doing: &'static str, message: Message) -> Result<()> {
        self.queue.try_send(message).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::overloaded(doing, "the writer's queue is full"),
            TrySendError::Disconnected(_) => Error::unavailable(doing, "the store is closed"),
        })
    }
}

/// Takes a job back when the caller leaves before it has begun.
struct Abandon<'a>(&'a AtomicU8);

impl Abandon<'_> {
    /// Whether the job had not begun, and now never will.
    fn now(&self) -> bool {
        let result =
            self.0.compare_exchange(QUEUED, ABANDONED, Ordering::AcqRel, Ordering::Acquire);
        matches!(result, Ok(_) | Err(ABANDONED))
    }
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.now();
    }
}

fn write(shared: &Arc<Shared>, jobs: &Receiver<Message>) {
    let mut connection = None;
    while let Ok(message) = jobs.recv() {
        match message {
            Message::Job { state, until, work } => {
                if begin(&state, until) {
                    // A factory or a hook of the user's may panic: the connection goes, the writer
                    // stays, and the caller is told that there is no answer.
                    let job = || waiting(until, || work(open(&mut connection, shared, until)));
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        connection = None;
                    }
                }
            }
            Message::Close(done) => {
                if let Some(connection) = connection.take() {
                    connection.close();
                }
                // Nobody may wait for it any more.
                let _ = done.send(());
                return;
            }
        }
    }
}

/// Whether the job is still wanted; if so it counts as begun from here on.
fn begin(state: &AtomicU8, until: Instant) -> bool {
    if Instant::now() >= until {
        let _ = state.compare_exchange(QUEUED, ABANDONED, Ordering::AcqRel, Ordering::Acquire);
        return false;
    }
    state.compare_exchange(QUEUED, STARTED, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

fn open<'c>(
    connection: &'c mut Option<Connection>,
    shared: &Arc<Shared>,
    until: Instant,
) -> Result<&'c Connection> {
    match connection {
        Some(connection) => Ok(connection),
        none => Ok(none.insert(Connection::open(shared, until)?)),
    }
}
