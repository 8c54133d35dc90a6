//! The floor on MariaDB: the program of `benches/store`, in C on MariaDB's own client.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use bench_kit::{Answer, Operation, Result, id, private_id};

use crate::plan::{C_CLIENT, Plan};
use crate::programs::Programs;
use crate::results::Key;
use crate::servers::MariaDb;

/// Takes away what it has inserted: its new ids begin with a count.
pub(crate) const CLEAN: &str = "DELETE FROM sessions WHERE session_id LIKE '2::00000000%'";

/// It runs one statement, so there is no mix.
fn statement(operation: Operation) -> (&'static str, &'static str) {
    match operation {
        Operation::Find | Operation::Mix | Operation::Fill => (
            "pr",
            "SELECT session_id, data, created_at, updated_at, UTC_TIMESTAMP(6) FROM sessions \
             WHERE session_id IN (?, ?)",
        ),
        Operation::Save => (
            "dp",
            "UPDATE sessions SET data = ?, updated_at = UTC_TIMESTAMP(6) WHERE session_id = ?",
        ),
        Operation::Insert => (
            "nd",
            "INSERT INTO sessions (session_id, data, created_at, updated_at) \
             VALUES (?, ?, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
        ),
    }
}

/// The file of its ids.
fn ids(folder: &Path, rows: usize) -> Result<std::path::PathBuf> {
    let path = folder.join("ids");
    if !path.exists() {
        let mut text = String::new();
        for id in (0..rows).map(id) {
            writeln!(text, "{} {id}", private_id(&id))?;
        }
        fs::write(&path, text)?;
    }
    Ok(path)
}

pub(crate) fn run(
    server: &MariaDb,
    (database, folder, rows): (&str, &Path, usize),
    key: &Key,
    connections: usize,
    plan: &Plan,
    programs: &Programs,
) -> Result<Answer> {
    let (params, sql) = statement(key.operation);
    let mut command = Command::new(programs.path(C_CLIENT));
    command.arg(server.socket()).args([server.user(), database]);
    command.env("FLOOR_PASSWORD", server.password());
    command.args([connections.to_string(), key.payload.to_string()]);
    command.arg(ids(folder, rows)?).args([params, sql]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or("no input")?;
    let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
    // A count that takes as long as the others' turns, from what few did, then from what more did.
    let mut count = 100 * connections;
    let mut answer = Answer::default();
    for seconds in [plan.warm_up, plan.seconds, 0.0] {
        writeln!(input, "{count}")?;
        let mut line = String::new();
        output.read_line(&mut line)?;
        let mut words = line.split_whitespace();
        let mut next = || words.next().ok_or("the C client failed");
        let taken: f64 = next()?.parse()?;
        answer = Answer {
            ops_per_second: count as f64 / taken,
            p50_us: next()?.parse()?,
            p99_us: next()?.parse()?,
        };
        count = ((answer.ops_per_second * seconds) as usize).max(1);
    }
    drop(input);
    child.kill()?;
    child.wait()?;
    Ok(answer)
}
