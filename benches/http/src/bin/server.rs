//! `server ours|driver|floor FILE`: one small service on hyper, and what it keeps sessions with.
//!
//! - `ours`: sqlbypass' layer; a session is found, changed and saved, a cookie goes out when it must.
//! - `driver`: the same two statements with rusqlite alone, the id in the cookie as it is in the
//!   table, nothing decoded: what a request costs hyper and the driver.
//! - `floor`: no sessions.
//!
//! It serves until its input ends, so that a profiler sees an orderly end.

use std::convert::Infallible;
use std::error::Error;
use std::io::Read as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use rusqlite::{Connection, params};
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
        "driver" => {
            let driver = Arc::new(Driver::open(file)?);
            serve(|| {
                let driver = Arc::clone(&driver);
                service_fn(move |request| {
                    let answer = answer(driver.count(&request));
                    async { Ok::<_, Infallible>(answer) }
                })
            })
            .await
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

/// rusqlite on Rails' table.
struct Driver {
    connection: Mutex<Connection>,
    visits: AtomicU64,
}

impl Driver {
    fn open(file: &str) -> Result<Self, Failure> {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(
            "CREATE TABLE sessions (id integer PRIMARY KEY AUTOINCREMENT NOT NULL,
               session_id varchar NOT NULL, data text,
               created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL);
             CREATE UNIQUE INDEX index_sessions_on_session_id ON sessions (session_id);
             CREATE INDEX index_sessions_on_updated_at ON sessions (updated_at)",
        )?;
        Ok(Self { connection: Mutex::new(connection), visits: AtomicU64::new(0) })
    }

    fn count(&self, request: &Request<Incoming>) -> Result<Response<String>, Failure> {
        let visits = self.visits.fetch_add(1, Ordering::Relaxed);
        let now = format!("2026-01-01 00:00:00.{:06}", visits % 1_000_000);
        let data = format!(r#"{{"value":{{"text":"{:x<500}","visits":{visits}}}}}"#, "");
        let connection = self.connection.lock().map_err(|_| "a thread panicked")?;
        let Some(id) = request.headers().get(COOKIE) else {
            let id = format!("2::{visits:064}");
            connection
                .prepare_cached(
                    "INSERT INTO sessions (session_id, data, created_at, updated_at)
                     VALUES (?1, ?2, ?3, ?3)",
                )?
                .execute(params![id, data, now])?;
            let mut response = visit(visits);
            response.headers_mut().insert(SET_COOKIE, format!("id={id}; path=/").parse()?);
            return Ok(response);
        };
        let id = id.to_str()?.split_once('=').ok_or("no id")?.1;
        let mut find = connection.prepare_cached(
            "SELECT session_id, data, created_at, updated_at FROM sessions WHERE session_id = ?1",
        )?;
        let read = find.query_row([id], |row| Ok(row.get_ref(1)?.as_bytes()?.to_vec()))?;
        connection
            .prepare_cached(
                "UPDATE sessions SET data = ?1, updated_at = ?2
                 WHERE session_id = ?3 AND data IS ?4",
            )?
            .execute(params![data, now, id, std::str::from_utf8(&read)?])?;
        Ok(visit(visits))
    }
}
