//! The server's error numbers → the crate's error.
//!
//! The server's own texts are dropped: they quote values, for instance the id that a unique index
//! has already. The number is kept.

use mysql_async::{DriverError, Error as Fault};

use crate::error::{Error, Kind};
use crate::store::server::Remedy;

/// What helps against this error.
pub(super) fn remedy(fault: &Fault) -> Remedy {
    let Some(code) = code(fault) else {
        return if is_refused(fault) { Remedy::None } else { Remedy::Lost };
    };
    match code {
        // unknown column, table; a column that has to be filled; data too long for it
        1054 | 1146 | 1364 | 1406 => Remedy::Inspect,
        // unknown statement; prepare again; the table's definition changed; wrong arguments
        1243 | 1615 | 1412 | 1210 => Remedy::Prepare,
        // a deadlock; on Galera also a conflict with another node's transaction
        1213 => Remedy::Repeat,
        1180 if is_conflict(fault) => Remedy::Repeat,
        // At a commit: with Galera it may have reached the other nodes.
        1180 => Remedy::Unknown,
        // --read-only, read-only mode, a read-only transaction; a Galera node that is not ready
        1290 | 1792 | 1836 | 1047 => Remedy::Leave,
        // shutdown, aborted connection, network, killed, timed out
        1053 | 1077 | 1079 | 1152 | 1156..=1161 | 1184 | LOST | 4031 => Remedy::Lost,
        code if is_clients(code) => Remedy::Lost,
        _ => Remedy::None,
    }
}

/// The server has ended the connection.
const LOST: u16 = 1927;

/// A client's own number, which no server sends: a proxy does, of its connection to the server.
fn is_clients(code: u16) -> bool {
    (2000..3000).contains(&code)
}

fn code(fault: &Fault) -> Option<u16> {
    match fault {
        Fault::Server(server) => Some(server.code),
        _ => None,
    }
}

fn is_conflict(fault: &Fault) -> bool {
    matches!(fault, Fault::Server(server) if server.message.contains("Deadlock"))
}

/// The driver itself refused a value or a statement; nothing was sent.
fn is_refused(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Driver(
            DriverError::MixedParams
                | DriverError::StmtParamsMismatch { .. }
                | DriverError::StmtParamsNumberExceedsLimit { .. }
                | DriverError::Params(_)
        )
    )
}

/// A unique index refused the row.
pub(super) fn is_duplicate(fault: &Fault) -> bool {
    matches!(code(fault), Some(1062 | 1586))
}

/// The user has no right to the table, if it is there.
pub(super) fn is_denied(fault: &Fault) -> bool {
    matches!(code(fault), Some(1142 | 1143))
}

/// There is no such table, or no such database.
pub(super) fn is_missing_table(fault: &Fault) -> bool {
    matches!(code(fault), Some(1146 | 1049))
}

/// Turns a driver's error into ours.
pub(super) fn error(doing: &'static str, fault: &Fault) -> Error {
    let Some(code) = code(fault) else {
        return if is_refused(fault) {
            Error::database(doing, "the driver refused the statement")
        } else {
            Error::unavailable(doing, "the connection to the server was lost")
        };
    };
    let (kind, problem, advice) = described(code);
    Error::new(kind, doing, problem).advice(advice).code_is(code.to_string())
}

/// The error of a change of which the server does not know what became.
pub(super) fn unknown(doing: &'static str, fault: &Fault) -> Error {
    let error = Error::unknown_outcome(doing, "the server failed while it committed the change");
    match code(fault) {
        Some(code) => error.code_is(code.to_string()),
        None => error,
    }
}

type Described = (Kind, &'static str, &'static str);

/// Kind, problem and advice for an error's number.
fn described(code: u16) -> Described {
    let code = if is_clients(code) { LOST } else { code };
    let found = KNOWN.iter().find(|(codes, _)| codes.contains(&code));
    found.map_or((Kind::Database, "the server refused the statement", ""), |(_, found)| *found)
}

const NOTHING: &str = "nothing was written";

const KNOWN: [(&[u16], Described); 16] = [
    (
        &[1969, 3024, 1317],
        (
            Kind::Timeout,
            "the server ended the statement at its time limit, or an operator cancelled it",
            NOTHING,
        ),
    ),
    (
        &[1205, 3572],
        (Kind::Timeout, "another transaction held the row's lock until the deadline", NOTHING),
    ),
    (
        &[1213, 1180],
        (Kind::Timeout, "transactions stood in each other's way until the deadline", NOTHING),
    ),
    (
        &[1290, 1792, 1836],
        (Kind::ReadOnly, "the server takes no writes", "name the primary, or several hosts"),
    ),
    (
        &[1047],
        (
            Kind::Unavailable,
            "the node does not belong to a working cluster",
            "name several hosts, and wait until the cluster has a majority",
        ),
    ),
    (
        &[1044, 1142, 1143, 1227, 1370],
        (
            Kind::Config,
            "the user may not do this",
            "grant it SELECT, INSERT, UPDATE and DELETE on the table",
        ),
    ),
    (
        &[1045, 1698],
        (
            Kind::Config,
            "the server refuses the user or its password",
            "name both in the URL as the server knows them, and the host that they are for",
        ),
    ),
    (
        &[1046],
        (
            Kind::Config,
            "no database is named",
            "end the URL with /database, or name database.table",
        ),
    ),
    (
        &[1665],
        (
            Kind::Config,
            "the server replicates statements, which READ COMMITTED cannot have",
            "set binlog_format to ROW or MIXED",
        ),
    ),
    (
        &[1054, 1146, 1364, 1412, 1265, 1292],
        (
            Kind::Schema,
            "the statement does not fit the table",
            "compare the table with the names that were configured",
        ),
    ),
    (
        &[1021, 1026, 1114],
        (Kind::StorageFull, "the disk or the table is full", "free space, or trim old sessions"),
    ),
    (
        &[1366, 1300, 3854],
        (
            Kind::Value,
            "the data are not text in the column's character set",
            "use a codec that writes text, a column in utf8mb4, or a blob",
        ),
    ),
    (
        &[4025, 3140, 3141, 3144, 3819],
        (
            Kind::Value,
            "the data do not have the form of the column's type",
            "choose the serializer that Rails uses with this column; what is encrypted goes into one of \
             JSON as JSON strings (Encrypted::in_json, convert --json-column)",
        ),
    ),
    (
        &[1406, 1153, 1301],
        (Kind::Value, "a value is too long for its column or for a packet", "widen the column"),
    ),
    (
        &[1037, 1038, 1040, 1041, 1203, 1226, 1461],
        (Kind::Overloaded, "the server is out of a resource", "try again later"),
    ),
    (
        &[1053, 1077, 1079, 1152, 1156, 1157, 1158, 1159, 1160, 1161, 1184, LOST, 4031],
        (Kind::Unavailable, "the connection to the server was lost", "try again later"),
    ),
];

#[cfg(test)]
mod tests {
    use mysql_async::ServerError;

    use super::*;

    fn fault(code: u16, message: &str) -> Fault {
        Fault::Server(ServerError { code, message: message.into(), state: "HY000".into() })
    }

    #[test]
    fn a_conflict_of_nodes_is_repeated_and_another_failure_of_a_commit_is_unknown() {
        assert_eq!(remedy(&fault(1213, "")), Remedy::Repeat);
        let conflict = "Got error 149 \"Deadlock found\" during COMMIT";
        assert_eq!(remedy(&fault(1180, conflict)), Remedy::Repeat);
        let other = fault(1180, "Got error 5 \"Input/output error\" during COMMIT");
        assert_eq!(remedy(&other), Remedy::Unknown);
        assert!(unknown("saving", &other).is_unknown_outcome());
    }

    #[test]
    fn what_a_proxy_says_of_its_server_is_a_lost_connection() {
        for code in [2000, 2003, 2006, 2013, 2055, 2999] {
            assert_eq!(remedy(&fault(code, "")), Remedy::Lost);
            assert!(error("saving a session", &fault(code, "")).is_unavailable(), "{code}");
        }
        assert_eq!(remedy(&fault(1999, "")), Remedy::None);
        assert_eq!(remedy(&fault(3000, "")), Remedy::None);
    }

    #[test]
    fn the_servers_words_are_dropped_and_its_number_is_kept() {
        for code in 1000..5000 {
            let error = error("saving a session", &fault(code, "the secret id"));
            assert_eq!(error.code(), Some(code.to_string().as_str()));
            assert!(!format!("{error} {error:?}").contains("secret"), "{code}");
        }
    }

    #[test]
    fn classes_of_errors() {
        let of = |code| error("saving a session", &fault(code, ""));
        assert!(of(1969).is_timeout() && of(1205).is_timeout() && of(1213).is_timeout());
        assert!(of(1040).is_overloaded() && of(1203).is_overloaded() && of(1226).is_overloaded());
        assert!(of(1290).is_read_only() && of(1836).is_read_only());
        assert!(of(1047).is_unavailable() && of(1927).is_unavailable());
        assert!(of(1146).is_schema() && of(1142).is_config() && of(1114).is_storage_full());
        assert!(of(1366).is_value() && of(4025).is_value());
    }
}
