//! The databases, and what goes wrong with each.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use rusqlite::Connection;
use sqlbypass::{AnyStore, MySqlStore, PostgresStore, SqliteStore, Store};
use tokio::task::block_in_place;

use super::random::Random;
use super::servers::mortal::Mortal;
use super::servers::proxy::Mode;
use super::servers::{MariaDb, Options, Postgres, Proxy, mariadb};

pub(super) const DEADLINE: Duration = Duration::from_secs(1);
pub(super) const CONNECTIONS: usize = 8;

/// A database with a table of sessions.
pub(super) trait Place {
    type Store: Store + Clone;

    fn store(&self) -> Self::Store;

    /// Does one fault and ends it; what it was.
    async fn fault(&mut self, random: &mut Random) -> &'static str;

    /// Connections of the store as the server counts them, or handles on SQLite's files.
    async fn connections(&self) -> usize;

    /// The most that `connections` may be.
    fn most(&self) -> usize;

    /// Bytes of the WAL.
    fn wal(&self) -> u64 {
        0
    }

    /// Leaves a connection open for ever, to see that it is noticed.
    async fn leak(&self);

    /// Changes a row behind everybody's back, to see that it is noticed.
    async fn spoil(&self);
}

async fn fault_of_a_server(
    server: &impl Mortal,
    proxy: &Proxy,
    random: &mut Random,
) -> &'static str {
    let long = random.millis(100..3_000);
    let (name, mode) = match random.below(8) {
        0 => ("cut", None),
        1 => ("kill -9", None),
        2 => ("SIGSTOP", None),
        3 => ("mute", Some(Mode::Mute)),
        4 => ("mute at a save", Some(Mode::MuteAfter(b"xxxxxxxx"))),
        5 => ("hole", Some(Mode::Hole)),
        6 => ("refuse", Some(Mode::Refuse)),
        _ => ("delay", Some(Mode::Delay(random.millis(1..200)))),
    };
    match (name, mode) {
        ("kill -9", _) => {
            block_in_place(|| server.kill());
            tokio::time::sleep(long / 2).await;
            block_in_place(|| server.restart());
        }
        ("SIGSTOP", _) => {
            server.pause();
            tokio::time::sleep(long).await;
            server.resume();
        }
        (name, mode) => {
            let cuts = name == "cut" || name == "refuse";
            proxy.set(mode.unwrap_or(Mode::Pass));
            if cuts {
                proxy.cut();
            }
            tokio::time::sleep(long).await;
            proxy.set(Mode::Pass);
        }
    }
    // What it notes for others, nobody asks for here.
    proxy.take_turns();
    name
}

pub(super) struct OnPostgres {
    server: Postgres,
    proxy: Proxy,
    store: PostgresStore,
}

impl OnPostgres {
    pub(super) async fn start() -> Self {
        let server = Postgres::start(Options::default());
        let proxy = Proxy::start(server.port()).await;
        let url = server.url_through(proxy.port(), "postgres");
        let builder = PostgresStore::url(&url).unwrap().max_connections(CONNECTIONS);
        let builder = builder.deadline(DEADLINE).connect_deadline(DEADLINE / 2).create(true);
        let store = builder.open().await.unwrap();
        Self { server, proxy, store }
    }
}

impl Place for OnPostgres {
    type Store = PostgresStore;

    fn store(&self) -> PostgresStore {
        self.store.clone()
    }

    async fn fault(&mut self, random: &mut Random) -> &'static str {
        fault_of_a_server(&self.server, &self.proxy, random).await
    }

    async fn connections(&self) -> usize {
        let client = self.server.connect("postgres").await;
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let count: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
        usize::try_from(count).unwrap()
    }

    fn most(&self) -> usize {
        CONNECTIONS
    }

    async fn leak(&self) {
        std::mem::forget(self.server.connect("postgres").await);
    }

    async fn spoil(&self) {
        let sql = "UPDATE sessions SET data = 'spoilt' WHERE id % 2 = 0";
        self.server.connect("postgres").await.batch_execute(sql).await.unwrap();
    }
}

pub(super) struct OnMariaDb {
    server: MariaDb,
    database: String,
    proxy: Proxy,
    store: MySqlStore,
}

impl OnMariaDb {
    pub(super) async fn start() -> Self {
        let server = MariaDb::start(mariadb::Options::default());
        let database = server.create_schema().await;
        let proxy = Proxy::start(server.port()).await;
        let url = server.url_through(proxy.port(), &database);
        let builder = MySqlStore::url(&url).unwrap().max_connections(CONNECTIONS);
        let builder = builder.deadline(DEADLINE).connect_deadline(DEADLINE / 2).create(true);
        let store = builder.open().await.unwrap();
        Self { server, database, proxy, store }
    }
}

impl Place for OnMariaDb {
    type Store = MySqlStore;

    fn store(&self) -> MySqlStore {
        self.store.clone()
    }

    async fn fault(&mut self, random: &mut Random) -> &'static str {
        fault_of_a_server(&self.server, &self.proxy, random).await
    }

    async fn connections(&self) -> usize {
        let mut client = self.server.connect(&self.database).await;
        let sql = "SELECT COUNT(*) FROM information_schema.processlist
                   WHERE db = DATABASE() AND id <> CONNECTION_ID()";
        let count = client.query_first(sql).await.unwrap().unwrap();
        client.disconnect().await.unwrap();
        count
    }

    fn most(&self) -> usize {
        CONNECTIONS
    }

    async fn leak(&self) {
        std::mem::forget(self.server.connect(&self.database).await);
    }

    async fn spoil(&self) {
        let sql = "UPDATE sessions SET data = 'spoilt' WHERE id % 2 = 0";
        self.server.connect(&self.database).await.query_drop(sql).await.unwrap();
    }
}

/// A file that another process writes to as well; its faults are that process's.
pub(super) struct OnSqlite {
    folder: tempfile::TempDir,
    store: SqliteStore,
    neighbour: Neighbour,
}

impl OnSqlite {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let builder = SqliteStore::builder(&path).create(true).deadline(DEADLINE);
        let store = builder.open().await.unwrap();
        let neighbour = Neighbour::start(&path);
        Self { folder, store, neighbour }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sessions.db")
    }

    /// Holds a transaction that begins so.
    async fn hold(&self, sql: &str, long: Duration) {
        let raw = Connection::open(self.path()).unwrap();
        // The neighbour may be at it.
        while block_in_place(|| raw.execute_batch(sql)).is_err() {
            let _ = raw.execute_batch("ROLLBACK");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(long).await;
        raw.execute_batch("COMMIT").unwrap();
    }
}

impl Place for OnSqlite {
    type Store = SqliteStore;

    fn store(&self) -> SqliteStore {
        self.store.clone()
    }

    async fn fault(&mut self, random: &mut Random) -> &'static str {
        let long = random.millis(100..3_000);
        match random.below(4) {
            0 => {
                self.hold("BEGIN IMMEDIATE", long).await;
                "locked file"
            }
            1 => {
                self.hold("BEGIN; SELECT count(*) FROM sessions", 3 * long).await;
                "long reader"
            }
            2 => {
                self.neighbour = Neighbour::start(&self.path());
                "kill -9 of a writer"
            }
            _ => {
                self.neighbour.signal("STOP");
                tokio::time::sleep(long).await;
                self.neighbour.signal("CONT");
                "SIGSTOP of a writer"
            }
        }
    }

    async fn connections(&self) -> usize {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        links.filter(|link| link.starts_with(self.folder.path())).count()
    }

    /// A writer, readers and what makes checkpoints: file and WAL each, and the shared memory.
    fn most(&self) -> usize {
        3 * CONNECTIONS
    }

    fn wal(&self) -> u64 {
        let wal = self.folder.path().join("sessions.db-wal");
        std::fs::metadata(wal).map_or(0, |file| file.len())
    }

    async fn leak(&self) {
        let raw = Connection::open(self.path()).unwrap();
        raw.execute_batch("SELECT count(*) FROM sessions").unwrap();
        std::mem::forget(raw);
    }

    async fn spoil(&self) {
        self.hold("BEGIN; UPDATE sessions SET data = 'spoilt' WHERE id % 2 = 0", Duration::ZERO)
            .await;
    }
}

/// A process of these tests that saves all the time; killed when this is dropped.
struct Neighbour(Child);

impl Neighbour {
    fn start(path: &Path) -> Self {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["--exact", "only_writes"]).env("SQLBYPASS_SOAK_FILE", path);
        // Its end of the pipe tells it of the death of this process.
        Self(tests.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the neighbour does.
pub(super) async fn write_until_the_pipe_ends(path: &str) {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let url = format!("sqlite://{path}?mode=rw");
    let store = AnyStore::url(&url).unwrap().deadline(10 * DEADLINE).open().await.unwrap();
    let id = sqlbypass::SessionId::generate().unwrap();
    let insert = sqlbypass::Insert::new(id.private(), "0");
    store.save(&sqlbypass::Save::Insert(insert)).await.unwrap();
    for n in 0.. {
        let update = sqlbypass::Update::new(id.private().into()).data(n.to_string());
        // Locked out now and then, as anybody is.
        let _ = store.save(&sqlbypass::Save::Update(update)).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
