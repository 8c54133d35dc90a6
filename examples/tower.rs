//! Sessions in a stack of tower layers, served by hyper.
//!
//! `cargo run --example tower [ADDRESS:PORT]`, then
//! `curl -c jar -b jar http://127.0.0.1:3000/` a few times.

use std::error::Error;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use sqlbypass::{Json, Session, SessionLayer, SessionManager, SqliteStore};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::builder(":memory:").create(true).open().await?;
    let service = ServiceBuilder::new()
        // Layers above see the finished response, with its cookie.
        .layer(SessionLayer::new(SessionManager::new(store, Json)))
        // Layers below see the session in the request's extensions.
        .service_fn(count);

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            if let Err(error) =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
            {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}

/// An error ends the connection here; a service for the world would map it to a response.
async fn count(
    request: Request<Incoming>,
) -> Result<Response<String>, Box<dyn Error + Send + Sync>> {
    let session = request.extensions().get::<Session>().ok_or("the session layer is missing")?;
    let visits = session.get::<u64>("visits").await?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(Response::new(format!("visit {visits}\n")))
}
