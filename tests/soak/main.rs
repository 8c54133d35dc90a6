//! Nine reads to a write while the database fails again and again: nothing acknowledged is lost, and
//! memory, connections and files stay where they were. `tests/long.sh soak` runs it.
//!
//! SOAK_MINUTES (20 by default), SOAK_SEED (printed). SOAK_SPOIL=connection|memory|row spoils
//! something at each fault, and each of these must fail it.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod clients;
mod places;
#[path = "../support/random.rs"]
mod random;
#[path = "../servers/mod.rs"]
mod servers;

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlbypass::{Insert, Save, SessionId, Store, Update};
use tokio::task::JoinHandle;

use clients::{Client, Counts};
use places::{DEADLINE, OnMariaDb, OnPostgres, OnSqlite, Place};
use random::Random;
use servers::{MariaDb, Postgres};

const CLIENTS: u32 = 16;
/// Operations a second, of all clients.
const RATE: u32 = 200;
/// A machine that is busy with other tests may need that on top of a deadline.
const SLACK: Duration = Duration::from_secs(10);
const SAMPLES: u32 = 20;
/// SQLite's is carried back at some megabytes, and a reader may keep it from that for a while.
const LARGEST_WAL: u64 = 16 << 20;

/// How things stand, at a moment without a fault.
struct Sample {
    rss: u64,
    files: usize,
    connections: usize,
    wal: u64,
}

struct Soak<P: Place> {
    place: P,
    counts: Arc<Counts>,
    clients: Vec<JoinHandle<()>>,
    random: Random,
    probe: SessionId,
    samples: Vec<Sample>,
    faults: u32,
    slowest_back: Duration,
    spoil: String,
}

impl<P: Place> Soak<P> {
    async fn start(name: &str, place: P) -> Self {
        let seed = setting("SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()));
        tell(&format!("{name}, SOAK_SEED={seed}"));
        let mut random = Random(seed);
        let probe = SessionId::generate().unwrap();
        let insert = Insert::new(probe.private(), "probe");
        place.store().save(&Save::Insert(insert)).await.unwrap();
        let counts = Arc::new(Counts::default());
        let clients = (0..CLIENTS)
            .map(|_| {
                let client = Client::new(place.store(), Arc::clone(&counts), random.split());
                tokio::spawn(client.run(Duration::from_secs(1) * CLIENTS / RATE))
            })
            .collect();
        let spoil = std::env::var("SOAK_SPOIL").unwrap_or_default();
        let (samples, faults, slowest_back) = (Vec::new(), 0, Duration::ZERO);
        Self { place, counts, clients, random, probe, samples, faults, slowest_back, spoil }
    }

    async fn run(mut self) {
        let minutes = setting("SOAK_MINUTES").unwrap_or(20);
        let pause = Duration::from_secs(60 * minutes) / SAMPLES;
        tell(
            "minute     done  failed unknown  faults  back ms  slowest ms  RSS kB  files  conns  WAL kB",
        );
        let begun = Instant::now();
        for n in 1..=SAMPLES {
            while begun.elapsed() < pause * n {
                self.fault().await;
            }
            self.sample(begun).await;
        }
        self.counts.stop.store(true, Ordering::Relaxed);
        for client in std::mem::take(&mut self.clients) {
            client.await.unwrap();
        }
        self.judge();
    }

    /// One fault, after which everything is well again; then a while without any.
    async fn fault(&mut self) {
        let name = self.place.fault(&mut self.random).await;
        let healed = Instant::now();
        while let Err(error) = self.save("well").await {
            let waited = healed.elapsed();
            assert!(waited < DEADLINE + SLACK, "{waited:?} after {name}: {error}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.faults += 1;
        self.slowest_back = self.slowest_back.max(healed.elapsed());
        for client in &self.clients {
            assert!(!client.is_finished(), "a client found something wrong, see above");
        }
        match &*self.spoil {
            "" => {}
            "connection" => self.place.leak().await,
            "memory" => std::mem::forget(vec![1_u8; 512 << 10]),
            "row" => self.place.spoil().await,
            other => panic!("nothing to spoil: {other}"),
        }
        tokio::time::sleep(self.random.millis(500..4_000)).await;
    }

    async fn save(&self, text: &'static str) -> sqlbypass::Result<()> {
        let update = Update::new(self.probe.private().into()).data(text);
        self.place.store().save(&Save::Update(update)).await.map(drop)
    }

    async fn sample(&mut self, begun: Instant) {
        // What the server has not yet heard the end of.
        let until = Instant::now() + SLACK;
        let mut connections = self.place.connections().await;
        while connections > self.place.most() {
            assert!(Instant::now() < until, "{connections} connections");
            tokio::time::sleep(Duration::from_millis(100)).await;
            connections = self.place.connections().await;
        }
        let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
        let sample = Sample { rss: rss(), files, connections, wal: self.place.wal() };
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        tell(&format!(
            "{:6.1} {:8} {:7} {:7} {:7} {:8} {:11} {:7} {:6} {:6} {:7}",
            begun.elapsed().as_secs_f64() / 60.0,
            count(&self.counts.done),
            count(&self.counts.failed),
            count(&self.counts.unknown),
            self.faults,
            self.slowest_back.as_millis(),
            count(&self.counts.slowest_ms),
            sample.rss,
            sample.files,
            sample.connections,
            sample.wal >> 10,
        ));
        self.samples.push(sample);
    }

    /// The first quarter is there to warm up.
    fn judge(&self) {
        let quarter = self.samples.len() / 4;
        let (early, late) =
            (&self.samples[quarter..2 * quarter], &self.samples[self.samples.len() - quarter..]);
        let most =
            |samples: &[Sample], of: fn(&Sample) -> u64| samples.iter().map(of).max().unwrap();
        let (before, after) = (most(early, |s| s.rss), most(late, |s| s.rss));
        assert!(after <= before + before / 20 + 1_024, "memory grew from {before} to {after} kB");
        let files = |s: &Sample| s.files as u64;
        let (before, after) = (most(early, files), most(late, files));
        assert!(after <= before + 8, "open files grew from {before} to {after}");
        let wal = most(&self.samples, |s| s.wal);
        assert!(wal <= LARGEST_WAL, "a WAL of {wal} bytes");
        let slowest = Duration::from_millis(self.counts.slowest_ms.load(Ordering::Relaxed));
        assert!(slowest <= DEADLINE + SLACK, "an operation took {slowest:?}");
        assert!(self.counts.failed.load(Ordering::Relaxed) > 0, "no fault was noticed");
        tell("nothing lost, memory flat, connections and files bounded");
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn tell(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    Soak::start("SQLite", OnSqlite::start().await).await.run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    assert!(Postgres::available(), "missing: postgresql");
    Soak::start("PostgreSQL", OnPostgres::start().await).await.run().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb() {
    assert!(MariaDb::available(), "missing: mariadb-server-core");
    Soak::start("MariaDB", OnMariaDb::start().await).await.run().await;
}

/// What the soak of SQLite starts, stops and kills beside itself.
#[tokio::test]
async fn only_writes() {
    let Ok(path) = std::env::var("SQLBYPASS_SOAK_FILE") else { return };
    places::write_until_the_pipe_ends(&path).await;
}
