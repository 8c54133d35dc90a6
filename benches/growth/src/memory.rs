//! What stores, operations under way and connections take of memory.
//!
//! A store is opened in a process of its own, an [`Errand`], which says what it has grown by after
//! each step and waits for leave before the next one. Operations stay under way while the database
//! is halted.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bench_kit::{Database, Result};
use sqlbypass::{AnyStore, Insert, Lookup, Save, SessionId, Store};
use tokio::task::JoinHandle;

use crate::place::Place;
use crate::results::{Memory, name};
use crate::{grown, heap};

/// The variable that tells a process its errand: the URL of a database.
const ERRAND: &str = "BENCH_GROWTH_ERRAND";
/// Operations under way at the same time.
const OPERATIONS: usize = 1_000;
/// Connections of a server.
const CONNECTIONS: usize = 1_000;
/// For what was begun to be all begun.
const SETTLE: Duration = Duration::from_millis(500);

/// Heap and resident size of a process, in bytes.
#[derive(Clone, Copy)]
struct Size {
    heap: i64,
    resident: i64,
}

impl Size {
    fn own() -> Result<Self> {
        Ok(Self { heap: heap::bytes(), resident: resident("self")? })
    }
}

fn resident(process: &str) -> Result<i64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no VmRSS")?;
    Ok(kilobytes.trim().parse::<i64>()? << 10)
}

/// What this process was started for.
pub(crate) struct Errand {
    url: String,
}

impl Errand {
    pub(crate) fn from_environment() -> Option<Self> {
        Some(Self { url: std::env::var(ERRAND).ok()? })
    }

    pub(crate) fn run(self) -> Result<()> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(self.steps())
    }

    async fn steps(self) -> Result<()> {
        let before = Size::own()?;
        let store = Arc::new(AnyStore::url(&self.url)?.create(true).open().await?);
        // Each of its connections has been used.
        for task in start(&store, find) {
            task.await??;
        }
        for task in start(&store, save) {
            task.await??;
        }
        tokio::time::sleep(SETTLE).await;
        tell(before)?;
        for operation in [find, save] {
            leave()?;
            let before = Size::own()?;
            let tasks = start(&store, operation);
            tokio::time::sleep(SETTLE).await;
            tell(before)?;
            for task in tasks {
                task.await??;
            }
            println!();
        }
        Ok(())
    }
}

type Task = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>>;

fn find(store: Arc<AnyStore>, n: usize) -> Task {
    Box::pin(async move {
        store.find(&Lookup::with_legacy(&grown::id(n)?)).await?;
        Ok(())
    })
}

fn save(store: Arc<AnyStore>, n: usize) -> Task {
    Box::pin(async move {
        let id = SessionId::generate()?.private();
        let data = grown::data(n, 570);
        store.save(&Save::Insert(Insert::new(id, data))).await?;
        Ok(())
    })
}

fn start(
    store: &Arc<AnyStore>,
    operation: fn(Arc<AnyStore>, usize) -> Task,
) -> Vec<JoinHandle<Result<()>>> {
    (0..OPERATIONS).map(|n| tokio::spawn(operation(Arc::clone(store), n))).collect()
}

/// Says what the process has grown by.
fn tell(before: Size) -> Result<()> {
    let now = Size::own()?;
    println!("{} {}", now.heap - before.heap, now.resident - before.resident);
    Ok(())
}

/// Waits for the parent's word.
fn leave() -> Result<()> {
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// An errand as its parent has it.
struct Sent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Sent {
    fn start(url: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = command.env(ERRAND, url).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = BufReader::new(child.stdout.take().ok_or("no output")?);
        Ok(Self { child, input, output })
    }

    fn go(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"\n")?)
    }

    /// Waits until nothing is under way.
    fn done(&mut self) -> Result<()> {
        self.output.read_line(&mut String::new())?;
        Ok(())
    }

    /// What it has grown by, for each of so many.
    fn told(&mut self, database: Database, what: &str, count: usize) -> Result<Memory> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let (heap, resident) = line.trim().split_once(' ').ok_or("the errand has failed")?;
        let each = |bytes: &str| {
            Ok::<_, std::num::ParseIntError>(bytes.parse::<i64>()?.max(0) as u64 / count as u64)
        };
        Ok(Memory {
            database: name(database),
            what: what.into(),
            count,
            heap_bytes: each(heap)?,
            resident_bytes: each(resident)?,
        })
    }
}

/// An idle store of this database, and finds and saves that are under way.
pub(crate) fn measure(place: &Place) -> Result<Vec<Memory>> {
    let database = place.database();
    let mut errand = Sent::start(&place.url())?;
    let mut lines = vec![errand.told(database, "store, idle", 1)?];
    for what in ["find under way", "save of 600 B under way"] {
        // A find on SQLite does not wait for anybody.
        let waits = database != Database::Sqlite || what.starts_with("save");
        let halted = place.halt()?;
        errand.go()?;
        let line = errand.told(database, what, OPERATIONS)?;
        if waits {
            lines.push(line);
        }
        drop(halted);
        errand.done()?;
    }
    if !errand.child.wait()?.success() {
        return Err("an operation under way has failed".into());
    }
    Ok(lines)
}

/// Connections of an HTTP server with our layer, and of one without sessions, in `benches/http`.
pub(crate) fn connections(server: &Path) -> Result<Vec<Memory>> {
    let modes = [
        ("ours", "HTTP connection, kept, with a session"),
        ("floor", "HTTP connection, kept, of hyper alone"),
    ];
    modes.into_iter().map(|(mode, what)| connected(server, mode, what)).collect()
}

fn connected(server: &Path, mode: &str, what: &str) -> Result<Memory> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(server);
    command.arg(mode).arg(folder.path().join("sessions.db"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
    let mut address = String::new();
    output.read_line(&mut address)?;
    let address = address.trim();
    // What is there but once is there before.
    request(&mut TcpStream::connect(address)?)?;
    let before = resident(&child.id().to_string())?;
    let mut streams = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address)?;
        request(&mut stream)?;
        streams.push(stream);
    }
    let grown = resident(&child.id().to_string())? - before;
    // It ends with its input.
    drop(child.stdin.take());
    child.wait()?;
    Ok(Memory {
        database: "sqlite".into(),
        what: what.into(),
        count: CONNECTIONS,
        heap_bytes: 0,
        resident_bytes: grown.max(0) as u64 / CONNECTIONS as u64,
    })
}

/// One request, and its answer up to the last byte of its body.
fn request(stream: &mut TcpStream) -> Result<()> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    while !answer.ends_with(b"visit 1\n") {
        match stream.read(&mut part)? {
            0 => return Err("the server hung up".into()),
            read => answer.extend_from_slice(&part[..read]),
        }
    }
    Ok(())
}
