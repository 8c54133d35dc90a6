//! The floor on PostgreSQL: `pgbench -M prepared` with the same statement, table and number of
//! connections. It asks for 8 rows in turn, which are always in its processor's cache.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use sqlbypass::{PostgresStore, Table};
use tokio::runtime::Runtime;

use crate::bed::{Bed, OPERATIONS, Operation, SIZES, concurrently, settings};
use crate::servers::{Options, Postgres};

/// Concurrent tasks, and the connections that they and pgbench share.
const TASKS: [(usize, usize); 2] = [(1, 1), (64, 8)];
/// Different rows that pgbench asks for.
const SCRIPTS: usize = 8;

pub(crate) fn postgres(c: &mut Criterion, runtime: &Runtime) {
    if !Postgres::available() {
        return;
    }
    // What is acknowledged is on disk, as with Rails.
    let server = Postgres::start(Options { durable: true, ..Options::default() });
    for size in SIZES {
        bench_size(c, runtime, &server, size);
    }
}

fn bench_size(c: &mut Criterion, runtime: &Runtime, server: &Postgres, size: (&str, usize, usize)) {
    let (name, bytes, rows) = size;
    let table = format!("sessions_{name}");
    let bed = Arc::new(Bed::new(bytes, rows));
    let store = |connections| {
        PostgresStore::url(&server.socket_url("postgres"))
            .expect("a URL")
            .table(Table::new(&*table).expect("a name"))
            .create(true)
            .max_connections(connections)
            .open()
    };
    let stores =
        TASKS.map(|(_, connections)| runtime.block_on(store(connections)).expect("a store"));
    runtime.block_on(fill(server, &table, &bed));
    let floor = Floor::new(server, &table, &bed);
    for operation in OPERATIONS {
        let title = format!("store/postgres/{}/{name}", operation.name());
        let mut group = c.benchmark_group(title);
        settings(&mut group);
        for ((tasks, connections), store) in TASKS.into_iter().zip(&stores) {
            if operation != Operation::Mix {
                group.bench_function(format!("floor-c{connections}"), |b| {
                    b.iter_custom(|n| floor.time(operation, connections, n));
                });
            }
            group.bench_function(format!("c{tasks}"), |b| {
                b.iter_custom(|n| concurrently(runtime, store, &bed, operation, tasks, n));
            });
        }
        group.finish();
    }
    for store in stores {
        runtime.block_on(store.close()).expect("a close");
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
    for sql in [format!("VACUUM ANALYZE {table}"), "CHECKPOINT".into()] {
        client.batch_execute(&sql).await.expect("a tidy table");
    }
}

/// pgbench with the statements of the store.
struct Floor {
    folder: tempfile::TempDir,
    arguments: Vec<String>,
    password: String,
    ids: Vec<String>,
    data: String,
}

impl Floor {
    fn new(server: &Postgres, table: &str, bed: &Bed) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = "timezone('utc', clock_timestamp())";
        for n in 0..SCRIPTS {
            let find = format!(
                "SELECT \"session_id\", \"data\", \"created_at\", \"updated_at\", clock_timestamp()
                 FROM {table}
                 WHERE \"session_id\" IN (:id{n}, :raw)
                   AND (\"session_id\" = :id{n} OR NOT EXISTS (
                     SELECT 1 FROM {table} AS private
                     WHERE private.\"session_id\" = :id{n} AND (FALSE)))"
            );
            let save = format!(
                "UPDATE {table} SET \"data\" = CAST(:data AS text), \"updated_at\" = {clock}
                 WHERE \"session_id\" = :id{n}"
            );
            // The numbers keep the ids apart: those of one run and those of the runs before it.
            let insert = format!(
                "\\set n random(1, 9000000000000000000)\n\
                 INSERT INTO {table} (\"session_id\", \"data\", \"created_at\", \"updated_at\")
                 VALUES ('2::' || lpad(:n::text, 64, '0'), CAST(:data AS text), {clock}, {clock})"
            );
            for (name, sql) in [("find", find), ("save", save), ("insert", insert)] {
                let sql = sql.replace("\n    ", " ");
                fs::write(folder.path().join(format!("{name}{n}")), sql + ";\n").expect("a script");
            }
        }
        let ids = bed.ids.iter().step_by(bed.ids.len() / SCRIPTS).take(SCRIPTS);
        Self {
            folder,
            arguments: vec![
                format!("--host={}", server.socket_folder().display()),
                format!("--port={}", server.port()),
                "--username=app".into(),
            ],
            password: server.password().to_owned(),
            ids: ids.map(|id| id.private().as_str().to_owned()).collect(),
            data: String::from_utf8(bed.data(1).into()).expect("text"),
        }
    }

    /// The time of so many operations, by the rate of one second.
    fn time(&self, operation: Operation, connections: usize, iterations: u64) -> Duration {
        let mut command = Command::new("pgbench");
        command.args(&self.arguments).env("PGPASSWORD", &self.password);
        command.args(["--no-vacuum", "--protocol=prepared"]);
        command.args([format!("--client={connections}"), format!("--jobs={}", connections.min(2))]);
        command.arg("--time=1");
        command.arg(format!("--define=data={}", self.data));
        command.arg("--define=raw=0123456789abcdef0123456789abcdef");
        for (n, id) in self.ids.iter().enumerate() {
            command.arg(format!("--define=id{n}={id}"));
            command.arg(format!("--file={}", self.script(operation, n).display()));
        }
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

    fn script(&self, operation: Operation, n: usize) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(format!("{}{n}", operation.name()))
    }
}
