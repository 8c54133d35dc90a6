//! `sqlbypass upgrade`.

use clap::Args;
use serde_json::json;
use sqlbypass::admin::{self, UpgradeOptions};

use super::database::Database;
use super::output::{answer, counted};
use super::task::{PaceOptions, Shape, Watcher, block_on, check, ended, ending};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass upgrade --dry-run --database sqlite://app.db
  sqlbypass upgrade --pause 20 --database mysql://app@db/shop

The table of gem 1.x holds the cookies' own ids: whoever reads it can log in. Afterwards it holds their
digests, and every cookie stays good. Safe beside live traffic; stopped or killed, it can be run again.";

/// Secure ids that are stored raw (activerecord-session_store 1.x)
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(flatten)]
    shape: Shape,
    #[command(flatten)]
    pace: PaceOptions,
    #[command(flatten)]
    database: Database,
}

/// Upgrades and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    block_on(work(options))
}

async fn work(options: &Options) -> Result<(), Failure> {
    let store = options.database.open_for(options.pace.dry_run).await?;
    let format = options.database.format;
    let mut watcher = Watcher::changing("secured", options.pace.dry_run, format)?;
    let pace = options.pace.pace(&options.database);
    let upgrade =
        UpgradeOptions { pace, dry_run: options.pace.dry_run, any_shape: options.shape.any_shape };
    let report = admin::upgrade(&store, &upgrade, watcher.watch()).await;
    let report = watcher.end(report)?;
    store.close().await?;
    let (words, _) = ending(report.ended);
    let verb = if upgrade.dry_run { "would secure" } else { "secured" };
    let mut text = format!("{verb} {} of {}", report.upgraded, counted(report.seen, "session"));
    for (count, what) in [
        (report.unusable, "whose id no cookie can name left alone"),
        (report.duplicates, "that stand beside their secured twin left alone"),
        (report.overtaken, "secured or ended by others meanwhile"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text.push_str(words);
    let json = json!({
        "seen": report.seen,
        "upgraded": report.upgraded,
        "unusable": report.unusable,
        "duplicates": report.duplicates,
        "overtaken": report.overtaken,
        "dry_run": upgrade.dry_run,
    });
    answer(format, &text, &ended(json, report.ended))?;
    check(report.ended)
}
