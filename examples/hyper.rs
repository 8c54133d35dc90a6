//! Sessions in a bare hyper service, without tower.
//!
//! `cargo run --example hyper [ADDRESS:PORT]`, then
//! `curl -c jar -b jar http://127.0.0.1:3000/` a few times.

use std::convert::Infallible;
use std::error::Error;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sqlbypass::{Json, Session, SessionLayer, SessionManager, SqliteStore};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = SqliteStore::builder(":memory:").create(true).open().await?;
    let layer = SessionLayer::new(SessionManager::new(store, Json));

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // The layer wraps a hyper service as it is; the wrapped one shares the layer's store.
        let service = layer.hyper(service_fn(answer));
        tokio::spawn(async move {
            if let Err(error) =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
            {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}

/// hyper wants an answer in any case, so errors become one here.
async fn answer(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(count(&request).await.unwrap_or_else(|error| {
        let mut response = Response::new(format!("{error}\n"));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }))
}

async fn count(request: &Request<Incoming>) -> Result<Response<String>, Box<dyn Error>> {
    let session = request.extensions().get::<Session>().ok_or("the session layer is missing")?;
    let visits = session.get::<u64>("visits").await?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(Response::new(format!("visit {visits}\n")))
}
