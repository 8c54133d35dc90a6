//! A statement by itself: prepared, sent, answered, and no transaction round it.

use std::sync::Arc;

use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row, Statement, Value};

use super::connection::Fault;
use super::pool::Held;
use super::prepared::Which;
use crate::error::Error;
use crate::store::statements::Statements;

pub(super) async fn prepare(
    held: &mut Held,
    sql: String,
    of: &Arc<Statements>,
    which: Which,
) -> Result<Statement, Fault> {
    let prepared = held.conn.prep(sql).await?;
    for old in held.prepared.put(of, which, prepared.clone()) {
        held.conn.close(old).await?;
    }
    Ok(prepared)
}

pub(super) async fn close_all(held: &mut Held) -> Result<(), Fault> {
    for statement in held.prepared.clear() {
        held.conn.close(statement).await?;
    }
    Ok(())
}

pub(super) async fn read(
    held: &mut Held,
    statement: Statement,
    args: Vec<Value>,
) -> Result<Vec<Row>, Fault> {
    let mut result = held.conn.exec_iter(statement, Params::Positional(args)).await?;
    let mut rows = Vec::new();
    while let Some(row) = result.next().await? {
        rows.push(row);
    }
    result.drop_result().await?;
    check_alone(held).await?;
    Ok(rows)
}

/// Runs a statement that writes and commits itself; the number of rows it met.
pub(super) async fn write(
    held: &mut Held,
    statement: Statement,
    args: Vec<Value>,
) -> Result<u64, Fault> {
    let rows = execute(held, statement, args).await?;
    check_alone(held).await?;
    Ok(rows)
}

/// The same, whatever transaction is round it.
pub(super) async fn execute(
    held: &mut Held,
    statement: Statement,
    args: Vec<Value>,
) -> Result<u64, Fault> {
    let result = held.conn.exec_iter(statement, Params::Positional(args)).await?;
    let rows = result.affected_rows();
    result.drop_result().await?;
    Ok(rows)
}

/// What was just answered holds only if no transaction is open. A pool of the user's can give out a
/// connection in the middle of one: it is rolled back, since nobody else is going to end it.
pub(super) async fn check_alone(held: &mut Held) -> Result<(), Fault> {
    let Some(flags) = held.conn.last_ok_packet().map(|ok| ok.status_flags()) else {
        return Ok(());
    };
    let commits = flags.contains(StatusFlags::SERVER_STATUS_AUTOCOMMIT);
    if commits && !flags.contains(StatusFlags::SERVER_STATUS_IN_TRANS) {
        return Ok(());
    }
    held.open = true;
    let doing = "using a connection of the pool";
    // An engine without transactions keeps what it has, and warns.
    if held.conn.query_drop("ROLLBACK").await.is_err() || held.conn.get_warnings() > 0 {
        let problem = "it was in the middle of a transaction, which could not be rolled back";
        return Err(Error::unknown_outcome(doing, problem).into());
    }
    held.open = false;
    let (problem, advice) = match commits {
        true => (
            "it was in the middle of a transaction, which is rolled back",
            "end each transaction before its connection goes back to the pool",
        ),
        false => ("it does not commit by itself", "set autocommit = 1"),
    };
    Err(Error::config(doing, problem).advice(advice).into())
}
