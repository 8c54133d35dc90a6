//! SQLite's result codes → the crate's error.
//!
//! SQLite names tables and columns in its messages, never values; ours keep the code and drop the
//! driver's type.

use rusqlite::ErrorCode;

use crate::error::{Error, Kind};

/// `SQLITE_CONSTRAINT_UNIQUE` and `SQLITE_CONSTRAINT_PRIMARYKEY`.
const UNIQUE: [i32; 2] = [2067, 1555];
/// `SQLITE_CONSTRAINT_NOTNULL`: a column was added that the statement does not know.
const NOT_NULL: i32 = 1299;

/// Turns a driver's error into ours.
pub(super) fn error(doing: &'static str, error: &rusqlite::Error) -> Error {
    let Some((code, extended)) = codes(error) else {
        return Error::new(Kind::Database, doing, "the row cannot be read as expected");
    };
    let text = rusqlite::ffi::code_to_str(extended);
    let (kind, advice) = match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            (Kind::Timeout, "another process held the lock until the deadline")
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            (Kind::ReadOnly, "make the file and its folder writable")
        }
        ErrorCode::DiskFull => (Kind::StorageFull, "free space, or trim old sessions"),
        ErrorCode::CannotOpen => (
            Kind::Unavailable,
            "check the path, or make the file: sqlbypass create, or create(true) on the builder",
        ),
        ErrorCode::NotADatabase => (Kind::Config, "the file is no SQLite database"),
        ErrorCode::Unknown if is_schema(error) => {
            (Kind::Schema, "compare the table with the names that were configured")
        }
        _ => (Kind::Database, ""),
    };
    Error::new(kind, doing, text).advice(advice).code_is(extended.to_string())
}

/// Whether the statement no longer fits the table, so that the table has to be looked at again.
pub(super) fn is_schema(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => names_missing(msg),
        rusqlite::Error::SqliteFailure(failure, message) => {
            failure.code == ErrorCode::SchemaChanged
                || failure.extended_code == NOT_NULL
                || message.as_deref().is_some_and(names_missing)
        }
        _ => false,
    }
}

/// Whether a new row or a new id met an id that is taken.
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    codes(error).is_some_and(|(_, extended)| UNIQUE.contains(&extended))
}

/// Whether the disk failed while it was written: what has reached it is not known then.
pub(super) fn is_io_failure(error: &rusqlite::Error) -> bool {
    codes(error).is_some_and(|(code, _)| code == ErrorCode::SystemIoFailure)
}

/// Whether the system does not let this user write beside the file.
pub(super) fn is_refused<T>(result: &rusqlite::Result<T>) -> bool {
    let refused = [ErrorCode::ReadOnly, ErrorCode::PermissionDenied, ErrorCode::CannotOpen];
    let code = result.as_ref().err().and_then(codes);
    code.is_some_and(|(code, _)| refused.contains(&code))
}

/// Whether a lock was held by somebody else.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    let busy = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked];
    codes(error).is_some_and(|(code, _)| busy.contains(&code))
}

/// The name before the table's is that of no database that is attached.
pub(super) fn is_missing_database(error: &rusqlite::Error) -> bool {
    let message = match error {
        rusqlite::Error::SqlInputError { msg, .. } => Some(msg),
        rusqlite::Error::SqliteFailure(_, message) => message.as_ref(),
        _ => None,
    };
    message.is_some_and(|message| message.starts_with("unknown database"))
}

fn names_missing(message: &str) -> bool {
    ["no such column", "no such table", "has no column named"]
        .iter()
        .any(|text| message.contains(text))
}

fn codes(error: &rusqlite::Error) -> Option<(ErrorCode, i32)> {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => Some((failure.code, failure.extended_code)),
        rusqlite::Error::SqlInputError { error, .. } => Some((error.code, error.extended_code)),
        _ => None,
    }
}
