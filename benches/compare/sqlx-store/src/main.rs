//! tower-sessions-sqlx-store, on the table that it makes itself.

#[path = "../../sqlx/src/pool.rs"]
mod pool;
mod tower;

use bench_kit::{Args, Database, Result};
use pool::Connect as _;
use tower::{Open, Tower};
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
        let store = Self::new(sqlx::Sqlite::pool(args).await?);
        if args.create() {
            store.migrate().await?;
        }
        Ok(store)
    }
}

impl Open for PostgresStore {
    async fn open(args: &Args) -> Result<Self> {
        let store = Self::new(sqlx::Postgres::pool(args).await?);
        if args.create() {
            store.migrate().await?;
        }
        Ok(store)
    }
}

impl Open for MySqlStore {
    async fn open(args: &Args) -> Result<Self> {
        // Its own default is a database of its own.
        let database = args.url.rsplit('/').next().and_then(|rest| rest.split('?').next());
        let store = Self::new(sqlx::MySql::pool(args).await?);
        let store = store.with_schema_name(database.ok_or("no database in the URL")?)?;
        if args.create() {
            store.migrate().await?;
        }
        Ok(store)
    }
}
