//! What all clones of a store share: the pool, what the table was found to have, and the way in
//! which an operation is tried.

use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::connection::{Connection, Fault, Progress, Ready};
use super::error::{Remedy, error, remedy};
use super::inspect;
use super::operations::Operation;
use super::options::PostgresBuilder;
use super::pool::{Pool, pool};
use super::statements::{creating, statements};
use crate::error::{Error, Result};
use crate::sql::Flags;
use crate::store::lane::Failed;
use crate::store::statements::{Name, Statements};

/// A write that is under way when the deadline passes may be answered a moment later: that nothing
/// was written is worth more than that nobody knows.
const LAST_WORD: Duration = Duration::from_millis(200);
/// Connections of the pool that may turn out dead, one after another, before an operation gives up.
const LOST: u32 = 3;

pub(super) struct Shared {
    pub(super) options: PostgresBuilder,
    pool: Pool,
    /// Begins a transaction with time limits of its own, for poolers.
    pub(super) begin: String,
    /// What the table was last found to have; `None` until it was first looked at.
    statements: RwLock<Option<Arc<Statements>>>,
}

impl Shared {
    pub(super) fn new(options: PostgresBuilder) -> Result<Self> {
        let millis = options.deadline.as_millis().max(2);
        Ok(Self {
            begin: format!(
                "BEGIN; SET LOCAL statement_timeout = {millis}; SET LOCAL lock_timeout = {}",
                millis / 2
            ),
            pool: pool(&options)?,
            options,
            statements: RwLock::new(None),
        })
    }

    /// Whether a transaction pooler stands between us and the server.
    pub(super) fn is_pgbouncer(&self) -> bool {
        self.pool.is_pgbouncer()
    }

    /// How many connections there may be.
    pub(super) fn max_connections(&self) -> usize {
        self.pool.max_size()
    }

    /// Closes the connections that are idle, and each other one when its operation ends.
    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Connects once and looks at the table, which is made first where that is wanted.
    pub(super) async fn open(&self) -> Result<()> {
        let progress = Progress::default();
        let until = Instant::now() + self.options.deadline;
        let doing = "connecting to PostgreSQL";
        let work = pin!(async { self.connection(doing, until, &progress).await.map(drop) });
        self.bounded(doing, until, &progress, work).await
    }

    /// Runs an operation; it ends by the deadline.
    pub(super) async fn run<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.run_until(operation, Instant::now() + self.options.deadline).await
    }

    /// The same with the time that is left of the deadline.
    pub(super) async fn run_until<O: Operation>(
        &self,
        operation: O,
        until: Instant,
    ) -> Result<O::Output> {
        let progress = Progress::default();
        // Pinned here, where it is made: it is some kilobytes, and would be moved on each call.
        let attempts = pin!(self.attempts(&operation, until, &progress));
        self.bounded(O::DOING, until, &progress, attempts).await
    }

    /// A connection for a batch, with the statements that fit the table.
    pub(super) async fn ready(&self, doing: &'static str, until: Instant) -> Result<Ready> {
        let progress = Progress::default();
        let work = pin!(async {
            self.connection(doing, until, &progress).await.and_then(Connection::into_ready)
        });
        self.bounded(doing, until, &progress, work).await
    }

    /// Runs a batch once. Whatever went wrong, it is put right for those who come after.
    pub(super) async fn run_batch<O: Operation>(
        &self,
        batch: O,
        ready: Ready,
        until: Instant,
    ) -> Result<O::Output, Failed> {
        if self.is_pgbouncer() {
            // Connecting has found out; those that waited for it go as all others do there.
            return Err(Failed::Undone);
        }
        let progress = Progress::default();
        let work = pin!(async {
            let mut connection = Connection::new(ready.object, ready.statements, self, &progress);
            Ok(match batch.run(&mut connection).await {
                Ok(output) => Ok(output),
                Err(Fault::Sql(_)) if progress.is_unknown() => Err(Failed::Unknown),
                Err(fault) => {
                    Box::pin(self.repair(connection, &fault)).await;
                    Err(Failed::Undone)
                }
            })
        });
        match self.bounded(O::DOING, until, &progress, work).await {
            Ok(result) => result,
            Err(error) if error.is_unknown_outcome() => Err(Failed::Unknown),
            Err(_) => Err(Failed::Undone),
        }
    }

    async fn repair(&self, mut connection: Connection<'_>, fault: &Fault) {
        let Fault::Sql(fault) = fault else { return };
        match remedy(fault) {
            Remedy::Lost => connection.discard(),
            Remedy::Leave => {
                connection.discard();
                self.pool.forget_idle();
            }
            // Without success the operations fail by themselves, each with its own error.
            Remedy::Inspect | Remedy::Prepare => drop(self.renew(&mut connection, fault).await),
            Remedy::Repeat | Remedy::None => {}
        }
    }

    /// Makes the table if it is missing; says whether it did.
    pub(super) async fn create_table(&self) -> Result<bool> {
        let doing = "creating the sessions table";
        let progress = Progress::default();
        let until = Instant::now() + self.options.deadline;
        let work = pin!(async {
            let statements = Arc::new(creating(&self.options.table));
            let object = self.pool.get(doing, until.into()).await?;
            let connection = Connection::new(object, statements, self, &progress);
            self.make_table(&connection).await.map_err(|fault| fault.into_error(doing))
        });
        self.bounded(doing, until, &progress, work).await
    }

    /// Looks at the table, renders statements for what it has, and keeps them for everybody.
    pub(super) async fn inspect(
        &self,
        client: &tokio_postgres::Client,
    ) -> Result<Arc<Statements>, Fault> {
        let table = &self.options.table;
        let found = inspect::find(client, table).await?;
        let found = found.ok_or_else(|| inspect::missing_table(table))?;
        let statements = Arc::new(statements(table, found));
        *self.statements.write().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::clone(&statements));
        Ok(statements)
    }

    async fn bounded<T>(
        &self,
        doing: &'static str,
        until: Instant,
        progress: &Progress,
        mut work: Pin<&mut (impl Future<Output = Result<T>> + Send)>,
    ) -> Result<T> {
        if let Ok(result) = timeout_at(until.into(), &mut work).await {
            return result;
        }
        if !progress.is_unknown() {
            return Err(progress.timeout(doing));
        }
        match timeout_at((until + LAST_WORD).into(), work).await {
            Ok(result) => result,
            Err(_) if progress.is_unknown() => {
                Err(Error::unknown_outcome(doing, "the server did not answer by the deadline"))
            }
            Err(_) => Err(progress.timeout(doing)),
        }
    }

    async fn attempts<O: Operation>(
        &self,
        operation: &O,
        until: Instant,
        progress: &Progress,
    ) -> Result<O::Output> {
        let (mut lost, mut renewed) = (0, false);
        loop {
            let mut connection = self.connection(O::DOING, until, progress).await?;
            let fault = match operation.run(&mut connection).await {
                Ok(output) => return Ok(output),
                Err(Fault::Ours(error)) => return Err(error),
                Err(Fault::Sql(fault)) => fault,
            };
            match remedy(&fault) {
                Remedy::Lost if progress.is_unknown() => {
                    return Err(Error::unknown_outcome(
                        O::DOING,
                        "the connection was lost after the statement was sent",
                    ));
                }
                Remedy::Lost if lost < LOST => {
                    lost += 1;
                    connection.discard();
                }
                Remedy::Leave if !renewed => {
                    renewed = true;
                    connection.discard();
                    // The others lead to the same server.
                    self.pool.forget_idle();
                }
                Remedy::Inspect | Remedy::Prepare if !renewed => {
                    renewed = true;
                    if !Box::pin(self.renew(&mut connection, &fault)).await? {
                        return Err(error(O::DOING, &fault));
                    }
                }
                Remedy::Repeat if Instant::now() < until => {
                    drop(connection);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                _ => return Err(error(O::DOING, &fault)),
            }
        }
    }

    /// Looks at the table again and says whether a second try can end otherwise.
    async fn renew(
        &self,
        connection: &mut Connection<'_>,
        fault: &tokio_postgres::Error,
    ) -> Result<bool> {
        let before = Arc::clone(&connection.statements);
        connection.forget_prepared()?;
        connection.inspect().await.map_err(|fault| fault.into_error(inspect::DOING))?;
        Ok(remedy(fault) == Remedy::Prepare || connection.statements.schema != before.schema)
    }

    async fn connection<'s>(
        &'s self,
        doing: &'static str,
        until: Instant,
        progress: &'s Progress,
    ) -> Result<Connection<'s>> {
        let known = self.statements.read().unwrap_or_else(PoisonError::into_inner).clone();
        let object = self.pool.get(doing, until.into()).await?;
        if let Some(statements) = known {
            return Ok(Connection::new(object, statements, self, progress));
        }
        let statements = Arc::new(creating(&self.options.table));
        let mut connection = Connection::new(object, statements, self, progress);
        let first = async {
            if self.options.create {
                self.make_table(&connection).await?;
            }
            connection.inspect().await
        };
        Box::pin(first).await.map_err(|fault| fault.into_error(inspect::DOING))?;
        Ok(connection)
    }

    /// Several statements in one message are one transaction.
    async fn make_table(&self, connection: &Connection<'_>) -> Result<bool, Fault> {
        if connection.has_table(&self.options.table).await? {
            return Ok(false);
        }
        let statements = creating(&self.options.table);
        let mut sql = String::new();
        for name in [Name::Create, Name::IndexId, Name::IndexUpdated] {
            sql.push_str(&statements.get(name, Flags::default())?.sql);
            sql.push_str(";\n");
        }
        match connection.batch(&sql).await {
            Ok(()) => Ok(true),
            // Somebody else may have made it meanwhile.
            Err(_) if connection.has_table(&self.options.table).await? => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}
