//! sqlbypass as it opens by default, and its plain pool of connections beside its lanes.
//!
//! It also makes and fills the table of all who use Rails' table.

#[path = "../through.rs"]
mod through;

use std::time::Duration;

use bench_kit::{Args, Database, Result};
use sqlbypass::{MySqlStore, PostgresStore, SqliteStore, Synchronous};
use through::{Open, Through};

/// A machine that is busy with other things fails no operation.
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    match bench_kit::args().database {
        Database::Sqlite => bench_kit::run::<Through<SqliteStore>>(),
        Database::Postgres => bench_kit::run::<Through<PostgresStore>>(),
        Database::Mysql => bench_kit::run::<Through<MySqlStore>>(),
    }
}

/// `ours-pool` goes without.
fn lanes(args: &Args) -> bool {
    args.rival != "ours-pool"
}

impl Open for SqliteStore {
    async fn open(args: &Args) -> Result<Self> {
        let synchronous = if args.create() { Synchronous::Normal } else { Synchronous::Full };
        let builder = Self::builder(&args.url).create(args.create()).deadline(DEADLINE);
        let builder = builder.lanes(lanes(args));
        Ok(builder.synchronous(synchronous).open().await?)
    }
}

impl Open for PostgresStore {
    async fn open(args: &Args) -> Result<Self> {
        let builder = Self::url(&args.url)?.create(args.create()).deadline(DEADLINE);
        let builder = builder.lanes(lanes(args));
        Ok(builder.max_connections(args.connections as usize).open().await?)
    }
}

impl Open for MySqlStore {
    async fn open(args: &Args) -> Result<Self> {
        let builder = Self::url(&args.url)?.create(args.create()).deadline(DEADLINE);
        let builder = builder.lanes(lanes(args));
        Ok(builder.max_connections(args.connections as usize).open().await?)
    }
}
