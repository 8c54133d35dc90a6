//! Sessions in axum: the layer on the router, the session as an argument of the handler.
//!
//! `cargo run --example axum --features axum [ADDRESS:PORT]`, then
//! `curl -c jar -b jar http://127.0.0.1:3000/` a few times.

use std::error::Error;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use sqlbypass::{Json, Session, SessionLayer, SessionManager, SqliteStore};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::builder(":memory:").create(true).open().await?;
    let app = Router::new()
        .route("/", get(count))
        .route("/logout", post(logout))
        .layer(SessionLayer::new(SessionManager::new(store, Json)));

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn count(session: Session) -> Result<String, (StatusCode, String)> {
    let visits = session.get::<u64>("visits").await.map_err(failed)?.unwrap_or(0) + 1;
    session.insert("visits", visits).map_err(failed)?;
    Ok(format!("visit {visits}\n"))
}

/// The row and the cookie go when the answer does.
async fn logout(session: Session) -> Result<StatusCode, (StatusCode, String)> {
    session.destroy().map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The crate's errors name no id and no data, so they may be shown.
fn failed(error: sqlbypass::Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"))
}
