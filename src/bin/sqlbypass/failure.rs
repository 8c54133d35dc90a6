//! How a command ends that does not end well.

use std::process::ExitCode;

use sqlbypass::Error;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It failed.
    Failed(Error),
    /// What was asked makes no sense.
    Usage(String),
    /// What it had to say is said.
    Told,
}

impl Failure {
    /// What to complain about, if it is not said yet.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Self::Failed(error) => Some(error.to_string()),
            Self::Usage(problem) => Some(problem.clone()),
            Self::Told => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) | Self::Told => ExitCode::FAILURE,
            Self::Usage(_) => ExitCode::from(2),
        }
    }

    /// An error of what was asked, before anything was done.
    pub(crate) fn usage(error: Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
