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
use crate::store::lane::Failed;
use crate::store::statements::{Statements, creation};

/// A write that is under way when the deadline passes may be answered a moment later: that nothing
/// was written is worth more than that nobody knows.
const LAST_WORD: Duration = Duration::from_millis(200);
/// Connections of the pool that turn out dead one after another, and changes of the table that follow
/// each other, before an operation gives up.
const HELPS: u32 = 3;

/// How often an operation was helped, so that there is an end to it.
#[derive(Default)]
struct Tries {
    helped: u32,
    left: bool,
}

impl Tries {
    /// Whether it makes sense to try once more.
    fn again(&mut self, remedy: Remedy, is_time_left: bool) -> bool {
        match remedy {
            Remedy::Lost | Remedy::Inspect | Remedy::Prepare => {
                self.helped += 1;
                self.helped <= HELPS
            }
            Remedy::Leave => !std::mem::replace(&mut self.left, true),
            Remedy::Repeat => is_time_left,
            Remedy::None => false,
        }
    }
}

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
        // The server's integers end there.
        let millis = options.deadline.as_millis().clamp(2, i32::MAX as u128);
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
        let until = Instant::now() + self.options.deadline;
        let progress = Progress::new(until);
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
        let progress = Progress::new(until);
        // Pinned here, where it is made: it is some kilobytes, and would be moved on each call.
        let attempts = pin!(self.attempts(&operation, until, &progress));
        self.bounded(O::DOING, until, &progress, attempts).await
    }

    /// A connection for a batch, with the statements that fit the table.
    pub(super) async fn ready(&self, doing: &'static str, until: Instant) -> Result<Ready> {
        let progress = Progress::new(until);
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
        let progress = Progress::new(until);
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

    async fn repair(&self, connection: Connection<'_>, fault: &Fault) {
        let Fault::Sql(fault) = fault else { return };
        match remedy(fault) {
            Remedy::Repeat | Remedy::None => {}
            // Without success the operations fail by themselves, each with its own error.
            remedy => drop(self.mend(connection, remedy).await),
        }
    }

    /// Makes the table if it is missing; says whether it did.
    pub(super) async fn create_table(&self) -> Result<bool> {
        let doing = "creating the sessions table";
        let until = Instant::now() + self.options.deadline;
        let progress = Progress::new(until);
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
        self.learn(Some(Arc::clone(&statements)));
        Ok(statements)
    }

    fn learn(&self, statements: Option<Arc<Statements>>) {
        *self.statements.write().unwrap_or_else(PoisonError::into_inner) = statements;
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
        let mut tries = Tries::default();
        let mut mended = None;
        loop {
            let mut connection = match mended.take() {
                Some(connection) => connection,
                None => self.connection(O::DOING, until, progress).await?,
            };
            let fault = match operation.run(&mut connection).await {
                Ok(output) => return Ok(output),
                Err(Fault::Ours(error)) => return Err(self.refused(error)),
                Err(Fault::Sql(fault)) => fault,
            };
            let remedy = remedy(&fault);
            if remedy == Remedy::Lost && progress.is_unknown() {
                let problem = "the connection was lost after the statement was sent";
                return Err(Error::unknown_outcome(O::DOING, problem));
            }
            // The last part of the time is for telling why.
            let is_time_left = Instant::now() + self.options.deadline / 8 < until;
            if !tries.again(remedy, is_time_left) {
                return Err(error(O::DOING, &fault));
            }
            mended = Box::pin(self.mend(connection, remedy)).await?;
        }
    }

    /// An operation was refused by what the table had when it was last looked at. A column may be
    /// wider by now, or there: whoever comes next looks.
    fn refused(&self, error: Error) -> Error {
        if error.is_overflow() || error.is_config() {
            self.learn(None);
        }
        error
    }

    /// Prepares for a second try: on the same connection where statements were made anew, since
    /// another one may have old ones still.
    async fn mend<'s>(
        &self,
        mut connection: Connection<'s>,
        remedy: Remedy,
    ) -> Result<Option<Connection<'s>>> {
        match remedy {
            // Also where the table is found as it was: it may have changed there and back.
            Remedy::Inspect | Remedy::Prepare => {
                connection.forget_prepared()?;
                let found = connection.inspect().await;
                found.map_err(|fault| fault.into_error(inspect::DOING))?;
                return Ok(Some(connection));
            }
            Remedy::Leave => {
                connection.discard();
                // The others lead to the same server.
                self.pool.forget_idle();
            }
            Remedy::Repeat => {
                drop(connection);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Remedy::Lost | Remedy::None => connection.discard(),
        }
        Ok(None)
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
        let sql = creation(&self.options.table, &creating(&self.options.table))?;
        match connection.batch(&sql.join(";\n")).await {
            Ok(()) => Ok(true),
            // Somebody else may have made it meanwhile.
            Err(_) if connection.has_table(&self.options.table).await? => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}
