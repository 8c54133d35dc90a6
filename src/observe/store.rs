//! What is told of a store's connections and batches.

#[cfg(feature = "metrics")]
use std::time::Instant;

use crate::error::Result;

/// Which database, by OpenTelemetry's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    #[cfg(feature = "sqlite")]
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "mysql")]
    MySql,
}

#[cfg(any(feature = "metrics", feature = "tracing"))]
impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "sqlite",
            #[cfg(feature = "postgres")]
            Self::Postgres => "postgresql",
            #[cfg(feature = "mysql")]
            Self::MySql => "mysql",
        }
    }
}

/// A wait for a connection, or for SQLite's writer; it ends when this is dropped.
pub(crate) struct Waiting {
    #[cfg(feature = "metrics")]
    system: System,
    #[cfg(feature = "metrics")]
    begun: Instant,
}

/// An operation begins to wait for a connection.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub(crate) fn waiting(system: System) -> Waiting {
    Waiting {
        #[cfg(feature = "metrics")]
        system,
        #[cfg(feature = "metrics")]
        begun: Instant::now(),
    }
}

#[cfg(feature = "metrics")]
impl Drop for Waiting {
    fn drop(&mut self) {
        super::metrics::waited(self.system.name(), self.begun.elapsed());
    }
}

/// So many operations go out together.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables))]
pub(crate) fn batch(system: System, kind: &'static str, operations: usize) {
    #[cfg(feature = "metrics")]
    super::metrics::batch(system.name(), kind, operations);
}

/// An operation is tried once more, for this reason.
#[cfg_attr(not(any(feature = "metrics", feature = "tracing")), allow(unused_variables))]
#[cfg_attr(not(any(feature = "mysql", feature = "postgres")), allow(dead_code))]
pub(crate) fn retry(system: System, reason: &'static str) {
    #[cfg(feature = "metrics")]
    super::metrics::retry(system.name(), reason);
    #[cfg(feature = "tracing")]
    tracing::debug!(
        target: "sqlbypass",
        { db.system.name = system.name(), reason },
        "an operation is tried once more"
    );
}

/// A connection is made.
#[cfg_attr(not(any(feature = "metrics", feature = "tracing")), allow(unused_variables))]
pub(crate) struct Connecting {
    #[cfg(any(feature = "metrics", feature = "tracing"))]
    system: System,
    #[cfg(feature = "metrics")]
    begun: Instant,
}

/// Begins to make a connection.
#[cfg_attr(not(any(feature = "metrics", feature = "tracing")), allow(unused_variables))]
pub(crate) fn connect(system: System) -> Connecting {
    Connecting {
        #[cfg(any(feature = "metrics", feature = "tracing"))]
        system,
        #[cfg(feature = "metrics")]
        begun: Instant::now(),
    }
}

impl Connecting {
    /// It is there, or is not. The error is told in its own words, which hold no password.
    #[cfg_attr(not(any(feature = "metrics", feature = "tracing")), allow(unused_variables))]
    pub(crate) fn ended<T, E: std::fmt::Display>(self, result: Result<T, E>) -> Result<T, E> {
        #[cfg(feature = "metrics")]
        super::metrics::connected(self.system.name(), result.is_ok(), self.begun.elapsed());
        #[cfg(feature = "tracing")]
        match &result {
            Ok(_) => tracing::debug!(
                target: "sqlbypass",
                { db.system.name = self.system.name() },
                "a connection was made"
            ),
            Err(error) => tracing::warn!(
                target: "sqlbypass",
                { db.system.name = self.system.name(), error = %error },
                "no connection was made"
            ),
        }
        result
    }
}
