//! MariaDB, with two to compare with: the floor is a C program on libmariadb with the same prepared
//! statements, rows and connections (`mysql_floor.c`, built when the bench starts); `driver-c1` is one
//! mysql_async connection that is held, `driver-c64` the driver's pool.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Pool, PoolConstraints, PoolOpts, Value};
use sqlbypass::{MySqlStore, SessionId, Table};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Mutex as AsyncMutex;

use crate::bed::{Bed, Compared, Operation, Subject, TASKS, Which, concurrently};
use crate::servers::MariaDb;
use crate::servers::mariadb::Options;

const DATABASE: &str = "app";

/// What is acknowledged is on disk, as with Rails.
pub(crate) fn start() -> Option<MariaDb> {
    let settings = ["innodb_log_file_size = 128M", "innodb_buffer_pool_size = 512M"];
    let settings = settings.map(str::to_owned).to_vec();
    let durable = Options { durable: true, settings, ..Options::default() };
    MariaDb::available().then(|| MariaDb::start(durable))
}

/// A table, and all that are compared on it.
pub(crate) struct Rig {
    bed: Arc<Bed>,
    floors: Floors,
    drivers: [Driver; TASKS.len()],
    stores: [MySqlStore; TASKS.len()],
    lanes: [MySqlStore; TASKS.len()],
}

impl Rig {
    pub(crate) fn new(runtime: &Runtime, server: &MariaDb, size: (&str, usize, usize)) -> Self {
        let (name, bytes, rows) = size;
        let table = format!("sessions_{name}");
        let bed = Arc::new(Bed::new(bytes, rows));
        runtime.block_on(fill(server, &table, &bed));
        let open = |lanes: bool, connections: usize| {
            let builder = MySqlStore::url(&server.socket_url(DATABASE)).expect("a URL");
            let builder = builder.table(Table::new(&*table).expect("a name")).lanes(lanes);
            runtime.block_on(builder.max_connections(connections).open()).expect("a store")
        };
        let stores = TASKS.map(|(_, connections)| open(false, connections));
        let lanes = TASKS.map(|(_, connections)| open(true, connections));
        let drivers = TASKS.map(|tasks| runtime.block_on(Driver::new(server, &table, tasks)));
        Self { floors: Floors::new(server, &table, &bed, bytes), bed, drivers, stores, lanes }
    }
}

impl Compared for Rig {
    fn subjects(&self, operation: Operation) -> Vec<Which> {
        let of_task = |index| {
            let floor = (operation != Operation::Mix).then_some(Which::Floor(index));
            let driver = matches!(operation, Operation::Find | Operation::Save);
            let driver = driver.then_some(Which::Driver(index));
            [floor, driver, Some(Which::Ours(index)), Some(Which::Lanes(index))]
        };
        (0..TASKS.len()).flat_map(of_task).flatten().collect()
    }

    fn time(&self, runtime: &Runtime, which: Which, operation: Operation, n: u64) -> Duration {
        let bed = &self.bed;
        match which {
            Which::Floor(0) => self.floors.time(operation, 1, n),
            // It is at its best with 8 connections for finds and 16 for what waits for disks.
            Which::Floor(_) if operation == Operation::Find => self.floors.time(operation, 8, n),
            Which::Floor(_) => self.floors.time(operation, 16, n),
            Which::Driver(index) => {
                concurrently(runtime, &self.drivers[index], bed, operation, TASKS[index].0, n)
            }
            Which::Ours(index) | Which::Shared(index) => {
                concurrently(runtime, &self.stores[index], bed, operation, TASKS[index].0, n)
            }
            Which::Lanes(index) => {
                concurrently(runtime, &self.lanes[index], bed, operation, TASKS[index].0, n)
            }
        }
    }
}

/// A table as Rails makes it, with the database's usual collation.
async fn fill(server: &MariaDb, table: &str, bed: &Bed) {
    let mut client = server.connect("").await;
    for sql in [
        format!("CREATE DATABASE IF NOT EXISTS {DATABASE}"),
        format!("USE {DATABASE}"),
        format!(
            "CREATE TABLE {table} (
                id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, session_id varchar(255) NOT NULL,
                data text, created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL,
                UNIQUE INDEX index_sessions_on_session_id (session_id),
                INDEX index_sessions_on_updated_at (updated_at))"
        ),
        "BEGIN".into(),
    ] {
        client.query_drop(sql).await.expect("a table");
    }
    let sql = Operation::Insert.sql(table);
    let rows = bed.ids.iter().enumerate().map(|(n, id)| {
        (id.private().as_str().to_owned(), String::from_utf8(bed.data(n).into()).expect("text"))
    });
    client.exec_batch(sql, rows).await.expect("rows");
    client.query_drop("COMMIT").await.expect("rows");
    client.query_drop(format!("ANALYZE TABLE {table}")).await.expect("a tidy table");
    client.disconnect().await.expect("an end");
}

impl Operation {
    /// The store's statement.
    fn sql(self, table: &str) -> String {
        match self {
            Self::Find | Self::Mix => format!(
                "SELECT CAST(`session_id` AS BINARY), `data`, `created_at`, `updated_at`, \
                 UTC_TIMESTAMP(6) FROM `{table}` WHERE `session_id` IN (?, ?) \
                 AND CAST(`session_id` AS BINARY) IN (?, ?)"
            ),
            Self::Save => format!(
                "UPDATE `{table}` SET `data` = ?, `updated_at` = UTC_TIMESTAMP(6) \
                 WHERE `session_id` = ? AND CAST(`session_id` AS BINARY) = ?"
            ),
            Self::Insert => format!(
                "INSERT INTO `{table}` (`session_id`, `data`, `created_at`, `updated_at`) \
                 VALUES (?, ?, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))"
            ),
        }
    }

    /// Its parameters, in the letters of the C program.
    fn params(self) -> &'static str {
        match self {
            Self::Find | Self::Mix => "prpr",
            Self::Save => "dpp",
            Self::Insert => "nd",
        }
    }
}

/// The driver as its manual says, without the resets that cost it its statements.
#[derive(Clone)]
struct Driver {
    source: Source,
    find: Arc<str>,
    save: Arc<str>,
}

#[derive(Clone)]
enum Source {
    Held(Arc<AsyncMutex<Conn>>),
    Pool(Pool),
}

impl Driver {
    async fn new(server: &MariaDb, table: &str, (tasks, connections): (usize, usize)) -> Self {
        let opts = server.opts().db_name(Some(DATABASE)).client_found_rows(true);
        let source = if tasks == 1 {
            let held = Conn::new(opts).await.expect("a connection");
            Source::Held(Arc::new(AsyncMutex::new(held)))
        } else {
            let constraints = PoolConstraints::new(connections, connections).expect("a size");
            let settings = PoolOpts::new().with_constraints(constraints);
            Source::Pool(Pool::new(opts.pool_opts(settings.with_reset_connection(false))))
        };
        let sql = |operation: Operation| operation.sql(table).into();
        Self { source, find: sql(Operation::Find), save: sql(Operation::Save) }
    }

    async fn run(&self, conn: &mut Conn, bed: &Bed, operation: Operation) {
        let (n, id) = bed.id();
        let private = id.private();
        let (private, raw) = (private.as_str(), id.as_str());
        if operation == Operation::Save {
            let data = Value::Bytes(bed.data(n).into());
            conn.exec_drop(&*self.save, (data, private, private)).await.expect("a save");
            assert_eq!(conn.affected_rows(), 1);
        } else {
            let params = (private, raw, private, raw);
            let row: Option<mysql_async::Row> =
                conn.exec_first(&*self.find, params).await.expect("a find");
            let data: Option<Vec<u8>> = row.expect("a row").take(1);
            assert!(!black_box(data.expect("data")).is_empty());
        }
    }
}

impl Subject for Driver {
    async fn operate(&self, bed: &Bed, operation: Operation) {
        match &self.source {
            Source::Held(conn) => self.run(&mut *conn.lock().await, bed, operation).await,
            Source::Pool(pool) => {
                let mut conn = pool.get_conn().await.expect("a connection");
                self.run(&mut conn, bed, operation).await;
            }
        }
    }
}

/// The C programs that were started, each with a statement and a number of connections.
struct Floors {
    folder: TempDir,
    arguments: Vec<String>,
    password: String,
    table: String,
    bytes: usize,
    running: Mutex<Vec<(&'static str, usize, Floor)>>,
}

struct Floor {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Floors {
    fn new(server: &MariaDb, table: &str, bed: &Bed, bytes: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        build(&folder);
        let line = |id: &SessionId| format!("{} {}\n", id.private().as_str(), id.as_str());
        let ids: String = bed.ids.iter().map(line).collect();
        std::fs::write(folder.path().join("ids"), ids).expect("a file");
        let socket = server.socket().display().to_string();
        Self {
            folder,
            arguments: vec![socket, server.user().to_owned(), DATABASE.to_owned()],
            password: server.password().to_owned(),
            table: table.to_owned(),
            bytes,
            running: Mutex::default(),
        }
    }

    fn time(&self, operation: Operation, threads: usize, iterations: u64) -> Duration {
        let mut running = self.running.lock().expect("no panic");
        let name = operation.name();
        let known = running.iter().position(|(of, with, _)| *of == name && *with == threads);
        let at = known.unwrap_or_else(|| {
            running.push((name, threads, self.start(operation, threads)));
            running.len() - 1
        });
        let floor = &mut running[at].2;
        writeln!(floor.child.stdin.as_mut().expect("a pipe"), "{iterations}").expect("the floor");
        let mut answer = String::new();
        floor.answers.read_line(&mut answer).expect("the floor");
        let seconds = answer.split(' ').next().expect("the floor's answer");
        Duration::from_secs_f64(seconds.parse().expect("the floor's seconds"))
    }

    fn start(&self, operation: Operation, threads: usize) -> Floor {
        let mut command = Command::new(self.folder.path().join("floor"));
        command.args(&self.arguments).env("FLOOR_PASSWORD", &self.password);
        command.args([threads.to_string(), self.bytes.to_string()]);
        command.arg(self.folder.path().join("ids"));
        command.args([operation.params(), &operation.sql(&self.table)]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the floor");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Floor { child, answers }
    }
}

/// Builds the C program into the folder.
fn build(folder: &TempDir) {
    let config = Command::new("mariadb_config").args(["--cflags", "--libs"]).output();
    let config = config.expect("mariadb_config: on Debian, apt-get install gcc libmariadb-dev");
    let flags = String::from_utf8(config.stdout).expect("text");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-o"]).arg(folder.path().join("floor"));
    compiler.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/store/mysql_floor.c"));
    let built = compiler.args(flags.split_whitespace()).arg("-lpthread").status();
    assert!(built.expect("a compiler: on Debian, apt-get install gcc").success());
}
