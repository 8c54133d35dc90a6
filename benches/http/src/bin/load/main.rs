//! Loads the servers in turn and writes `results.md` and `share.json`:
//! `load FOLDER-OF-PROGRAMS FOLDER-OF-RESULTS [ROUNDS SECONDS]`. What `run.sh` runs.

mod callgrind;

use callgrind::Costs;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

type Failure = Box<dyn Error + Send + Sync>;

/// Program, its first argument, and what the table says it is.
const SERVERS: [(&str, &str, &str); 3] = [
    ("server", "ours", "hyper with sqlbypass"),
    ("bench-http-tower", "tower", "axum with tower-sessions and its sqlx store"),
    ("server", "floor", "hyper without sessions"),
];
const CLIENTS: [usize; 3] = [1, 16, 64];

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: f64| match arguments.get(at) {
        None => Ok(default),
        Some(text) => text.parse(),
    };
    let [programs, results] = [0, 1].map(|at| arguments.get(at).map(PathBuf::from));
    let (programs, results) = (programs.ok_or("no programs")?, results.ok_or("no results")?);
    let (rounds, seconds) = (number(2, 3.0)? as usize, Duration::from_secs_f64(number(3, 2.0)?));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;

    let mut text = turns(&runtime, &programs, rounds, seconds)?;
    text += &share(&runtime, &programs, &results)?;
    print!("{text}");
    Ok(std::fs::write(results.join("results.md"), text)?)
}

/// Requests a second of each server, the median of rounds in which they take turns.
fn turns(
    runtime: &Runtime,
    programs: &Path,
    rounds: usize,
    seconds: Duration,
) -> Result<String, Failure> {
    let mut text = String::from(
        "# A whole request\n\nFind, change, save, answer: requests a second on SQLite in WAL mode with \
         `synchronous=FULL`, server and\nclient on one machine; the median of rounds in which the \
         servers take turns. Written by\n`bash benches/http/run.sh`.\n\n",
    );
    let head = CLIENTS.map(|clients| format!(" {clients} clients | × |")).concat();
    let _ = writeln!(text, "| server |{head}\n| --- |{}", " --- |".repeat(2 * CLIENTS.len()));
    let mut rates = SERVERS.map(|_| CLIENTS.map(|_| Vec::new()));
    for round in 0..rounds {
        for (column, clients) in CLIENTS.into_iter().enumerate() {
            for turn in 0..SERVERS.len() {
                let row = (turn + round) % SERVERS.len();
                let (program, mode, _) = SERVERS[row];
                let server = Server::start(Command::new(programs.join(program)), mode)?;
                let rate = runtime.block_on(server.load(clients, seconds))?;
                eprintln!("{mode} clients={clients} round {round}: {rate:.0}/s");
                rates[row][column].push(rate);
            }
        }
    }
    let medians = rates.map(|row| row.map(median));
    for ((_, _, name), row) in SERVERS.iter().zip(&medians) {
        let _ = write!(text, "| {name} |");
        for (rate, ours) in row.iter().zip(&medians[0]) {
            let _ = write!(text, " {rate:.0} | {:.2} |", rate / ours);
        }
        text.push('\n');
    }
    Ok(text)
}

/// Our part of what a request costs the server's processor: of its instructions, told by function,
/// and of its time, in which the kernel has its own part.
fn share(runtime: &Runtime, programs: &Path, results: &Path) -> Result<String, Failure> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("left out: our share of a request (valgrind is missing)");
        return Ok(String::new());
    }
    let Costs { ours, all } = instructions(runtime, programs)?;
    let instructions = 100.0 * ours / all;
    let server = Server::start(Command::new(programs.join("server")), "ours")?;
    let before = server.times()?;
    runtime.block_on(server.load(16, Duration::from_secs(2)))?;
    let after = server.times()?;
    let [user, kernel] = [0, 1].map(|which| (after[which] - before[which]) as f64);
    let user = user / (user + kernel);
    let share = instructions * user;
    std::fs::write(results.join("share.json"), format!("{share:.1}\n"))?;
    Ok(format!(
        "\nSuch a request costs the server {all:.0} instructions outside of the kernel, counted by \
         callgrind with one\nclient. {ours:.0} of them are of sqlbypass, its codecs and what they \
         call of the standard library: {instructions:.1} %.\nThe rest is SQLite's and rusqlite's, \
         hyper's and tokio's; SHA-256 is left out, since callgrind lacks the instructions\nthat \
         processors have for it. With 16 clients {user:.0} % of the server's processor\ntime is \
         spent outside of the kernel, so our share of it is **{share:.1} %**.\n",
        user = 100.0 * user,
    ))
}

/// Of one request: the difference between a longer and a shorter run.
fn instructions(runtime: &Runtime, programs: &Path) -> Result<Costs, Failure> {
    const FEW: u32 = 100;
    const MANY: u32 = 600;
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let written = programs.join("callgrind.out");
    let total = |requests: u32| -> Result<Costs, Failure> {
        let mut command = Command::new("valgrind");
        command.arg("--tool=callgrind");
        command.arg(format!("--callgrind-out-file={}", written.display()));
        command.arg(programs.join("server"));
        let server = Server::start(command, "ours")?;
        runtime.block_on(async {
            let mut client = Client::new(server.address).await?;
            for _ in 0..requests {
                client.request().await?;
            }
            Ok::<_, Failure>(())
        })?;
        server.end()?;
        Ok(callgrind::read(&std::fs::read_to_string(&written)?, &project.to_string_lossy()))
    };
    let (few, many) = (total(FEW)?, total(MANY)?);
    let (all, requests) = (many - few, f64::from(MANY - FEW));
    Ok(Costs { ours: all.ours / requests, all: all.all / requests })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A server on a file of its own; it ends when this goes.
struct Server {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(mut command: Command, mode: &str) -> Result<Self, Failure> {
        // Beside the programs: a folder for temporary files may not be on a disk.
        let beside = std::env::current_exe()?;
        let folder = tempfile::tempdir_in(beside.parent().ok_or("no folder")?)?;
        command.arg(mode).arg(folder.path().join("sessions.db"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| format!("{mode} did not start: {line}"));
        match address {
            Ok(address) => Ok(Self { process, address, _folder: folder }),
            Err(error) => {
                process.kill()?;
                process.wait()?;
                Err(error.into())
            }
        }
    }

    /// Requests a second, after a short warm-up.
    async fn load(&self, clients: usize, time: Duration) -> Result<f64, Failure> {
        let mut all = Vec::new();
        for _ in 0..clients {
            all.push(Client::new(self.address).await?);
        }
        let (all, _) = together(all, time / 5).await?;
        let begun = Instant::now();
        let (_, requests) = together(all, time).await?;
        Ok(requests as f64 / begun.elapsed().as_secs_f64())
    }

    /// Ticks of the processor's time that it has used: its own, and the kernel's for it.
    fn times(&self) -> Result<[u64; 2], Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The second field is a name in brackets, and may hold anything.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
        let mut fields = fields.split_whitespace().skip(11).map(str::parse);
        let mut next = || fields.next().ok_or("too few fields");
        Ok([next()??, next()??])
    }

    /// Ends it in good order.
    fn end(mut self) -> Result<(), Failure> {
        drop(self.process.stdin.take());
        let mut log = String::new();
        self.process.stderr.take().ok_or("no log")?.read_to_string(&mut log)?;
        match self.process.wait()?.success() {
            true => Ok(()),
            false => Err(format!("the server ended with: {log}").into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// All clients until the time is over, and how many requests were answered.
async fn together(clients: Vec<Client>, time: Duration) -> Result<(Vec<Client>, u64), Failure> {
    let until = Instant::now() + time;
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            tokio::spawn(async move {
                let mut requests = 0;
                while Instant::now() < until {
                    client.request().await?;
                    requests += 1;
                }
                Ok::<_, Failure>((client, requests))
            })
        })
        .collect();
    let (mut clients, mut requests) = (Vec::new(), 0);
    for task in tasks {
        let (client, count) = task.await??;
        clients.push(client);
        requests += count;
    }
    Ok((clients, requests))
}

/// A browser with one connection and one cookie.
struct Client {
    sender: SendRequest<Empty<Bytes>>,
    cookie: Option<HeaderValue>,
}

impl Client {
    async fn new(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with its server.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, cookie: None })
    }

    async fn request(&mut self) -> Result<(), Failure> {
        let mut request = Request::get("/").header("host", "localhost");
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(Empty::new())?).await?;
        if let Some(cookie) = response.headers().get(SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            self.cookie = Some(pair.parse()?);
        }
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() || !body.starts_with(b"visit ") {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(())
    }
}
