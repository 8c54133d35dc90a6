//! sqlx's pools: its defaults, with a log that nobody reads turned off and time to wait. Who writes
//! by hand also goes without the test of a connection before each use.

use std::time::Duration;

use bench_kit::{Args, Result};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Database, Pool, pool::PoolOptions};

const PATIENCE: Duration = Duration::from_secs(60);

/// A database, and how its pool is opened.
pub(crate) trait Connect: Database {
    async fn pool(args: &Args) -> Result<Pool<Self>>;
}

impl Connect for sqlx::Sqlite {
    async fn pool(args: &Args) -> Result<SqlitePool> {
        let synchronous =
            if args.create() { SqliteSynchronous::Off } else { SqliteSynchronous::Full };
        let options = SqliteConnectOptions::new()
            .filename(&args.url)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        Ok(settled(SqlitePoolOptions::new(), args).connect_with(options).await?)
    }
}

impl Connect for sqlx::Postgres {
    async fn pool(args: &Args) -> Result<PgPool> {
        let options: PgConnectOptions = args.url.parse()?;
        let options = options.disable_statement_logging();
        Ok(settled(PgPoolOptions::new(), args).connect_with(options).await?)
    }
}

impl Connect for sqlx::MySql {
    async fn pool(args: &Args) -> Result<MySqlPool> {
        let options: MySqlConnectOptions = args.url.parse()?;
        let options = options.disable_statement_logging();
        Ok(settled(MySqlPoolOptions::new(), args).connect_with(options).await?)
    }
}

fn settled<D: Database>(options: PoolOptions<D>, args: &Args) -> PoolOptions<D> {
    options
        .max_connections(args.connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(args.rival != "sqlx")
}
