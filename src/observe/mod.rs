//! What is told of the crate's work: spans and events (feature `tracing`), metrics (feature
//! `metrics`), and unknown ids to whoever listens. Never an id, data or a password:
//! `docs/observability.md` lists all that there is.
//!
//! Without the two features everything here but the hook is empty and compiles to nothing.

mod hash;
#[cfg(feature = "metrics")]
mod keys;
mod life;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "_sql")]
mod operation;
#[cfg(feature = "mysql")]
mod quiet;
#[cfg(feature = "_sql")]
mod store;
mod unknown;

pub use self::hash::{IdHash, LogSalt};
pub(crate) use self::life::{Life, Step, step};
#[cfg(feature = "_sql")]
pub(crate) use self::operation::{Seen, done, operation};
#[cfg(feature = "mysql")]
pub(crate) use self::quiet::Quiet;
#[cfg(feature = "sqlite")]
pub(crate) use self::store::Waiting;
#[cfg(feature = "_sql")]
pub(crate) use self::store::{System, batch, connect, retry, waiting};
pub use self::unknown::{UnknownId, UnknownIds, UnknownIdsReceiver};

/// Tells a recorder what the metrics mean. It may be installed at any time, so each store and each
/// manager that is opened says it again; that costs some microseconds.
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    metrics::describe();
}
