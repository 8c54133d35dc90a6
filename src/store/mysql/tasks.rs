//! What tasks ask of a connection beside the operations of a service.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Statement, Value};
use sha2::{Digest, Sha256};

use super::connection::Fault;
use super::cures::cures_of;
use super::error::is_denied;
use super::inspect::{creation, engine_of, is_transactional, text};
use super::pool::Held;
use super::single::write;
use super::statements::of_table;
use crate::store::facts::{Fact, facts as gathered, is_of_sessions};
use crate::store::statements::Statements;
use crate::table::{Facts, Table};

/// The name of the table's lock. Names are the server's, not the database's, and have 64 characters.
pub(super) fn lock_name(table: &Table) -> String {
    let digest = Sha256::digest(table.name());
    format!(
        "CONCAT('sqlbypass ', SHA1(CONCAT(COALESCE(DATABASE(), ''), ' {}')))",
        hex(&digest[..8])
    )
}

fn hex(bytes: &[u8]) -> String {
    const_hex::encode(bytes)
}

/// Runs a statement that writes while this connection holds the lock; `None` when another has it.
/// The server frees the lock of a connection that ends.
pub(super) async fn write_alone(
    held: &mut Held,
    lock: &str,
    statement: Statement,
    args: Vec<Value>,
) -> Result<Option<u64>, Fault> {
    let got: Option<Option<u8>> =
        held.conn.query_first(format!("SELECT GET_LOCK({lock}, 0)")).await?;
    if got.flatten() != Some(1) {
        return Ok(None);
    }
    let written = write(held, statement, args).await;
    if held.conn.query_drop(format!("DO RELEASE_LOCK({lock})")).await.is_err() {
        // What was written stands; the lock goes with the connection.
        held.open = true;
    }
    written.map(Some)
}

/// What the server says of itself and of the table.
pub(super) async fn facts(
    conn: &mut Conn,
    table: &Table,
    statements: &Statements,
) -> Result<Facts, Fault> {
    let mut facts: Vec<Fact> = Vec::new();
    let mut add = |kind: &str, name: String, value: String| facts.push((kind.into(), name, value));
    let sql = include_str!("../../../sql/mysql/inspect_clock.sql");
    for row in conn.query::<Row, _>(sql).await? {
        add("clock", String::new(), text(&row, 0));
        add("setting", "user".into(), grantee(&text(&row, 1)));
    }
    let sql = include_str!("../../../sql/mysql/inspect_facts.sql");
    for row in conn.query::<Row, _>(sql).await? {
        add("setting", text(&row, 0), text(&row, 1));
    }
    let sql = of_table(include_str!("../../../sql/mysql/inspect_columns.sql"), table)?;
    for row in conn.query::<Row, _>(sql).await? {
        if text(&row, 0).eq_ignore_ascii_case(table.session_id()) {
            add("type", String::new(), text(&row, 1));
            add("setting", "id_collation".into(), text(&row, 2));
        }
        if let Some(kind) = unfilled(&row).filter(|_| !is_of_sessions(table, &text(&row, 0))) {
            add("setting", kind.into(), text(&row, 0));
        }
        let time = ["created_at", "updated_at"].into_iter();
        for name in time.filter(|name| text(&row, 0).eq_ignore_ascii_case(name)) {
            add("setting", format!("{name}_type"), text(&row, 1));
        }
    }
    // Table, Non_unique, Key_name, Seq_in_index, Column_name, …
    let sql = of_table(include_str!("../../../sql/mysql/inspect_indexes.sql"), table)?;
    for row in conn.query::<Row, _>(sql).await? {
        if text(&row, 3) == "1" {
            add("index", text(&row, 4), String::new());
        }
    }
    let creation = creation(conn, table).await?;
    if let Some(engine) = engine_of(&creation).filter(|engine| !is_transactional(engine)) {
        add("setting", "engine".into(), engine.to_owned());
    }
    let rights = missing_rights(conn, statements).await?;
    facts.push(("setting".into(), "missing_rights".into(), rights));
    let facts = gathered(facts);
    let cures = gathered(cures_of(table, statements, &facts, &creation)?).cures;
    Ok(Facts { cures, ..facts })
}

/// Whether neither an INSERT that does not name this column fills it nor the server, and whether it is of
/// the key: of `Field, Type, Collation, Null, Key, Default, Extra, …`.
fn unfilled(row: &Row) -> Option<&'static str> {
    let extra = text(row, 6).to_lowercase();
    let is_filled = text(row, 3) != "NO"
        || !matches!(row.as_ref(5), Some(Value::NULL))
        // The first of its values is an enumeration's default.
        || text(row, 1).starts_with("enum")
        || extra.contains("auto_increment")
        || extra.contains("generated")
        || extra.contains("persistent");
    let kind = if text(row, 4) == "PRI" { "unfilled_key" } else { "unfilled" };
    (!is_filled).then_some(kind)
}

/// The rights to change rows that the user lacks: what the server refuses to explain.
async fn missing_rights(conn: &mut Conn, statements: &Statements) -> Result<String, Fault> {
    let mut missing = Vec::new();
    let file = include_str!("../../../sql/mysql/inspect_rights.sql");
    let explained = statements.rendered(file, &Vec::new())?;
    for sql in explained.lines() {
        match conn.query_drop(sql).await {
            Err(fault) if is_denied(&fault) => missing.extend(sql.split_whitespace().nth(1)),
            // What else it may have against it is none of the rights'.
            Ok(()) | Err(mysql_async::Error::Server(_)) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(missing.join(", "))
}

/// `user@host` as GRANT takes it.
fn grantee(user: &str) -> String {
    let quoted = |part: &str| format!("'{}'", part.replace('\'', "''"));
    match user.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", quoted(user), quoted(host)),
        None => quoted(user),
    }
}
