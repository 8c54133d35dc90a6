//! PostgreSQL, with three to compare with: the floor is `pgbench -M prepared` with the same
//! statements, as many rows and connections; `driver-…` is deadpool-postgres with `prepare_cached`,
//! which reads the data column and nothing else; `shared-…` is two of the driver's clients that all
//! tasks send on at the same time, without a pool, a deadline or a second try.

use std::fs;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use sqlbypass::{PostgresStore, Table};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};

use crate::bed::{Bed, Compared, Operation, Subject, TASKS, Which, concurrently};
use crate::servers::{Options, Postgres};

/// pgbench has random numbers and no text: its rows are called by numbers from here on.
const FIRST: u64 = 100_000_000_000_000_000;

/// What is acknowledged is on disk, as with Rails.
pub(crate) fn start() -> Option<Postgres> {
    let durable = Options { durable: true, ..Options::default() };
    Postgres::available().then(|| Postgres::start(durable))
}

/// A table, and all that are compared on it.
pub(crate) struct Rig {
    bed: Arc<Bed>,
    floor: Floor,
    drivers: [Driver; TASKS.len()],
    shared: Shared,
    stores: [PostgresStore; TASKS.len()],
    lanes: [PostgresStore; TASKS.len()],
}

impl Rig {
    pub(crate) fn new(runtime: &Runtime, server: &Postgres, size: (&str, usize, usize)) -> Self {
        let (name, bytes, rows) = size;
        let table = format!("sessions_{name}");
        let bed = Arc::new(Bed::new(bytes, rows));
        let open = |lanes: bool, connections: usize| {
            let builder = PostgresStore::url(&server.socket_url("postgres")).expect("a URL");
            let builder = builder.table(Table::new(&*table).expect("a name")).create(true);
            let builder = builder.lanes(lanes).max_connections(connections);
            runtime.block_on(builder.open()).expect("a store")
        };
        let stores = TASKS.map(|(_, connections)| open(false, connections));
        let lanes = TASKS.map(|(_, connections)| open(true, connections));
        runtime.block_on(fill(server, &table, &bed));
        let floor = Floor::new(server, &table, &bed);
        let drivers = TASKS.map(|(_, connections)| Driver::new(server, &table, connections));
        let shared = runtime.block_on(Shared::new(server, &table));
        Self { bed, floor, drivers, shared, stores, lanes }
    }
}

impl Compared for Rig {
    fn subjects(&self, operation: Operation) -> Vec<Which> {
        let both = 0..TASKS.len();
        both.flat_map(|index| {
            let floor = (operation != Operation::Mix).then_some(Which::Floor(index));
            let is_find = operation == Operation::Find;
            let driver = is_find.then_some(Which::Driver(index));
            let shared = is_find.then_some(Which::Shared(index));
            let ours = [Some(Which::Ours(index)), Some(Which::Lanes(index))];
            [floor, driver, shared].into_iter().chain(ours).flatten()
        })
        .collect()
    }

    fn time(&self, runtime: &Runtime, which: Which, operation: Operation, n: u64) -> Duration {
        let bed = &self.bed;
        match which {
            // pgbench is at its best with 8 connections for finds and 16 for what waits for disks.
            Which::Floor(0) => self.floor.time(operation, 1, n),
            Which::Floor(_) if operation == Operation::Find => self.floor.time(operation, 8, n),
            Which::Floor(_) => self.floor.time(operation, 16, n),
            Which::Driver(index) => {
                concurrently(runtime, &self.drivers[index], bed, operation, TASKS[index].0, n)
            }
            Which::Shared(index) => {
                concurrently(runtime, &self.shared, bed, operation, TASKS[index].0, n)
            }
            Which::Ours(index) => {
                concurrently(runtime, &self.stores[index], bed, operation, TASKS[index].0, n)
            }
            Which::Lanes(index) => {
                concurrently(runtime, &self.lanes[index], bed, operation, TASKS[index].0, n)
            }
        }
    }
}

async fn fill(server: &Postgres, table: &str, bed: &Bed) {
    let client = server.connect("postgres").await;
    let sql = format!(
        "INSERT INTO {table} (session_id, data, created_at, updated_at)
         SELECT id, data, timezone('utc', now()), timezone('utc', now())
         FROM unnest($1::text[], $2::text[]) AS rows (id, data)"
    );
    for (at, ids) in bed.ids.chunks(1_000).enumerate() {
        let privates: Vec<String> = ids.iter().map(|id| id.private().as_str().to_owned()).collect();
        let data = |n| String::from_utf8(bed.data(at * 1_000 + n).into()).expect("text");
        let data: Vec<String> = (0..ids.len()).map(data).collect();
        client.execute(&sql, &[&privates, &data]).await.expect("rows");
    }
    for sql in [
        format!("CREATE TABLE floor_{table} (LIKE {table} INCLUDING ALL)"),
        format!(
            "INSERT INTO floor_{table} (session_id, data, created_at, updated_at)
             SELECT {FIRST} - 1 + row_number() OVER (), data, created_at, updated_at FROM {table}"
        ),
        format!("VACUUM ANALYZE {table}"),
        format!("VACUUM ANALYZE floor_{table}"),
        "CHECKPOINT".into(),
    ] {
        client.batch_execute(&sql).await.expect("a tidy table");
    }
}

/// The driver and its pool, used as their manuals say.
#[derive(Clone)]
struct Driver {
    pool: Pool,
    find: Arc<str>,
}

impl Driver {
    fn new(server: &Postgres, table: &str, connections: usize) -> Self {
        let config = server.socket_url("postgres").parse().expect("a URL");
        let manager = Manager::new(config, NoTls);
        let pool = Pool::builder(manager).max_size(connections).build().expect("a pool");
        let sql = find(table).replace(":id", "$1").replace(":raw", "$2");
        Self { pool, find: sql.into() }
    }
}

impl Subject for Driver {
    async fn operate(&self, bed: &Bed, _: Operation) {
        let (_, id) = bed.id();
        let client = self.pool.get().await.expect("a connection");
        let statement = client.prepare_cached(&self.find).await.expect("a statement");
        let (private, raw) = (id.private(), id.as_str());
        let row = client.query_opt(&statement, &[&private.as_str(), &raw]).await.expect("a find");
        assert!(!black_box(row.expect("a row").get::<_, String>(1)).is_empty());
    }
}

/// Two connections on which requests are sent before the answers to earlier ones are there.
#[derive(Clone)]
struct Shared(Arc<(AtomicUsize, [(Client, Statement); 2])>);

impl Shared {
    async fn new(server: &Postgres, table: &str) -> Self {
        let sql = find(table).replace(":id", "$1").replace(":raw", "$2");
        let one = async || {
            let client = server.connect("postgres").await;
            let statement = client.prepare(&sql).await.expect("a statement");
            (client, statement)
        };
        Self(Arc::new((AtomicUsize::new(0), [one().await, one().await])))
    }
}

impl Subject for Shared {
    async fn operate(&self, bed: &Bed, _: Operation) {
        let (_, id) = bed.id();
        let (next, clients) = &*self.0;
        let (client, statement) = &clients[next.fetch_add(1, Ordering::Relaxed) % clients.len()];
        let (private, raw) = (id.private(), id.as_str());
        let row = client.query_opt(statement, &[&private.as_str(), &raw]).await.expect("a find");
        assert!(!black_box(row.expect("a row").get::<_, String>(1)).is_empty());
    }
}

fn find(table: &str) -> String {
    format!(
        "SELECT \"session_id\", \"data\", \"created_at\", \"updated_at\", clock_timestamp() \
         FROM {table} WHERE \"session_id\" IN (:id, :raw)"
    )
}

/// pgbench with the statements of the store.
struct Floor {
    folder: TempDir,
    arguments: Vec<String>,
    password: String,
}

impl Floor {
    fn new(server: &Postgres, table: &str, bed: &Bed) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = "timezone('utc', clock_timestamp())";
        let table = format!("floor_{table}");
        let row = format!("\\set id random({FIRST}, {})", FIRST + bed.ids.len() as u64 - 1);
        let save = format!(
            "UPDATE {table} SET \"data\" = CAST(:data AS text), \"updated_at\" = {clock} \
             WHERE \"session_id\" = :id"
        );
        // Other numbers than those of the rows that are there.
        let insert = format!(
            "INSERT INTO {table} (\"session_id\", \"data\", \"created_at\", \"updated_at\") \
             VALUES ('2::' || lpad(:n::text, 64, '0'), CAST(:data AS text), {clock}, {clock})"
        );
        for (name, sql) in [
            ("find", format!("{row}\n{};\n", find(&table))),
            ("save", format!("{row}\n{save};\n")),
            ("insert", format!("\\set n random(1, 9000000000000000000)\n{insert};\n")),
        ] {
            fs::write(folder.path().join(name), sql).expect("a script");
        }
        let data = String::from_utf8(bed.data(1).into()).expect("text");
        Self {
            folder,
            arguments: vec![
                format!("--host={}", server.socket_folder().display()),
                format!("--port={}", server.port()),
                "--username=app".into(),
                "--no-vacuum".into(),
                "--protocol=prepared".into(),
                "--time=1".into(),
                format!("--define=data={data}"),
                "--define=raw=0123456789abcdef0123456789abcdef".into(),
            ],
            password: server.password().to_owned(),
        }
    }

    /// The time of so many operations, by the rate of one second.
    fn time(&self, operation: Operation, connections: usize, iterations: u64) -> Duration {
        let mut command = Command::new("pgbench");
        command.args(&self.arguments).env("PGPASSWORD", &self.password);
        command.args([format!("--client={connections}"), format!("--jobs={}", connections.min(2))]);
        command.arg("--file").arg(self.folder.path().join(operation.name()));
        let output = command.arg("postgres").output().expect("pgbench");
        let text = String::from_utf8_lossy(&output.stdout);
        let tps = text
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
        let tps = tps.unwrap_or_else(|| {
            panic!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr))
        });
        Duration::from_secs_f64(iterations as f64 / tps)
    }
}
