//! tower-sessions-rusqlite-store: one connection, on a thread of its own.

#[path = "../../../tower/src/tower.rs"]
mod tower;

use bench_kit::{Args, Result};
use tokio_rusqlite::Connection;
use tower::{Open, Tower};
use tower_sessions_rusqlite_store::RusqliteStore;

fn main() -> Result<()> {
    bench_kit::run::<Tower<RusqliteStore>>()
}

impl Open for RusqliteStore {
    async fn open(args: &Args) -> Result<Self> {
        let connection = Connection::open(&args.url).await?;
        let synchronous = args.synchronous();
        let settings = connection.call(move |connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", synchronous)
        });
        settings.await?;
        let store = Self::new(connection);
        if args.create() {
            store.migrate().await?;
        }
        Ok(store)
    }
}
