//! `sqlbypass convert`.

use clap::{Args, ValueEnum};
use serde_json::{Map, Value as Json, json};
use sqlbypass::admin::{self, ConvertOptions, ConvertReport, EncryptOptions};
use sqlbypass::{AnyStore, Error, Keys, Recrypt};

use super::database::Database;
use super::output::{answer, warn};
use super::task::{PaceOptions, Watcher, block_on, check, ended, ending};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass convert --to json --dry-run --database sqlite://app.db
  sqlbypass convert --to json --pause 20 --database postgres://app@db/shop
  sqlbypass convert --to marshal --serializer null --database mysql://app@db/shop
  sqlbypass convert --encrypt --keys-file /etc/shop/session.keys --database postgres://app@db/shop
  sqlbypass convert --rotate --keys-env SESSION_KEYS --database postgres://app@db/shop

Let every service read both formats first (Rails: serializer hybrid). Symbols become strings and times
text, as in Rails; a session with what JSON cannot say is listed by its row and left alone, unless
--lossy. With --serializer null, rows that are no Marshal are read as plain objects. --to does not touch
encrypted rows and lists them: --decrypt the table first, and --encrypt it again afterwards.

To encrypt, let every service read plain and encrypted rows first, with the same keys; to decrypt, let
them write plain rows; to rotate, let them read the new key. A row that no key opens is listed and left
alone, and --encrypt does so with what cannot be read: by the --serializer, or by any where none is named.

A table in which most of the first ids do not look like sessions' is left as it is: upgrade --any-shape
secures them first, if they are ids. So is one of whose first data --encrypt can read none.";

/// So many rows of one problem are named to people; JSON has them all.
const NAMED: usize = 10;

/// Re-encode the data of every session, beside live traffic
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(flatten)]
    target: Target,
    /// Also convert what JSON has no counterpart for: bytes, NaN, Ruby's objects
    #[arg(long, conflicts_with_all = ["encrypt", "decrypt", "rotate"])]
    lossy: bool,
    /// The column takes JSON alone, which MariaDB's json does not tell: encrypt to a JSON string
    #[arg(long, conflicts_with_all = ["to", "decrypt"])]
    json_column: bool,
    #[command(flatten)]
    pace: PaceOptions,
    #[command(flatten)]
    database: Database,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Target {
    /// The format that is wanted
    #[arg(long, value_enum)]
    to: Option<Wanted>,
    /// Encrypt what is plain, with the first of the keys
    #[arg(long)]
    encrypt: bool,
    /// Decrypt what is encrypted
    #[arg(long)]
    decrypt: bool,
    /// Encrypt with the first of the keys what another one has encrypted
    #[arg(long)]
    rotate: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wanted {
    Json,
    Marshal,
}

/// Converts and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    // Keys that cannot be read are wrong use, needed or not.
    let keys = options.database.keys()?;
    let wanted = match options.target.to {
        Some(Wanted::Json) => admin::Target::Json,
        Some(Wanted::Marshal) => admin::Target::Marshal,
        None => return encrypt(options, keys),
    };
    let own = ConvertOptions::new(wanted);
    let convert = ConvertOptions {
        from: options.database.serializer(),
        lossy: options.lossy,
        pace: options.pace.pace(&options.database),
        dry_run: options.pace.dry_run,
        ..own
    };
    block_on(work(options, async |store, report, watcher| {
        admin::convert_into(store, &convert, report, watcher.watch()).await
    }))
}

fn encrypt(options: &Options, keys: Option<Keys>) -> Result<(), Failure> {
    let to = match &options.target {
        target if target.encrypt => Recrypt::Encrypt,
        target if target.decrypt => Recrypt::Decrypt,
        _ => Recrypt::Rotate,
    };
    let keys = keys.ok_or_else(|| {
        Failure::Usage("which keys? name them by --keys-file or --keys-env".into())
    })?;
    let own = EncryptOptions::new(to, keys);
    let encrypt = EncryptOptions {
        pace: options.pace.pace(&options.database),
        dry_run: options.pace.dry_run,
        reads: options.database.serializer.map(|named| named.codec()).transpose()?,
        in_json: options.json_column,
        ..own
    };
    block_on(work(options, async |store, report, watcher| {
        admin::encrypt_into(store, &encrypt, report, watcher.watch()).await
    }))
}

async fn work(
    options: &Options,
    convert: impl AsyncFnOnce(&AnyStore, &mut ConvertReport, &mut Watcher) -> Result<(), Error>,
) -> Result<(), Failure> {
    let store = options.database.open_for(options.pace.dry_run).await?;
    let mut watcher =
        Watcher::changing("converted", options.pace.dry_run, options.database.format)?;
    let mut report = ConvertReport::default();
    let result = convert(&store, &mut report, &mut watcher).await;
    let result = watcher.end(result);
    warn_of_refusals(&report);
    result.map_err(|failure| failure.knowing(refusals(&report)))?;
    store.close().await?;
    tell(options, &report)?;
    check(report.ended)?;
    if report.refused > 0 || report.busy > 0 { Err(Failure::Told) } else { Ok(()) }
}

/// A line for each problem, and not for each row that has it.
fn warn_of_refusals(report: &ConvertReport) {
    let mut problems: Vec<(&str, Vec<String>)> = Vec::new();
    for refusal in &report.refusals {
        let row = refusal.row.to_string();
        match problems.iter_mut().find(|(problem, _)| *problem == refusal.problem) {
            Some((_, rows)) => rows.push(row),
            None => problems.push((&refusal.problem, vec![row])),
        }
    }
    for (problem, rows) in problems {
        let more = match rows.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (thing, left) = match &rows[..] {
            [_] => ("row", "is left as it is"),
            _ => ("rows", "are left as they are"),
        };
        let named = rows[..rows.len().min(NAMED)].join(", ");
        warn(&format!("{thing} {named}{more} {left}: {problem}"));
    }
    let more = report.refused - report.refusals.len() as u64;
    if more > 0 {
        warn(&format!("and {more} more, which are counted and not named"));
    }
}

/// What was left as it is, for programs.
fn refusals(report: &ConvertReport) -> Map<String, Json> {
    let named = report
        .refusals
        .iter()
        .map(|refusal| json!({"row": refusal.row.to_string(), "problem": refusal.problem}));
    let values = [("refused", report.refused.into()), ("refusals", named.collect())];
    values.into_iter().map(|(name, value): (&str, Json)| (name.to_owned(), value)).collect()
}

fn tell(options: &Options, report: &ConvertReport) -> Result<(), Failure> {
    let (words, _) = ending(report.ended);
    let verb = if options.pace.dry_run { "would convert" } else { "converted" };
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
    let mut json = json!({
        "seen": report.seen,
        "converted": report.converted,
        "already": report.already,
        "busy": report.busy,
        "gone": report.gone,
        "dry_run": options.pace.dry_run,
    });
    for (name, value) in refusals(report) {
        json[name] = value;
    }
    answer(options.database.format, &text, &ended(json, report.ended))
}
