//! Why no connection was made.

use std::error::Error as StdError;
use std::fmt;

use crate::error::{Error, Kind};

/// Why a connection was not made, in words without a password, for an [`Error`] to be made of.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    pub(crate) problem: String,
    pub(crate) advice: &'static str,
    pub(crate) code: Option<String>,
    /// No other host would answer better: the password is wrong, or a setting.
    pub(crate) is_final: bool,
    /// The server may answer better with the other kind of encryption.
    pub(crate) other_encryption: bool,
    /// A pooler does not take the options that the connection was started with.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))] // Of PostgreSQL's alone.
    pub(crate) options_refused: bool,
}

impl Failure {
    pub(crate) fn unavailable(problem: impl Into<String>) -> Self {
        Self {
            kind: Kind::Unavailable,
            problem: problem.into(),
            advice: "",
            code: None,
            is_final: false,
            other_encryption: false,
            options_refused: false,
        }
    }

    pub(crate) fn into_error(self, doing: &'static str) -> Error {
        let error = Error::new(self.kind, doing, self.problem).advice(self.advice);
        match self.code {
            Some(code) => error.code_is(code),
            None => error,
        }
    }

    /// What several hosts had to say. `failures` holds one for each host that was tried, with the
    /// name it goes by.
    pub(crate) fn of_hosts(mut failures: Vec<(&str, Self)>) -> Self {
        // More would not be read.
        const SHOWN: usize = 4;
        let hosts = failures.len();
        let reasons: Vec<String> = failures
            .iter()
            .take(SHOWN)
            .map(|(host, failure)| format!("{host} {}", failure.problem))
            .collect();
        let more = if hosts > SHOWN { "; …" } else { "" };
        let reasons = format!("{}{more}", reasons.join("; "));
        let telling = |kind| failures.iter().rposition(|(_, failure)| failure.kind == kind);
        let index = telling(Kind::Config)
            .or_else(|| telling(Kind::Overloaded))
            .unwrap_or_else(|| hosts.saturating_sub(1));
        if index >= hosts {
            return Self::unavailable("no host is known");
        }
        let (_, failure) = failures.swap_remove(index);
        let problem = match hosts {
            1 => reasons,
            _ => format!("none of {hosts} hosts can be used: {reasons}"),
        };
        Self { problem, ..failure }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl StdError for Failure {}
