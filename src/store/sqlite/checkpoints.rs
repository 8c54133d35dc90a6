//! Checkpoints beside the writer: they carry the WAL back into the file.
//!
//! SQLite's own run inside of a commit and stall the writer for tens of milliseconds. Here a thread
//! copies what has gathered while the writer goes on. That alone never lets the WAL begin anew,
//! since there is always a newer frame; so when little is left the writer copies the rest between
//! two transactions. When the thread does not keep up the writer does it all: the WAL stays below a
//! bound, unless somebody's read transaction holds it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::wal::CheckpointMode;

use super::connect::{Connection, Shared, WAL_LIMIT, waiting};
use crate::error::{Error, Result};

/// Frames in the WAL at which the thread begins, as SQLite's own checkpoints do.
const BEGIN: u32 = 1_000;
/// Frames that the writer copies in about the time of a transaction.
const FEW: u32 = 250;
/// Rounds of the thread, each of what came during the last one.
const ROUNDS: u32 = 4;
/// How long the writer waits for readers of the old WAL, which mostly take microseconds.
const PATIENCE: Duration = Duration::from_millis(2);

/// How long the writer waits for a thread that does not keep up, at the bound.
const PRESSURE: Duration = Duration::from_millis(100);

/// What the thread does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Copying,
    /// It is idle, and little is left to copy.
    Near,
}

pub(super) struct Checkpoints {
    progress: Arc<Progress>,
    /// Wakes the thread; none when it is to end.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Frames at which the next checkpoint is due.
    due: u32,
    /// Frames at which the writer does it by itself.
    bound: u32,
}

#[derive(Default)]
struct Progress {
    phase: Mutex<Phase>,
    changed: Condvar,
    /// In the WAL after the writer's last commit.
    frames: Arc<AtomicU32>,
}

impl Progress {
    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.changed.notify_all();
    }

    fn is_no_longer_near(&self) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *phase == Phase::Near {
            *phase = Phase::Idle;
        }
    }

    fn wait(&self) {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it has ended or not, the writer goes on.
        drop(self.changed.wait_timeout_while(phase, PRESSURE, |phase| *phase == Phase::Copying));
    }
}

impl Checkpoints {
    /// Takes over from SQLite's own checkpoints; `None` where there is no WAL, or where the store
    /// is to leave them alone.
    pub(super) fn start(shared: &Arc<Shared>, writer: &mut Connection) -> Result<Option<Self>> {
        if !shared.options.lanes {
            return Ok(None);
        }
        let progress = Arc::new(Progress::default());
        let Some(page) = writer.watch_wal(Arc::clone(&progress.frames))? else { return Ok(None) };
        let (wake, woken) = sync_channel(1);
        let (shared, theirs) = (Arc::clone(shared), Arc::clone(&progress));
        let thread = std::thread::Builder::new()
            .name("sqlbypass-checkpoints".into())
            .spawn(move || copy(&shared, &theirs, &woken))
            .map_err(|fault| {
                Error::unavailable(
                    "opening a SQLite database",
                    "the checkpoints' thread did not start",
                )
                .caused_by(fault)
            })?;
        let bound = u32::try_from(WAL_LIMIT / 2 / page.max(512)).unwrap_or(u32::MAX);
        let thread = Some(thread);
        Ok(Some(Self { progress, wake: Some(wake), thread, due: BEGIN, bound }))
    }

    /// To be called between two transactions.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        let frames = self.progress.frames.load(Ordering::Relaxed);
        if frames < BEGIN {
            self.due = BEGIN;
            // The WAL has begun anew by itself.
            self.progress.is_no_longer_near();
        }
        if frames < self.due {
            return;
        }
        match self.progress.phase() {
            Phase::Idle => {
                self.progress.set(Phase::Copying);
                // It is idle, so there is room; a thread that has ended leaves it to the bound.
                let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
            }
            Phase::Near => {
                self.finish(writer, frames);
                self.progress.set(Phase::Idle);
            }
            Phase::Copying if frames >= self.bound.max(self.due) => {
                self.progress.wait();
                self.finish(writer, frames);
            }
            Phase::Copying => {}
        }
    }

    /// Copies the rest, so that the next transaction begins the WAL anew.
    fn finish(&mut self, writer: &Connection, frames: u32) {
        let until = Instant::now() + PATIENCE;
        let done = waiting(until, || writer.checkpoint(CheckpointMode::RESTART));
        // Without success a reader holds the WAL, or the thread is about it: not at each commit.
        if done.is_err() {
            self.due = frames + BEGIN;
            return;
        }
        self.due = BEGIN;
        self.progress.frames.store(0, Ordering::Relaxed);
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

fn copy(shared: &Arc<Shared>, progress: &Progress, woken: &Receiver<()>) {
    let mut connection = None;
    while let Ok(()) = woken.recv() {
        let is_near = copy_most(&mut connection, shared);
        progress.set(if is_near { Phase::Near } else { Phase::Idle });
    }
}

/// Whether little is left.
fn copy_most(connection: &mut Option<Connection>, shared: &Arc<Shared>) -> bool {
    let connection = match connection {
        Some(connection) => connection,
        none => match Connection::open(shared, Instant::now() + PATIENCE) {
            Ok(connection) => none.insert(connection),
            // The writer does it at the bound.
            Err(_) => return false,
        },
    };
    let mut left = 0;
    for _ in 0..ROUNDS {
        match connection.checkpoint(CheckpointMode::PASSIVE) {
            Ok(frames) => left = frames,
            Err(_) => return false,
        }
        if left <= FEW {
            break;
        }
    }
    left <= BEGIN
}
