use super::options::PostgresBuilder;
use crate::error::{Error, Result};
pub(super) struct Pool {
    pub(super) objects: deadpool_postgres::Pool,
    pooled: bool,
    size: usize,
}
impl Pool {
    pub(super) fn new(options: &PostgresBuilder) -> Result<Self> {
        let mut config = options.config.clone();
        config.options(format!(
            "-c statement_timeout={} -c lock_timeout={}",
            options.deadline.as_millis(),
            options.deadline.as_millis() / 2
        ));
        let manager = deadpool_postgres::Manager::from_config(
            config,
            tokio_postgres::NoTls,
            deadpool_postgres::ManagerConfig {
                recycling_method: deadpool_postgres::RecyclingMethod::Fast,
            },
        );
        let objects = deadpool_postgres::Pool::builder(manager)
            .max_size(options.max_connections)
            .queue_mode(deadpool::managed::QueueMode::Lifo)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|_| Error::config("x", "y"))?;
        Ok(Self { objects, pooled: options.pgbouncer, size: options.max_connections })
    }
    pub(super) fn is_pooled(&self) -> bool {
        self.pooled
    }
    pub(super) fn size(&self) -> usize {
        self.size
    }
}
pub(super) fn pool_error(doing: &'static str, _: deadpool_postgres::PoolError, _: &Pool) -> Error {
    Error::unavailable(doing, "stub")
}
