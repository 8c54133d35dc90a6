//! `sqlbypass doctor`.

use clap::Args;
use serde_json::json;
use sqlbypass::admin::{self, DoctorOptions, Ended, Finding, Severity};

use super::database::Database;
use super::output::answer;
use super::task::{Shape, Watcher, block_on, check, ending};
use super::users::UserKey;
use crate::discreet;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass doctor --database sqlite://app.db
  sqlbypass doctor --no-rows --format json --database postgres://app@db/shop
  sqlbypass doctor --user-column user_id --user-key login --database mysql://app@db/shop

With --user-column it compares the column with the data, by --user-key. A cure that is SQL is printed and
never run: run it as the table's owner.

Exits with 1 when something is wrong; warnings and notes are none.";

/// Look for what is wrong with the table, its rows and the server, and name the cure
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Do not read the rows
    #[arg(long)]
    no_rows: bool,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    key: UserKey,
    #[command(flatten)]
    database: Database,
}

/// Looks and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    block_on(work(options))
}

async fn work(options: &Options) -> Result<(), Failure> {
    let table = options.database.table()?;
    if table.user().is_none() && options.key.named().is_some() {
        let problem = "which column is to be compared by --user-key? name it by --user-column";
        return Err(Failure::Usage(problem.into()));
    }
    // Lazily: a table that is missing is a finding.
    let store = options.database.looking()?.lazy(true).open().await?;
    let format = options.database.format;
    let mut watcher = Watcher::reading(format)?;
    let wanted = DoctorOptions {
        codec: Some(options.database.codec()?),
        rows: !options.no_rows,
        user_column: table.user().map(str::to_owned),
        users: table.user().map(|_| options.key.users()),
        any_shape: options.shape.any_shape,
        ..DoctorOptions::default()
    };
    let found = admin::doctor(&store, &wanted, watcher.watch()).await;
    let (mut found, ended) = watcher.end(found)?;
    for finding in &mut found {
        finding.what = discreet::text(&finding.what);
        finding.cure = discreet::text(&finding.cure);
    }
    store.close().await?;
    let findings: Vec<_> = found
        .iter()
        .map(|finding| {
            let severity = word(finding.severity);
            json!({"severity": severity, "what": finding.what, "cure": finding.cure})
        })
        .collect();
    let json = json!({ "findings": findings, "ended": ending(ended).1 });
    answer(format, &text(&found, ended), &json)?;
    check(ended)?;
    let is_wrong = found.iter().any(|finding| finding.severity == Severity::Wrong);
    if is_wrong { Err(Failure::Told) } else { Ok(()) }
}

fn text(found: &[Finding], ended: Ended) -> String {
    let line = |finding: &Finding| {
        format!("{}: {}\n  cure: {}", word(finding.severity), finding.what, finding.cure)
    };
    let mut lines: Vec<String> = found.iter().map(line).collect();
    if ended != Ended::Done {
        let how = if ended == Ended::Failed { "failed" } else { "stopped" };
        lines.push(format!("{how} half-way: not every row was looked at"));
    } else if lines.is_empty() {
        lines.push("nothing is wrong".into());
    }
    lines.join("\n")
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Wrong => "wrong",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}
