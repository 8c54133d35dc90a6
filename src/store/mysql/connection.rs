//! A connection taken from the pool for one operation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Statement, Value};
use tokio::time::timeout_at;

use super::error::{error, is_duplicate, remedy};
use super::pool::Held;
use super::prepared::Which;
use super::rows::{self, args, check_keys, count};
use super::shared::{Known, Shared};
use super::single::{check_alone, close_all, prepare, read, write};
use super::statements::with_keys;
use super::tasks::{self, lock_name, write_alone};
use super::transaction::{Met, Step, transact};
use super::{inspect, many};
use crate::error::{Error, Result};
use crate::observe::Quiet;
use crate::record::{Record, Row as TableRow, Saved};
use crate::store::call::Call;
use crate::store::lane::Change;
use crate::store::server::{self, Progress, Remedy};
use crate::store::statements::{Name, Statements};
use crate::table::{Facts, Table};

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

/// A connection that nobody uses yet.
pub(super) struct Ready {
    pub(super) held: Held,
    pub(super) known: Known,
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
        if held.galera {
            shared.is_galera.store(true, Ordering::Relaxed);
        }
        Self { held: Some(held), known, shared, progress }
    }

    /// Sets it aside for a batch that is not chosen yet.
    pub(super) fn into_ready(mut self) -> Result<Ready> {
        let held = self.held.take().ok_or_else(gone)?;
        Ok(Ready { held, known: self.known.clone() })
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
    async fn rows(&mut self, call: &Call<'_>) -> Result<Vec<Row>, Fault> {
        let (statement, args) = self.prepared(call).await?;
        self.fly(|mut held| async move {
            let result = read(&mut held, statement, args).await;
            (held, result)
        })
        .await
    }

    /// Whether changes may go in transactions of many. Not on a node of a cluster, where they stand in
    /// more writers' way, and where the COMMIT would have to be sent by itself.
    pub(super) fn has_transactions(&self) -> bool {
        self.known.has_transactions() && self.held.as_ref().is_some_and(|held| !held.galera)
    }

    /// Runs statements of one class in one transaction, none of which waits for a lock for long;
    /// what each has met.
    pub(super) async fn transaction(&mut self, calls: &[Call<'_>]) -> Result<Vec<Met>, Fault> {
        let mut steps = Vec::with_capacity(calls.len());
        for call in calls {
            let (statement, args) = self.prepared(call).await?;
            steps.push(Step { statement, args, sets_id: call.values.new_id.is_some() });
        }
        // Their number tells whether each has met its row only where none can meet two.
        let is_unique = self.known.statements.schema.unique_id;
        let is_one = |held: &Held| is_unique && is_one_command(held, calls);
        let at_once = self.held.as_ref().is_some_and(is_one);
        self.progress.writing();
        let (result, is_known) = self
            .fly(|mut held| async move {
                let ended = transact(&mut held, steps, at_once).await;
                (held, Ok(ended))
            })
            .await?;
        if is_known {
            self.progress.connected();
        }
        result
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

    async fn find_table(&mut self) -> Result<Option<inspect::Found>, Fault> {
        let table = self.shared.options.table.clone();
        self.fly(|mut held| async move {
            let found = look(&mut held, &table).await;
            (held, found)
        })
        .await
    }

    /// The statement of a call, prepared on this connection, and its parameters.
    async fn prepared(&mut self, call: &Call<'_>) -> Result<(Statement, Vec<Value>), Fault> {
        let statements = Arc::clone(&self.known.statements);
        let statement = statements.get(call.name, call.flags)?;
        check_keys(statement, call.values.keys)?;
        let args = args(statement, &call.values, self.known.key);
        let keys = count(&call.values);
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
        let work: Work<T> = Quiet(Box::pin(work(held)));
        let until = self.progress.until + MUTE;
        let flight = Flight { work: Some(work), shared: self.shared, until };
        let (held, result) = flight.await;
        self.held = held.landed();
        result
    }
}

impl server::Connection for Connection<'_> {
    type Fault = Fault;

    fn statements(&self) -> &Arc<Statements> {
        &self.known.statements
    }

    fn is_duplicate(fault: &Fault) -> bool {
        matches!(fault, Fault::Sql(fault) if is_duplicate(fault))
    }

    async fn records(
        &mut self,
        call: &Call<'_>,
        each: impl FnMut(Record) + Send,
    ) -> Result<(), Fault> {
        self.rows(call).await?.into_iter().filter_map(rows::record).for_each(each);
        Ok(())
    }

    async fn found(
        &mut self,
        call: &Call<'_>,
        mut each: impl FnMut(Record, Option<bool>) + Send,
    ) -> Result<(), Fault> {
        let found = self.rows(call).await?.into_iter().filter_map(rows::found);
        found.for_each(|(record, is_alive)| each(record, is_alive));
        Ok(())
    }

    async fn scanned(
        &mut self,
        call: &Call<'_>,
        mut each: impl FnMut(TableRow) + Send,
    ) -> Result<(), Fault> {
        let rows = self.rows(call).await?;
        rows.into_iter().try_for_each(|row| rows::row(row).map(&mut each))
    }

    async fn exists(&mut self, call: &Call<'_>) -> Result<bool, Fault> {
        Ok(!self.rows(call).await?.is_empty())
    }

    async fn execute(&mut self, call: &Call<'_>) -> Result<u64, Fault> {
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

    async fn execute_alone(&mut self, call: Call<'_>) -> Result<Option<u64>, Fault> {
        let (statement, args) = self.prepared(&call).await?;
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

    async fn counted(&mut self, call: &Call<'_>) -> Result<u64, Fault> {
        let rows = self.rows(call).await?;
        Ok(rows.first().and_then(|row| inspect::text(row, 0).parse().ok()).unwrap_or(0))
    }

    async fn facts(&mut self) -> Result<Facts, Fault> {
        let table = self.shared.options.table.clone();
        let statements = Arc::clone(&self.known.statements);
        self.fly(|mut held| async move {
            let facts = tasks::facts(&mut held.conn, &table, &statements).await;
            (held, facts)
        })
        .await
    }

    async fn change_many(&mut self, changes: &[Change]) -> Result<Vec<Option<Saved>>, Fault> {
        many::change(self, changes).await
    }

    async fn inspect(&mut self) -> Result<(), Fault> {
        let found = self.find_table().await?;
        self.known = self.shared.learn(found)?;
        Ok(())
    }
}

type Work<T> = Quiet<Pin<Box<dyn Future<Output = (Held, Result<T, Fault>)> + Send>>>;

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
        let done = Pin::new(work).poll(context);
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
        let abandoned = self.shared.abandoned();
        runtime.spawn(async move {
            match timeout_at(until.into(), work).await {
                Ok((held, _)) => drop(held.landed()),
                Err(_) => {
                    if let Some(connector) = connector {
                        connector.mute();
                    }
                    abandoned.discard();
                }
            }
        });
    }
}

async fn look(held: &mut Held, table: &Table) -> Result<Option<inspect::Found>, Fault> {
    let found = inspect::find(&mut held.conn, table).await?;
    check_alone(held).await?;
    held.ask_packet().await?;
    Ok(found)
}

/// Whether all can go as one command: the same statement, of which each meets one row at the most.
fn is_one_command(held: &Held, calls: &[Call<'_>]) -> bool {
    let Some(first) = calls.first() else { return false };
    let bytes = |call: &Call<'_>| AROUND + size(call.values.data) + size(call.values.guard);
    held.is_mariadb
        && first.name != Name::Destroy
        && calls.iter().all(|call| (call.name, call.flags) == (first.name, first.flags))
        && calls.iter().map(bytes).sum::<u64>() <= held.max_packet
}

fn gone() -> Error {
    Error::unavailable("using a connection", "it is gone")
}

fn size(bytes: Option<&[u8]>) -> u64 {
    bytes.map_or(0, |bytes| bytes.len() as u64)
}

/// Refuses what the server would hang up on.
fn check_packet(max_packet: u64, call: &Call<'_>) -> Result<()> {
    let (data, guard) = (size(call.values.data), size(call.values.guard));
    let room = max_packet.saturating_sub(AROUND + guard);
    if data > room { Err(Error::overflow_packet(room, data)) } else { Ok(()) }
}
