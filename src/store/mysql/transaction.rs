//! A batch's changes in one transaction.
//!
//! Nothing in it waits for a lock: a row that somebody else has locked would hold up its neighbours.
//! Until COMMIT is sent a failure of any kind means that nothing was applied, since the server rolls
//! back what it has of a connection that is gone.

use mysql_async::consts::StatusFlags;
use mysql_async::prelude::Queryable;
use mysql_async::{Statement, Value};

use super::connection::Fault;
use super::error::{is_duplicate, remedy};
use super::pool::Held;
use super::single::execute;
use crate::error::Error;
use crate::store::server::Remedy;

/// A statement of a transaction.
pub(super) struct Step {
    pub(super) statement: Statement,
    pub(super) args: Vec<Value>,
    /// Whether it can meet an id that is taken.
    pub(super) sets_id: bool,
}

/// What a statement has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    Row,
    Nothing,
    /// A row that has the new id already.
    Taken,
}

/// What each step has met, or why nothing was applied; and whether that is known for sure.
pub(super) type Ended = (Result<Vec<Met>, Fault>, bool);

/// Runs the steps: `at_once` as one command, if each meets its row; else one by one. The connection
/// is marked as open for as long as it must not be used for anything else.
pub(super) async fn transact(held: &mut Held, steps: Vec<Step>, at_once: bool) -> Ended {
    if at_once {
        match all(held, &steps).await {
            Ok(true) => return commit(held, vec![Met::Row; steps.len()]).await,
            // Which of them met nothing is not told. Once more, with an answer for each; but not where a
            // transaction may still be open, which BEGIN would commit.
            Ok(false) => match roll_back(held).await {
                RolledBack::All => {}
                RolledBack::AtItsEnd => return (Err(unanswered()), true),
                RolledBack::Kept => return (Err(kept()), false),
            },
            Err(fault) => return undo(held, fault).await,
        }
    }
    match each(held, steps).await {
        Ok(met) => commit(held, met).await,
        Err(fault) => undo(held, fault).await,
    }
}

/// Whether each step has met its row, and no id was taken.
async fn all(held: &mut Held, steps: &[Step]) -> Result<bool, Fault> {
    let Some(first) = steps.first() else { return Ok(true) };
    begin(held).await?;
    let args: Vec<_> = steps.iter().map(|step| step.args.clone()).collect();
    match held.conn.exec_batch(&first.statement, args).await {
        Ok(()) => Ok(held.conn.affected_rows() == steps.len() as u64),
        Err(fault) if first.sets_id && is_duplicate(&fault) => Ok(false),
        Err(fault) => Err(fault.into()),
    }
}

async fn each(held: &mut Held, steps: Vec<Step>) -> Result<Vec<Met>, Fault> {
    begin(held).await?;
    let mut met = Vec::with_capacity(steps.len());
    for Step { statement, args, sets_id } in steps {
        met.push(match execute(held, statement, args).await {
            Ok(0) => Met::Nothing,
            Ok(_) => Met::Row,
            // This ends the statement alone; what else fails may have ended the transaction.
            Err(Fault::Sql(fault)) if sets_id && is_duplicate(&fault) => Met::Taken,
            Err(fault) => return Err(fault),
        });
    }
    Ok(met)
}

async fn begin(held: &mut Held) -> Result<(), Fault> {
    held.open = true;
    // MySQL's least is a second.
    let wait = if held.is_mariadb { 0 } else { 1 };
    let sql = format!("SET SESSION innodb_lock_wait_timeout = {wait}; BEGIN");
    Ok(held.conn.query_drop(sql).await?)
}

/// The setting as single statements have it.
fn settled(held: &Held) -> String {
    format!("SET SESSION innodb_lock_wait_timeout = {}", held.lock_wait)
}

/// A server may end a transaction by itself and answer its last statement well all the same, as a node
/// of a cluster does: a COMMIT would then succeed and commit nothing.
async fn is_in_transaction(held: &mut Held) -> bool {
    // After an error nothing is known of it.
    let is_told = held.conn.last_ok_packet().is_some();
    if !is_told && held.conn.query_drop("DO 0").await.is_err() {
        return false;
    }
    let in_transaction = StatusFlags::SERVER_STATUS_IN_TRANS;
    held.conn.last_ok_packet().is_some_and(|ok| ok.status_flags().contains(in_transaction))
}

async fn commit(held: &mut Held, met: Vec<Met>) -> Ended {
    if !is_in_transaction(held).await {
        let error = Error::database("saving a session", "the server ended the transaction");
        return undo(held, error.into()).await;
    }
    // On a node of a cluster this would be wrong: it answers the first of two statements before it finds
    // that another node has undone the transaction.
    let sql = format!("COMMIT; {}", settled(held));
    match held.conn.query_iter(sql).await {
        Ok(settling) => {
            held.open = settling.drop_result().await.is_err();
            (Ok(met), true)
        }
        // Of everything else the server does not say that it was rolled back.
        Err(fault) if matches!(remedy(&fault), Remedy::Repeat | Remedy::Leave) => {
            undo(held, fault.into()).await
        }
        Err(fault) => (Err(fault.into()), false),
    }
}

async fn undo(held: &mut Held, fault: Fault) -> Ended {
    match roll_back(held).await {
        RolledBack::All | RolledBack::AtItsEnd => (Err(fault), true),
        RolledBack::Kept => (Err(kept()), false),
    }
}

/// What became of what a transaction had written.
enum RolledBack {
    All,
    /// The server did not answer well: it does so when the connection ends, which stays marked.
    AtItsEnd,
    /// The engine has no transactions.
    Kept,
}

async fn roll_back(held: &mut Held) -> RolledBack {
    if held.conn.query_drop("ROLLBACK").await.is_err() {
        return RolledBack::AtItsEnd;
    }
    // Of what it keeps it warns.
    let is_kept = held.conn.get_warnings() > 0;
    let sql = settled(held);
    held.open = held.conn.query_drop(sql).await.is_err();
    match (is_kept, held.open) {
        (true, _) => RolledBack::Kept,
        (false, true) => RolledBack::AtItsEnd,
        (false, false) => RolledBack::All,
    }
}

fn unanswered() -> Fault {
    Error::unavailable("saving a session", "the server did not end a transaction").into()
}

fn kept() -> Fault {
    let problem = "the table's engine has no transactions";
    Error::schema("saving a session", problem).advice("use InnoDB").into()
}
