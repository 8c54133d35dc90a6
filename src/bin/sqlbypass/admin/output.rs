//! What a command answers, on standard output.

use std::io::{ErrorKind, Write as _};

use serde_json::Value as Json;
use sqlbypass::Error;

use super::database::Format;
use crate::failure::Failure;

/// Writes lines of text, or one line of JSON.
pub(super) fn answer(format: Format, text: &str, json: &Json) -> Result<(), Failure> {
    match format {
        Format::Text => print(text),
        Format::Json => print(&json.to_string()),
    }
}

/// Writes to standard output, with a line's end.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let written = write!(out, "{text}{end}").and_then(|()| out.flush());
    match written {
        // Whoever listens has heard enough, as `head` has.
        Err(fault) if fault.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written.map_err(|fault| {
            Error::unavailable("writing standard output", "the pipe failed").caused_by(fault)
        })?),
    }
}

/// A line of warning on standard error.
pub(crate) fn warn(text: &str) {
    crate::complain(&format_args!("warning: {text}"));
}

/// A line on standard error that is good to know.
pub(super) fn note(text: &str) {
    crate::complain(&format_args!("note: {text}"));
}

/// `1 session`, `2 sessions`.
pub(super) fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
