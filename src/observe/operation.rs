//! A store's operation: a span around it, and what became of it.

use std::pin::Pin;

use super::System;
#[cfg(any(feature = "metrics", feature = "tracing"))]
use crate::error::Error;
use crate::error::Result;
use crate::record::{Record, Saved};

/// What is told of an operation that went well.
#[cfg_attr(not(any(feature = "metrics", feature = "tracing")), allow(dead_code))]
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    outcome: &'static str,
    /// Bytes of data that were read.
    read: Option<usize>,
    /// Rows, of an operation on many.
    rows: Option<u64>,
}

impl Seen {
    fn outcome(outcome: &'static str) -> Self {
        Self { outcome, read: None, rows: None }
    }

    /// A find.
    pub(crate) fn found(found: &Option<Record>) -> Self {
        let Some(record) = found else { return Self::outcome("missing") };
        let read = record.data.as_ref().map_or(0, |data| data.len());
        Self { read: Some(read), ..Self::outcome("found") }
    }

    /// A save.
    pub(crate) fn saved(saved: &Saved) -> Self {
        Self::outcome(match saved {
            Saved::Applied => "applied",
            Saved::Gone => "gone",
            Saved::Conflict => "conflict",
            Saved::Duplicate => "duplicate",
        })
    }

    /// What was there, or not: a destroy, a touch.
    pub(crate) fn met(met: &bool) -> Self {
        Self::outcome(if *met { "applied" } else { "gone" })
    }

    /// Rows that were changed.
    pub(crate) fn rows(rows: &u64) -> Self {
        Self { rows: Some(*rows), ..done(rows) }
    }

    /// The same, unless somebody else is at it.
    #[cfg(any(feature = "mysql", feature = "postgres"))] // SQLite's lock is the writer's.
    pub(crate) fn rows_alone(rows: &Option<u64>) -> Self {
        rows.as_ref().map_or(Self::outcome("elsewhere"), Self::rows)
    }

    /// Rows that were read.
    #[allow(clippy::ptr_arg)] // It is what a scan answers.
    pub(crate) fn read<T>(rows: &Vec<T>) -> Self {
        Self::rows(&(rows.len() as u64))
    }
}

/// Nothing but that it went well.
pub(crate) fn done<T>(_: &T) -> Seen {
    Seen::outcome("done")
}

/// Runs an operation that brings so many bytes of data, if it brings any.
#[cfg(not(any(feature = "metrics", feature = "tracing")))]
#[inline(always)]
pub(crate) fn operation<'a, T, F: Future<Output = Result<T>>>(
    _: System,
    _: &'static str,
    _: Option<usize>,
    _: fn(&T) -> Seen,
    work: Pin<&'a mut F>,
) -> Pin<&'a mut F> {
    work
}

/// Runs an operation that brings so many bytes of data, if it brings any.
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub(crate) async fn operation<T, F: Future<Output = Result<T>> + Send>(
    system: System,
    name: &'static str,
    sent: Option<usize>,
    seen: fn(&T) -> Seen,
    work: Pin<&mut F>,
) -> Result<T> {
    let mut watch = Watch::begin(system, name, sent);
    #[cfg(feature = "tracing")]
    let work = tracing::Instrument::instrument(work, watch.span.clone());
    let result = work.await;
    match &result {
        Ok(answer) => watch.seen = seen(answer),
        Err(error) => watch.failed(error),
    }
    result
}

/// An operation under way. One that is dropped half-way has an end too.
#[cfg(any(feature = "metrics", feature = "tracing"))]
struct Watch {
    #[cfg(feature = "metrics")]
    system: System,
    #[cfg(feature = "metrics")]
    name: &'static str,
    #[cfg(feature = "metrics")]
    sent: Option<usize>,
    #[cfg(feature = "metrics")]
    begun: std::time::Instant,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
    seen: Seen,
}

#[cfg(any(feature = "metrics", feature = "tracing"))]
impl Watch {
    fn begin(system: System, name: &'static str, sent: Option<usize>) -> Self {
        Self {
            #[cfg(feature = "metrics")]
            system,
            #[cfg(feature = "metrics")]
            name,
            #[cfg(feature = "metrics")]
            sent,
            #[cfg(feature = "metrics")]
            begun: std::time::Instant::now(),
            #[cfg(feature = "tracing")]
            span: tracing::debug_span!(
                target: "sqlbypass",
                "session_store",
                db.system.name = system.name(),
                db.operation.name = name,
                sent.bytes = sent,
                read.bytes = tracing::field::Empty,
                rows = tracing::field::Empty,
                outcome = tracing::field::Empty,
                error.code = tracing::field::Empty,
            ),
            seen: Seen::outcome("dropped"),
        }
    }

    fn failed(&mut self, error: &Error) {
        self.seen = Seen::outcome(error.kind().name());
        #[cfg(feature = "tracing")]
        if let Some(code) = error.code() {
            self.span.record("error.code", code);
        }
    }
}

#[cfg(any(feature = "metrics", feature = "tracing"))]
impl Drop for Watch {
    fn drop(&mut self) {
        #[cfg(feature = "metrics")]
        {
            let Seen { outcome, read, rows } = self.seen;
            let system = self.system.name();
            super::metrics::operation(system, self.name, outcome, self.begun.elapsed());
            super::metrics::bytes(system, self.sent, read);
            super::metrics::rows(system, self.name, rows);
        }
        #[cfg(feature = "tracing")]
        {
            self.span.record("outcome", self.seen.outcome);
            if let Some(read) = self.seen.read {
                self.span.record("read.bytes", read);
            }
            if let Some(rows) = self.seen.rows {
                self.span.record("rows", rows);
            }
        }
    }
}
