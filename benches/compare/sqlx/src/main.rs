//! What stands on sqlx 0.9: sqlx by hand, sea-orm bare and behind sqlbypass' `Store`, axum_session.

mod axum_session;
mod hand;
mod pool;
mod sea_orm;
#[path = "../../ours/src/through.rs"]
mod through;

use std::time::Duration;

use ::sea_orm::DatabaseConnection;
use axum_session::AxumSession;
use axum_session_sqlx::{SessionMySqlPool, SessionPgPool, SessionSqlitePool};
use bench_kit::{Args, Database, Result, run};
use hand::Hand;
use pool::Connect as _;
use sea_orm::SeaOrm;
use sqlbypass_orm::OrmStore;
use through::{Open, Through};

fn main() -> Result<()> {
    let args = bench_kit::args();
    match (&*args.rival, args.database) {
        ("sqlx", Database::Sqlite) => run::<Hand<sqlx::Sqlite>>(),
        ("sqlx", Database::Postgres) => run::<Hand<sqlx::Postgres>>(),
        ("sqlx", Database::Mysql) => run::<Hand<sqlx::MySql>>(),
        ("sea-orm", _) => run::<SeaOrm>(),
        ("sqlbypass-orm", _) => run::<Through<OrmStore>>(),
        ("axum-session", Database::Sqlite) => run::<AxumSession<SessionSqlitePool>>(),
        ("axum-session", Database::Postgres) => run::<AxumSession<SessionPgPool>>(),
        ("axum-session", Database::Mysql) => run::<AxumSession<SessionMySqlPool>>(),
        (rival, _) => Err(format!("there is no rival {rival} in this program").into()),
    }
}

/// sea-orm's connection on the pool that all here have.
async fn connection(args: &Args) -> Result<DatabaseConnection> {
    Ok(match args.database {
        Database::Sqlite => sqlx::Sqlite::pool(args).await?.into(),
        Database::Postgres => sqlx::Postgres::pool(args).await?.into(),
        Database::Mysql => sqlx::MySql::pool(args).await?.into(),
    })
}

impl Open for OrmStore {
    async fn open(args: &Args) -> Result<Self> {
        Ok(Self::new(connection(args).await?).deadline(Duration::from_secs(60)))
    }
}
