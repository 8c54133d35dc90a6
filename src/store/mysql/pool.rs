//! The pool: connections in use, and operations that wait for one.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Object, PoolError, QueueMode, TimeoutType, Timeouts};
use tokio::time::{Instant, timeout_at};

use super::SYSTEM;
use super::connect::{Connect, Connector, Link, Server, describe, of_attempt};
use super::options::{MySqlBuilder, Source};
use super::prepared::Prepared;
use crate::error::{Error, Result};
use crate::observe::{Quiet, waiting};

/// Takes a connection that is free or makes one, and never waits for one in use.
const AT_ONCE: Timeouts = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };

type Inner = deadpool::managed::Pool<Connect>;

/// Where connections come from.
enum From {
    Ours {
        pool: Inner,
        connector: Arc<Connector>,
    },
    /// With the largest packet that its server takes, as far as it is known.
    Users(mysql_async::Pool, Arc<AtomicU64>),
}

/// The connections of a store.
pub(super) struct Pool {
    from: From,
    waiting: AtomicUsize,
    queue: usize,
}

/// Connections that came back to the pool in the middle of a transaction.
pub(super) struct Abandoned(Option<Inner>);

impl Abandoned {
    /// Closes them, and with them goes what they have locked.
    pub(super) fn discard(&self) {
        if let Some(pool) = &self.0 {
            pool.retain(|link, _| !link.open);
        }
    }
}

/// A connection that goes back to where it came from.
pub(super) enum Held {
    Ours(Object<Connect>),
    /// With the place where the largest packet is kept for those that come after.
    Users(Box<Link>, Arc<AtomicU64>),
}

impl Deref for Held {
    type Target = Link;

    fn deref(&self) -> &Link {
        match self {
            Self::Ours(object) => object,
            Self::Users(link, _) => link,
        }
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Link {
        match self {
            Self::Ours(object) => object,
            Self::Users(link, _) => link,
        }
    }
}

impl Held {
    /// Its work has ended. Nothing is left of one that nobody else may use: what it has locked goes with
    /// it.
    pub(super) fn landed(mut self) -> Option<Self> {
        self.used = std::time::Instant::now();
        if !self.open {
            return Some(self);
        }
        self.discard();
        None
    }

    /// Asks a server of the user's for the largest packet, which others were asked for when they were
    /// connected to.
    pub(super) async fn ask_packet(&mut self) -> Result<(), mysql_async::Error> {
        let Self::Users(link, known) = self else { return Ok(()) };
        let server = describe(&mut link.conn).await?.max_packet;
        link.max_packet = link.max_packet.min(server);
        known.store(link.max_packet, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the connection out of the pool for good.
    pub(super) fn discard(self) {
        match self {
            Self::Ours(object) => drop(Object::take(object)),
            // The driver's own pool takes back what is not closed in good order.
            Self::Users(link, _) => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime
                        .spawn(Quiet(Box::pin(async move { drop(link.conn.disconnect().await) })));
                }
            }
        }
    }
}

/// An operation that waits for a connection.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes the pool; no connection yet. Files of certificates are read.
///
/// # Errors
///
/// When the settings or a file are wrong.
pub(super) fn pool(options: &MySqlBuilder) -> Result<Pool> {
    let from = match &options.source {
        Source::Pool(pool) => From::Users(pool.clone(), Arc::new(AtomicU64::new(u64::MAX))),
        Source::Server(server) => ours(options, server)?,
    };
    Ok(Pool { from, waiting: AtomicUsize::new(0), queue: options.queue })
}

fn ours(options: &MySqlBuilder, server: &Server) -> Result<From> {
    let connector = Arc::new(Connector::new(options, server)?);
    let pool = Inner::builder(Connect(Arc::clone(&connector)))
        .max_size(options.max_connections)
        // The connection used last has the warmest caches, and spare ones can idle.
        .queue_mode(QueueMode::Lifo)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|_| Error::config("opening a database", "the pool has no runtime"))?;
    Ok(From::Ours { pool, connector })
}

impl Pool {
    /// A connection, by `until` at the latest.
    pub(super) async fn get(&self, doing: &'static str, until: Instant) -> Result<Held> {
        let _waiting = waiting(SYSTEM);
        match &self.from {
            From::Ours { pool, connector } => self.get_ours(pool, connector, doing, until).await,
            From::Users(pool, max_packet) => {
                let _waiting = self.wait(doing)?;
                match timeout_at(until, Quiet(Box::pin(pool.get_conn()))).await {
                    Ok(Ok(conn)) => users(doing, conn, max_packet),
                    Ok(Err(fault)) => Err(of_attempt(&fault).into_error(doing)),
                    Err(_) => {
                        Err(Error::timeout(doing, "the pool gave no connection by the deadline"))
                    }
                }
            }
        }
    }

    async fn get_ours(
        &self,
        pool: &Inner,
        connector: &Connector,
        doing: &'static str,
        until: Instant,
    ) -> Result<Held> {
        match timeout_at(until, pool.timeout_get(&AT_ONCE)).await {
            Ok(Ok(object)) => return Ok(Held::Ours(object)),
            Ok(Err(PoolError::Timeout(TimeoutType::Wait))) => {}
            Ok(Err(error)) => return Err(pool_error(doing, error)),
            Err(_) => return Err(too_late(pool, connector, doing)),
        }
        let _waiting = self.wait(doing)?;
        match timeout_at(until, pool.timeout_get(&Timeouts::new())).await {
            Ok(result) => result.map(Held::Ours).map_err(|error| pool_error(doing, error)),
            Err(_) => Err(too_late(pool, connector, doing)),
        }
    }

    /// How many connections of its own there may be.
    pub(super) fn max_size(&self) -> Option<usize> {
        match &self.from {
            From::Ours { pool, .. } => Some(pool.status().max_size),
            From::Users(..) => None,
        }
    }

    /// Closes the connections that are free, and those in use when they come back. A pool of the
    /// user's stays open.
    pub(super) fn close(&self) {
        if let From::Ours { pool, .. } = &self.from {
            pool.close();
        }
    }

    /// A connection was found dead: the others are asked before they are used.
    pub(super) fn suspect(&self) {
        if let From::Ours { connector, .. } = &self.from {
            connector.suspect();
        }
    }

    /// Closes the connections that are free: they lead to a server that is of no use any more.
    /// The other hosts come first from now on.
    pub(super) fn leave(&self, host: usize) {
        if let From::Ours { pool, connector } = &self.from {
            connector.leave(host);
            pool.retain(|link, _| link.host != host);
        }
    }

    /// For whoever outlives the operation.
    pub(super) fn connector(&self) -> Option<Arc<Connector>> {
        match &self.from {
            From::Ours { connector, .. } => Some(Arc::clone(connector)),
            From::Users(..) => None,
        }
    }

    /// For whoever outlives the operation.
    pub(super) fn abandoned(&self) -> Abandoned {
        match &self.from {
            From::Ours { pool, .. } => Abandoned(Some(pool.clone())),
            From::Users(..) => Abandoned(None),
        }
    }

    fn wait(&self, doing: &'static str) -> Result<Waiting<'_>> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.queue {
            let limit = self.queue;
            let problem = format!("{limit} operations wait for a connection already");
            return Err(Error::overloaded(doing, problem));
        }
        Ok(waiting)
    }
}

/// A connection of the user's pool; its statements are in the driver's own cache.
fn users(
    doing: &'static str,
    conn: mysql_async::Conn,
    max_packet: &Arc<AtomicU64>,
) -> Result<Held> {
    let refused = |problem, advice| Err(Error::config(doing, problem).advice(advice));
    if !conn.opts().client_found_rows() {
        return refused(
            "the pool's connections count changed rows, not found ones",
            "build its options with client_found_rows(true)",
        );
    }
    if conn.opts().stmt_cache_size() == 0 {
        return refused(
            "the pool's connections keep no statements, so that each operation would leave one on the \
             server",
            "build its options without stmt_cache_size(0)",
        );
    }
    let own = conn.opts().max_allowed_packet().map_or(u64::MAX, |bytes| bytes as u64);
    let link = Link {
        conn,
        prepared: Prepared::default(),
        max_packet: own.min(max_packet.load(Ordering::Relaxed)),
        host: 0,
        used: std::time::Instant::now(),
        // Nobody looks: there are no batches on them.
        is_mariadb: false,
        galera: false,
        lock_wait: 0,
        open: false,
    };
    Ok(Held::Users(Box::new(link), Arc::clone(max_packet)))
}

fn too_late(pool: &Inner, connector: &Connector, doing: &'static str) -> Error {
    match connector.trouble() {
        Some(failure) => failure.into_error(doing),
        None if pool.status().size < pool.status().max_size => {
            Error::unavailable(doing, "no connection was made by the deadline")
        }
        None => Error::timeout(doing, "no connection became free by the deadline")
            .advice("allow more connections, or find out what keeps them busy"),
    }
}

/// Says why a pool gave no connection.
fn pool_error(
    doing: &'static str,
    error: PoolError<crate::store::connect::failure::Failure>,
) -> Error {
    match error {
        PoolError::Backend(failure) => failure.into_error(doing),
        PoolError::Closed => Error::unavailable(doing, "the store is closed"),
        // There are no hooks, and no times of the pool's own.
        _ => Error::unavailable(doing, "the pool gave no connection"),
    }
}
