//! axum_session's stores on sqlx, below its cache in memory: the table that they make, text that
//! stays as it is, and an id that is not hashed.

use axum_session::DatabasePool;
use axum_session_sqlx::{SessionMySqlPool, SessionPgPool, SessionSqlitePool};
use bench_kit::{Args, Data, Result, Rival};
use chrono::{TimeDelta, Utc};
use sqlx::Pool;

use crate::pool::Connect;

const TABLE: &str = "axum_sessions";

pub(crate) struct AxumSession<S>(S);

/// A store, and the database that it is for.
pub(crate) trait Store: DatabasePool + From<Pool<Self::Database>> {
    type Database: Connect;
}

impl Store for SessionSqlitePool {
    type Database = sqlx::Sqlite;
}

impl Store for SessionPgPool {
    type Database = sqlx::Postgres;
}

impl Store for SessionMySqlPool {
    type Database = sqlx::MySql;
}

impl<S: Store + Send + Sync + 'static> Rival for AxumSession<S> {
    async fn connect(args: &Args) -> Result<Self> {
        let store = S::from(S::Database::pool(args).await?);
        if args.create() {
            store.initiate(TABLE).await?;
        }
        Ok(Self(store))
    }

    async fn find(&self, id: &str, _: usize) -> Result<usize> {
        Ok(self.0.load(id, TABLE).await?.ok_or("no session")?.len())
    }

    async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
        let expires = Utc::now() + TimeDelta::days(14);
        Ok(self.0.store(id, &data.json(), expires.timestamp(), TABLE).await?)
    }

    async fn insert(&self, id: &str, data: &Data) -> Result<()> {
        self.save(id, 0, data).await
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        Ok(self.0.delete_one_by_id(id, TABLE).await?)
    }
}
