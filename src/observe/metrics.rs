//! The metrics, their names and labels in one place: `docs/observability.md` lists the same, and a
//! test compares the two.

use std::time::Duration;

use ::metrics::{Unit, describe_counter, describe_histogram};

use super::keys::{counter, histogram};

const OPERATIONS: &str = "sqlbypass_operations_total";
const OPERATION_SECONDS: &str = "sqlbypass_operation_duration_seconds";
const DATA_BYTES: &str = "sqlbypass_data_bytes";
const ROWS: &str = "sqlbypass_rows_total";
const WAIT_SECONDS: &str = "sqlbypass_pool_wait_seconds";
const CONNECT_SECONDS: &str = "sqlbypass_connect_duration_seconds";
const BATCH: &str = "sqlbypass_batch_operations";
const RETRIES: &str = "sqlbypass_retries_total";
const LOADS: &str = "sqlbypass_loads_total";
const COMMITS: &str = "sqlbypass_commits_total";
const COMMIT_SECONDS: &str = "sqlbypass_commit_duration_seconds";
const EVENTS: &str = "sqlbypass_session_events_total";
const UNKNOWN: &str = "sqlbypass_unknown_ids_total";

pub(super) fn describe() {
    let count = Unit::Count;
    describe_counter!(OPERATIONS, count, "Operations of a store by what became of them");
    describe_histogram!(OPERATION_SECONDS, Unit::Seconds, "How long operations of a store took");
    describe_histogram!(DATA_BYTES, Unit::Bytes, "Encoded data of a session, read or written");
    describe_counter!(ROWS, count, "Rows that tasks have read or changed");
    describe_histogram!(WAIT_SECONDS, Unit::Seconds, "Waits for a connection or SQLite's writer");
    describe_histogram!(CONNECT_SECONDS, Unit::Seconds, "How long connecting took");
    describe_histogram!(BATCH, count, "Operations that went out together");
    describe_counter!(RETRIES, count, "Operations that were tried once more");
    describe_counter!(LOADS, count, "Sessions that requests asked for by an id");
    describe_counter!(COMMITS, count, "Commits of sessions by what became of them");
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "How long commits of sessions took");
    describe_counter!(EVENTS, count, "Events in the life of sessions");
    describe_counter!(UNKNOWN, count, "Well-formed ids that found no session");
}

#[cfg(feature = "_sql")]
pub(super) fn operation(
    database: &'static str,
    operation: &'static str,
    outcome: &'static str,
    time: Duration,
) {
    counter(OPERATIONS, &[("database", database), ("operation", operation), ("outcome", outcome)])
        .increment(1);
    histogram(OPERATION_SECONDS, &[("database", database), ("operation", operation)]).record(time);
}

/// Data of one operation.
#[cfg(feature = "_sql")]
pub(super) fn bytes(database: &'static str, written: Option<usize>, read: Option<usize>) {
    for (direction, bytes) in [("written", written), ("read", read)] {
        if let Some(bytes) = bytes {
            histogram(DATA_BYTES, &[("database", database), ("direction", direction)])
                .record(bytes as f64);
        }
    }
}

#[cfg(feature = "_sql")]
pub(super) fn rows(database: &'static str, operation: &'static str, rows: Option<u64>) {
    if let Some(rows) = rows {
        counter(ROWS, &[("database", database), ("operation", operation)]).increment(rows);
    }
}

#[cfg(feature = "_sql")]
pub(super) fn waited(database: &'static str, time: Duration) {
    histogram(WAIT_SECONDS, &[("database", database)]).record(time);
}

#[cfg(feature = "_sql")]
pub(super) fn connected(database: &'static str, is_made: bool, time: Duration) {
    let outcome = if is_made { "made" } else { "failed" };
    histogram(CONNECT_SECONDS, &[("database", database), ("outcome", outcome)]).record(time);
}

#[cfg(feature = "_sql")]
pub(super) fn batch(database: &'static str, kind: &'static str, operations: usize) {
    histogram(BATCH, &[("database", database), ("kind", kind)]).record(operations as f64);
}

#[cfg(feature = "_sql")]
#[cfg_attr(not(any(feature = "mysql", feature = "postgres")), allow(dead_code))]
pub(super) fn retry(database: &'static str, reason: &'static str) {
    counter(RETRIES, &[("database", database), ("reason", reason)]).increment(1);
}

pub(super) fn loaded(outcome: &'static str) {
    counter(LOADS, &[("outcome", outcome)]).increment(1);
}

pub(super) fn committed(outcome: &'static str, time: Duration) {
    counter(COMMITS, &[("outcome", outcome)]).increment(1);
    histogram(COMMIT_SECONDS, &[]).record(time);
}

pub(super) fn event(event: &'static str) {
    counter(EVENTS, &[("event", event)]).increment(1);
}

pub(super) fn unknown() {
    counter(UNKNOWN, &[]).increment(1);
}
