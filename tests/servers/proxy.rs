//! A TCP proxy that misbehaves on demand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of the bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mode {
    /// They go through.
    Pass,
    /// Each piece waits so long, in both directions.
    Delay(Duration),
    /// At most so many bytes a second, in both directions.
    Rate(u64),
    /// Nothing goes through; connections stay open, and new ones are accepted.
    Hole,
    /// The server hears everything, and its answers do not come back.
    Mute,
    /// As `Mute`, from the moment the client sends these bytes, on that connection only.
    MuteAfter(&'static [u8]),
    /// New connections are ended at once.
    Refuse,
    /// A connection ends when the client sends these bytes, which the server does not hear.
    CutAt(&'static [u8]),
    /// As a proxy does that has lost its server: the client that sends these bytes is given another
    /// answer than the server's.
    Answer(Answer),
}

/// Another answer than the server's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// To whoever sends these bytes.
    pub(crate) to: Vec<u8>,
    /// What the server hears instead, if it does not hear the client.
    pub(crate) instead: Option<Vec<u8>>,
    pub(crate) with: Vec<u8>,
}

/// A proxy in front of a server on this machine; it ends when this is dropped.
pub(crate) struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    open: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    bytes: AtomicU64,
    turns: Mutex<Vec<Head>>,
    /// Connections that `MuteAfter` has muted since it was set.
    muted: AtomicU64,
}

const PATIENCE: Duration = Duration::from_secs(10);

/// The first bytes of what a client said.
type Head = [u8; 5];

impl Proxy {
    pub(crate) async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, watched) = watch::channel(Mode::Pass);
        let counts = Arc::new(Counts::default());
        let open = Arc::new(Mutex::new(Vec::new()));
        let server = SocketAddr::from(([127, 0, 0, 1], server_port));
        let (counted, opened) = (Arc::clone(&counts), Arc::clone(&open));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counted.connections.fetch_add(1, Ordering::Relaxed);
                if *watched.borrow() == Mode::Refuse {
                    continue;
                }
                let work = forward(client, server, watched.clone(), Arc::clone(&counted));
                opened.lock().unwrap().push(tokio::spawn(work));
            }
        });
        Self { port, mode, counts, open, accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.counts.muted.store(0, Ordering::Relaxed);
        self.mode.send_replace(mode);
    }

    /// Ends all connections that are open.
    pub(crate) fn cut(&self) {
        for connection in self.open.lock().unwrap().drain(..) {
            connection.abort();
        }
    }

    /// Waits until `MuteAfter` has muted a connection, ends all that are open, and lets all through: whoever
    /// connects anew finds all well.
    pub(crate) async fn heal_when_muted(&self) {
        let until = Instant::now() + PATIENCE;
        while self.counts.muted.load(Ordering::Relaxed) == 0 {
            assert!(Instant::now() < until, "nobody sent what mutes");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The server has time to do what it was told.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let open = std::mem::take(&mut *self.open.lock().unwrap());
        for connection in open {
            connection.abort();
            // Its answers are gone before the mode lets them through.
            let _ = connection.await;
        }
        self.set(Mode::Pass);
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// Bytes so far, in both directions.
    pub(crate) fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    /// Since it was last asked: how each turn of a client began, that is what it said first after the
    /// server had spoken.
    pub(crate) fn take_turns(&self) -> Vec<Head> {
        std::mem::take(&mut *self.counts.turns.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn forward(
    client: TcpStream,
    server: SocketAddr,
    mode: watch::Receiver<Mode>,
    counts: Arc<Counts>,
) {
    // A server that is down ends the client's connection.
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (muted, hears) = watch::channel(false);
    let spoke = AtomicBool::new(true);
    let (counts, spoke, answer) = (&*counts, &spoke, &Mutex::new(None));
    let there = Pipe { mode: mode.clone(), counts, spoke, answer, muted: Some(muted), hears: None };
    let back = Pipe { mode, counts, spoke, answer, muted: None, hears: Some(hears) };
    tokio::select! {
        () = there.run(from_client, to_server) => {}
        () = back.run(from_server, to_client) => {}
    }
}

/// One direction of a connection.
struct Pipe<'c> {
    mode: watch::Receiver<Mode>,
    counts: &'c Counts,
    /// Whether the server was the last to speak.
    spoke: &'c AtomicBool,
    /// What the client is given instead of the server's next words.
    answer: &'c Mutex<Option<Vec<u8>>>,
    /// The client's direction tells the server's when it has seen what mutes it.
    muted: Option<watch::Sender<bool>>,
    hears: Option<watch::Receiver<bool>>,
}

impl Pipe<'_> {
    async fn run(mut self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let piece = &buffer[..count];
            self.note(piece);
            self.look_at(piece);
            self.wait(count).await;
            let Some(other) = self.other(piece) else { return };
            if to.write_all(other.as_deref().unwrap_or(piece)).await.is_err() {
                return;
            }
            self.counts.bytes.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    fn note(&self, piece: &[u8]) {
        let from_server = self.hears.is_some();
        if self.spoke.swap(from_server, Ordering::Relaxed) && !from_server {
            let mut head = Head::default();
            let known = piece.len().min(head.len());
            head[..known].copy_from_slice(&piece[..known]);
            self.counts.turns.lock().unwrap().push(head);
        }
    }

    fn look_at(&self, piece: &[u8]) {
        let (Mode::MuteAfter(word), Some(muted)) = (&*self.mode.borrow(), &self.muted) else {
            return;
        };
        if has(piece, word) {
            muted.send_replace(true);
            self.counts.muted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What goes on instead of the piece, if not itself; `None` where the connection ends.
    fn other(&self, piece: &[u8]) -> Option<Option<Vec<u8>>> {
        if self.hears.is_some() {
            return Some(self.answer.lock().unwrap().take());
        }
        match &*self.mode.borrow() {
            Mode::CutAt(word) if has(piece, word) => None,
            Mode::Answer(answer) if has(piece, &answer.to) => {
                *self.answer.lock().unwrap() = Some(answer.with.clone());
                Some(answer.instead.clone())
            }
            _ => Some(None),
        }
    }

    /// Returns when a piece may go on.
    async fn wait(&mut self, count: usize) {
        loop {
            let mode = self.mode.borrow_and_update().clone();
            let from_server = self.hears.is_some();
            match mode {
                Mode::Delay(time) => return tokio::time::sleep(time).await,
                Mode::Rate(bytes) => {
                    let time = Duration::from_secs_f64(count as f64 / bytes as f64);
                    return tokio::time::sleep(time).await;
                }
                Mode::Mute if !from_server => return,
                Mode::MuteAfter(_) if !self.is_muted() => return,
                Mode::Pass | Mode::Refuse | Mode::CutAt(_) | Mode::Answer(_) => return,
                Mode::Hole | Mode::Mute | Mode::MuteAfter(_) => {}
            }
            // An error means that the proxy ends, and this connection with it.
            if self.mode.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_muted(&self) -> bool {
        self.hears.as_ref().is_some_and(|hears| *hears.borrow())
    }
}

fn has(piece: &[u8], word: &[u8]) -> bool {
    piece.windows(word.len()).any(|bytes| bytes == word)
}
