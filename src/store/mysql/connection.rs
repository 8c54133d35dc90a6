//! A connection taken from the pool for one operation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row, Statement, Value};
use tokio::time::timeout_at;

use super::error::{Remedy, error, remedy};
use super::inspect;
use super::pool::Held;
use super::prepared::Which;
use super::rows::{args, check_keys, padded};
use super::shared::{Known, Shared};
use super::statements::with_keys;
use super::tasks::{self, lock_name, write_alone};
use crate::error::{Error, Result};
use crate::store::call::Call;
use crate::store::progress::Progress;
use crate::store::statements::Statements;
use crate::table::Facts;

/// A server that has said nothing for so long after an operation's deadline, which it knows, is
/// taken for dead.
const MUTE: Duration = Duration::from_secs(1);
/// Bytes of a packet that are not the data: a header, ids, and what stands before each parameter.
const AROUND: u64 = 1 << 10;

/// Why a step on a connection failed.
pub(super) enum Fault {
    Sql(mysql_async::Error),
    Ours(Error),
}

impl From<mysql_async::Error> for Fault {
    fn from(error: mysql_async::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Fault {
    pub(super) fn into_error(self, doing: &'static str) -> Error {
        match self {
            Self::Sql(fault) => error(doing, &fault),
            Self::Ours(error) => error,
        }
    }
}

/// A connection and the statements that fit the table, for one operation.
pub(super) struct Connection<'s> {
    /// Always there but while a statement is under way.
    held: Option<Held>,
    pub(super) known: Known,
    shared: &'s Shared,
    progress: &'s Progress,
}

impl<'s> Connection<'s> {
    pub(super) fn new(
        held: Held,
        known: Known,
        shared: &'s Shared,
        progress: &'s Progress,
    ) -> Self {
        progress.connected();
        Self { held: Some(held), known, shared, progress }
    }

    pub(super) fn statements(&self) -> &Statements {
        &self.known.statements
    }

    /// Takes the connection out of the pool for good.
    pub(super) fn discard(mut self) {
        if let Some(held) = self.held.take() {
            held.discard();
        }
    }

    /// Which of the hosts it leads to.
    pub(super) fn host(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.host)
    }

    /// Forgets what was prepared on this connection.
    pub(super) async fn forget_prepared(&mut self) -> Result<(), Fault> {
        self.fly(|mut held| async move {
            let result = close_all(&mut held).await;
            (held, result)
        })
        .await
    }

    /// Runs a statement that only reads.
    pub(super) async fn rows(&mut self, call: &Call<'_>) -> Result<Vec<Row>, Fault> {
        let (statement, args) = self.prepared(call).await?;
        self.fly(|mut held| async move {
            let result = read(&mut held, statement, args).await;
            (held, result)
        })
        .await
    }

    /// Runs a statement that writes, as a transaction of its own; the number of rows it found.
    pub(super) async fn execute(&mut self, call: &Call<'_>) -> Result<u64, Fault> {
        let (statement, args) = self.prepared(call).await?;
        self.progress.writing();
        let result = self
            .fly(|mut held| async move {
                let result = write(&mut held, statement, args).await;
                (held, result)
            })
            .await;
        self.answered(&result);
        result
    }

    /// The same while this connection holds the table's lock; `None` when another has it.
    pub(super) async fn execute_alone(&mut self, call: &Call<'_>) -> Result<Option<u64>, Fault> {
        let (statement, args) = self.prepared(call).await?;
        let lock = lock_name(&self.shared.options.table);
        self.progress.writing();
        let result = self
            .fly(|mut held| async move {
                let result = write_alone(&mut held, &lock, statement, args).await;
                (held, result)
            })
            .await;
        self.answered(&result);
        result
    }

    /// What the server says of itself and of the table.
    pub(super) async fn facts(&mut self) -> Result<Facts, Fault> {
        let table = self.shared.options.table.clone();
        self.fly(|mut held| async move {
            let facts = tasks::facts(&mut held.conn, &table).await;
            (held, facts)
        })
        .await
    }

    /// Runs SQL without parameters.
    pub(super) async fn batch(&mut self, sql: String) -> Result<(), Fault> {
        self.progress.writing();
        let result = self
            .fly(|mut held| async move {
                let result = held.conn.query_drop(sql).await;
                (held, result.map_err(Fault::Sql))
            })
            .await;
        self.answered(&result);
        result
    }

    /// Whether there is such a table.
    pub(super) async fn has_table(&mut self) -> Result<bool, Fault> {
        Ok(self.find_table().await?.is_some())
    }

    /// Looks at the table and learns what it has.
    pub(super) async fn inspect(&mut self) -> Result<(), Fault> {
        let found = self.find_table().await?;
        self.known = self.shared.learn(found)?;
        Ok(())
    }

    async fn find_table(&mut self) -> Result<Option<inspect::Found>, Fault> {
        let table = self.shared.options.table.clone();
        self.fly(|mut held| async move {
            let found = inspect::find(&mut held.conn, &table).await;
            (held, found)
        })
        .await
    }

    /// The statement of a call, prepared on this connection, and its parameters.
    async fn prepared(&mut self, call: &Call<'_>) -> Result<(Statement, Vec<Value>), Fault> {
        check_keys(call.values.keys)?;
        let statements = Arc::clone(&self.known.statements);
        let statement = statements.get(call.name, call.flags)?;
        let args = args(statement, &call.values, self.known.key);
        let keys = padded(call.values.keys.len());
        let which = Which { name: call.name, flags: call.flags, keys };
        let held = self.held.as_ref().ok_or_else(gone)?;
        check_packet(held.max_packet, call)?;
        if let Some(prepared) = held.prepared.get(&statements, which) {
            return Ok((prepared, args));
        }
        let sql = with_keys(statement, keys);
        let of = Arc::clone(&statements);
        let prepared = self
            .fly(|mut held| async move {
                let prepared = prepare(&mut held, sql, &of, which).await;
                (held, prepared)
            })
            .await?;
        Ok((prepared, args))
    }

    /// Notes whether the server's answer is known: an error that it reported is an answer, unless
    /// it speaks of the connection.
    fn answered<T>(&self, result: &Result<T, Fault>) {
        let unknown = match result {
            Err(Fault::Sql(fault)) => matches!(remedy(fault), Remedy::Lost | Remedy::Unknown),
            _ => false,
        };
        if !unknown {
            self.progress.connected();
        }
    }

    /// Runs work on the connection. The work owns it, so that it can go on when the caller leaves.
    async fn fly<T, W>(&mut self, work: impl FnOnce(Held) -> W) -> Result<T, Fault>
    where
        T: Send + 'static,
        W: Future<Output = (Held, Result<T, Fault>)> + Send + 'static,
    {
        let held = self.held.take().ok_or_else(gone)?;
        let work: Work<T> = Box::pin(work(held));
        let until = self.progress.until + MUTE;
        let flight = Flight { work: Some(work), shared: self.shared, until };
        let (mut held, result) = flight.await;
        held.used = Instant::now();
        self.held = Some(held);
        result
    }
}

type Work<T> = Pin<Box<dyn Future<Output = (Held, Result<T, Fault>)> + Send>>;

/// Work under way on a connection.
struct Flight<'s, T: Send + 'static> {
    /// There until it has ended.
    work: Option<Work<T>>,
    shared: &'s Shared,
    until: Instant,
}

impl<T: Send + 'static> Future for Flight<'_, T> {
    type Output = (Held, Result<T, Fault>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = work.as_mut().poll(context);
        if done.is_ready() {
            self.work = None;
        }
        done
    }
}

impl<T: Send + 'static> Drop for Flight<'_, T> {
    /// A connection whose caller left half-way goes back to the pool when the server has answered.
    /// A server that does not even answer when its own limit has passed is mute: the connection is
    /// closed, and with it those that are idle, lest each cost somebody a deadline.
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (until, connector) = (self.until, self.shared.connector());
        runtime.spawn(async move {
            match timeout_at(until.into(), work).await {
                Ok((mut held, _)) => held.used = Instant::now(),
                Err(_) => {
                    if let Some(connector) = connector {
                        connector.mute();
                    }
                }
            }
        });
    }
}

async fn prepare(
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

async fn read(held: &mut Held, statement: Statement, args: Vec<Value>) -> Result<Vec<Row>, Fault> {
    let mut result = held.conn.exec_iter(statement, Params::Positional(args)).await?;
    let mut rows = Vec::new();
    while let Some(row) = result.next().await? {
        rows.push(row);
    }
    result.drop_result().await?;
    Ok(rows)
}

pub(super) async fn write(
    held: &mut Held,
    statement: Statement,
    args: Vec<Value>,
) -> Result<u64, Fault> {
    let result = held.conn.exec_iter(statement, Params::Positional(args)).await?;
    let rows = result.affected_rows();
    result.drop_result().await?;
    Ok(rows)
}

async fn close_all(held: &mut Held) -> Result<(), Fault> {
    for statement in held.prepared.clear() {
        held.conn.close(statement).await?;
    }
    Ok(())
}

fn gone() -> Error {
    Error::unavailable("using a connection", "it is gone")
}

/// Refuses what the server would hang up on.
fn check_packet(max_packet: u64, call: &Call<'_>) -> Result<()> {
    let size = |bytes: Option<&[u8]>| bytes.map_or(0, |bytes| bytes.len() as u64);
    let (data, guard) = (size(call.values.data), size(call.values.guard));
    let room = max_packet.saturating_sub(AROUND + guard);
    if data > room { Err(Error::overflow(room, data)) } else { Ok(()) }
}
