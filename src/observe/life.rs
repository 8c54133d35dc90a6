//! The life of sessions: what a request asked for, what its commit did, and events by the name that
//! logs have for a session.

use std::pin::Pin;

use super::{IdHash, LogSalt, UnknownIds};
use crate::error::Result;
use crate::id::SessionId;

/// What a manager does for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It looks for the row.
    Load,
    /// It writes what a request did.
    Commit,
}

/// Whom a manager tells of its sessions.
pub(crate) struct Life<'a> {
    pub(crate) salt: &'a LogSalt,
    pub(crate) unknown_ids: Option<&'a UnknownIds>,
}

impl Life<'_> {
    pub(crate) fn hash(&self, id: &SessionId) -> IdHash {
        self.salt.hash(&id.private())
    }

    /// A well-formed id found no session.
    pub(crate) fn unknown(&self, id: &SessionId) {
        if let Some(hook) = self.unknown_ids {
            hook.report(self.hash(id));
        }
        #[cfg(feature = "metrics")]
        super::metrics::unknown();
        #[cfg(feature = "tracing")]
        if tracing::enabled!(target: "sqlbypass::session", tracing::Level::DEBUG) {
            tracing::debug!(
                target: "sqlbypass::session",
                event = "unknown",
                session = %self.hash(id),
                "an id found no session"
            );
        }
    }

    /// Something happened to a session; `from` is the id that it had before.
    #[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
    pub(crate) fn event(&self, event: &'static str, id: &SessionId, from: Option<&SessionId>) {
        #[cfg(feature = "metrics")]
        super::metrics::event(event);
        #[cfg(feature = "tracing")]
        if tracing::enabled!(target: "sqlbypass::session", tracing::Level::INFO) {
            tracing::info!(
                target: "sqlbypass::session",
                event,
                session = %self.hash(id),
                from = from.map(|id| tracing::field::display(self.hash(id))),
                "a session's life"
            );
        }
    }
}

/// Runs a step; `outcome` says what became of it.
#[cfg(not(any(feature = "metrics", feature = "tracing")))]
#[inline(always)]
pub(crate) fn step<T, F: Future<Output = Result<T>>>(
    _: Step,
    _: fn(&T) -> &'static str,
    work: Pin<&mut F>,
) -> Pin<&mut F> {
    work
}

/// Runs a step; `outcome` says what became of it.
#[cfg(any(feature = "metrics", feature = "tracing"))]
pub(crate) async fn step<T, F: Future<Output = Result<T>> + Send>(
    step: Step,
    outcome: fn(&T) -> &'static str,
    work: Pin<&mut F>,
) -> Result<T> {
    #[cfg(feature = "metrics")]
    let begun = std::time::Instant::now();
    #[cfg(feature = "tracing")]
    let span = span(step);
    #[cfg(feature = "tracing")]
    let work = tracing::Instrument::instrument(work, span.clone());
    let result = work.await;
    let outcome = match &result {
        Ok(answer) => outcome(answer),
        Err(error) => error.kind().name(),
    };
    #[cfg(feature = "tracing")]
    span.record("outcome", outcome);
    #[cfg(feature = "metrics")]
    match step {
        Step::Load => super::metrics::loaded(outcome),
        Step::Commit => super::metrics::committed(outcome, begun.elapsed()),
    }
    result
}

#[cfg(feature = "tracing")]
fn span(step: Step) -> tracing::Span {
    use tracing::field::Empty;
    match step {
        Step::Load => tracing::debug_span!(target: "sqlbypass", "session_load", outcome = Empty),
        Step::Commit => {
            tracing::debug_span!(target: "sqlbypass", "session_commit", outcome = Empty)
        }
    }
}
