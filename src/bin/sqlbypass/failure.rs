//! How a command ends that does not end well.

use std::process::ExitCode;

use serde_json::{Map, Value as Json};
use sqlbypass::Error;

use crate::admin::Format;
use crate::admin::output::print;
use crate::discreet;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It failed, for this reason; and what is known of what it did before.
    Failed(String, Map<String, Json>),
    /// What was asked makes no sense.
    Usage(String),
    /// What it had to say is said, also in JSON.
    Told,
}

impl Failure {
    /// It failed, in these words.
    pub(crate) fn failed(problem: impl Into<String>) -> Self {
        Self::Failed(problem.into(), Map::new())
    }

    /// An error of what was asked, before anything was done.
    pub(crate) fn usage(error: Error) -> Self {
        Self::Usage(error.to_string())
    }

    /// The same, with more that is known.
    pub(crate) fn knowing(mut self, more: Map<String, Json>) -> Self {
        if let Self::Failed(_, known) = &mut self {
            known.extend(more);
        }
        self
    }

    /// Says what is not said yet: to people on standard error and, as one object on standard output,
    /// to programs that have asked for JSON. What was not understood has no answer.
    pub(crate) fn tell(&self, format: Format) {
        let problem = match self {
            Self::Failed(problem, _) | Self::Usage(problem) => problem,
            Self::Told => return,
        };
        crate::complain(problem);
        if let (Self::Failed(_, known), Format::Json) = (self, format) {
            let mut answer = Map::from_iter([("error".to_owned(), discreet::text(problem).into())]);
            answer.extend(known.clone());
            // Standard output may be what failed.
            let _ = print(&Json::from(answer).to_string());
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(..) | Self::Told => ExitCode::FAILURE,
            Self::Usage(_) => ExitCode::from(2),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::failed(error.to_string())
    }
}
