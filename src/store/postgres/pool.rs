//! The pool: connections in use, and operations that wait for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, PoolError, QueueMode, RecyclingMethod};
use deadpool_postgres::{Runtime, TimeoutType, Timeouts};
use tokio::time::{Instant, timeout_at};

use super::SYSTEM;
use super::connect::{Connect, Connector, Failure, unwrap};
use super::connection::Connection;
use super::options::{PostgresBuilder, Source};
use crate::error::{Error, Result};
use crate::observe::waiting;

/// Takes a connection that is free or makes one, and never waits for one in use.
const AT_ONCE: Timeouts = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };

/// A connection that has just been made leads where a new one would.
const YOUNG: Duration = Duration::from_secs(1);

/// The connections of a store.
pub(super) struct Pool {
    inner: deadpool_postgres::Pool,
    /// Makes the connections, unless the pool is the user's.
    connector: Option<Arc<Connector>>,
    pgbouncer: bool,
    waiting: AtomicUsize,
    queue: usize,
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
pub(super) fn pool(options: &PostgresBuilder) -> Result<Pool> {
    let (inner, connector) = match &options.source {
        Source::Pool(pool) => (pool.clone(), None),
        Source::Server(server) => {
            let connector = Arc::new(Connector::new(options, server)?);
            let manager = Manager::from_connect(
                tokio_postgres::Config::new(),
                Connect(Arc::clone(&connector)),
                ManagerConfig { recycling_method: RecyclingMethod::Fast },
            );
            let pool = deadpool_postgres::Pool::builder(manager)
                .max_size(options.max_connections)
                // The connection used last has the warmest caches, and spare ones can idle.
                .queue_mode(QueueMode::Lifo)
                .runtime(Runtime::Tokio1)
                .build()
                .map_err(|_| Error::config("opening a database", "the pool has no runtime"))?;
            (pool, Some(connector))
        }
    };
    Ok(Pool {
        inner,
        connector,
        pgbouncer: options.pgbouncer,
        waiting: AtomicUsize::new(0),
        queue: options.queue,
    })
}

impl Pool {
    /// A connection, by `until` at the latest.
    pub(super) async fn get(&self, doing: &'static str, until: Instant) -> Result<Object> {
        let _waiting = waiting(SYSTEM);
        match timeout_at(until, self.at_once()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(PoolError::Timeout(TimeoutType::Wait))) => {}
            Ok(Err(error)) => return Err(pool_error(doing, error)),
            Err(_) => return Err(self.too_late(doing)),
        }
        let _waiting = self.wait(doing)?;
        match timeout_at(until, self.inner.timeout_get(&Timeouts::new())).await {
            Ok(result) => result.map_err(|error| pool_error(doing, error)),
            Err(_) => Err(self.too_late(doing)),
        }
    }

    /// A connection that is free, or a new one. It is made in a task of its own: a caller who leaves
    /// half-way leaves it to the next, where otherwise each of them would begin anew.
    async fn at_once(&self) -> Result<Object, PoolError> {
        let status = self.inner.status();
        if status.available > 0 || status.size >= status.max_size {
            return self.inner.timeout_get(&AT_ONCE).await;
        }
        let pool = self.inner.clone();
        let making = tokio::spawn(async move { pool.timeout_get(&AT_ONCE).await });
        // The task has no other end than that of the runtime.
        making.await.unwrap_or(Err(PoolError::Closed))
    }

    /// Statements have to be unnamed and typed, and nothing may be set for the session or
    /// cancelled. Read it after [`get`](Self::get): connecting finds poolers out.
    pub(super) fn is_pgbouncer(&self) -> bool {
        self.pgbouncer || self.connector.as_ref().is_some_and(|connector| connector.is_pgbouncer())
    }

    /// How many connections there may be.
    pub(super) fn max_size(&self) -> usize {
        self.inner.status().max_size
    }

    /// Whether the store made it.
    pub(super) fn is_ours(&self) -> bool {
        self.connector.is_some()
    }

    /// Closes the connections that are free, and those in use when they come back.
    pub(super) fn close(&self) {
        if self.is_ours() {
            self.inner.close();
        }
    }

    /// A connection leads to a server that takes no writes: it is closed, and so are those that are
    /// free. Young ones stay: where the only server is read-only for long, finds go on without a new
    /// connection for each.
    pub(super) fn leave(&self, connection: Connection<'_>) {
        if connection.age().is_some_and(|age| age < YOUNG) {
            return;
        }
        connection.discard();
        if self.is_ours() {
            self.inner.retain(|_, metrics| metrics.age() < YOUNG);
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

    fn too_late(&self, doing: &'static str) -> Error {
        let trouble = self.connector.as_ref().and_then(|connector| connector.trouble());
        match trouble {
            Some(failure) => failure.into_error(doing),
            None if self.inner.status().size < self.inner.status().max_size => {
                Error::unavailable(doing, "no connection was made by the deadline")
            }
            None => Error::timeout(doing, "no connection became free by the deadline")
                .advice("allow more connections, or find out what keeps them busy"),
        }
    }
}

/// Says why a pool gave no connection.
pub(super) fn pool_error(doing: &'static str, error: PoolError) -> Error {
    match error {
        PoolError::Backend(error) => unwrap(error).into_error(doing),
        PoolError::Timeout(TimeoutType::Wait) => {
            Error::timeout(doing, "no connection became free in the pool's time")
        }
        PoolError::Timeout(_) => {
            Error::unavailable(doing, "no connection was made in the pool's time")
        }
        PoolError::Closed => Error::unavailable(doing, "the store is closed"),
        PoolError::NoRuntimeSpecified => {
            Error::config(doing, "the pool has timeouts and no runtime to keep them")
        }
        // What a hook of the user's says may hold anything.
        PoolError::PostCreateHook(_) => {
            Failure::unavailable("a hook of the pool refused the connection").into_error(doing)
        }
    }
}
