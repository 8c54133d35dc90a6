//! tower-sessions-rusqlite-store, on the table that it makes itself, by its one connection.

#[path = "../../sqlx-store/src/tower.rs"]
mod tower;

use bench_kit::{Args, Result};
use tower::{Open, Tower};
use tower_sessions_rusqlite_store::RusqliteStore;
use tower_sessions_rusqlite_store::tokio_rusqlite::Connection;

fn main() -> Result<()> {
    bench_kit::run::<Tower<RusqliteStore>>()
}

impl Open for RusqliteStore {
    async fn open(args: &Args) -> Result<Self> {
        let connection = Connection::open(&args.url).await?;
        let synchronous = args.synchronous();
        connection
            .call(move |connection| {
                connection.pragma_update(None, "journal_mode", "WAL")?;
                connection.pragma_update(None, "synchronous", synchronous)
            })
            .await?;
        let store = Self::new(connection);
        if args.create() {
            store.migrate().await?;
        }
        Ok(store)
    }
}
