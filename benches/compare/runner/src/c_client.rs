//! The floor on MariaDB: a program in C on MariaDB's own client.

use std::process::Command;

use bench_kit::{Answer, Result};

use crate::plan::Plan;
use crate::programs::Programs;
use crate::results::Key;
use crate::servers::MariaDb;

/// Its rows are called by numbers, from the one that floor.c has too.
const FIRST: u64 = 100_000_000_000_000_000;

/// Makes its table from Rails'.
pub(crate) fn table() -> [String; 2] {
    [
        "CREATE TABLE floor_sessions LIKE sessions".into(),
        format!(
            "INSERT INTO floor_sessions (session_id, data, created_at, updated_at)
             SELECT {FIRST} - 1 + row_number() OVER (), data, created_at, updated_at FROM sessions"
        ),
    ]
}

/// Takes away what it has inserted.
pub(crate) const CLEAN: &str = "DELETE FROM floor_sessions WHERE session_id LIKE '2::%'";

pub(crate) fn run(
    server: &MariaDb,
    database: &str,
    rows: usize,
    key: &Key,
    connections: usize,
    plan: &Plan,
    programs: &Programs,
) -> Result<Answer> {
    let mut command = Command::new(programs.built.join("release/mariadb-floor"));
    command.arg(server.socket()).args([server.user(), server.password(), database]);
    command.arg(format!("{:?}", key.operation).to_lowercase());
    for number in [connections, rows, key.payload] {
        command.arg(number.to_string());
    }
    let output = command.arg(plan.seconds.to_string()).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
