//! tower-sessions-sqlx-store.

#[path = "../tower.rs"]
mod tower;

use bench_kit::{Args, Database, Result};
use tower::{Open, Tower};
use tower_sessions_sqlx_store::sqlx::mysql::MySqlPoolOptions;
use tower_sessions_sqlx_store::sqlx::postgres::PgPoolOptions;
use tower_sessions_sqlx_store::sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tower_sessions_sqlx_store::{MySqlStore, PostgresStore, SqliteStore};

fn main() -> Result<()> {
    match bench_kit::args().database {
        Database::Sqlite => bench_kit::run::<Tower<SqliteStore>>(),
        Database::Postgres => bench_kit::run::<Tower<PostgresStore>>(),
        Database::Mysql => bench_kit::run::<Tower<MySqlStore>>(),
    }
}

impl Open for SqliteStore {
    async fn open(args: &Args) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(&args.url)
            .create_if_missing(true)
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", args.synchronous());
        let pool = SqlitePoolOptions::new().max_connections(args.connections);
        let store = Self::new(pool.connect_with(options).await?);
        if args.create() {
            store.migrate().await?;
        }
        Ok(store)
    }
}

impl Open for PostgresStore {
    async fn open(args: &Args) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(args.connections);
        let store = Self::new(pool.connect(&args.url).await?);
        if args.create() {
            store.migrate().await?;
        }
        Ok(store)
    }
}

impl Open for MySqlStore {
    async fn open(args: &Args) -> Result<Self> {
        let pool = MySqlPoolOptions::new().max_connections(args.connections);
        let store = Self::new(pool.connect(&args.url).await?);
        if args.create() {
            store.migrate().await?;
        }
        Ok(store)
    }
}
