//! `sqlbypass list`.

use clap::Args;
use serde_json::json;
use sqlbypass::admin::{self, ListOptions};

use super::database::Database;
use super::output::answer;
use super::task::{Watcher, block_on};
use super::time::{bytes, or_dash, rfc3339};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass list --database sqlite://app.db
  sqlbypass list --limit 100 --format json --database postgres://app@db/shop

Ids are never shown. The user is the one that Devise has logged in.";

/// List the sessions that were used last, without their ids
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    database: Database,
}

/// Lists.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    block_on(work(options))
}

async fn work(options: &Options) -> Result<(), Failure> {
    let codec = Some(options.database.codec()?);
    let store = options.database.open().await?;
    let format = options.database.format;
    let mut watcher = Watcher::start("", format)?;
    let wanted = ListOptions { limit: options.limit, codec, ..ListOptions::default() };
    let listed = admin::list(&store, &wanted, watcher.watch()).await;
    watcher.end();
    let listed = listed?;
    store.close().await?;
    let mut lines =
        vec![format!("{:>10}  {:<20}  {:<20}  {:>8}  user", "row", "begun", "used", "size")];
    lines.extend(listed.iter().map(|session| {
        let user = session.user.as_deref().unwrap_or("-");
        let mark = if session.secured { "" } else { "  (id stored raw)" };
        format!(
            "{:>10}  {:<20}  {:<20}  {:>8}  {user}{mark}",
            session.row.to_string(),
            or_dash(session.created_at),
            or_dash(session.updated_at),
            bytes(session.size),
        )
    }));
    let sessions: Vec<_> = listed
        .iter()
        .map(|session| {
            json!({
                "row": session.row.to_string(),
                "created_at": session.created_at.and_then(rfc3339),
                "updated_at": session.updated_at.and_then(rfc3339),
                "size": session.size,
                "secured": session.secured,
                "user": session.user,
            })
        })
        .collect();
    answer(format, &lines.join("\n"), &json!({ "sessions": sessions }))
}
