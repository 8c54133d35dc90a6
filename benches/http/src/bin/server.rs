//! `server ours|floor FILE`: one small service on hyper, and what it keeps sessions with.
//!
//! - `ours`: sqlbypass' layer; a session is found, changed and saved, a cookie goes out when it must.
//! - `floor`: no sessions.
//!
//! It serves until its input ends, so that a profiler sees an orderly end.

use std::convert::Infallible;
use std::error::Error;
use std::io::Read as _;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use sqlbypass::{Json, Session, SessionLayer, SessionManager, SqliteStore, Synchronous};
use tokio::net::TcpListener;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (mode, file) = (arguments.next().ok_or("no mode")?, arguments.next().ok_or("no file")?);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.spawn(async move {
        if let Err(error) = start(&mode, &file).await {
            eprintln!("{error}");
            std::process::exit(1);
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

async fn start(mode: &str, file: &str) -> Result<(), Failure> {
    match mode {
        "ours" => {
            let builder = SqliteStore::builder(file).create(true);
            let store = builder.synchronous(Synchronous::Full).open().await?;
            let layer = SessionLayer::new(SessionManager::new(store, Json));
            serve(|| layer.hyper(service_fn(with_session))).await
        }
        _ => serve(|| service_fn(async |_| Ok::<_, Infallible>(visit(1)))).await,
    }
}

/// Says where it listens, and serves each connection with a service of its own.
async fn serve<S>(service: impl Fn() -> S) -> Result<(), Failure>
where
    S: HttpService<Incoming, ResBody = String> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Failure>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service());
        // A client that leaves ends its connection.
        tokio::spawn(async move { drop(connection.await) });
    }
}

async fn with_session(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(answer(count(&request).await))
}

/// A new session gets its 500 bytes.
async fn count(request: &Request<Incoming>) -> Result<Response<String>, Failure> {
    let session = request.extensions().get::<Session>().ok_or("the layer is missing")?;
    let visits = match session.get::<u64>("visits").await? {
        Some(visits) => visits + 1,
        None => {
            session.insert("text", "x".repeat(500))?;
            1
        }
    };
    session.insert("visits", visits)?;
    Ok(visit(visits))
}

fn visit(visits: u64) -> Response<String> {
    Response::new(format!("visit {visits}\n"))
}

fn answer(response: Result<Response<String>, Failure>) -> Response<String> {
    response.unwrap_or_else(|error| {
        let mut response = Response::new(error.to_string());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
