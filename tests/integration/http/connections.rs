//! A real server and clients that misbehave: what is committed when.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use sqlbypass::{
    CookieChange, Json, Lookup, Record, Result, Save, Saved, Session, SessionId, SessionLayer,
    SessionManager, SqliteStore, Store, StoredId, Timeouts,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, RwLock, mpsc};
use tower::{Layer as _, Service as _};

use super::{n, with_id};

/// Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// A body that is sent piece by piece.
#[derive(Default)]
struct Pieces(Option<mpsc::UnboundedReceiver<Bytes>>);

impl Pieces {
    fn of(text: &'static str) -> Self {
        let (send, receive) = mpsc::unbounded_channel();
        send.send(Bytes::from_static(text.as_bytes())).unwrap();
        Self(Some(receive))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(pieces) = &mut self.get_mut().0 else { return Poll::Ready(None) };
        pieces.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

/// What happens in the server, for a test to wait for.
#[derive(Default)]
struct Seen {
    /// The handler has begun.
    begun: Notify,
    /// The handler has answered.
    answered: Notify,
    /// The future of the response is gone.
    left: Notify,
    /// What the handler waits for.
    go_on: Notify,
    /// What came of the session after the head was sent.
    later: std::sync::Mutex<Vec<String>>,
}

/// Says when it is dropped.
struct Guard(Arc<Seen>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.left.notify_one();
    }
}

/// A store whose updates wait while somebody holds the gate.
struct Gated {
    store: SqliteStore,
    gate: Arc<RwLock<()>>,
}

impl Store for Gated {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        self.store.find(lookup).await
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        let _open = match save {
            Save::Insert(_) => None,
            Save::Update(_) => Some(self.gate.read().await),
        };
        self.store.save(save).await
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        self.store.destroy(lookup).await
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        self.store.touch(id, timeouts).await
    }
}

/// Sessions behind a gate, and one of them with `{"n":1}`.
async fn gated() -> (SessionManager<Gated>, SessionId, Arc<RwLock<()>>) {
    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    let gate = Arc::<RwLock<()>>::default();
    let manager = SessionManager::new(Gated { store, gate: Arc::clone(&gate) }, Json);
    let session = manager.session(None);
    session.insert("n", 1).unwrap();
    let CookieChange::Set(id) = session.commit().await.unwrap().cookie else { panic!("no id") };
    (manager, id, gate)
}

/// Waits until the row holds it.
async fn comes_to_hold(manager: &SessionManager<Gated>, id: &SessionId, wanted: i64) {
    let begun = Instant::now();
    while n(manager, id).await != Some(wanted) {
        assert!(begun.elapsed() < PATIENCE, "it was not committed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A server with one session in its table.
struct Place {
    address: SocketAddr,
    manager: SessionManager<Gated>,
    id: SessionId,
    gate: Arc<RwLock<()>>,
    seen: Arc<Seen>,
}

impl Place {
    async fn open() -> Self {
        let (manager, id, gate) = gated().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let layer = SessionLayer::new(manager.clone());
        tokio::spawn(accept(listener, layer, Arc::clone(&seen)));
        Self { address, manager, id, gate, seen }
    }

    async fn n(&self) -> Option<i64> {
        n(&self.manager, &self.id).await
    }

    /// Sends a request with the session's cookie.
    async fn send(&self, line: &str, more: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let id = self.id.as_str();
        let head = format!("{line} HTTP/1.1\r\nhost: a\r\ncookie: _session_id={id}\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    async fn waits_for(&self, sign: impl Fn(&Seen) -> &Notify) {
        tokio::time::timeout(PATIENCE, sign(&self.seen).notified()).await.unwrap();
    }
}

async fn accept(listener: TcpListener, layer: SessionLayer<Gated>, seen: Arc<Seen>) {
    while let Ok((stream, _)) = listener.accept().await {
        let inner_seen = Arc::clone(&seen);
        let sessions =
            layer.hyper(service_fn(move |request| answer(request, Arc::clone(&inner_seen))));
        let seen = Arc::clone(&seen);
        let service = service_fn(move |request: Request<Incoming>| {
            let (response, guard) = (sessions.call(request), Guard(Arc::clone(&seen)));
            async move {
                let _guard = guard;
                response.await
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Seen>,
) -> Result<Response<Pieces>, Infallible> {
    let session = request.extensions().get::<Session>().unwrap().clone();
    session.insert("n", 2).unwrap();
    seen.begun.notify_one();
    let mut response = Response::new(Pieces::of("done"));
    match request.uri().path() {
        "/panic" => panic!("as asked"),
        "/slow" => seen.go_on.notified().await,
        "/stream" => *response.body_mut() = stream(session, Arc::clone(&seen)),
        "/upgrade" => {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert("connection", "upgrade".parse().unwrap());
            response.headers_mut().insert("upgrade", "echo".parse().unwrap());
            *response.body_mut() = Pieces::default();
            tokio::spawn(talk(request, session, Arc::clone(&seen)));
        }
        _ if request.method() == Method::CONNECT => {
            *response.body_mut() = Pieces::default();
            tokio::spawn(talk(request, session, Arc::clone(&seen)));
        }
        _ => {}
    }
    seen.answered.notify_one();
    Ok(response)
}

/// A body that goes on with the session when it is told to.
fn stream(session: Session, seen: Arc<Seen>) -> Pieces {
    let (send, receive) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        send.send(Bytes::from_static(b"first ")).unwrap();
        seen.go_on.notified().await;
        note_later(&session, &seen).await;
        send.send(Bytes::from_static(b"last")).unwrap();
    });
    Pieces(Some(receive))
}

/// What the session is good for when the head has gone out: it can be read and not changed.
async fn note_later(session: &Session, seen: &Seen) {
    let n: Option<i64> = session.get("n").await.unwrap();
    let late = session.insert("n", 3).unwrap_err();
    assert!(late.is_committed());
    let again = session.commit().await.unwrap_err();
    assert!(again.is_committed());
    seen.later.lock().unwrap().push(format!("n is {n:?}"));
}

/// The connection after its upgrade: what comes in goes out.
async fn talk(request: Request<Incoming>, session: Session, seen: Arc<Seen>) {
    let mut io = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
    let mut word = [0; 4];
    io.read_exact(&mut word).await.unwrap();
    note_later(&session, &seen).await;
    io.write_all(&word).await.unwrap();
}

/// Reads until this text has come; answers all of it.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(text.as_bytes()) {
        let count = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await.unwrap().unwrap();
        assert!(count > 0, "the server closed: {}", String::from_utf8_lossy(&read));
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_commits_nothing_and_harms_nobody_else() {
    let place = Place::open().await;
    let mut stream = place.send("GET /panic", "").await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "no answer");
    assert_eq!(place.n().await, Some(1));
    let mut stream = place.send("GET /", "").await;
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(place.n().await, Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_before_the_answer_commits_nothing() {
    let place = Place::open().await;
    let stream = place.send("GET /slow", "").await;
    place.waits_for(|seen| &seen.begun).await;
    drop(stream);
    place.waits_for(|seen| &seen.left).await;
    place.seen.go_on.notify_one();
    assert_eq!(place.n().await, Some(1));
}

/// The handler has answered, so its changes are written although nobody waits for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_during_the_commit_changes_nothing_about_it() {
    let place = Place::open().await;
    let closed = place.gate.write().await;
    let stream = place.send("GET /", "").await;
    place.waits_for(|seen| &seen.answered).await;
    drop(stream);
    place.waits_for(|seen| &seen.left).await;
    assert_eq!(place.n().await, Some(1));
    drop(closed);
    comes_to_hold(&place.manager, &place.id, 2).await;
}

/// The commit comes before the head, and what a body does to the session later is an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streaming_body_comes_after_the_commit() {
    let place = Place::open().await;
    let mut stream = place.send("GET /stream", "").await;
    let head = read_until(&mut stream, "first ").await;
    assert!(head.starts_with("HTTP/1.1 200 "));
    assert_eq!(place.n().await, Some(2), "committed while the body is under way");
    place.seen.go_on.notify_one();
    read_until(&mut stream, "last").await;
    assert_eq!(*place.seen.later.lock().unwrap(), ["n is Some(2)"]);
    assert_eq!(place.n().await, Some(2));
}

/// The same for 101 and for CONNECT: the commit comes before the protocol changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_comes_after_the_commit() {
    let upgrade = ("GET /upgrade", "connection: upgrade\r\nupgrade: echo\r\n", "HTTP/1.1 101 ");
    for (line, more, status) in [upgrade, ("CONNECT a:443", "", "HTTP/1.1 200 ")] {
        let place = Place::open().await;
        let mut stream = place.send(line, more).await;
        let head = read_until(&mut stream, "\r\n\r\n").await;
        assert!(head.starts_with(status), "{head}");
        assert_eq!(place.n().await, Some(2));
        stream.write_all(b"echo").await.unwrap();
        read_until(&mut stream, "echo").await;
        assert_eq!(*place.seen.later.lock().unwrap(), ["n is Some(2)"]);
        assert_eq!(place.n().await, Some(2));
    }
}

/// A new session's cookie is in the head of an upgrade too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_may_begin_a_session() {
    let place = Place::open().await;
    let mut stream = TcpStream::connect(place.address).await.unwrap();
    let head = "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let head = read_until(&mut stream, "\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "));
    assert!(head.contains("set-cookie: _session_id="));
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<()>, Infallible>>>>;

/// A response that has been polled once, with the gate closed: its handler has answered and its
/// commit waits.
async fn half_committed(manager: &SessionManager<Gated>, id: &SessionId) -> Answer {
    let handler = tower::service_fn(|request: Request<()>| async move {
        request.extensions().get::<Session>().unwrap().insert("n", 2).unwrap();
        Ok::<_, Infallible>(Response::new(()))
    });
    let mut service = SessionLayer::new(manager.clone()).layer(handler);
    let mut answer: Answer = Box::pin(service.call(with_id(id)));
    let first = std::future::poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_pending()));
    assert!(first.await, "the commit waits");
    answer
}

/// The commit begins in the same poll in which the handler answers: a caller that leaves then is
/// one that leaves during the commit.
#[tokio::test]
async fn nothing_comes_between_the_answer_and_the_commit() {
    let (manager, id, gate) = gated().await;
    let closed = gate.write().await;
    drop(half_committed(&manager, &id).await);
    drop(closed);
    comes_to_hold(&manager, &id, 2).await;
}

/// Where nobody could go on with it, the commit ends as it stands.
#[test]
fn without_a_runtime_a_commit_ends_with_its_response() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (manager, id, gate) = runtime.block_on(gated());
    let closed = gate.blocking_write();
    let answer = runtime.block_on(half_committed(&manager, &id));
    drop(answer);
    drop(closed);
    // Whatever had been left to a task would run here.
    let after = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        n(&manager, &id).await
    };
    assert_eq!(runtime.block_on(after), Some(1));
}
