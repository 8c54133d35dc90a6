//! What waits for the writer: bounded, in order, and looked at before it is taken.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::job::Job;
use crate::error::{Error, Result};

/// The callers' side.
pub(super) struct Queue {
    limit: usize,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// The writer sleeps.
    is_idle: bool,
    is_closed: bool,
    has_ended: bool,
    /// Who wants to know when the writer has ended.
    ending: Vec<oneshot::Sender<()>>,
}

/// The writer's side. When it is dropped, also by a panic, what still waits is given up.
pub(super) struct Jobs(Arc<Queue>);

impl Queue {
    pub(super) fn new(limit: usize) -> (Arc<Self>, Jobs) {
        let queue = Arc::new(Self { limit, state: Mutex::default(), arrived: Condvar::new() });
        (Arc::clone(&queue), Jobs(queue))
    }

    pub(super) fn push(&self, doing: &'static str, job: Job) -> Result<()> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Error::unavailable(doing, "the store is closed"));
        }
        if state.jobs.len() >= self.limit {
            return Err(Error::overloaded(doing, "the writer's queue is full"));
        }
        state.jobs.push_back(job);
        let is_idle = std::mem::take(&mut state.is_idle);
        drop(state);
        if is_idle {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes in nothing more; the writer ends when it has done what waits.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_one();
    }

    /// Returns when the writer has ended.
    pub(super) async fn ended(&self) {
        let (ended, end) = oneshot::channel();
        {
            let mut state = self.lock();
            if state.has_ended {
                return;
            }
            state.ending.push(ended);
        }
        // An error would mean the same.
        let _ = end.await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Jobs {
    /// The next job, when there is one; `None` when the queue is closed and empty.
    pub(super) fn next(&self) -> Option<Job> {
        let mut state = self.0.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state.is_idle = true;
            state = self.0.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the next job is there, and such a one.
    pub(super) fn is_next(&self, such: impl FnOnce(&Job) -> bool) -> bool {
        self.0.lock().jobs.front().is_some_and(such)
    }

    /// Takes the next jobs as long as they are such ones.
    pub(super) fn take_while(&self, mut such: impl FnMut(&Job) -> bool) -> Vec<Job> {
        let mut state = self.0.lock();
        let count = state.jobs.iter().position(|job| !such(job)).unwrap_or(state.jobs.len());
        state.jobs.drain(..count).collect()
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        let (jobs, ending) = {
            let mut state = self.0.lock();
            (state.is_closed, state.has_ended) = (true, true);
            (std::mem::take(&mut state.jobs), std::mem::take(&mut state.ending))
        };
        drop(jobs);
        for ended in ending {
            // Nobody may wait for it any more.
            let _ = ended.send(());
        }
    }
}
