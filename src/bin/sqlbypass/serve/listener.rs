//! Connections: accepted, served, and brought to a good end.

use std::convert::Infallible;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use sqlbypass::{Error, Result};
use tokio::net::TcpListener;

use super::answer::Answer;

/// The longest that a client may take for a request's head, and that a connection may idle.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The longest that requests under way may take once the service is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// The wait before accepting again, for instance when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on an address such as `127.0.0.1:3000`.
pub(super) async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|fault| {
        let advice = match fault.kind() {
            ErrorKind::AddrInUse => {
                "another program has this port: stop it, or take a free one with --listen \
                 127.0.0.1:0"
            }
            ErrorKind::PermissionDenied => "choose a port above 1023 with --listen",
            _ => "write --listen as ADDRESS:PORT with an address of this machine",
        };
        Error::config("listening", format!("{address}: {fault}; {advice}"))
    })
}

/// Serves connections until `stop`, then lets requests under way end, for a while.
pub(super) async fn serve<S>(listener: TcpListener, service: S, stop: impl Future<Output = ()>)
where
    S: Service<Request<Incoming>, Response = Answer, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let connections = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Small answers should not wait for more to come; without it they only come later.
        let _ = stream.set_nodelay(true);
        let connection = http.serve_connection(TokioIo::new(stream), service.clone());
        let connection = connections.watch(connection);
        // A client that breaks the protocol or goes away has ended its own connection only.
        tokio::spawn(async move { drop(connection.await) });
    }
    drop(listener);
    // What has not ended by then is cut off without an acknowledgement.
    let _ = tokio::time::timeout(GRACE, connections.shutdown()).await;
}

/// Ends at the first SIGTERM or Ctrl-C.
#[cfg(unix)]
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let listen = |kind| {
        signal(kind).map_err(|fault| Error::config("listening for signals", fault.to_string()))
    };
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends at the first Ctrl-C.
#[cfg(not(unix))]
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
