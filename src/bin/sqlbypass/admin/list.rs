//! `sqlbypass list`.

use std::time::SystemTime;

use clap::Args;
use serde_json::{Value as Json, json};
use sqlbypass::AnyStore;
use sqlbypass::admin::{self, ListOptions, Listed, RowName, UserSession};

use super::database::Database;
use super::output::{answer, note, warn};
use super::task::{Watcher, block_on};
use super::time::{bytes, or_dash, rfc3339};
use super::users::{self, UserKey};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass list --database sqlite://app.db
  sqlbypass list --limit 100 --format json --database postgres://app@db/shop
  sqlbypass list --user 42 --user-column user_id --database postgres://app@db/shop
  sqlbypass list --user ada --user-key login --serializer json --database sqlite://app.db

Ids are never shown. The user is the one that Devise has logged in, with the scope before it where that
is not `user` (admin:5), unless --user-key says otherwise.
With --user and --user-column only rows are read that name the user, and those that say nothing yet (see
backfill); else every row is.";

/// List the sessions that were used last, without their ids
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// At most so many; that there are more is told
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Only the sessions of this user: ID, or SCOPE:ID where Devise has several kinds of users
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// With --user: read every row, whatever the column of users says
    #[arg(long, requires = "user")]
    scan: bool,
    #[command(flatten)]
    key: UserKey,
    #[command(flatten)]
    database: Database,
}

/// Lists.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    block_on(work(options))
}

async fn work(options: &Options) -> Result<(), Failure> {
    let codec = options.database.codec()?;
    let store = options.database.look().await?;
    let format = options.database.format;
    let mut watcher = Watcher::reading(format)?;
    let listed = match &options.user {
        Some(user) => of_user(&store, options, user, &mut watcher).await,
        None => {
            // One more than is shown tells whether there are more.
            let (limit, codec) = (options.limit.saturating_add(1), Some(codec));
            let users = options.key.named();
            let wanted = ListOptions { limit, codec, users, ..ListOptions::default() };
            let listed = admin::list(&store, &wanted, watcher.watch()).await;
            let lines = |listed: Vec<Listed>| listed.into_iter().map(Line::from).collect();
            listed.map(|listed| (lines(listed), None)).map_err(Failure::from)
        }
    };
    let is_stopped = watcher.is_stopped();
    let (mut listed, unreadable): (Vec<Line>, Option<u64>) = watcher.end(listed)?;
    if is_stopped {
        return Err(Failure::failed("stopped before every row was looked at"));
    }
    let more = listed.len() > options.limit;
    listed.truncate(options.limit);
    store.close().await?;
    let head = format!("{:>10}  {:<20}  {:<20}  {:>8}  user", "row", "begun", "used", "size");
    let lines: Vec<_> = std::iter::once(head).chain(listed.iter().map(Line::text)).collect();
    let sessions: Vec<_> = listed.iter().map(Line::json).collect();
    let mut json = json!({ "sessions": sessions, "more": more });
    if let Some(count) = unreadable {
        json["unreadable"] = count.into();
    }
    answer(format, &lines.join("\n"), &json)?;
    if more {
        note("there are more sessions: --limit tells how many to show");
    }
    if let Some(words) = unreadable.and_then(users::unreadable) {
        warn(&words);
    }
    Ok(())
}

async fn of_user(
    store: &AnyStore,
    options: &Options,
    user: &str,
    watcher: &mut Watcher,
) -> Result<(Vec<Line>, Option<u64>), Failure> {
    users::look_for_column(&options.database, store).await?;
    let wanted = options.key.options(user, &options.database, options.scan)?;
    let found = admin::sessions_of(store, user, &wanted, watcher.watch()).await?;
    let sessions = found.sessions.into_iter();
    Ok((sessions.map(|session| Line::of_user(session, user)).collect(), Some(found.unreadable)))
}

/// A session as it is told.
struct Line {
    row: RowName,
    created_at: Option<SystemTime>,
    updated_at: Option<SystemTime>,
    size: u64,
    secured: bool,
    user: Option<String>,
}

impl From<Listed> for Line {
    fn from(session: Listed) -> Self {
        Self {
            row: session.row,
            created_at: session.created_at,
            updated_at: session.updated_at,
            size: session.size,
            secured: session.secured,
            user: session.user,
        }
    }
}

impl Line {
    fn of_user(session: UserSession, user: &str) -> Self {
        Self {
            row: session.row,
            created_at: session.created_at,
            updated_at: session.updated_at,
            size: session.size,
            secured: session.secured,
            user: Some(user.to_owned()),
        }
    }

    fn text(&self) -> String {
        let user = self.user.as_deref().unwrap_or("-");
        let mark = if self.secured { "" } else { "  (id stored raw)" };
        format!(
            "{:>10}  {:<20}  {:<20}  {:>8}  {user}{mark}",
            self.row.to_string(),
            or_dash(self.created_at),
            or_dash(self.updated_at),
            bytes(self.size),
        )
    }

    fn json(&self) -> Json {
        json!({
            "row": self.row.to_string(),
            "created_at": self.created_at.and_then(rfc3339),
            "updated_at": self.updated_at.and_then(rfc3339),
            "size": self.size,
            "secured": self.secured,
            "user": self.user,
        })
    }
}
