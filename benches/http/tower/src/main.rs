//! A server of axum with tower-sessions and its sqlx store: `bench-http-tower tower FILE`.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tower_sessions::{Session, SessionManagerLayer};
use tower_sessions_sqlx_store::SqliteStore;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(2).ok_or("no file")?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(60));
        let store = SqliteStore::new(SqlitePoolOptions::new().connect_with(options).await?);
        store.migrate().await?;
        let layer = SessionManagerLayer::new(store).with_secure(false);
        let router = Router::new().route("/", get(count)).layer(layer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        Ok(axum::serve(listener, router).await?)
    })
}

/// Finds, changes and saves; a new session gets its 500 bytes.
async fn count(session: Session) -> Result<String, (StatusCode, String)> {
    let failed = |error: tower_sessions::session::Error| {
        (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    };
    let visits = match session.get::<u64>("visits").await.map_err(failed)? {
        Some(visits) => visits + 1,
        None => {
            session.insert("text", "x".repeat(500)).await.map_err(failed)?;
            1
        }
    };
    session.insert("visits", visits).await.map_err(failed)?;
    Ok(format!("visit {visits}\n"))
}
