//! What stores on a server have in common, whatever the server: the operations on a connection, how
//! often one is tried, what lanes do with them.

mod gate;
mod lanes;
mod many;
mod operations;
mod progress;
mod tasks;
mod tries;

use std::sync::Arc;

pub(in crate::store) use self::gate::Gate;
pub(in crate::store) use self::lanes::{Batches, Lanes, Limits};
pub(in crate::store) use self::many::Sorted;
pub(in crate::store) use self::operations::{
    Clear, Delete, Destroy, Find, INSPECTING, Inspect, OneRow, Operation, Rekey, Rows, Touch, Write,
};
pub(in crate::store) use self::progress::Progress;
#[cfg(feature = "cli")]
pub(in crate::store) use self::tasks::DropTable;
pub(in crate::store) use self::tasks::{AskFacts, Count, DeleteAlone, End};
pub(in crate::store) use self::tries::{Remedy, Tries};
use super::call::Call;
use super::lane::Change;
use super::statements::Statements;
use crate::error::Error;
use crate::record::{Record, Row, Saved};
use crate::table::Facts;

/// For errors.
pub(in crate::store) const CREATING: &str = "creating the sessions table";

/// Who may not make a table is not helped by what a service needs.
pub(in crate::store) fn not_made(error: Error, advice: &'static str) -> Error {
    if error.is_config() { error.advice(advice) } else { error }
}

/// A connection that was taken for one operation, with the statements that fit the table.
pub(in crate::store) trait Connection: Send {
    /// Why a step failed: the server's error, or one of ours.
    type Fault: From<Error> + Send;

    fn statements(&self) -> &Arc<Statements>;

    /// Whether a unique index refused the row.
    fn is_duplicate(fault: &Self::Fault) -> bool;

    /// Runs `find`: each row whose id has a shape of ours.
    fn records(
        &mut self,
        call: &Call<'_>,
        each: impl FnMut(Record) + Send,
    ) -> impl Future<Output = Result<(), Self::Fault>> + Send;

    /// Runs `find_many`: the same with whether the row is past no timeout.
    fn found(
        &mut self,
        call: &Call<'_>,
        each: impl FnMut(Record, Option<bool>) + Send,
    ) -> impl Future<Output = Result<(), Self::Fault>> + Send;

    /// Runs `scan`.
    fn scanned(
        &mut self,
        call: &Call<'_>,
        each: impl FnMut(Row) + Send,
    ) -> impl Future<Output = Result<(), Self::Fault>> + Send;

    /// Whether the statement finds a row.
    fn exists(&mut self, call: &Call<'_>)
    -> impl Future<Output = Result<bool, Self::Fault>> + Send;

    /// Runs a statement that writes, as a transaction of its own; the number of rows it met.
    fn execute(&mut self, call: &Call<'_>)
    -> impl Future<Output = Result<u64, Self::Fault>> + Send;

    /// Runs `delete` while nobody else holds the table's lock; `None` when somebody does.
    fn execute_alone(
        &mut self,
        call: Call<'_>,
    ) -> impl Future<Output = Result<Option<u64>, Self::Fault>> + Send;

    /// Runs `count`.
    fn counted(&mut self, call: &Call<'_>)
    -> impl Future<Output = Result<u64, Self::Fault>> + Send;

    /// What the server says of itself and of the table.
    fn facts(&mut self) -> impl Future<Output = Result<Facts, Self::Fault>> + Send;

    /// Runs changes of one class on different ids in one transaction. No answer for what has to be
    /// asked singly: its own statement tells why it was not applied.
    fn change_many(
        &mut self,
        changes: &[Change],
    ) -> impl Future<Output = Result<Vec<Option<Saved>>, Self::Fault>> + Send;

    /// Looks at the table and learns what it has.
    fn inspect(&mut self) -> impl Future<Output = Result<(), Self::Fault>> + Send;
}
