//! What all clones of a store share: the pool, what the table was found to have, and the way in
//! which an operation is tried.

use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::connect::Connector;
use super::connection::{Connection, Fault};
use super::error::{Remedy, error, remedy, unknown};
use super::inspect::{self, Found, Key};
use super::operations::Operation;
use super::options::MySqlBuilder;
use super::pool::{Pool, pool};
use super::statements::{creating, statements};
use crate::error::{Error, Result};
use crate::sql::Flags;
use crate::store::progress::Progress;
use crate::store::statements::{Name, Statements};

/// A write that is under way when the deadline passes may be answered a moment later: that nothing
/// was written is worth more than that nobody knows.
const LAST_WORD: Duration = Duration::from_millis(200);
/// Connections of the pool that may turn out dead, one after another, before an operation gives up.
const LOST: u32 = 3;

/// What the table was found to have.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) statements: Arc<Statements>,
    /// What its rows are named by.
    pub(super) key: Key,
}

pub(super) struct Shared {
    pub(super) options: MySqlBuilder,
    pool: Pool,
    /// `None` until the table was first looked at.
    known: RwLock<Option<Known>>,
}

impl Shared {
    pub(super) fn new(options: MySqlBuilder) -> Result<Self> {
        Ok(Self { pool: pool(&options)?, options, known: RwLock::new(None) })
    }

    /// Closes the connections that are idle, and each other one when its operation ends.
    pub(super) fn close(&self) {
        self.pool.close();
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
        self.bounded(doing, until, &progress, work).await
    }

    /// Runs an operation; it ends by the deadline.
    pub(super) async fn run<O: Operation>(&self, operation: O) -> Result<O::Output> {
        let until = Instant::now() + self.options.deadline;
        let progress = Progress::new(until);
        // Pinned here, where it is made: it is some kilobytes, and would be moved on each call.
        let attempts = pin!(self.attempts(&operation, until, &progress));
        self.bounded(O::DOING, until, &progress, attempts).await
    }

    /// Makes the table if it is missing; says whether it did.
    pub(super) async fn create_table(&self) -> Result<bool> {
        let doing = "creating the sessions table";
        let until = Instant::now() + self.options.deadline;
        let progress = Progress::new(until);
        let work = pin!(async {
            let held = self.pool.get(doing, until.into()).await?;
            let mut connection = Connection::new(held, self.creating(), self, &progress);
            let made = Self::make_table(&mut connection).await;
            made.map_err(|fault| fault.into_error(doing))
        });
        self.bounded(doing, until, &progress, work).await
    }

    /// Renders statements for what the table was found to have, and keeps them for everybody.
    pub(super) fn learn(&self, found: Option<Found>) -> Result<Known> {
        let table = &self.options.table;
        let found = found.ok_or_else(|| inspect::missing_table(table))?;
        let key = found.key;
        let known = Known { statements: Arc::new(statements(table, found)), key };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }

    fn creating(&self) -> Known {
        Known { statements: Arc::new(creating(&self.options.table)), key: Key::Number }
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
                Remedy::Unknown if progress.is_unknown() => return Err(unknown(O::DOING, &fault)),
                Remedy::Lost if progress.is_unknown() => {
                    self.lose(connection);
                    return Err(Error::unknown_outcome(
                        O::DOING,
                        "the connection was lost after the statement was sent",
                    ));
                }
                Remedy::Lost if lost < LOST => {
                    lost += 1;
                    self.lose(connection);
                }
                Remedy::Leave if !renewed => {
                    renewed = true;
                    let host = connection.host();
                    connection.discard();
                    // The others lead to the same server.
                    self.pool.leave(host);
                }
                Remedy::Inspect | Remedy::Prepare if !renewed => {
                    renewed = true;
                    if !Box::pin(Self::renew(&mut connection, &fault)).await? {
                        return Err(error(O::DOING, &fault));
                    }
                }
                // The last part of the time is for telling why.
                Remedy::Repeat if Instant::now() + self.options.deadline / 8 < until => {
                    drop(connection);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                _ => return Err(error(O::DOING, &fault)),
            }
        }
    }

    fn lose(&self, connection: Connection<'_>) {
        connection.discard();
        self.pool.suspect();
    }

    /// Looks at the table again and says whether a second try can end otherwise.
    async fn renew(connection: &mut Connection<'_>, fault: &mysql_async::Error) -> Result<bool> {
        let again = async {
            let before = connection.known.clone();
            connection.forget_prepared().await?;
            connection.inspect().await?;
            Ok(before.statements.schema != connection.statements().schema)
        };
        let changed: Result<bool, Fault> = again.await;
        let changed = changed.map_err(|fault| fault.into_error(inspect::DOING))?;
        Ok(changed || remedy(fault) == Remedy::Prepare)
    }

    async fn connection<'s>(
        &'s self,
        doing: &'static str,
        until: Instant,
        progress: &'s Progress,
    ) -> Result<Connection<'s>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let held = self.pool.get(doing, until.into()).await?;
        if let Some(known) = known {
            return Ok(Connection::new(held, known, self, progress));
        }
        let mut connection = Connection::new(held, self.creating(), self, progress);
        let first = async {
            if self.options.create {
                Self::make_table(&mut connection).await?;
            }
            connection.inspect().await
        };
        Box::pin(first).await.map_err(|fault| fault.into_error(inspect::DOING))?;
        Ok(connection)
    }

    /// One statement, its indexes inside: a statement that makes something is a transaction of its
    /// own here, so that several could end half-way.
    async fn make_table(connection: &mut Connection<'_>) -> Result<bool, Fault> {
        if connection.has_table().await? {
            return Ok(false);
        }
        let sql = connection.statements().get(Name::Create, Flags::default())?.sql.clone();
        match connection.batch(sql).await {
            Ok(()) => Ok(true),
            // Somebody else may have made it meanwhile.
            Err(_) if connection.has_table().await? => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}
