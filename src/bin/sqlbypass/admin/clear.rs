//! `sqlbypass clear`.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use serde_json::json;
use sqlbypass::Maintenance as _;
use sqlbypass::admin::{self, ClearOptions};

use super::database::Database;
use super::output::{answer, counted};
use super::task::{PaceOptions, Shape, Watcher, block_on, check, ended, ending};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass clear --yes --database sqlite://app.db
  sqlbypass clear --dry-run --format json --database postgres://app@db/shop

Everybody is logged out. Sessions that begin while it works may stay. A table in which most of the first
ids do not look like sessions' is left as it is, unless --any-shape.";

/// Delete every session
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    pace: PaceOptions,
    #[command(flatten)]
    database: Database,
}

/// Asks, clears and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let asks = !(options.yes || options.pace.dry_run);
    if asks && !std::io::stdin().is_terminal() {
        let problem = "nobody is there to be asked: say --yes to delete every session, or --dry-run \
                       to count them";
        return Err(Failure::Usage(problem.into()));
    }
    block_on(work(options, asks))
}

async fn work(options: &Options, asks: bool) -> Result<(), Failure> {
    let store = options.database.open_for(options.pace.dry_run).await?;
    if asks && !is_wanted(store.count().await?, &options.database.table) {
        return Err(Failure::failed("nothing was deleted"));
    }
    let format = options.database.format;
    let mut watcher = Watcher::changing("deleted", options.pace.dry_run, format)?;
    let pace = options.pace.pace(&options.database);
    let clear =
        ClearOptions { pace, dry_run: options.pace.dry_run, any_shape: options.shape.any_shape };
    let report = admin::clear(&store, &clear, watcher.watch()).await;
    let report = watcher.end(report)?;
    store.close().await?;
    let (words, _) = ending(report.ended);
    let verb = if clear.dry_run { "would delete" } else { "deleted" };
    let text = format!("{verb} {}{words}", counted(report.deleted, "session"));
    let json = json!({"deleted": report.deleted, "dry_run": clear.dry_run});
    answer(format, &text, &ended(json, report.ended))?;
    check(report.ended)
}

fn is_wanted(rows: Option<u64>, table: &str) -> bool {
    let sessions = rows.map_or("all sessions".into(), |rows| counted(rows, "session"));
    let mut out = std::io::stderr();
    let _ = write!(out, "Delete {sessions} of the table {table:?}? Type yes: ")
        .and_then(|()| out.flush());
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == "yes"
}
