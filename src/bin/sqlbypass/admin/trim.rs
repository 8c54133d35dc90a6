//! `sqlbypass trim`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use sqlbypass::admin::{self, By, TrimOptions};

use super::database::Database;
use super::output::{answer, counted, note};
use super::task::{PaceOptions, Shape, Watcher, block_on, check, ended, ending};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass trim --database sqlite://app.db
  sqlbypass trim --database postgres://app@db/shop --days 14 --by updated --pause 50 --for 10m
  SESSION_DAYS_TRIM_THRESHOLD=7 sqlbypass trim --dry-run --database mysql://app@db/shop

SESSION_DAYS_TRIM_THRESHOLD is read as Ruby reads it, by its first digits; what would be zero is refused.
On PostgreSQL and MySQL one process trims at a time: one that meets a batch of another's says so and
leaves. SQLite cannot tell them apart, so they take turns. Stopped or killed, it can be run again. A table
in which most of the first ids do not look like sessions' is left as it is, unless --any-shape.";

/// Delete old sessions, in small batches beside live traffic
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The age in days; without it SESSION_DAYS_TRIM_THRESHOLD, or 30
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,
    /// Which time tells the age: of the last save, of the beginning, or either as in Rails
    #[arg(long, value_enum, default_value = "both")]
    by: Which,
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    pace: PaceOptions,
    #[command(flatten)]
    database: Database,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    Updated,
    Created,
    Both,
}

/// Trims and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let days = match options.days {
        Some(days) => days,
        None => threshold()?,
    };
    let trim = TrimOptions {
        older_than: Duration::from_secs(u64::from(days) * 86_400),
        by: match options.by {
            Which::Updated => By::Updated,
            Which::Created => By::Created,
            Which::Both => By::Both,
        },
        pace: options.pace.pace(&options.database),
        dry_run: options.pace.dry_run,
        any_shape: options.shape.any_shape,
    };
    block_on(work(options, &trim, days))
}

async fn work(options: &Options, trim: &TrimOptions, days: u32) -> Result<(), Failure> {
    let store = options.database.open_for(trim.dry_run).await?;
    let format = options.database.format;
    let mut watcher = Watcher::changing("deleted", trim.dry_run, format)?;
    let report = admin::trim(&store, trim, watcher.watch()).await;
    let report = watcher.end(report)?;
    store.close().await?;
    if report.lacks_created_index {
        note("created_at has no index: this trim needs none, Rails' own reads the whole table");
    }
    if report.undated > 0 {
        let rows = counted(report.undated, "more session");
        note(&format!("{rows} without a time that can be read: doctor tells whether they go too"));
    }
    let (words, _) = ending(report.ended);
    let verb = if trim.dry_run { "would delete" } else { "deleted" };
    let seen = counted(report.seen, "session");
    let age = counted(u64::from(days), "day");
    let text = format!("{verb} {} of {seen}, older than {age}{words}", report.deleted);
    let json = json!({
        "seen": report.seen,
        "deleted": report.deleted,
        "days": days,
        "undated": report.undated,
        "dry_run": trim.dry_run,
        "lacks_created_index": report.lacks_created_index,
    });
    answer(format, &text, &ended(json, report.ended))?;
    check(report.ended)
}

/// The environment's threshold, as in Rails, but for what would delete everything.
fn threshold() -> Result<u32, Failure> {
    let text = std::env::var_os("SESSION_DAYS_TRIM_THRESHOLD");
    let text = text.as_ref().map(|text| text.to_string_lossy());
    admin::days(text.as_deref()).map_err(Failure::usage)
}
