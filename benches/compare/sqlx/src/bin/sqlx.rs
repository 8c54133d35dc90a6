//! sqlx by hand, as its users write it: a pool, prepared statements, the client's clock.

use bench_kit::{Args, Data, Database, Result, Rival, private_id};
use chrono::{NaiveDateTime, Utc};
use sqlx::mysql::{MySqlPool, MySqlPoolOptions};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

fn main() -> Result<()> {
    match bench_kit::args().database {
        Database::Sqlite => bench_kit::run::<ByHand<SqlitePool>>(),
        Database::Postgres => bench_kit::run::<ByHand<PgPool>>(),
        Database::Mysql => bench_kit::run::<ByHand<MySqlPool>>(),
    }
}

struct ByHand<P>(P);

type Row = (String, Option<String>, NaiveDateTime, NaiveDateTime);

/// The same for each kind of pool: sqlx is generic in ways that take more words than a macro.
macro_rules! by_hand {
    ($pool:ty, $connect:path, $find:literal, $save:literal, $insert:literal, $destroy:literal) => {
        impl Rival for ByHand<$pool> {
            async fn connect(args: &Args) -> Result<Self> {
                Ok(Self($connect(args).await?))
            }

            async fn find(&self, id: &str, _: usize) -> Result<usize> {
                let row: Row =
                    sqlx::query_as($find).bind(private_id(id)).fetch_one(&self.0).await?;
                Ok(row.1.ok_or("no data")?.len())
            }

            async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
                let save = sqlx::query($save).bind(data.json()).bind(Utc::now().naive_utc());
                let done = save.bind(private_id(id)).execute(&self.0).await?;
                one(done.rows_affected())
            }

            async fn insert(&self, id: &str, data: &Data) -> Result<()> {
                let now = Utc::now().naive_utc();
                let insert = sqlx::query($insert).bind(private_id(id)).bind(data.json());
                one(insert.bind(now).bind(now).execute(&self.0).await?.rows_affected())
            }

            async fn destroy(&self, id: &str) -> Result<()> {
                let destroy = sqlx::query($destroy).bind(private_id(id));
                one(destroy.execute(&self.0).await?.rows_affected())
            }
        }
    };
}

by_hand!(
    SqlitePool,
    sqlite,
    "SELECT session_id, data, created_at, updated_at FROM sessions WHERE session_id = ?",
    "UPDATE sessions SET data = ?, updated_at = ? WHERE session_id = ?",
    "INSERT INTO sessions (session_id, data, created_at, updated_at) VALUES (?, ?, ?, ?)",
    "DELETE FROM sessions WHERE session_id = ?"
);
by_hand!(
    PgPool,
    postgres,
    "SELECT session_id, data, created_at, updated_at FROM sessions WHERE session_id = $1",
    "UPDATE sessions SET data = $1, updated_at = $2 WHERE session_id = $3",
    "INSERT INTO sessions (session_id, data, created_at, updated_at) VALUES ($1, $2, $3, $4)",
    "DELETE FROM sessions WHERE session_id = $1"
);
by_hand!(
    MySqlPool,
    mysql,
    "SELECT session_id, data, created_at, updated_at FROM sessions WHERE session_id = ?",
    "UPDATE sessions SET data = ?, updated_at = ? WHERE session_id = ?",
    "INSERT INTO sessions (session_id, data, created_at, updated_at) VALUES (?, ?, ?, ?)",
    "DELETE FROM sessions WHERE session_id = ?"
);

async fn sqlite(args: &Args) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(&args.url)
        .pragma("journal_mode", "WAL")
        .pragma("synchronous", args.synchronous());
    SqlitePoolOptions::new().max_connections(args.connections).connect_with(options).await
}

async fn postgres(args: &Args) -> sqlx::Result<PgPool> {
    PgPoolOptions::new().max_connections(args.connections).connect(&args.url).await
}

async fn mysql(args: &Args) -> sqlx::Result<MySqlPool> {
    MySqlPoolOptions::new().max_connections(args.connections).connect(&args.url).await
}

fn one(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(format!("{rows} rows").into()) }
}
