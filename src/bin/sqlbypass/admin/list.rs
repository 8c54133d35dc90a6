//! `sqlbypass list`.

use std::time::SystemTime;

use clap::Args;
use serde_json::{Value as Json, json};
use sqlbypass::AnyStore;
use sqlbypass::admin::{self, ListOptions, Listed, RowName, UserSession};

use super::database::Database;
use super::output::{answer, counted, note, warn};
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
is not `user` (admin:5), unless --user-key says otherwise; - is nobody, and ? who cannot be told since the
data cannot be read: without its key an encrypted session is nobody's that is known.
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
    let found = match &options.user {
        Some(user) => of_user(&store, options, user, &mut watcher).await,
        None => {
            // One more than is shown tells whether there are more.
            let (limit, codec) = (options.limit.saturating_add(1), Some(codec));
            let users = options.key.named();
            let wanted = ListOptions { limit, codec, users, ..ListOptions::default() };
            let listed = admin::list(&store, &wanted, watcher.watch()).await;
            listed
                .map(|listed| Found::of_all(listed.sessions, options.limit))
                .map_err(Failure::from)
        }
    };
    let is_stopped = watcher.is_stopped();
    let found = watcher.end(found)?;
    if is_stopped {
        return Err(Failure::failed("stopped before every row was looked at"));
    }
    store.close().await?;
    let head = format!("{:>10}  {:<20}  {:<20}  {:>8}  user", "row", "begun", "used", "size");
    let lines: Vec<_> = std::iter::once(head).chain(found.lines.iter().map(Line::text)).collect();
    let sessions: Vec<_> = found.lines.iter().map(Line::json).collect();
    let json = json!({ "sessions": sessions, "more": found.more, "unreadable": found.unreadable });
    answer(format, &lines.join("\n"), &json)?;
    if found.more {
        note("there are more sessions: --limit tells how many to show");
    }
    let unreadable = match options.user {
        Some(_) => users::unreadable(found.unreadable),
        None => nameless(found.unreadable),
    };
    if let Some(words) = unreadable {
        warn(&words);
    }
    Ok(())
}

async fn of_user(
    store: &AnyStore,
    options: &Options,
    user: &str,
    watcher: &mut Watcher,
) -> Result<Found, Failure> {
    users::look_for_column(&options.database, store).await?;
    let wanted = options.key.options(user, &options.database, options.scan)?;
    let found = admin::sessions_of(store, user, &wanted, watcher.watch()).await?;
    let lines: Vec<Line> =
        found.sessions.into_iter().map(|session| Line::of_user(session, user)).collect();
    Ok(Found::new(lines, options.limit, found.unreadable))
}

/// A word on rows whose user nobody can tell; none where there are none.
fn nameless(count: u64) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{} cannot be read, and whose they are is not known (? in the list): if they are \
             encrypted, give the keys (--keys-file, --keys-env); check --serializer, and see \
             sqlbypass doctor",
            counted(count, "session")
        )
    })
}

/// What was found.
struct Found {
    /// The sessions that are shown.
    lines: Vec<Line>,
    /// Whether there are others.
    more: bool,
    /// How many could not be read: of those that are shown, or of all that may be the user's.
    unreadable: u64,
}

impl Found {
    fn new(mut lines: Vec<Line>, limit: usize, unreadable: u64) -> Self {
        let more = lines.len() > limit;
        lines.truncate(limit);
        Self { lines, more, unreadable }
    }

    fn of_all(sessions: Vec<Listed>, limit: usize) -> Self {
        let unreadable = sessions.iter().take(limit).filter(|session| session.unreadable).count();
        Self::new(sessions.into_iter().map(Line::from).collect(), limit, unreadable as u64)
    }
}

/// A session as it is told.
struct Line {
    row: RowName,
    created_at: Option<SystemTime>,
    updated_at: Option<SystemTime>,
    size: u64,
    secured: bool,
    user: Option<String>,
    /// Nobody can tell the user.
    unreadable: bool,
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
            unreadable: session.unreadable,
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
            unreadable: false,
        }
    }

    fn text(&self) -> String {
        let nobody = if self.unreadable { "?" } else { "-" };
        let user = self.user.as_deref().map_or_else(|| nobody.to_owned(), printable);
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
            "unreadable": self.unreadable,
        })
    }
}

/// A name without what would move a terminal's cursor, or begin another line.
fn printable(name: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    name.chars().map(shown).collect()
}
