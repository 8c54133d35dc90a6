//! sqlx by hand: a statement for each operation, prepared once per connection, on Rails' table.

use bench_kit::{Args, Data, Result, Rival, private_id};
use chrono::{NaiveDateTime, Utc};
use sqlx::Pool;

use crate::pool::Connect;

pub(crate) struct Hand<D: Connect>(Pool<D>);

/// A row as a find reads it.
type Row = (String, String, NaiveDateTime, NaiveDateTime);

/// The databases differ in how parameters are written.
macro_rules! by_hand {
    ($database:ty, $a:literal, $b:literal, $c:literal, $d:literal) => {
        impl Rival for Hand<$database> {
            async fn connect(args: &Args) -> Result<Self> {
                Ok(Self(<$database>::pool(args).await?))
            }

            async fn find(&self, id: &str, _: usize) -> Result<usize> {
                let row: Row = sqlx::query_as(concat!(
                    "SELECT session_id, data, created_at, updated_at FROM sessions \
                     WHERE session_id = ",
                    $a
                ))
                .bind(private_id(id))
                .fetch_one(&self.0)
                .await?;
                Ok(std::hint::black_box(row).1.len())
            }

            async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
                let update = sqlx::query(concat!(
                    "UPDATE sessions SET data = ",
                    $a,
                    ", updated_at = ",
                    $b,
                    " WHERE session_id = ",
                    $c
                ))
                .bind(data.json())
                .bind(Utc::now().naive_utc())
                .bind(private_id(id));
                one(update.execute(&self.0).await?.rows_affected())
            }

            async fn insert(&self, id: &str, data: &Data) -> Result<()> {
                let now = Utc::now().naive_utc();
                let insert = sqlx::query(concat!(
                    "INSERT INTO sessions (session_id, data, created_at, updated_at) VALUES (",
                    $a,
                    ", ",
                    $b,
                    ", ",
                    $c,
                    ", ",
                    $d,
                    ")"
                ))
                .bind(private_id(id))
                .bind(data.json())
                .bind(now)
                .bind(now);
                one(insert.execute(&self.0).await?.rows_affected())
            }

            async fn destroy(&self, id: &str) -> Result<()> {
                let delete = sqlx::query(concat!("DELETE FROM sessions WHERE session_id = ", $a))
                    .bind(private_id(id));
                one(delete.execute(&self.0).await?.rows_affected())
            }
        }
    };
}

by_hand!(sqlx::Sqlite, "?", "?", "?", "?");
by_hand!(sqlx::Postgres, "$1", "$2", "$3", "$4");
by_hand!(sqlx::MySql, "?", "?", "?", "?");

fn one(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(format!("{rows} rows").into()) }
}
