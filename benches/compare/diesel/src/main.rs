//! diesel with r2d2 on SQLite, diesel-async on PostgreSQL and MariaDB, all on Rails' table.

mod schema;
mod servers;
mod sqlite;

use bench_kit::{Database, Result};

fn main() -> Result<()> {
    match bench_kit::args().database {
        Database::Sqlite => bench_kit::run::<sqlite::Sqlite>(),
        Database::Postgres => bench_kit::run::<servers::Postgres>(),
        Database::Mysql => bench_kit::run::<servers::Mysql>(),
    }
}
