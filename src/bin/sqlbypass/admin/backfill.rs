//! `sqlbypass backfill`.

use clap::Args;
use serde_json::json;
use sqlbypass::Maintenance as _;
use sqlbypass::admin::{self, BackfillOptions, BackfillReport};

use super::database::Database;
use super::output::{answer, counted, note};
use super::task::{PaceOptions, Watcher, block_on, check, ended, ending};
use super::users::UserKey;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass backfill --user-column user_id --database postgres://app@db/shop
  sqlbypass backfill --user-column user_id --recheck --dry-run --database mysql://app@db/shop
  sqlbypass backfill --user-column user_id --user-key login --serializer json --database sqlite://app.db

In this order, for a table in use: `sqlbypass create --add-user-column --migration FILE` shows the SQL
that adds the column; then every service names it and has the same function; then backfill. Run it again
now and then where Rails writes too: its INSERTs leave the column empty, and are read whenever a user's
sessions are looked for. Stopped or killed, it can be run again. Where not one session names a user it
writes nothing and exits with 1, and so it does for rows that it cannot read.";

/// Fill the column that --user-column names from the data, beside live traffic
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Read every row, and put right what is wrong: where Rails changes the user in place
    #[arg(long)]
    recheck: bool,
    #[command(flatten)]
    key: UserKey,
    #[command(flatten)]
    pace: PaceOptions,
    #[command(flatten)]
    database: Database,
}

/// Fills and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let Some(column) = options.database.table()?.user().map(str::to_owned) else {
        return Err(Failure::Usage(
            "which column? name it by --user-column; create --add-user-column shows the SQL that makes one"
                .into(),
        ));
    };
    block_on(work(options, &column))
}

async fn work(options: &Options, column: &str) -> Result<(), Failure> {
    let own = BackfillOptions::new(options.key.users(), options.database.codec()?);
    let backfill = BackfillOptions {
        recheck: options.recheck,
        pace: options.pace.pace(&options.database),
        dry_run: options.pace.dry_run,
        ..own
    };
    let store = options.database.open_for(options.pace.dry_run).await?;
    if !store.inspect().await?.user {
        return Err(Failure::failed(format!(
            "filling the column of users: the table has no column {column}: sqlbypass create \
             --add-user-column --user-column {column} --print shows the SQL that adds it"
        )));
    }
    let format = options.database.format;
    let mut watcher = Watcher::changing("filled", options.pace.dry_run, format)?;
    let report = admin::backfill(&store, &backfill, watcher.watch()).await;
    let report = watcher.end(report)?;
    store.close().await?;
    tell(options, &report)?;
    check(report.ended)?;
    doubt(&report)
}

fn tell(options: &Options, report: &BackfillReport) -> Result<(), Failure> {
    let (words, _) = ending(report.ended);
    let dry_run = options.pace.dry_run;
    let verb = if dry_run { "would fill" } else { "filled" };
    let (filled, seen) = (report.filled, counted(report.seen, "session"));
    let nobody = report.filled - report.named;
    let mut text =
        format!("{verb} {filled} of {seen}: {} with a user, {nobody} with nobody", report.named);
    for (count, what) in [
        (report.kept, "whose data name nobody keep their user"),
        (report.already, "right already"),
        (report.unreadable, "that cannot be read left as they are"),
        (report.busy, "changed all the time, run it again"),
        (report.gone, "ended meanwhile"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text.push_str(words);
    let json = json!({
        "seen": report.seen,
        "filled": report.filled,
        "named": report.named,
        "kept": report.kept,
        "doubtful": report.doubtful,
        "already": report.already,
        "unreadable": report.unreadable,
        "busy": report.busy,
        "gone": report.gone,
        "dry_run": dry_run,
    });
    answer(options.database.format, &text, &ended(json, report.ended))
}

/// What looks wrong, and the failure if it is.
fn doubt(report: &BackfillReport) -> Result<(), Failure> {
    if report.doubtful > 0 {
        let rows = counted(report.doubtful, "session");
        crate::complain(&format_args!(
            "no session names a user, so {rows} were left as they are: check --user-key and --serializer"
        ));
    }
    if report.named > 0 && report.filled > 2 * report.named {
        note(
            "most name nobody: if --user-key was the wrong one, --recheck with the right one fills them in",
        );
    }
    let is_done = report.doubtful + report.unreadable + report.busy == 0;
    if is_done { Ok(()) } else { Err(Failure::Told) }
}
