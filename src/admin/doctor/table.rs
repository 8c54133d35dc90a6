//! What the table's description and the server's settings tell.

use std::time::{Duration, SystemTime};

use super::{Findings, counted};
use crate::table::{Facts, Schema};

/// A private id's characters.
const ID_LEN: u64 = 67;
/// Clocks that differ by more do harm.
const SKEW: Duration = Duration::from_secs(5);
/// Columns of less than this overflow in practice.
const ROOM: u64 = 65_535;

/// What becomes of times that are texts.
const TEXTS: &str =
    "such times cannot be read, and what goes by them, trim and timeouts, fails or guesses";

/// What a key needs that nothing fills.
const KEY_DEFAULT: &str = "give it a default: an identity, a sequence or AUTO_INCREMENT that goes on behind the largest key";

/// The store's own statement, or words where it knows none.
fn cure(facts: &Facts, what: &str, words: &str) -> String {
    facts.cure(what).unwrap_or(words).to_owned()
}

pub(super) fn look(schema: &Schema, facts: &Facts, found: &mut Findings) {
    if !schema.unique_id {
        no_unique_id(facts, found);
    }
    if schema.primary_key.is_none() {
        found.warning(
            "the table has no primary key of one column",
            cure(
                facts,
                "primary_key",
                "add one, or name it by --primary-key; SQLite's rowid does as well",
            ),
        );
    }
    types(schema, facts, found);
    unfilled(facts, found);
    if let Some(engine) = facts.setting("engine") {
        found.wrong(
            format!(
                "the table's engine is {engine}, which takes nothing back: a crash may damage the table or \
                 lose what was acknowledged, each save locks all of it, and lanes are off"
            ),
            cure(facts, "engine", "give it an engine that has transactions"),
        );
    }
    let collation = facts.setting("id_collation").unwrap_or_default();
    // A binary collation only takes trailing spaces for nothing, and the index still serves.
    if schema.collated_id && !collation.ends_with("_bin") && !holds_no_text(facts) {
        found.wrong(
            "the id column's collation takes different ids for equal: beside this crate, which compares \
             bytes, Rails finds a session by a look-alike of its id, also by what stands in a leaked table",
            cure(
                facts,
                "id_collation",
                "make another table whose id column compares bytes (sqlbypass create --table NAME), \
                 copy the rows, and rename it",
            ),
        );
    }
    times(schema, facts, found);
}

/// Finds go by the id, and nothing else keeps two rows from having the same.
fn no_unique_id(facts: &Facts, found: &mut Findings) {
    let what = "the id column has no unique index: finds read the whole table, and one id can have two \
                rows";
    let invalid = facts.setting("invalid_id_index").filter(|name| !name.is_empty());
    let (what, mend) = match invalid {
        Some(name) => {
            let left = "is not valid, since its making has failed or goes on still";
            (format!("{what}; {name} {left}"), "invalid_index")
        }
        None => (what.to_owned(), "unique_id"),
    };
    found.wrong(
        what,
        format!(
            "{} -- fails where one id has two rows: delete one of them",
            cure(facts, mend, "make a unique index on the id column")
        ),
    );
}

/// The columns of times, and what goes by them.
fn times(schema: &Schema, facts: &Facts, found: &mut Findings) {
    let mut scanned = Vec::new();
    for (column, has) in [("created_at", schema.created_at), ("updated_at", schema.updated_at)] {
        if !has {
            found.warning(
                format!("the table has no {column}: no trim and no timeout can go by it"),
                cure(
                    facts,
                    column,
                    "add the column, NOT NULL with the current time for the rows that are there",
                ),
            );
        } else if facts.is_indexed(column) == Some(false) {
            scanned.push(column);
        }
    }
    if !scanned.is_empty() {
        let have = if scanned.len() == 1 { "has" } else { "have" };
        found.note(
            format!(
                "{} {have} no index, and sqlbypass needs none, since its trim goes by the primary key; \
                 Rails' own trim reads the whole table for each batch",
                scanned.join(" and ")
            ),
            "nothing, if sqlbypass trims; else an index, which every save has to maintain",
        );
    }
}

/// Columns for which an INSERT of a session has no value.
fn unfilled(facts: &Facts, found: &mut Findings) {
    for (kind, column) in &facts.settings {
        let cure = match kind.as_str() {
            "unfilled" => cure(
                facts,
                &format!("unfilled {column}"),
                "where nothing needs it, ALTER TABLE ... DROP COLUMN; else copy the rows into a table in \
                 which it has a default",
            ),
            "unfilled_key" => KEY_DEFAULT.to_owned(),
            _ => continue,
        };
        let what = format!(
            "the column {column:?} takes no NULL and has no default: unless a trigger fills it, no session \
             can begin"
        );
        found.wrong(what, cure);
    }
}

/// Columns in which no session can be kept at all.
fn types(schema: &Schema, facts: &Facts, found: &mut Findings) {
    if let Some(data_type) = facts.id_type.as_deref().filter(|_| holds_no_text(facts)) {
        let cure = match data_type {
            "bytea" => {
                "ALTER its type to character varying with USING convert_from(the column, 'UTF8'): a \
                 plain change of the type would write each id's bytes as hex"
            }
            _ => {
                "make another table (sqlbypass create --table NAME): no session's id fits into this one"
            }
        };
        found.wrong(format!("the id column is {data_type}, and ids are texts"), cure);
    }
    // SQLite keeps a text in a column of any type.
    let is_sqlite = facts.setting("journal_mode").is_some();
    if !is_sqlite && is_of_numbers(&schema.data_type) {
        found.wrong(
            format!("the data column is {}, and a session's data are text", schema.data_type),
            "name the column that holds the data (--data-column), or make it one of text",
        );
    }
    for column in ["created_at", "updated_at"] {
        let data_type = facts.setting(&format!("{column}_type")).unwrap_or_default();
        if is_of_numbers(data_type) {
            found.wrong(
                format!("{column} is {data_type}, and no session can be saved without a time"),
                "make it a column of times, as sqlbypass create --print shows",
            );
        } else if let Some(harm) = harm_of_times(data_type) {
            let mend = column.replace("_at", "_type");
            found.wrong(
                format!("{column} is {data_type}: {harm}"),
                cure(facts, &mend, "make it a column of times, as sqlbypass create --print shows"),
            );
        }
    }
}

/// What a column of times that is none of them does, where sessions can be saved in it.
fn harm_of_times(data_type: &str) -> Option<&'static str> {
    let name = data_type.split('(').next().unwrap_or_default().to_ascii_lowercase();
    match name.as_str() {
        "date" => Some("it has no time of the day, so that trim and timeouts are up to a day off"),
        "character varying" | "character" | "varchar" | "char" => Some(TEXTS),
        text if text.ends_with("text") => Some(TEXTS),
        _ => None,
    }
}

/// PostgreSQL compares ids as texts, and MySQL's server or SQLite would have to guess.
fn holds_no_text(facts: &Facts) -> bool {
    let is_binary = |name: &str| matches!(name, "bytea" | "uuid");
    facts.id_type.as_deref().is_some_and(|name| is_binary(name) || is_of_numbers(name))
}

fn is_of_numbers(data_type: &str) -> bool {
    let name = data_type.split(['(', ' ']).next().unwrap_or_default().to_ascii_lowercase();
    let numbers =
        ["int", "smallint", "mediumint", "bigint", "integer", "numeric", "decimal", "boolean"];
    numbers.contains(&name.as_str())
}

pub(super) fn limits(schema: &Schema, facts: &Facts, found: &mut Findings) {
    let id = facts.id_type.as_deref().and_then(size);
    if let Some(size) = id.filter(|size| *size < ID_LEN) {
        found.wrong(
            format!("the id column holds {size} characters, and a private id has {ID_LEN}"),
            cure(facts, "id_length", "widen it to varchar(255)"),
        );
    }
    let limit = schema.data_limit.or(schema.data_limit_chars);
    if let Some(limit) = limit.filter(|limit| *limit <= ROOM) {
        let what = format!("the data column holds {limit} at most, and what is larger is refused");
        let cure = cure(facts, "data_length", "widen it");
        match limit < ROOM {
            true => found.wrong(what, cure),
            false => found.note(what, format!("nothing, unless sessions grow; then: {cure}")),
        }
    }
}

/// Whether sessions can be saved at all, by whoever connects as this user.
pub(super) fn rights(facts: &Facts, found: &mut Findings) {
    if let Some(missing) = facts.setting("missing_rights").filter(|missing| !missing.is_empty()) {
        found.wrong(
            format!(
                "the database's user lacks {missing} on the table, and whatever needs it fails"
            ),
            cure(
                facts,
                "rights",
                "grant SELECT, INSERT, UPDATE and DELETE on the table to the user",
            ),
        );
    }
    if facts.setting("missing_sequence").is_some_and(|name| !name.is_empty()) {
        found.wrong(
            "the database's user may not use the sequence of the table's key: no session can begin",
            cure(facts, "sequence", "grant USAGE on the sequence to the user"),
        );
    }
    let what = match facts.setting("writable") {
        Some("no") => "this user may not write to the database's file",
        Some("folder") => {
            "this user may not write to the folder of the database's file, where SQLite keeps its journal"
        }
        _ => return,
    };
    found.wrong(
        format!("{what}: no session can be saved"),
        "make the file and its folder writable for the user that the service runs as",
    );
}

/// Ids that no cookie can name.
pub(super) fn ids(facts: &Facts, found: &mut Findings) {
    let blobs = facts.setting("blob_ids").and_then(|count| count.parse().ok()).unwrap_or(0);
    if blobs > 0 {
        found.wrong(
            format!(
                "{} as bytes, not as text, and no cookie finds it",
                counted(blobs, "id is stored", "ids are stored")
            ),
            format!(
                "{} -- fails where the same id is there as text: delete the row with the bytes",
                cure(facts, "blob_ids", "store them as text")
            ),
        );
    }
}

/// The number in a type's parentheses.
fn size(data_type: &str) -> Option<u64> {
    data_type.split_once('(')?.1.split_once(')')?.0.parse().ok()
}

pub(super) fn clock(facts: &Facts, took: Duration, found: &mut Findings) {
    let Some(theirs) = facts.clock else { return };
    let ours = SystemTime::now();
    let apart = ours.duration_since(theirs).unwrap_or_else(|error| error.duration());
    if apart.saturating_sub(took) > SKEW {
        found.wrong(
            format!("the database's clock and this machine's are {} seconds apart", apart.as_secs()),
            "run an NTP client on both; timeouts go by the database's clock, cookies by the service's",
        );
    }
}

/// Whether a setting has this value.
fn is(facts: &Facts, name: &str, value: &str) -> bool {
    facts.setting(name).is_some_and(|set| set.eq_ignore_ascii_case(value))
}

pub(super) fn server(facts: &Facts, found: &mut Findings) {
    durability(facts, found);
    if is(facts, "default_transaction_read_only", "on") || is(facts, "read_only", "ON") {
        found.wrong("the server takes no writes", "connect to the primary");
    }
    if is(facts, "autovacuum", "off") {
        found.warning(
            "autovacuum is off: updated and trimmed rows leave their space unused",
            "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf()",
        );
    }
    const MYSQL: &str = "SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED";
    for (name, cure) in [
        (
            "default_transaction_isolation",
            "ALTER ROLE CURRENT_USER SET default_transaction_isolation = 'read committed'",
        ),
        ("transaction_isolation", MYSQL),
        ("tx_isolation", MYSQL),
    ] {
        let is_strict = |set: &&str| set.to_ascii_lowercase().starts_with("serializable");
        if facts.setting(name).as_ref().is_some_and(is_strict) {
            found.warning(
                format!("{name} is serializable: saves that meet are rolled back and tried again"),
                cure,
            );
        }
    }
    if is(facts, "transaction_pooler", "yes") {
        found.note(
            "a transaction pooler stands in between: statements are not kept prepared, and lanes are off",
            "connect directly where speed matters",
        );
    }
    if is(facts, "wsrep_on", "ON") {
        found.note(
            "this is a node of a Galera cluster: the lock of trim is the node's own",
            "let all trimmers use one node",
        );
    }
}

/// Whether what was acknowledged outlives a crash.
fn durability(facts: &Facts, found: &mut Findings) {
    for name in ["fsync", "full_page_writes"] {
        if is(facts, name, "off") {
            found.wrong(
                format!("{name} is off: a crash of the machine may destroy the database"),
                format!("ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()"),
            );
        }
    }
    let flush = "innodb_flush_log_at_trx_commit";
    for (is_lax, cure) in [
        (
            is(facts, "synchronous_commit", "off"),
            "ALTER ROLE CURRENT_USER SET synchronous_commit = on".into(),
        ),
        (
            facts.setting(flush).is_some_and(|set| set != "1"),
            format!("SET GLOBAL {flush} = 1, and the same in the server's configuration"),
        ),
    ] {
        if is_lax {
            found.warning(
                "a commit does not wait for the disk: a crash may take back logouts and other changes \
                 of the last moments",
                format!("{cure}; or accept it"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    fn wrong(schema: &Schema, facts: &Facts) -> usize {
        let mut found = Findings(Vec::new());
        look(schema, facts, &mut found);
        limits(schema, facts, &mut found);
        ids(facts, &mut found);
        rights(facts, &mut found);
        clock(facts, Duration::ZERO, &mut found);
        server(facts, &mut found);
        assert!(found.0.iter().all(|finding| !finding.cure.is_empty()));
        found.0.iter().filter(|finding| finding.severity == Severity::Wrong).count()
    }

    #[test]
    fn each_fault_is_found() {
        let schema = Schema {
            primary_key: Some("id".into()),
            unique_id: true,
            created_at: true,
            updated_at: true,
            ..Schema::default()
        };
        let facts = Facts::default();
        assert_eq!(wrong(&schema, &facts), 0);
        assert_eq!(wrong(&Schema { unique_id: false, ..schema.clone() }, &facts), 1);
        assert_eq!(wrong(&Schema { collated_id: true, ..schema.clone() }, &facts), 1);
        assert_eq!(wrong(&Schema { data_limit_chars: Some(255), ..schema.clone() }, &facts), 1);
        let with = |name: &str, value: &str| Facts {
            settings: vec![(name.into(), value.into())],
            ..Facts::default()
        };
        assert_eq!(wrong(&schema, &with("fsync", "off")), 1);
        assert_eq!(wrong(&schema, &with("read_only", "ON")), 1);
        assert_eq!(wrong(&schema, &with("synchronous_commit", "off")), 0);
        assert_eq!(wrong(&schema, &with("missing_rights", "INSERT, DELETE")), 1);
        assert_eq!(wrong(&schema, &with("missing_rights", "")), 0);
        assert_eq!(wrong(&schema, &with("missing_sequence", "sessions_id_seq")), 1);
        assert_eq!(wrong(&schema, &with("writable", "no")), 1);
        assert_eq!(wrong(&schema, &with("writable", "folder")), 1);
        assert_eq!(wrong(&schema, &with("writable", "yes")), 0);
        assert_eq!(wrong(&schema, &with("blob_ids", "2")), 1);
        assert_eq!(wrong(&schema, &with("blob_ids", "0")), 0);
        let bin = with("id_collation", "ascii_bin");
        assert_eq!(wrong(&Schema { collated_id: true, ..schema.clone() }, &bin), 0);
        let of_type = |name: &str| Facts { id_type: Some(name.into()), ..Facts::default() };
        let collated = Schema { collated_id: true, ..schema.clone() };
        assert_eq!(wrong(&collated, &of_type("bytea")), 1);
        assert_eq!(wrong(&collated, &of_type("uuid")), 1);
        assert_eq!(wrong(&schema, &of_type("bigint unsigned")), 1);
        assert_eq!(wrong(&schema, &of_type("character varying(255)")), 0);
        let numbers = Schema { data_type: "int".into(), ..schema.clone() };
        assert_eq!(wrong(&numbers, &facts), 1);
        assert_eq!(wrong(&numbers, &with("journal_mode", "wal")), 0);
        let times = |name: &str| {
            let settings = vec![("updated_at_type".into(), name.into())];
            Facts { settings, ..of_type("text") }
        };
        assert_eq!(wrong(&schema, &times("integer")), 1);
        assert_eq!(wrong(&schema, &times("timestamp(6)")), 0);
        let narrow = Facts { id_type: Some("varchar(32)".into()), ..Facts::default() };
        assert_eq!(wrong(&schema, &narrow), 1);
        let late = SystemTime::now() - Duration::from_secs(60);
        assert_eq!(wrong(&schema, &Facts { clock: Some(late), ..Facts::default() }), 1);
    }
}
