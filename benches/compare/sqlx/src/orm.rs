//! How the programs on sea-orm connect.

use bench_kit::{Args, Database as Kind, Result};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

pub(crate) async fn connect(args: &Args) -> Result<DatabaseConnection> {
    let url = match args.database {
        Kind::Sqlite => format!("sqlite://{}", args.url),
        Kind::Postgres | Kind::Mysql => args.url.clone(),
    };
    let mut options = ConnectOptions::new(url);
    options.max_connections(args.connections).sqlx_logging(false);
    let synchronous = args.synchronous();
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite.pragma("journal_mode", "WAL").pragma("synchronous", synchronous)
    });
    Ok(Database::connect(options).await?)
}
