//! Connections: accepted, served, and brought to a good end.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use super::answer::Answer;
use crate::failure::Failure;
use crate::signals::Signals;

/// The longest that a client may take for a request's head, and that a connection may idle.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The longest that requests under way may take once the service is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// The wait before accepting again, for instance when there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on an address such as `127.0.0.1:3000`.
pub(super) async fn bind(address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|fault| {
        let advice = match fault.kind() {
            ErrorKind::AddrInUse => {
                "another program has this port: stop it, or take a free one with --listen \
                 127.0.0.1:0"
            }
            ErrorKind::PermissionDenied => "choose a port above 1023 with --listen",
            _ => "write --listen as ADDRESS:PORT with an address of this machine",
        };
        // What is no address may be anything.
        let shown = match address.parse::<std::net::SocketAddr>() {
            Ok(address) => format!("{address}: "),
            Err(_) => "an address that is not shown: ".to_owned(),
        };
        let problem = format!("listening: {shown}{fault}; {advice}");
        match fault.kind() {
            ErrorKind::InvalidInput => Failure::Usage(problem),
            _ => Failure::failed(problem),
        }
    })
}

/// Serves connections until a signal comes, then lets requests under way end: for a while, or
/// until a second signal.
pub(super) async fn serve<S>(listener: TcpListener, service: S, mut signals: Signals)
where
    S: Service<Request<Incoming>, Response = Answer, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = signals.next() => break,
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
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(GRACE) => {}
        () = signals.next() => {}
    }
}
