//! Group commit: many jobs, one transaction, one wait for the disk; each its own answer.
//!
//! SQLite undoes a statement that fails and leaves the transaction as it was, so a row that is
//! refused costs its neighbours nothing. Where it gives the whole transaction up (a full disk, a
//! constraint that says so), nothing of it was applied, and each job goes alone.

use super::SYSTEM;
use super::connect::Connection;
use super::error::is_io_failure;
use super::job::Job;
use crate::observe::batch;

/// Jobs in a transaction: more would share the disk's time no better, and wait longer.
const COUNT: usize = 256;
/// Bytes that they bring.
const BYTES: usize = 1 << 20;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    /// Nothing of it was applied.
    Undone,
    /// Nobody knows.
    Unknown,
    /// A panic: nothing of it was applied once its connection is closed.
    Broken,
}

/// What a transaction has taken in.
#[derive(Default)]
pub(super) struct Room {
    count: usize,
    bytes: usize,
}

impl Room {
    /// Whether the job fits; it is counted then. The first one always fits.
    pub(super) fn takes(&mut self, job: &Job) -> bool {
        let Some(bytes) = job.joins() else { return false };
        let fits = self.count < COUNT && self.bytes + bytes <= BYTES;
        if !fits && self.count > 0 {
            return false;
        }
        self.count += 1;
        self.bytes += bytes;
        true
    }
}

/// Runs the jobs in the transaction that was begun, in their order, and commits. Operations on the
/// same row see each other's work, as they would one transaction after the other.
pub(super) fn run(connection: &Connection, jobs: &mut [Job]) -> Outcome {
    batch(SYSTEM, "change", jobs.len());
    for job in jobs {
        if !job.run(Ok(connection)) || !connection.is_in_transaction() {
            return undo(connection);
        }
    }
    match connection.commit() {
        Ok(()) => Outcome::Committed,
        Err(fault) if is_io_failure(&fault) => Outcome::Unknown,
        Err(_) => undo(connection),
    }
}

fn undo(connection: &Connection) -> Outcome {
    // An error means that SQLite has rolled back already.
    let _ = connection.roll_back();
    if connection.is_in_transaction() { Outcome::Broken } else { Outcome::Undone }
}
