//! Metrics of sessions for Prometheus, and a look-out for whoever guesses ids.
//!
//! `cargo run --example prometheus --features metrics [ADDRESS:PORT]`, then
//! `curl -c jar -b jar http://127.0.0.1:3000/` a few times and `curl http://127.0.0.1:3000/metrics`.
//! What the figures mean is in `docs/observability.md`.

use std::collections::HashSet;
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sqlbypass::{
    Json, ManagerOptions, Session, SessionLayer, SessionManager, SqliteStore, UnknownIds,
    UnknownIdsReceiver,
};
use tokio::net::TcpListener;

/// In seconds: a find takes some microseconds on SQLite, a save as long as the disk does.
const BUCKETS: [f64; 10] = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 1.0];
/// So many ids that nobody has, in a minute, are no stale cookies any more.
const MANY: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let metrics = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)?
        .install_recorder()?;
    tokio::spawn(upkeep(metrics.clone()));

    let store = SqliteStore::builder(":memory:").create(true).open().await?;
    let (unknown_ids, reports) = UnknownIds::channel(1_000);
    tokio::spawn(look_out(reports));
    let options = ManagerOptions { unknown_ids: Some(unknown_ids), ..ManagerOptions::default() };
    let layer = SessionLayer::new(SessionManager::with_options(store, Json, options));

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let metrics = metrics.clone();
        let service = layer.hyper(service_fn(move |request| answer(request, metrics.clone())));
        tokio::spawn(async move {
            if let Err(error) =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
            {
                eprintln!("a connection ended: {error}");
            }
        });
    }
}

/// What has been measured is put into the buckets now and then, also while nobody scrapes.
async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        metrics.run_upkeep();
    }
}

/// A stale cookie comes with the same id again and again, a guesser with a new one each time.
async fn look_out(mut reports: UnknownIdsReceiver) {
    let mut ids = HashSet::new();
    let mut minutes = tokio::time::interval(Duration::from_secs(60));
    loop {
        tokio::select! {
            _ = minutes.tick() => ids.clear(),
            report = reports.recv() => {
                let Some(report) = report else { return };
                if ids.insert(report.hash) && ids.len() == MANY {
                    eprintln!("somebody guesses: {MANY} ids that nobody has, in a minute");
                }
            }
        }
    }
}

/// A scrape is a request like any other, but asks for no session and so costs no SQL.
async fn answer(
    request: Request<Incoming>,
    metrics: PrometheusHandle,
) -> Result<Response<String>, Infallible> {
    if request.uri().path() == "/metrics" {
        return Ok(Response::new(metrics.render()));
    }
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
