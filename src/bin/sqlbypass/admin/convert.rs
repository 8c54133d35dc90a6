//! `sqlbypass convert`.

use clap::{Args, ValueEnum};
use serde_json::json;
use sqlbypass::admin::{self, ConvertOptions, ConvertReport, Target};

use super::database::Database;
use super::output::{answer, warn};
use super::task::{PaceOptions, Watcher, block_on, check, ending};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass convert --to json --dry-run --database sqlite://app.db
  sqlbypass convert --to json --pause 20 --database postgres://app@db/shop
  sqlbypass convert --to marshal --serializer null --database mysql://app@db/shop

Let every service read both formats first (Rails: serializer hybrid). Symbols become strings and times
text, as in Rails; a session with what JSON cannot say is listed by its row and left alone, unless
--lossy. With --serializer null, rows that are no Marshal are read as plain objects.";

/// Re-encode the data of every session, beside live traffic
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The format that is wanted
    #[arg(long, value_enum)]
    to: Wanted,
    /// Also convert what JSON has no counterpart for: bytes, NaN, Ruby's objects
    #[arg(long)]
    lossy: bool,
    #[command(flatten)]
    pace: PaceOptions,
    #[command(flatten)]
    database: Database,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wanted {
    Json,
    Marshal,
}

/// Converts and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let own = ConvertOptions::new(match options.to {
        Wanted::Json => Target::Json,
        Wanted::Marshal => Target::Marshal,
    });
    let convert = ConvertOptions {
        from: options.database.serializer,
        lossy: options.lossy,
        pace: options.pace.pace(),
        dry_run: options.pace.dry_run,
        ..own
    };
    block_on(work(options, &convert))
}

async fn work(options: &Options, convert: &ConvertOptions) -> Result<(), Failure> {
    let store = options.database.open().await?;
    let format = options.database.format;
    let mut watcher = Watcher::start("converted", format)?;
    let report = admin::convert(&store, convert, watcher.watch()).await;
    watcher.end();
    let report = report?;
    store.close().await?;
    tell(options, convert, &report)?;
    check(report.ended)?;
    if report.refused > 0 || report.busy > 0 { Err(Failure::Told) } else { Ok(()) }
}

fn tell(
    options: &Options,
    convert: &ConvertOptions,
    report: &ConvertReport,
) -> Result<(), Failure> {
    for refusal in &report.refusals {
        warn(&format!("row {} is left as it is: {}", refusal.row, refusal.problem));
    }
    let (words, word) = ending(report.ended);
    let verb = if convert.dry_run { "would convert" } else { "converted" };
    let mut text = format!(
        "{verb} {} of {} sessions, {} need no conversion",
        report.converted, report.seen, report.already
    );
    for (count, what) in [
        (report.refused, "left as they are"),
        (report.busy, "changed all the time, run it again"),
        (report.gone, "ended meanwhile"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text.push_str(words);
    let refusals: Vec<_> = report
        .refusals
        .iter()
        .map(|refusal| json!({"row": refusal.row.to_string(), "problem": refusal.problem}))
        .collect();
    let json = json!({
        "seen": report.seen,
        "converted": report.converted,
        "already": report.already,
        "refused": report.refused,
        "refusals": refusals,
        "busy": report.busy,
        "gone": report.gone,
        "ended": word,
        "dry_run": convert.dry_run,
    });
    answer(options.database.format, &text, &json)
}
