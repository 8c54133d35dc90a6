//! `sqlbypass stats`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use sqlbypass::admin::{self, Stats, StatsOptions};

use super::chart;
use super::database::Database;
use super::output::{answer, counted};
use super::task::{Watcher, block_on, check, ending};
use super::time::{bytes, day};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass stats --database sqlite://app.db
  sqlbypass stats --days 7 --svg sessions.svg --database postgres://app@db/shop";

/// The widest bar, in characters.
const BAR: u64 = 40;
/// So many days are shown, the last ones.
const DAYS: usize = 30;

/// Count sessions: live and expired, sizes, formats, growth
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// A session that was not used for so many days counts as expired
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Draw sizes and growth into a file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
}

/// Counts and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    block_on(work(options))
}

async fn work(options: &Options) -> Result<(), Failure> {
    // Encrypted rows are counted without them; a path that is wrong is told all the same.
    options.database.keys()?;
    let store = options.database.look().await?;
    let format = options.database.format;
    let mut watcher = Watcher::reading(format)?;
    let idle_for = Duration::from_secs(u64::from(options.days) * 86_400);
    let wanted = StatsOptions { idle_for, ..StatsOptions::default() };
    let stats = admin::stats(&store, &wanted, watcher.watch()).await;
    let stats = watcher.end(stats)?;
    store.close().await?;
    let (mut text, mut json) = (text(options, &stats), json(options, &stats));
    let drawn = options.svg.as_ref().map_or(Ok(()), |file| {
        chart::draw(file, &stats)?;
        text.push_str(&format!("\nwrote {}", file.display()));
        Ok(())
    });
    // What was counted is told, whatever becomes of the picture.
    if let Err(Failure::Failed(problem, _)) = &drawn {
        crate::complain(problem);
        json["error"] = crate::discreet::text(problem).into();
    }
    answer(format, &text, &json)?;
    drawn.map_err(|_| Failure::Told)?;
    check(stats.ended)
}

fn json(options: &Options, stats: &Stats) -> serde_json::Value {
    let sizes: Vec<_> =
        stats.sizes.iter().map(|(up_to, rows)| json!({"up_to": up_to, "rows": rows})).collect();
    let days: Vec<_> =
        stats.days.iter().map(|(time, rows)| json!({"day": day(*time), "rows": rows})).collect();
    let formats: serde_json::Map<_, _> =
        stats.formats.iter().map(|(name, rows)| ((*name).to_owned(), json!(rows))).collect();
    let keys: serde_json::Map<_, _> =
        stats.keys.iter().map(|(id, rows)| (id.clone(), json!(rows))).collect();
    json!({
        "rows": stats.rows,
        "live": stats.rows - stats.expired,
        "expired": stats.expired,
        "expired_after_days": options.days,
        "undated": stats.undated,
        "unsecured": stats.unsecured,
        "bytes": stats.bytes,
        "largest": stats.largest,
        "sizes": sizes,
        "formats": formats,
        "keys": keys,
        "days": days,
        "ended": ending(stats.ended).1,
    })
}

fn text(options: &Options, stats: &Stats) -> String {
    let (rows, expired) = (stats.rows, stats.expired);
    let mut lines = vec![
        format!("{}{}", counted(rows, "session"), ending(stats.ended).0),
        format!("{} live, {expired} not used for {} days", rows - expired, options.days),
        format!(
            "{} of data, {} on average, {} at most",
            bytes(stats.bytes),
            bytes(stats.bytes.checked_div(rows).unwrap_or(0)),
            bytes(stats.largest)
        ),
    ];
    if stats.undated > 0 {
        let sessions = counted(stats.undated, "session");
        lines.push(format!("{sessions} whose last use cannot be read: run sqlbypass doctor"));
    }
    if stats.unsecured > 0 {
        let ids = counted(stats.unsecured, "id");
        lines.push(format!("{ids} stored raw: run sqlbypass upgrade"));
    }
    let named = stats.formats.iter().map(|(name, rows)| ((*name).to_owned(), *rows));
    section(&mut lines, "Formats", named.filter(|(_, rows)| *rows > 0).collect());
    section(&mut lines, "Encrypted by key", stats.keys.clone());
    let sizes = stats.sizes.iter().map(|(up_to, rows)| (format!("≤ {}", bytes(*up_to)), *rows));
    section(&mut lines, "Sizes", sizes.collect());
    let last = stats.days.len().saturating_sub(DAYS);
    let days = stats.days[last..].iter().map(|(time, rows)| (day(*time), *rows));
    section(&mut lines, "New sessions by day (UTC)", days.collect());
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, title: &str, bars: Vec<(String, u64)>) {
    let Some(most) = bars.iter().map(|(_, rows)| *rows).max() else { return };
    lines.push(format!("\n{title}"));
    for (label, rows) in bars {
        let width = (rows * BAR).div_ceil(most.max(1)) as usize;
        lines.push(format!("  {label:>10}  {:<40}  {rows}", "█".repeat(width)));
    }
}
