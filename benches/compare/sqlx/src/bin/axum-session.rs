//! axum_session's database layer, in its own table; its sessions are text.

use std::time::SystemTime;

use axum_session::DatabasePool;
use axum_session_sqlx::{SessionMySqlPool, SessionPgPool, SessionSqlitePool};
use bench_kit::{Args, Data, Database, Result, Rival};
use sqlx::mysql::MySqlPoolOptions;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

const TABLE: &str = "axum_sessions";

fn main() -> Result<()> {
    match bench_kit::args().database {
        Database::Sqlite => bench_kit::run::<Layer<SessionSqlitePool>>(),
        Database::Postgres => bench_kit::run::<Layer<SessionPgPool>>(),
        Database::Mysql => bench_kit::run::<Layer<SessionMySqlPool>>(),
    }
}

struct Layer<P> {
    pool: P,
    expires: i64,
}

trait Open: DatabasePool + Send + Sync + Sized + 'static {
    async fn open(args: &Args) -> Result<Self>;
}

impl Open for SessionSqlitePool {
    async fn open(args: &Args) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(&args.url)
            .create_if_missing(true)
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", args.synchronous());
        let pool = SqlitePoolOptions::new().max_connections(args.connections);
        Ok(pool.connect_with(options).await?.into())
    }
}

impl Open for SessionPgPool {
    async fn open(args: &Args) -> Result<Self> {
        let pool = PgPoolOptions::new().max_connections(args.connections);
        Ok(pool.connect(&args.url).await?.into())
    }
}

impl Open for SessionMySqlPool {
    async fn open(args: &Args) -> Result<Self> {
        let pool = MySqlPoolOptions::new().max_connections(args.connections);
        Ok(pool.connect(&args.url).await?.into())
    }
}

impl<P: Open> Rival for Layer<P> {
    async fn connect(args: &Args) -> Result<Self> {
        let pool = P::open(args).await?;
        if args.create() {
            pool.initiate(TABLE).await?;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        Ok(Self { pool, expires: i64::try_from(now)? + 86_400 })
    }

    async fn find(&self, id: &str, _: usize) -> Result<usize> {
        Ok(self.pool.load(id, TABLE).await?.ok_or("no row")?.len())
    }

    async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
        Ok(self.pool.store(id, &data.json(), self.expires, TABLE).await?)
    }

    async fn insert(&self, id: &str, data: &Data) -> Result<()> {
        self.save(id, 0, data).await
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        Ok(self.pool.delete_one_by_id(id, TABLE).await?)
    }
}
