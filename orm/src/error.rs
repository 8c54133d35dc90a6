//! What sea-orm's errors mean. Their texts are not passed on: a database quotes ids and data.

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr, SqlxError};
use sqlbypass::Error;

/// An operation, for messages, and whether it writes.
#[derive(Clone, Copy)]
pub(crate) struct Doing {
    pub(crate) what: &'static str,
    pub(crate) writes: bool,
}

pub(crate) fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Whether the database took the statement back for another's sake (SQLSTATE class 40).
pub(crate) fn is_rolled_back(error: &DbErr) -> bool {
    code(error).is_some_and(|code| code.starts_with("40") && code.len() == 5)
}

/// The error of an operation that the database or the way to it failed.
pub(crate) fn failed(doing: Doing, error: &DbErr) -> Error {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => {
            Error::timeout(doing.what, "no connection became free in time")
        }
        DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) | DbErr::Conn(_) => {
            Error::unavailable(doing.what, "the database cannot be reached")
        }
        _ => match driver(error) {
            Some(SqlxError::Database(_)) => {
                let refused = Error::database(doing.what, "the database refused the statement");
                match code(error) {
                    Some(code) => refused.code_is(code),
                    None => refused,
                }
            }
            Some(SqlxError::PoolTimedOut) => {
                Error::timeout(doing.what, "no connection became free in time")
            }
            Some(SqlxError::ColumnDecode { .. } | SqlxError::ColumnNotFound(_)) => {
                Error::schema(doing.what, "a column does not hold what the model has")
                    .advice("compare the table with the migration")
            }
            Some(_) if doing.writes => {
                Error::unknown_outcome(doing.what, "the connection was lost")
            }
            Some(_) => Error::unavailable(doing.what, "the connection was lost"),
            None => Error::database(doing.what, "the model does not fit the answer"),
        },
    }
}

/// The deadline has passed with the statement under way.
pub(crate) fn late(doing: Doing) -> Error {
    if doing.writes {
        Error::unknown_outcome(doing.what, "the deadline passed before an answer came")
    } else {
        Error::timeout(doing.what, "the deadline passed before an answer came")
    }
}

fn driver(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            Some(error)
        }
        _ => None,
    }
}

fn code(error: &DbErr) -> Option<String> {
    match driver(error) {
        Some(SqlxError::Database(error)) => error.code().map(Into::into),
        _ => None,
    }
}
