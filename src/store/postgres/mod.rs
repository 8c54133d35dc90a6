//! The store on PostgreSQL.

mod connect_error;
mod health;
mod hosts;
mod options;
mod parameters;
mod pool;
mod server;
mod tls;
mod url;

pub use options::{ChannelBinding, PostgresBuilder, SslMode, TargetSessionAttrs};

/// For this project's tests: connections without a store.
pub mod internals {
    use std::time::Duration;

    use deadpool_postgres::{Object, Pool as Inner};
    use tokio::time::Instant;

    use super::PostgresBuilder;
    use super::pool::{Pool, pool};
    use crate::error::Result;

    #[allow(missing_docs, missing_debug_implementations)]
    pub struct Connections(Pool, Duration);

    #[allow(missing_docs, clippy::missing_errors_doc)]
    impl Connections {
        pub fn url(url: &str) -> Result<PostgresBuilder> {
            PostgresBuilder::from_url(url)
        }

        pub fn pool(pool: Inner) -> PostgresBuilder {
            PostgresBuilder::from_pool(pool)
        }

        pub fn new(builder: &PostgresBuilder) -> Result<Self> {
            Ok(Self(pool(builder)?, builder.deadline))
        }

        pub async fn get(&self) -> Result<Object> {
            self.0.get("testing", Instant::now() + self.1).await
        }

        pub fn is_pgbouncer(&self) -> bool {
            self.0.is_pgbouncer()
        }

        pub async fn cancel(&self, connection: &Object) {
            self.0.cancel(&connection.cancel_token(), Instant::now() + self.1).await;
        }

        pub fn close(&self) {
            self.0.close();
        }
    }
}
