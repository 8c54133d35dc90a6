//! `sqlbypass revoke`.

use clap::Args;
use serde_json::json;
use sqlbypass::AnyStore;
use sqlbypass::admin::{self, Ended, Revoke, RevokeReport, UserOptions};

use super::database::Database;
use super::output::{answer, counted, note};
use super::task::{PaceOptions, Watcher, block_on, ended, ending};
use super::users::{self, UserKey};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass revoke --user 42 --all --user-column user_id --database postgres://app@db/shop
  sqlbypass revoke --user 42 --row 1234 --database sqlite://app.db
  sqlbypass revoke --user 42 --all-but 1234 --dry-run --database mysql://app@db/shop
  sqlbypass revoke --user ada --user-key login --all --database sqlite://app.db

Without --row, --all and --all-but it ends the user's only session; where there are several it ends none,
names their rows and exits with 2. Every session that is stored when it begins has ended when it exits
with 0; a login that comes later begins another. Rows that cannot be read are told of, and make it exit
with 1. Change the password first. Without --user-column every
row is read; with it those that name the user and those that say nothing yet (see backfill). Where Rails
changes the user within a row, the column keeps the old one: --scan reads every row.";

/// So many rows are named where one has to be chosen.
const NAMED: usize = 20;

/// End sessions of a user, beside live traffic
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The user, as `list` tells it: ID, or SCOPE:ID where Devise has several kinds of users, which
    /// reads every row
    #[arg(long, value_name = "ID")]
    user: String,
    #[command(flatten)]
    which: Which,
    /// Read every row, whatever the column of users says: also finds whom Rails has signed in in place
    #[arg(long)]
    scan: bool,
    #[command(flatten)]
    key: UserKey,
    #[command(flatten)]
    pace: PaceOptions,
    #[command(flatten)]
    database: Database,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
struct Which {
    /// Only the session of this row, as `list` names it, if it is this user's
    #[arg(long, value_name = "ROW")]
    row: Option<String>,
    /// All but the session of this row; if it is none of the user's, none is ended
    #[arg(long, value_name = "ROW")]
    all_but: Option<String>,
    /// All sessions of the user
    #[arg(long)]
    all: bool,
}

impl Which {
    /// `None` where nothing was said.
    fn revoke(&self) -> Option<Revoke> {
        match (&self.row, &self.all_but) {
            (Some(row), _) => Some(Revoke::One(row.as_str().into())),
            (None, Some(row)) => Some(Revoke::Others(row.as_str().into())),
            (None, None) => self.all.then_some(Revoke::All),
        }
    }
}

/// Ends and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let user = options.key.options(&options.user, &options.database, options.scan)?;
    let user = UserOptions {
        pace: options.pace.pace(&options.database),
        dry_run: options.pace.dry_run,
        ..user
    };
    block_on(work(options, &user))
}

async fn work(options: &Options, user: &UserOptions) -> Result<(), Failure> {
    let store = options.database.open_for(options.pace.dry_run).await?;
    users::look_for_column(&options.database, &store).await?;
    let mut watcher = Watcher::changing("revoked", options.pace.dry_run, options.database.format)?;
    let report = revoke(&store, options, user, &mut watcher).await;
    let report = watcher.end(report)?;
    store.close().await?;
    tell(options, &report)?;
    if report.missing {
        crate::complain(
            &"the user has no session in this row, and none was ended: sqlbypass list --user tells the rows",
        );
    } else if report.revoked == 0 && report.unreadable == 0 && report.ended == Ended::Done {
        note("no session of this user's was found: sqlbypass list tells users and rows");
        if options.database.has_user_column() && !options.scan {
            note(
                "where Rails has changed the user within a row the column keeps the old one: --scan reads all",
            );
        }
    }
    let unreadable = users::unreadable(report.unreadable);
    if let Some(words) = &unreadable {
        crate::complain(words);
    }
    let is_done = report.ended == Ended::Done && unreadable.is_none() && !report.missing;
    if is_done { Ok(()) } else { Err(Failure::Told) }
}

async fn revoke(
    store: &AnyStore,
    options: &Options,
    user: &UserOptions,
    watcher: &mut Watcher,
) -> Result<RevokeReport, Failure> {
    let (which, unreadable) = match options.which.revoke() {
        Some(which) => (which, 0),
        None => match only(store, options, user, watcher).await? {
            Ok(found) => found,
            Err(report) => return Ok(report),
        },
    };
    let mut report = admin::revoke(store, &options.user, &which, user, watcher.watch()).await?;
    // What cannot be read may be another session of this user's.
    report.unreadable = report.unreadable.max(unreadable);
    Ok(report)
}

/// The user's only session, and how many rows cannot be read that may be others; a report where there is
/// none, or where the search was stopped.
async fn only(
    store: &AnyStore,
    options: &Options,
    user: &UserOptions,
    watcher: &mut Watcher,
) -> Result<Result<(Revoke, u64), RevokeReport>, Failure> {
    let found = admin::sessions_of(store, &options.user, user, watcher.watch()).await?;
    if found.ended != Ended::Done || found.sessions.is_empty() {
        let mut report = RevokeReport::default();
        (report.seen, report.unreadable, report.ended) =
            (found.seen, found.unreadable, found.ended);
        return Ok(Err(report));
    }
    let rows: Vec<String> = found.sessions.iter().map(|found| found.row.to_string()).collect();
    match &*rows {
        [row] => Ok(Ok((Revoke::One(row.as_str().into()), found.unreadable))),
        rows => Err(Failure::Usage(format!(
            "the user has {} sessions: say --all, or --row and one of {}{}",
            rows.len(),
            rows[..rows.len().min(NAMED)].join(", "),
            if rows.len() > NAMED { ", … (sqlbypass list tells all)" } else { "" }
        ))),
    }
}

fn tell(options: &Options, report: &RevokeReport) -> Result<(), Failure> {
    let (words, _) = ending(report.ended);
    let verb = if options.pace.dry_run { "would revoke" } else { "revoked" };
    let text = format!("{verb} {}{words}", counted(report.revoked, "session"));
    let json = json!({
        "seen": report.seen,
        "revoked": report.revoked,
        "unreadable": report.unreadable,
        "missing": report.missing,
        "dry_run": options.pace.dry_run,
    });
    answer(options.database.format, &text, &ended(json, report.ended))
}
