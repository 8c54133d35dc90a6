//! SQLSTATEs → the crate's error.
//!
//! The server's own texts are dropped, the DETAIL and the message: they quote values. The SQLSTATE
//! is kept.

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::error::{Error, Kind};
use crate::store::server::Remedy;

/// What helps against this error.
pub(super) fn remedy(error: &tokio_postgres::Error) -> Remedy {
    let Some(code) = error.code() else {
        return if is_refused(error) { Remedy::None } else { Remedy::Lost };
    };
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    if matches!(severity, Some(Severity::Fatal | Severity::Panic)) {
        // The server hangs up with it, and after a PANIC at commit it may come back with the change.
        return Remedy::Lost;
    }
    match code.code() {
        // undefined column, table, function; a column that has to be filled; a type or a limit that
        // changed
        "42703" | "42P01" | "42883" | "42804" | "23502" | "22001" => Remedy::Inspect,
        // a cached plan whose result changed; a statement of this name is missing, or there already
        "0A000" | "26000" | "42P05" => Remedy::Prepare,
        "40001" | "40P01" => Remedy::Repeat,
        "25006" => Remedy::Leave,
        "57P01" | "57P02" | "57P03" | "57P05" => Remedy::Lost,
        code if code.starts_with("08") => Remedy::Lost,
        _ => Remedy::None,
    }
}

/// The driver itself refused a value or a type; nothing was sent.
fn is_refused(error: &tokio_postgres::Error) -> bool {
    // The only ones that have a source which is no I/O error.
    let source = std::error::Error::source(error);
    source.is_some_and(|source| !source.is::<std::io::Error>())
}

/// A unique index refused the row.
pub(super) fn is_duplicate(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
}

/// Turns a driver's error into ours.
pub(super) fn error(doing: &'static str, error: &tokio_postgres::Error) -> Error {
    let Some(code) = error.code() else {
        return if is_refused(error) {
            Error::database(doing, "the driver refused a value")
        } else {
            Error::unavailable(doing, "the connection to the server was lost")
        };
    };
    let (kind, problem, advice) = described(code.code());
    Error::new(kind, doing, problem).advice(advice).code_is(code.code().to_owned())
}

type Described = (Kind, &'static str, &'static str);

/// Kind, problem and advice for an SQLSTATE.
fn described(code: &str) -> Described {
    let exact = EXACT.iter().find(|(codes, _)| codes.contains(&code));
    let class = CLASSES.iter().find(|(class, _)| code.starts_with(class));
    let found = exact.map(|(_, found)| *found).or(class.map(|(_, found)| *found));
    found.unwrap_or((Kind::Database, "the server refused the statement", ""))
}

const EXACT: [(&[&str], Described); 12] = [
    (
        &["3F000"],
        (
            Kind::Schema,
            "the schema does not exist",
            "create it, or name another before the table's name (--table)",
        ),
    ),
    (
        &["57014"],
        (
            Kind::Timeout,
            "the server ended the statement at its time limit, or an operator cancelled it",
            "nothing was written",
        ),
    ),
    (
        &["55P03"],
        (
            Kind::Timeout,
            "another transaction held the row's lock until the deadline",
            "nothing was written",
        ),
    ),
    (
        &["40001", "40P01"],
        (
            Kind::Timeout,
            "transactions stood in each other's way until the deadline",
            "nothing was written",
        ),
    ),
    (
        &["25006"],
        (
            Kind::ReadOnly,
            "the server takes no writes",
            "name the primary, or several hosts and target_session_attrs=read-write",
        ),
    ),
    (
        &["42501"],
        (
            Kind::Config,
            "the user may not do this to the table",
            "grant it SELECT, INSERT, UPDATE and DELETE",
        ),
    ),
    (
        &["42P01", "42703", "42883", "42804", "23502", "0A000"],
        (
            Kind::Schema,
            "the statement does not fit the table",
            "compare the table with the names that were configured",
        ),
    ),
    (
        &["26000", "42P05"],
        (
            Kind::Config,
            "the server does not know the prepared statement",
            "behind a pooler in transaction mode turn pgbouncer on",
        ),
    ),
    (&["53100"], (Kind::StorageFull, "the disk is full", "free space, or trim old sessions")),
    (
        &["22021", "22P05"],
        (
            Kind::Value,
            "the data are not text in the database's encoding",
            "use a codec that writes text, or a bytea column",
        ),
    ),
    (
        &["22P02", "22P03"],
        (
            Kind::Value,
            "the data do not have the form of the column's type",
            "choose the serializer that Rails uses with this column",
        ),
    ),
    (&["22001"], (Kind::Value, "a value is too long for its column", "widen the column")),
];

const CLASSES: [(&str, Described); 4] = [
    ("57P", (Kind::Unavailable, "the server is going down or starting", "try again later")),
    ("08", (Kind::Unavailable, "the connection to the server was lost", "try again later")),
    ("53", (Kind::Overloaded, "the server is out of a resource", "try again later")),
    ("28", (Kind::Config, "the server refused the user", "check user, password and pg_hba.conf")),
];
