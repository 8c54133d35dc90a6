//! A connection taken from the pool for one operation.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use futures_util::TryStreamExt;
use tokio::time::timeout_at;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, RowStream};

use super::error::{Remedy, error, remedy};
use super::inspect;
use super::rows::{arg, type_of};
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::sql::{Param, Statement};
use crate::store::call::Call;
use crate::store::statements::Statements;
use crate::table::{Facts, Table};

/// No statement has more parameters.
const MAX_PARAMS: usize = 16;
/// A server that has said nothing for so long after an operation's deadline, which it knows, is
/// taken for dead.
const MUTE: Duration = Duration::from_secs(1);

/// Why a step on a connection failed.
pub(super) enum Fault {
    Sql(tokio_postgres::Error),
    Ours(Error),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
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

/// How far an operation has come, for whoever has to say why it did not end.
pub(super) struct Progress {
    step: AtomicU8,
    until: Instant,
}

/// It waits for a connection.
const WAITING: u8 = 0;
/// It has one, and nothing that writes is on its way.
const CONNECTED: u8 = 1;
/// A statement that writes was sent and its answer has not come.
const WRITING: u8 = 2;

impl Progress {
    /// Of an operation that begins, with its deadline.
    pub(super) fn new(until: Instant) -> Self {
        Self { step: AtomicU8::new(WAITING), until }
    }

    /// Whoever gives up now does not know whether the change was made.
    pub(super) fn is_unknown(&self) -> bool {
        self.step.load(Ordering::Relaxed) == WRITING
    }

    /// The error of an operation that was given up before it wrote.
    pub(super) fn timeout(&self, doing: &'static str) -> Error {
        Error::timeout(
            doing,
            match self.step.load(Ordering::Relaxed) {
                WAITING => "no connection could be had by the deadline",
                _ => "the server did not answer by the deadline",
            },
        )
    }

    fn set(&self, step: u8) {
        self.step.store(step, Ordering::Relaxed);
    }
}

/// A connection and the statements that fit the table, for one operation.
pub(super) struct Connection<'s> {
    /// Always there until it is dropped.
    object: Option<Object>,
    pub(super) statements: Arc<Statements>,
    shared: &'s Shared,
    progress: &'s Progress,
    /// A statement is under way: whoever comes next on this connection would wait for its end.
    busy: AtomicBool,
}

/// A connection that nobody uses yet.
pub(super) struct Ready {
    pub(super) object: Object,
    pub(super) statements: Arc<Statements>,
}

impl<'s> Connection<'s> {
    pub(super) fn new(
        object: Object,
        statements: Arc<Statements>,
        shared: &'s Shared,
        progress: &'s Progress,
    ) -> Self {
        let busy = AtomicBool::new(false);
        progress.set(CONNECTED);
        Self { object: Some(object), statements, shared, progress, busy }
    }

    /// Sets it aside for a batch that is not chosen yet.
    pub(super) fn into_ready(mut self) -> Result<Ready> {
        let object = self.object.take();
        let object =
            object.ok_or_else(|| Error::unavailable("using a connection", "it is gone"))?;
        Ok(Ready { object, statements: Arc::clone(&self.statements) })
    }

    /// Takes the connection out of the pool for good.
    pub(super) fn discard(mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }

    /// Forgets what was prepared on this connection.
    pub(super) fn forget_prepared(&self) -> Result<()> {
        self.object()?.statement_cache.clear();
        Ok(())
    }

    fn object(&self) -> Result<&Object> {
        self.object.as_ref().ok_or_else(|| Error::unavailable("using a connection", "it is gone"))
    }

    /// Runs a statement that only reads.
    pub(super) async fn rows(
        &self,
        call: &Call<'_>,
        mut each: impl FnMut(Row) -> Result<(), Fault> + Send,
    ) -> Result<(), Fault> {
        let work = async {
            let mut stream = pin!(self.query(call).await?);
            while let Some(row) = stream.try_next().await? {
                each(row)?;
            }
            Ok(())
        };
        self.busily(pin!(work)).await
    }

    async fn query(&self, call: &Call<'_>) -> Result<RowStream, Fault> {
        let statement = self.statements.get(call.name, call.flags)?;
        let object = self.object()?;
        let binary = self.statements.binary;
        if self.shared.is_pgbouncer() {
            let args = statement.params.iter();
            let args = args.map(|param| (arg(*param, &call.values), type_of(*param, binary)));
            return Ok(object.query_typed_raw(&statement.sql, args).await?);
        }
        let prepared = self.prepared(object, statement).await?;
        let args = statement.params.iter().map(|param| arg(*param, &call.values));
        Ok(object.query_raw(&prepared, args).await?)
    }

    /// Runs a statement that writes, as a transaction of its own; the number of rows it wrote.
    pub(super) async fn execute(&self, call: &Call<'_>) -> Result<u64, Fault> {
        let work = async {
            let statement = self.statements.get(call.name, call.flags)?;
            let object = self.object()?;
            if self.shared.is_pgbouncer() {
                return self.execute_pooled(object, statement, call).await;
            }
            let prepared = self.prepared(object, statement).await?;
            let args = statement.params.iter().map(|param| arg(*param, &call.values));
            self.progress.set(WRITING);
            let result = object.execute_raw(&prepared, args).await;
            self.answered(&result);
            Ok(result?)
        };
        self.busily(pin!(work)).await
    }

    /// Runs a statement that writes and answers with rows, as a transaction of its own. The rows are
    /// worth nothing before the end: only then the transaction is committed.
    pub(super) async fn execute_returning(
        &self,
        call: &Call<'_>,
        mut each: impl FnMut(Row) -> Result<(), Fault> + Send,
    ) -> Result<(), Fault> {
        let work = async {
            let statement = self.statements.get(call.name, call.flags)?;
            let object = self.object()?;
            if !self.shared.is_pgbouncer() {
                self.prepared(object, statement).await?;
            }
            self.progress.set(WRITING);
            let sent = async {
                let mut rows = Vec::new();
                let mut stream = pin!(self.query(call).await?);
                while let Some(row) = stream.try_next().await? {
                    rows.push(row);
                }
                Ok(rows)
            };
            let result: Result<_, Fault> = pin!(sent).await;
            if let Err(Fault::Sql(fault)) = &result {
                let lost = remedy(fault) == Remedy::Lost;
                self.progress.set(if lost { WRITING } else { CONNECTED });
            } else {
                self.progress.set(CONNECTED);
            }
            result?.into_iter().try_for_each(&mut each)
        };
        self.busily(pin!(work)).await
    }

    /// Behind a transaction pooler a time limit holds for one transaction. All of it is sent at
    /// once, so that nobody who leaves half-way leaves it open.
    async fn execute_pooled(
        &self,
        object: &Client,
        statement: &Statement,
        call: &Call<'_>,
    ) -> Result<u64, Fault> {
        let binary = self.statements.binary;
        let arg = |param: &Param| (arg(*param, &call.values), type_of(*param, binary));
        let args: Vec<_> = statement.params.iter().map(arg).collect();
        let args: Vec<_> = args
            .iter()
            .map(|(arg, kind)| (arg as &(dyn tokio_postgres::types::ToSql + Sync), kind.clone()))
            .collect();
        self.progress.set(WRITING);
        let (begun, written, committed) = tokio::join!(
            biased; // In this order they are sent.
            object.batch_execute(&self.shared.begin),
            object.execute_typed(&statement.sql, &args),
            object.batch_execute("COMMIT"),
        );
        // The COMMIT of a transaction that failed is a rollback and no error.
        let result = begun.and(written).and_then(|rows| committed.map(|()| rows));
        self.answered(&result);
        Ok(result?)
    }

    /// Runs SQL without parameters.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Fault> {
        let work = async {
            let object = self.object()?;
            self.progress.set(WRITING);
            let result = object.batch_execute(sql).await;
            self.answered(&result);
            Ok(result?)
        };
        self.busily(pin!(work)).await
    }

    /// Whether there is such a table.
    pub(super) async fn has_table(&self, table: &Table) -> Result<bool, Fault> {
        let work = async { inspect::find(self.object()?, table).await };
        Ok(self.busily(pin!(work)).await?.is_some())
    }

    /// What the server says of itself and of the table.
    pub(super) async fn facts(&self) -> Result<Facts, Fault> {
        let work = async {
            let mut facts = inspect::facts(self.object()?, &self.shared.options.table).await?;
            let pooler = if self.shared.is_pgbouncer() { "yes" } else { "no" };
            facts.settings.push(("transaction_pooler".into(), pooler.into()));
            Ok(facts)
        };
        self.busily(pin!(work)).await
    }

    /// Looks at the table and learns what it has.
    pub(super) async fn inspect(&mut self) -> Result<(), Fault> {
        let work = async { self.shared.inspect(self.object()?).await };
        let found = self.busily(pin!(work)).await?;
        self.statements = found;
        Ok(())
    }

    async fn prepared(
        &self,
        object: &Object,
        statement: &Statement,
    ) -> Result<tokio_postgres::Statement, Fault> {
        let mut types = [const { Type::TEXT }; MAX_PARAMS];
        for (slot, param) in types.iter_mut().zip(&statement.params) {
            *slot = type_of(*param, self.statements.binary);
        }
        let types = &types[..statement.params.len()];
        Ok(object.prepare_typed_cached(&statement.sql, types).await?)
    }

    /// Notes whether the server's answer is known: an error that it reported is an answer, unless
    /// it speaks of the connection.
    fn answered<T>(&self, result: &Result<T, tokio_postgres::Error>) {
        let lost = result.as_ref().is_err_and(|fault| remedy(fault) == Remedy::Lost);
        self.progress.set(if lost { WRITING } else { CONNECTED });
    }

    /// The work is pinned where it is made, so that its kilobytes are not moved.
    async fn busily<T>(
        &self,
        work: Pin<&mut (impl Future<Output = Result<T, Fault>> + Send)>,
    ) -> Result<T, Fault> {
        self.busy.store(true, Ordering::Relaxed);
        let result = work.await;
        self.busy.store(false, Ordering::Relaxed);
        result
    }
}

impl Drop for Connection<'_> {
    /// A connection whose caller left half-way goes back to the pool when the server has answered.
    /// A server that does not even answer when its own limit has passed is mute: the connection is
    /// closed, and with it those that are idle, lest each cost somebody a deadline.
    fn drop(&mut self) {
        if !self.busy.load(Ordering::Relaxed) {
            return;
        }
        let Some(object) = self.object.take() else { return };
        let until = self.progress.until + MUTE;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            drop(Object::take(object));
            return;
        };
        runtime.spawn(async move {
            match timeout_at(until.into(), object.batch_execute("")).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => drop(Object::take(object)),
                Err(_) => {
                    if let Some(pool) = Object::pool(&object) {
                        pool.retain(|_, _| false);
                    }
                    drop(Object::take(object));
                }
            }
        });
    }
}
