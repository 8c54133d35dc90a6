//! The floor on PostgreSQL: pgbench with the statements of the store, prepared.

use std::fs;
use std::path::Path;
use std::process::Command;

use bench_kit::{Answer, Operation, Result};

use crate::plan::Plan;
use crate::results::Key;
use crate::servers::Postgres;

/// pgbench has random numbers and no text: its rows are called by numbers from here on.
const FIRST: u64 = 100_000_000_000_000_000;
const TABLE: &str = "floor_sessions";
const CLOCK: &str = "timezone('utc', clock_timestamp())";

/// Makes its table from Rails'.
pub(crate) fn table() -> String {
    format!(
        "CREATE TABLE {TABLE} (LIKE sessions INCLUDING ALL);
         INSERT INTO {TABLE} (session_id, data, created_at, updated_at)
         SELECT {FIRST} - 1 + row_number() OVER (), data, created_at, updated_at FROM sessions"
    )
}

/// Takes away what it has inserted.
pub(crate) fn clean() -> String {
    format!("DELETE FROM {TABLE} WHERE session_id LIKE '2::%'")
}

pub(crate) fn run(
    server: &Postgres,
    database: &str,
    folder: &Path,
    rows: usize,
    key: &Key,
    connections: usize,
    plan: &Plan,
) -> Result<Answer> {
    let mut command = Command::new("pgbench");
    command.arg(format!("--host={}", server.socket_folder().display()));
    command.arg(format!("--port={}", server.port())).arg(format!("--username={}", server.user()));
    command.env("PGPASSWORD", server.password()).current_dir(folder);
    command.args(["--no-vacuum", "--protocol=prepared", "--log", "--log-prefix=times"]);
    command.arg(format!("--define=data={}", "x".repeat(key.payload)));
    command.arg("--define=raw=0123456789abcdef0123456789abcdef");
    command.arg(format!("--client={connections}"));
    command.arg(format!("--jobs={}", connections.min(2)));
    // It takes whole seconds.
    command.arg(format!("--time={}", plan.seconds.ceil()));
    for (weight, script) in scripts(key.operation, rows) {
        let file = folder.join(format!("script-{weight}"));
        fs::write(&file, script)?;
        command.arg(format!("--file={}@{weight}", file.display()));
    }
    let output = command.arg(database).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate =
        text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    let Some(ops_per_second) = rate else {
        return Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into());
    };
    let times = times(folder)?;
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or(0);
    Ok(Answer { ops_per_second, p50_us: at(0.5), p99_us: at(0.99) })
}

/// Weights and scripts.
fn scripts(operation: Operation, rows: usize) -> Vec<(u32, String)> {
    let row = format!("\\set id random({FIRST}, {})", FIRST + rows as u64 - 1);
    let find = format!(
        "{row}\nSELECT session_id, data, created_at, updated_at, clock_timestamp() FROM {TABLE} \
         WHERE session_id IN (:id, :raw);\n"
    );
    let save = format!(
        "{row}\nUPDATE {TABLE} SET data = CAST(:data AS text), updated_at = {CLOCK} \
         WHERE session_id = :id;\n"
    );
    let insert = format!(
        "\\set n random(1, 9000000000000000000)\n\
         INSERT INTO {TABLE} (session_id, data, created_at, updated_at) \
         VALUES ('2::' || lpad(:n::text, 64, '0'), CAST(:data AS text), {CLOCK}, {CLOCK});\n"
    );
    match operation {
        Operation::Find => vec![(1, find)],
        Operation::Save => vec![(1, save)],
        Operation::Insert => vec![(1, insert)],
        Operation::Mix | Operation::Fill => vec![(9, find), (1, save)],
    }
}

/// The microseconds of its log, sorted; the log goes.
fn times(folder: &Path) -> Result<Vec<u64>> {
    let mut times = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("times.")) {
            let text = fs::read_to_string(&path)?;
            times.extend(
                text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()),
            );
            fs::remove_file(path)?;
        }
    }
    times.sort_unstable();
    Ok(times)
}
