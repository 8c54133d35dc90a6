//! `sqlbypass doctor`.

use clap::Args;
use serde_json::json;
use sqlbypass::admin::{self, DoctorOptions, Finding, Severity};

use super::database::Database;
use super::output::answer;
use super::task::{Watcher, block_on, check};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass doctor --database sqlite://app.db
  sqlbypass doctor --no-rows --format json --database postgres://app@db/shop

Exits with 1 when something is wrong; warnings and notes are none.";

/// Look for what is wrong with the table, its rows and the server, and name the cure
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Do not read the rows
    #[arg(long)]
    no_rows: bool,
    #[command(flatten)]
    database: Database,
}

/// Looks and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    block_on(work(options))
}

async fn work(options: &Options) -> Result<(), Failure> {
    // Lazily: a table that is missing is a finding.
    let store = options.database.looking()?.lazy(true).open().await?;
    let format = options.database.format;
    let mut watcher = Watcher::start("", format)?;
    let wanted = DoctorOptions {
        codec: Some(options.database.codec()?),
        rows: !options.no_rows,
        user_column: options.database.table()?.user().map(str::to_owned),
        ..DoctorOptions::default()
    };
    let found = admin::doctor(&store, &wanted, watcher.watch()).await;
    watcher.end();
    let (found, ended) = found?;
    store.close().await?;
    let findings: Vec<_> = found
        .iter()
        .map(|finding| {
            let severity = word(finding.severity);
            json!({"severity": severity, "what": finding.what, "cure": finding.cure})
        })
        .collect();
    answer(format, &text(&found), &json!({ "findings": findings }))?;
    check(ended)?;
    let is_wrong = found.iter().any(|finding| finding.severity == Severity::Wrong);
    if is_wrong { Err(Failure::Told) } else { Ok(()) }
}

fn text(found: &[Finding]) -> String {
    if found.is_empty() {
        return "nothing is wrong".into();
    }
    let line = |finding: &Finding| {
        format!("{}: {}\n  cure: {}", word(finding.severity), finding.what, finding.cure)
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Wrong => "wrong",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
