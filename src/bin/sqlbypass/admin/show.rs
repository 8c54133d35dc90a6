//! `sqlbypass show`.

use std::io::Read as _;

use clap::Args;
use serde_json::json;
use sqlbypass::admin::{self, Which};
use sqlbypass::{Error, SessionId};

use super::database::Database;
use super::output::answer;
use super::task::{Watcher, block_on};
use super::time::rfc3339;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass show --row 42 --database sqlite://app.db
  sqlbypass show --row 0b8c7a1e-5f0d-4c3b-9a2e-1d6f7e8a9b0c --database postgres://app@db/shop
  sqlbypass show --database postgres://app@db/shop <cookie.txt

The cookie's value is read from standard input, where no list of processes and no shell's history
shows it. A row is found by its key; one that `list` names by a digest (~0123456789abcdef), since its key
is the session's id, is looked for by reading the table until it is found. What JSON cannot say is
replaced.";

/// Longer texts are no cookie's value.
const MAX_ID: u64 = 8_192;

/// Show one session, decoded
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The row, as `list` names it; without it the cookie's value is read from standard input
    #[arg(long)]
    row: Option<String>,
    /// Show secrets too
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    database: Database,
}

/// Finds and shows.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let which = match &options.row {
        Some(row) => Which::Row(row.as_str().into()),
        None => Which::Session(id()?),
    };
    block_on(work(options, &which))
}

async fn work(options: &Options, which: &Which) -> Result<(), Failure> {
    let codec = options.database.codec()?;
    let store = options.database.look().await?;
    let mut watcher = Watcher::reading(options.database.format)?;
    let shown = admin::show(&store, which, codec, options.reveal, watcher.watch()).await;
    let is_stopped = watcher.is_stopped();
    let shown = watcher.end(shown)?;
    store.close().await?;
    let Some(shown) = shown else {
        return Err(Failure::failed(match (which, is_stopped) {
            (_, true) => "stopped before the row was found",
            (Which::Row(_), _) => "there is no row of this name; sqlbypass list tells the rows",
            (Which::Session(_), _) => "there is no such session",
        }));
    };
    let json = json!({
        "row": shown.row.map(|row| row.to_string()),
        "created_at": shown.created_at.and_then(rfc3339),
        "updated_at": shown.updated_at.and_then(rfc3339),
        "size": shown.size,
        "secured": shown.secured,
        "data": shown.data,
    });
    answer(options.database.format, &format!("{json:#}"), &json)
}

fn id() -> Result<SessionId, Failure> {
    let mut text = Vec::new();
    let read = std::io::stdin().lock().take(MAX_ID).read_to_end(&mut text);
    read.map_err(|fault| {
        Error::unavailable("reading standard input", "the pipe failed").caused_by(fault)
    })?;
    let text = text.trim_ascii();
    if text.contains(&b'\n') {
        return Err(Failure::Usage(
            "standard input holds several lines: give one cookie's value".into(),
        ));
    }
    SessionId::parse(text).ok_or_else(|| {
        Failure::Usage("standard input holds no cookie's value; name a row by --row".into())
    })
}
