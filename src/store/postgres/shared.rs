//! What all clones of a store share: the pool, what the table was found to have, and the way in
//! which an operation is tried.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::SYSTEM;
use super::connection::{Connection, Fault, Ready};
use super::error::{error, remedy};
use super::inspect;
use super::options::PostgresBuilder;
use super::pool::{Pool, pool};
use super::statements::{creating, statements};
use crate::error::{Error, Result};
use crate::observe::{System, retry};
use crate::store::lane::Failed;
use crate::store::server::{
    Batches, CREATING, Connection as _, Gate, INSPECTING, Lanes, Limits, Operation, Progress,
    Remedy, Tries, not_made,
};
use crate::store::statements::{Statements, creation};

/// Operations in a batch: more would save nothing more, and wait longer.
const COUNT: usize = 64;
/// Bytes that a batch brings. Beyond, a statement for each is faster, since several connections
/// share the work.
const BYTES: usize = 64 << 10;
/// A save of so many bytes gains nothing from company.
const LARGE: usize = 16 << 10;

const GRANT_CREATE: &str = "GRANT CREATE ON SCHEMA … TO it, or have the owner of the schema run what \
                            sqlbypass create --print shows";

pub(super) struct Shared {
    pub(super) options: PostgresBuilder,
    pool: Pool,
    /// Begins a transaction with time limits of its own, for poolers.
    pub(super) begin: String,
    /// What the table was last found to have; `None` until it was first looked at.
    statements: RwLock<Option<Arc<Statements>>>,
    /// Whoever comes next looks at the table again.
    doubted: AtomicBool,
    gate: Gate,
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
            doubted: AtomicBool::new(false),
            gate: Gate::default(),
        })
    }

    /// Whether a transaction pooler stands between us and the server.
    pub(super) fn is_pgbouncer(&self) -> bool {
        self.pool.is_pgbouncer()
    }

    /// Lanes over these connections, if they are wanted. Behind a transaction pooler they are not
    /// used.
    pub(super) fn lanes(self: &Arc<Self>) -> Option<Lanes<Self>> {
        let connections = self.pool.max_size();
        let limits = Limits {
            connections,
            queue: self.options.queue,
            count: COUNT,
            bytes: BYTES,
            large: LARGE,
            deadline: self.options.deadline,
        };
        self.options.lanes.then(|| Lanes::new(self, limits))
    }

    /// Lets operations that are under way end, and closes the connections unless they are the
    /// user's.
    pub(super) async fn close(&self) {
        self.gate.close().await;
        self.pool.close();
    }

    /// Whether a server that does not answer in its own time limit is mute: it has one.
    pub(super) fn limits_statements(&self) -> bool {
        self.pool.is_ours() && !self.is_pgbouncer()
    }

    /// Connects once and looks at the table, which is made first where that is wanted.
    pub(super) async fn open(&self) -> Result<()> {
        let until = Instant::now() + self.options.deadline;
        let progress = Progress::new(until);
        let doing = "connecting to PostgreSQL";
        let work = pin!(async { self.connection(doing, until, &progress).await.map(drop) });
        progress.bounded(doing, work).await
    }

    /// Runs an operation; it ends by the deadline.
    pub(super) async fn run<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.single(operation, (Instant::now() + self.options.deadline).into()).await
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
        let doing = CREATING;
        let _inside = self.gate.enter(doing)?;
        let until = Instant::now() + self.options.deadline;
        let progress = Progress::new(until);
        let work = pin!(async {
            let statements = Arc::new(creating(&self.options.table));
            let object = self.pool.get(doing, until.into()).await?;
            let connection = Connection::new(object, statements, self, &progress);
            self.make_table(&connection).await.map_err(|fault| fault.into_error(doing))
        });
        progress.bounded(doing, work).await
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
        let mut known = self.statements.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::clone(&statements));
        Ok(statements)
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
            retry(SYSTEM, remedy.name());
            mended = Box::pin(self.mend(connection, remedy)).await?;
        }
    }

    /// An operation was refused by what the table had when it was last looked at. A column may be
    /// wider by now, or there.
    fn refused(&self, error: Error) -> Error {
        if error.is_overflow() || error.is_config() {
            self.doubted.store(true, Ordering::Relaxed);
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
                found.map_err(|fault| fault.into_error(INSPECTING))?;
                return Ok(Some(connection));
            }
            Remedy::Leave => {
                // The others lead to the same server.
                self.pool.leave(connection);
            }
            Remedy::Repeat => {
                drop(connection);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Remedy::Lost | Remedy::Unknown | Remedy::None => connection.discard(),
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
        let is_first = known.is_none();
        if let Some(statements) = known.filter(|_| !self.is_doubted()) {
            return Ok(Connection::new(object, statements, self, progress));
        }
        let statements = Arc::new(creating(&self.options.table));
        let mut connection = Connection::new(object, statements, self, progress);
        let first = async {
            if is_first && self.options.create {
                self.make_table(&connection).await?;
            }
            connection.inspect().await
        };
        if let Err(fault) = Box::pin(first).await {
            self.doubted.store(!is_first, Ordering::Relaxed);
            return Err(fault.into_error(INSPECTING));
        }
        Ok(connection)
    }

    /// Whether this is who has to look at the table again.
    fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed) && self.doubted.swap(false, Ordering::Relaxed)
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
            Err(fault) => Err(not_made(fault.into_error(CREATING), GRANT_CREATE).into()),
        }
    }
}

impl Batches for Shared {
    type Ready = Ready;
    const SYSTEM: System = SYSTEM;

    async fn single<O: Operation>(
        &self,
        operation: O,
        until: tokio::time::Instant,
    ) -> Result<O::Output> {
        let _inside = self.gate.enter(O::DOING)?;
        let until = until.into_std();
        let progress = Progress::new(until);
        // Pinned here, where it is made: it is some kilobytes, and would be moved on each call.
        let attempts = pin!(self.attempts(&operation, until, &progress));
        progress.bounded(O::DOING, attempts).await
    }

    async fn ready(&self, doing: &'static str, until: tokio::time::Instant) -> Result<Ready> {
        let until = until.into_std();
        let progress = Progress::new(until);
        let work = pin!(async {
            self.connection(doing, until, &progress).await.and_then(Connection::into_ready)
        });
        progress.bounded(doing, work).await
    }

    async fn batch<O: Operation>(
        &self,
        batch: O,
        ready: Ready,
        until: tokio::time::Instant,
    ) -> Result<O::Output, Failed> {
        if self.is_pgbouncer() {
            // Connecting has found out; those that waited for it go as all others do there.
            return Err(Failed::Undone);
        }
        let progress = Progress::new(until.into_std());
        let work = pin!(async {
            let mut connection = Connection::new(ready.object, ready.statements, self, &progress);
            Ok(match batch.run(&mut connection).await {
                Ok(output) => Ok(output),
                Err(_) if progress.is_unknown() => Err(Failed::Unknown),
                Err(fault) => {
                    Box::pin(self.repair(connection, &fault)).await;
                    Err(Failed::Undone)
                }
            })
        });
        match progress.bounded(O::DOING, work).await {
            Ok(result) => result,
            Err(error) if error.is_unknown_outcome() => Err(Failed::Unknown),
            Err(_) => Err(Failed::Undone),
        }
    }

    fn has_no_batches(&self) -> bool {
        self.is_pgbouncer()
    }
}
