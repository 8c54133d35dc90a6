//! What all clones of a store share: the pool, what the table was found to have, and the way in
//! which an operation is tried.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::SYSTEM;
use super::connect::Connector;
use super::connection::{Connection, Fault, Ready};
use super::error::{error, is_denied, remedy, unknown};
use super::inspect::{self, Found, Key};
use super::options::MySqlBuilder;
use super::pool::{Abandoned, Pool, pool};
use super::statements::{creating, statements};
use crate::error::{Error, Result};
use crate::observe::{System, retry};
use crate::sql::Flags;
use crate::store::lane::Failed;
use crate::store::server::{
    Batches, CREATING, Connection as _, Gate, INSPECTING, Lanes, Limits, Operation, Progress,
    Remedy, Tries, not_made,
};
use crate::store::statements::{Name, Statements};
use crate::table::Table;

/// Operations in a batch: more would save nothing more, and wait longer.
const COUNT: usize = 64;
/// Bytes that a batch brings. Beyond, a statement for each is faster, since several connections
/// share the work.
const BYTES: usize = 64 << 10;
/// A save of so many bytes gains nothing from company.
const LARGE: usize = 16 << 10;

const GRANT_CREATE: &str = "GRANT CREATE ON the database TO it, or have somebody else run what sqlbypass \
                            create --print shows";

/// What the table was found to have.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) statements: Arc<Statements>,
    /// What its rows are named by.
    pub(super) key: Key,
    found: Arc<Found>,
}

impl Known {
    fn new(table: &Table, found: Found) -> Self {
        let (key, known) = (found.key, Arc::new(found.clone()));
        Self { statements: Arc::new(statements(table, found)), key, found: known }
    }

    /// Whether its engine can undo what a connection has written.
    pub(super) fn has_transactions(&self) -> bool {
        self.found.transactions
    }
}

pub(super) struct Shared {
    pub(super) options: MySqlBuilder,
    pool: Pool,
    /// `None` until the table was first looked at.
    known: RwLock<Option<Known>>,
    /// Whoever comes next looks at the table again.
    doubted: AtomicBool,
    gate: Gate,
    /// Whether a connection has led to a node of a cluster.
    pub(super) is_galera: AtomicBool,
    /// Whether the table's engine has transactions, as far as it is known.
    has_transactions: AtomicBool,
}

impl Shared {
    pub(super) fn new(options: MySqlBuilder) -> Result<Self> {
        let (known, doubted) = (RwLock::new(None), AtomicBool::new(false));
        Ok(Self {
            pool: pool(&options)?,
            options,
            known,
            doubted,
            gate: Gate::default(),
            is_galera: AtomicBool::new(false),
            has_transactions: AtomicBool::new(true),
        })
    }

    /// Lets operations that are under way end, and closes the connections unless they are the
    /// user's.
    pub(super) async fn close(&self) {
        self.gate.close().await;
        self.pool.close();
    }

    /// For whoever outlives the operation.
    pub(super) fn abandoned(&self) -> Abandoned {
        self.pool.abandoned()
    }

    /// For whoever outlives the operation.
    pub(super) fn connector(&self) -> Option<Arc<Connector>> {
        self.pool.connector()
    }

    /// Connects once and looks at the table, which is made first where that is wanted.
    pub(super) async fn open(&self) -> Result<()> {
        let until = Instant::now() + self.options.deadline;
        let progress = Progress::new(until);
        let doing = "connecting to MySQL";
        let work = pin!(async { self.connection(doing, until, &progress).await.map(drop) });
        progress.bounded(doing, work).await
    }

    /// Runs an operation; it ends by the deadline.
    pub(super) async fn run<O: Operation>(&self, operation: O) -> Result<O::Output> {
        self.single(operation, (Instant::now() + self.options.deadline).into()).await
    }

    /// Lanes over these connections, if they are wanted. A pool of the user's has none: what is
    /// prepared is not kept with its connections.
    pub(super) fn lanes(self: &Arc<Self>) -> Option<Lanes<Self>> {
        let connections = self.pool.max_size().filter(|_| self.options.lanes)?;
        let limits = Limits {
            connections,
            queue: self.options.queue,
            count: COUNT,
            bytes: BYTES,
            large: LARGE,
            deadline: self.options.deadline,
        };
        Some(Lanes::new(self, limits))
    }

    /// Makes the table if it is missing; says whether it did.
    pub(super) async fn create_table(&self) -> Result<bool> {
        let doing = CREATING;
        let _inside = self.gate.enter(doing)?;
        let until = Instant::now() + self.options.deadline;
        let progress = Progress::new(until);
        let work = pin!(async {
            let held = self.pool.get(doing, until.into()).await?;
            let mut connection = Connection::new(held, self.creating(), self, &progress);
            let made = Self::make_table(&mut connection).await;
            made.map_err(|fault| fault.into_error(doing))
        });
        progress.bounded(doing, work).await
    }

    /// Renders statements for what the table was found to have, and keeps them for everybody. What
    /// is as it was keeps its statements, and so what connections have prepared.
    pub(super) fn learn(&self, found: Option<Found>) -> Result<Known> {
        let table = &self.options.table;
        let found = found.ok_or_else(|| inspect::missing_table(table))?;
        self.has_transactions.store(found.transactions, Ordering::Relaxed);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| *known.found == found) {
            return Ok(known.clone());
        }
        Ok(known.insert(Known::new(table, found)).clone())
    }

    fn creating(&self) -> Known {
        let statements = Arc::new(creating(&self.options.table));
        Known { statements, key: Key::Number, found: Arc::default() }
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
            if remedy == Remedy::Unknown && progress.is_unknown() {
                return Err(unknown(O::DOING, &fault));
            }
            if remedy == Remedy::Lost && progress.is_unknown() {
                self.lose(connection);
                let problem = "the connection was lost after the statement was sent";
                return Err(Error::unknown_outcome(O::DOING, problem));
            }
            // The last part of the time is for telling why.
            let is_time_left = Instant::now() + self.options.deadline / 8 < until;
            if !tries.again(remedy, is_time_left) {
                return Err(error(O::DOING, &fault));
            }
            retry(SYSTEM, remedy.name());
            mended = Box::pin(self.mend(connection, O::DOING, &fault)).await?;
        }
    }

    /// An operation was refused by what the table had when it was last looked at. A column may be
    /// wider by now, or there; its engine may be another.
    fn refused(&self, error: Error) -> Error {
        if error.is_overflow() || error.is_config() || error.is_schema() {
            self.doubted.store(true, Ordering::Relaxed);
        }
        error
    }

    async fn repair(&self, connection: Connection<'_>, doing: &'static str, fault: &Fault) {
        let Fault::Sql(fault) = fault else { return };
        match remedy(fault) {
            Remedy::Repeat | Remedy::None => {}
            // Without success the operations fail by themselves, each with its own error.
            _ => drop(self.mend(connection, doing, fault).await),
        }
    }

    fn lose(&self, connection: Connection<'_>) {
        connection.discard();
        self.pool.suspect();
    }

    /// Prepares for a second try: on the same connection where statements were made anew, since
    /// another one may have old ones still. An error where a second try would end as the first.
    async fn mend<'s>(
        &self,
        mut connection: Connection<'s>,
        doing: &'static str,
        fault: &mysql_async::Error,
    ) -> Result<Option<Connection<'s>>> {
        let remedy = remedy(fault);
        match remedy {
            Remedy::Inspect | Remedy::Prepare => {
                let before = Arc::clone(connection.statements());
                let looked = async {
                    connection.forget_prepared().await?;
                    connection.inspect().await
                };
                let looked: Result<(), Fault> = looked.await;
                looked.map_err(|fault| fault.into_error(INSPECTING))?;
                // A table that is as it was refuses the same statement again.
                let is_same = Arc::ptr_eq(&before, connection.statements());
                match is_same && remedy == Remedy::Inspect {
                    true => Err(error(doing, fault)),
                    false => Ok(Some(connection)),
                }
            }
            Remedy::Leave => {
                let host = connection.host();
                connection.discard();
                // The others lead to the same server.
                self.pool.leave(host);
                Ok(None)
            }
            Remedy::Repeat => {
                drop(connection);
                tokio::time::sleep(Duration::from_millis(2)).await;
                Ok(None)
            }
            Remedy::Lost | Remedy::Unknown | Remedy::None => {
                self.lose(connection);
                Ok(None)
            }
        }
    }

    async fn connection<'s>(
        &'s self,
        doing: &'static str,
        until: Instant,
        progress: &'s Progress,
    ) -> Result<Connection<'s>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let held = self.pool.get(doing, until.into()).await?;
        let is_first = known.is_none();
        if !is_first && !self.doubted.swap(false, Ordering::Relaxed) {
            let known = known.unwrap_or_else(|| self.creating());
            return Ok(Connection::new(held, known, self, progress));
        }
        let mut connection = Connection::new(held, self.creating(), self, progress);
        let look = async {
            if is_first && self.options.create {
                Self::make_table(&mut connection).await?;
            }
            connection.inspect().await
        };
        if let Err(fault) = Box::pin(look).await {
            self.doubted.store(!is_first, Ordering::Relaxed);
            return Err(fault.into_error(INSPECTING));
        }
        Ok(connection)
    }

    /// One statement, its indexes inside: a statement that makes something is a transaction of its
    /// own here, so that several could end half-way.
    async fn make_table(connection: &mut Connection<'_>) -> Result<bool, Fault> {
        match connection.has_table().await {
            Ok(true) => return Ok(false),
            // Whoever may not see the table is not told whether it is there.
            Err(Fault::Sql(fault)) if is_denied(&fault) => {}
            is_there => _ = is_there?,
        }
        let sql = connection.statements().get(Name::Create, Flags::default())?.sql.clone();
        match connection.batch(sql).await {
            Ok(()) => Ok(true),
            // Somebody else may have made it meanwhile.
            Err(_) if matches!(connection.has_table().await, Ok(true)) => Ok(false),
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
        let progress = Progress::new(until.into_std());
        let work = pin!(async {
            let mut connection = Connection::new(ready.held, ready.known, self, &progress);
            Ok(match batch.run(&mut connection).await {
                Ok(output) => Ok(output),
                Err(fault) if progress.is_unknown() => {
                    match fault {
                        Fault::Sql(fault) if remedy(&fault) == Remedy::Lost => {
                            self.lose(connection)
                        }
                        Fault::Sql(_) => {}
                        Fault::Ours(error) => drop(self.refused(error)),
                    }
                    Err(Failed::Unknown)
                }
                Err(fault) => {
                    Box::pin(self.repair(connection, O::DOING, &fault)).await;
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
        false
    }

    fn has_no_batches_of_changes(&self) -> bool {
        self.is_galera.load(Ordering::Relaxed) || !self.has_transactions.load(Ordering::Relaxed)
    }
}
