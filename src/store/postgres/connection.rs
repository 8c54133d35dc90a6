//! A connection taken from the pool for one operation.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use futures_util::TryStreamExt;
use tokio::time::timeout_at;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, RowStream};

use super::error::{error, is_duplicate, remedy};
use super::rows::{self, arg, type_of};
use super::shared::Shared;
use super::{inspect, many};
use crate::error::{Error, Result};
use crate::record::{Record, Row as TableRow, Saved};
use crate::sql::{Param, Statement};
use crate::store::call::Call;
use crate::store::lane::Change;
use crate::store::server::{self, Progress, Remedy};
use crate::store::statements::Statements;
use crate::table::{Facts, Table};

/// No statement has more parameters.
const MAX_PARAMS: usize = 16;
/// A server that has said nothing for so long after its own time limit for a statement is taken for
/// dead.
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

/// A connection and the statements that fit the table, for one operation.
pub(super) struct Connection<'s> {
    /// Always there until it is dropped.
    object: Option<Object>,
    pub(super) statements: Arc<Statements>,
    shared: &'s Shared,
    progress: &'s Progress,
    /// Since when a statement is under way: whoever comes next on this connection would wait for its
    /// end.
    busy: Mutex<Option<Instant>>,
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
        progress.connected();
        Self { object: Some(object), statements, shared, progress, busy: Mutex::new(None) }
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

    /// How long it has been there.
    pub(super) fn age(&self) -> Option<Duration> {
        self.object.as_ref().map(|object| Object::metrics(object).age())
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
    async fn rows(
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
            // Behind a transaction pooler nothing is prepared.
            if !self.shared.is_pgbouncer() {
                self.prepared(object, statement).await?;
            }
            self.progress.writing();
            let sent = async {
                let mut rows = Vec::new();
                let mut stream = pin!(self.query(call).await?);
                while let Some(row) = stream.try_next().await? {
                    rows.push(row);
                }
                Ok(rows)
            };
            let result: Result<_, Fault> = pin!(sent).await;
            if !matches!(&result, Err(Fault::Sql(fault)) if remedy(fault) == Remedy::Lost) {
                self.progress.connected();
            }
            let read = result?.into_iter().try_for_each(&mut each);
            if read.is_err() {
                // It is committed, and what came of each row cannot be told.
                self.progress.writing();
            }
            read
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
        self.progress.writing();
        let (begun, written, committed) = tokio::join!(
            biased; // In this order they are sent.
            object.batch_execute(&self.shared.begin),
            object.execute_typed(&statement.sql, &args),
            object.batch_execute("COMMIT"),
        );
        if begun.is_err() && written.is_ok() {
            // Without its BEGIN the change was a transaction of its own.
            let problem = "the pooler did not begin a transaction and ran the change all the same";
            return Err(Error::unknown_outcome("changing the sessions table", problem).into());
        }
        // The COMMIT of a transaction that failed is a rollback and no error.
        let result = begun.and(written).and_then(|rows| committed.map(|()| rows));
        self.answered(&result);
        Ok(result?)
    }

    /// Runs SQL without parameters.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Fault> {
        let work = async {
            let object = self.object()?;
            self.progress.writing();
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
        if !result.as_ref().is_err_and(|fault| remedy(fault) == Remedy::Lost) {
            self.progress.connected();
        }
    }

    /// The work is pinned where it is made, so that its kilobytes are not moved.
    async fn busily<T>(
        &self,
        work: Pin<&mut (impl Future<Output = Result<T, Fault>> + Send)>,
    ) -> Result<T, Fault> {
        self.is_busy(Some(Instant::now()));
        let result = work.await;
        self.is_busy(None);
        result
    }

    fn is_busy(&self, since: Option<Instant>) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

impl server::Connection for Connection<'_> {
    type Fault = Fault;

    fn statements(&self) -> &Arc<Statements> {
        &self.statements
    }

    fn is_duplicate(fault: &Fault) -> bool {
        matches!(fault, Fault::Sql(fault) if is_duplicate(fault))
    }

    async fn records(
        &mut self,
        call: &Call<'_>,
        mut each: impl FnMut(Record) + Send,
    ) -> Result<(), Fault> {
        let each = |row| {
            if let Some(record) = rows::record(row)? {
                each(record);
            }
            Ok(())
        };
        self.rows(call, each).await
    }

    async fn found(
        &mut self,
        call: &Call<'_>,
        mut each: impl FnMut(Record, Option<bool>) + Send,
    ) -> Result<(), Fault> {
        let each = |row| {
            if let Some((record, is_alive)) = rows::found(row)? {
                each(record, is_alive);
            }
            Ok(())
        };
        self.rows(call, each).await
    }

    async fn scanned(
        &mut self,
        call: &Call<'_>,
        mut each: impl FnMut(TableRow) + Send,
    ) -> Result<(), Fault> {
        self.rows(call, |row| rows::row(row).map(&mut each)).await
    }

    async fn exists(&mut self, call: &Call<'_>) -> Result<bool, Fault> {
        let mut found = false;
        let each = |_| {
            found = true;
            Ok(())
        };
        self.rows(call, each).await?;
        Ok(found)
    }

    async fn execute(&mut self, call: &Call<'_>) -> Result<u64, Fault> {
        let work = async {
            let statement = self.statements.get(call.name, call.flags)?;
            let object = self.object()?;
            if self.shared.is_pgbouncer() {
                return self.execute_pooled(object, statement, call).await;
            }
            let prepared = self.prepared(object, statement).await?;
            let args = statement.params.iter().map(|param| arg(*param, &call.values));
            self.progress.writing();
            let result = object.execute_raw(&prepared, args).await;
            self.answered(&result);
            Ok(result?)
        };
        self.busily(pin!(work)).await
    }

    /// The lock is taken and left within the statement's transaction, so that it also holds behind a
    /// transaction pooler.
    async fn execute_alone(&mut self, call: Call<'_>) -> Result<Option<u64>, Fault> {
        let mut deleted = None;
        let each = |row: Row| {
            let is_held: bool = row.try_get(0)?;
            let rows: i64 = row.try_get(1)?;
            deleted = is_held.then(|| u64::try_from(rows).unwrap_or(0));
            Ok(())
        };
        self.execute_returning(&call.alone(), each).await?;
        Ok(deleted)
    }

    async fn counted(&mut self, call: &Call<'_>) -> Result<u64, Fault> {
        let mut count = 0_i64;
        let each = |row: Row| {
            count = row.try_get(0)?;
            Ok(())
        };
        self.rows(call, each).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn facts(&mut self) -> Result<Facts, Fault> {
        let work = async {
            let mut facts = {
                let table = &self.shared.options.table;
                inspect::facts(self.object()?, table, &self.statements).await?
            };
            let pooler = if self.shared.is_pgbouncer() { "yes" } else { "no" };
            facts.settings.push(("transaction_pooler".into(), pooler.into()));
            Ok(facts)
        };
        self.busily(pin!(work)).await
    }

    async fn change_many(&mut self, changes: &[Change]) -> Result<Vec<Option<Saved>>, Fault> {
        many::change(self, changes).await
    }

    async fn inspect(&mut self) -> Result<(), Fault> {
        let work = async { self.shared.inspect(self.object()?).await };
        let found = self.busily(pin!(work)).await?;
        self.statements = found;
        Ok(())
    }
}

impl Drop for Connection<'_> {
    /// A connection whose caller left half-way goes back to the pool when the server has answered.
    /// A server that does not even answer when its own limit has passed is mute: the connection is
    /// closed, and with it those that are idle, lest each cost somebody a deadline. One that was
    /// given no limit may be busy: the connection alone is closed.
    fn drop(&mut self) {
        let since = self.busy.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(since), Some(object)) = (since, self.object.take()) else { return };
        let until = self.progress.until.max(since + self.shared.options.deadline) + MUTE;
        let is_mute = self.shared.limits_statements();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            drop(Object::take(object));
            return;
        };
        runtime.spawn(async move {
            match timeout_at(until.into(), object.batch_execute("")).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => drop(Object::take(object)),
                Err(_) => {
                    if let Some(pool) = Object::pool(&object).filter(|_| is_mute) {
                        pool.retain(|_, _| false);
                    }
                    drop(Object::take(object));
                }
            }
        });
    }
}
