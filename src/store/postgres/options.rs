use super::PostgresStore;
use crate::error::{Error, Result};
use crate::table::Table;
use std::fmt;
use std::time::Duration;
/// stub
#[derive(Clone)]
pub struct PostgresBuilder {
    pub(super) config: tokio_postgres::Config,
    pub(super) table: Table,
    pub(super) create: bool,
    pub(super) lazy: bool,
    pub(super) queue: usize,
    pub(super) max_connections: usize,
    pub(super) deadline: Duration,
    pub(super) pgbouncer: bool,
}
impl PostgresBuilder {
    pub(super) fn from_url(url: &str) -> Result<Self> {
        let config = url.parse().map_err(|_| Error::config("url", "bad"))?;
        Ok(Self {
            config,
            table: Table::default(),
            create: false,
            lazy: false,
            queue: 4096,
            max_connections: 8,
            deadline: Duration::from_secs(5),
            pgbouncer: false,
        })
    }
    /// x
    pub fn table(mut self, table: Table) -> Self {
        self.table = table;
        self
    }
    /// x
    pub fn create(mut self, on: bool) -> Self {
        self.create = on;
        self
    }
    /// x
    pub fn pgbouncer(mut self, on: bool) -> Self {
        self.pgbouncer = on;
        self
    }
    /// x
    pub fn max_connections(mut self, n: usize) -> Self {
        self.max_connections = n;
        self
    }
    /// x
    pub fn lazy(mut self, on: bool) -> Self {
        self.lazy = on;
        self
    }
    /// x
    pub fn deadline(mut self, n: Duration) -> Self {
        self.deadline = n;
        self
    }
    /// x
    /// # Errors
    /// x
    pub async fn open(self) -> Result<PostgresStore> {
        PostgresStore::from_builder(self).await
    }
}
impl fmt::Debug for PostgresBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresBuilder").finish_non_exhaustive()
    }
}
