//! Trim: old sessions go.

use std::time::Duration;

use super::clock::Clock;
use super::shape::check_ids;
use super::walk::{Ended, Pace, Walk, Watch, patiently};
use crate::error::{Error, Result};
use crate::record::{Filter, Row, RowKey};
use crate::store::Maintenance;
use crate::table::Schema;

const DOING: &str = "trimming sessions";
const DAY: Duration = Duration::from_secs(86_400);
/// Rails' default.
const DAYS: u32 = 30;

/// By which time a session's age is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The last save or touch.
    Updated,
    /// The beginning.
    Created,
    /// Either, as in Rails: also a session that is in use goes when it began long ago.
    #[default]
    Both,
}

/// What [`trim`] is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrimOptions {
    /// The age that a session has to have reached; 30 days by default. Never zero.
    pub older_than: Duration,
    /// By which time.
    pub by: By,
    /// How to go over the table.
    pub pace: Pace,
    /// Only counts.
    pub dry_run: bool,
    /// Takes ids of any shape, also where most of the first rows have one that nobody generates.
    pub any_shape: bool,
}

impl Default for TrimOptions {
    fn default() -> Self {
        Self {
            older_than: DAY * DAYS,
            by: By::default(),
            pace: Pace::default(),
            dry_run: false,
            any_shape: false,
        }
    }
}

/// What [`trim`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrimReport {
    /// Rows looked at.
    pub seen: u64,
    /// Rows deleted; in a dry run those that would be.
    pub deleted: u64,
    /// In a dry run: further rows that have no time which can be read, of which the database decides.
    pub undated: u64,
    /// Why it ended.
    pub ended: Ended,
    /// Whether `created_at` decides and has no index. This trim reads the rows in the order of
    /// their keys and does without; Rails' own reads the whole table for each batch.
    pub lacks_created_index: bool,
}

/// Deletes sessions that have reached an age, by the database's clock.
///
/// Rows are read in batches by primary key; of each batch those that are old enough are deleted by
/// their keys in one short transaction, in which the database checks their age again, so a session
/// that is used meanwhile stays. Of several processes, on whatever hosts, one goes on: each batch holds a
/// lock of the table's (PostgreSQL's advisory lock within the transaction, which also holds behind a
/// transaction pooler; MySQL's `GET_LOCK`, which in a Galera cluster is the node's own, so trim on
/// one node), and whoever finds it taken ends with [`Ended::Elsewhere`]. Until they meet they take turns,
/// batch by batch, which does no harm, and so they always do on SQLite, where the write lock is all that
/// there is.
///
/// # Errors
///
/// When the age is zero, the table lacks the time, or most ids of its first rows do not look like
/// sessions', so that it may be another table: then nothing is deleted. When the database fails, what was
/// deleted before is deleted.
pub async fn trim<S: Maintenance>(
    store: &S,
    options: &TrimOptions,
    watch: impl Watch,
) -> Result<TrimReport> {
    if options.older_than.is_zero() {
        let problem = "an age of zero would delete every session";
        return Err(Error::config(DOING, problem).advice("give an age, or clear the table"));
    }
    let filter = filter(options, &store.inspect().await?)?;
    if !options.any_shape {
        check_ids(store, DOING).await?;
    }
    let facts = store.facts().await?;
    let clock = Clock::new(facts.clock);
    let mut undated = 0;
    let mut walk = Walk::start(store, &options.pace, false, watch).await?;
    while let Some(rows) = walk.next().await? {
        if options.dry_run {
            let old = rows.iter().filter(|row| clock.matches(row, &filter)).count();
            undated += rows.iter().filter(|row| is_undated(row, &filter)).count() as u64;
            walk.changed(old as u64);
            continue;
        }
        let old = rows.into_iter().filter(|row| clock.may_match(row, &filter));
        let keys: Vec<RowKey> = old.map(|row| row.key).collect();
        if keys.is_empty() {
            continue;
        }
        match patiently!(store.delete_alone(&keys, &filter))? {
            Some(deleted) => walk.changed(deleted),
            None => walk.leave(Ended::Elsewhere),
        }
    }
    let (progress, ended) = walk.finish();
    Ok(TrimReport {
        seen: progress.seen,
        deleted: progress.changed,
        undated,
        ended,
        lacks_created_index: filter.older_than.is_some()
            && facts.is_indexed("created_at") == Some(false),
    })
}

/// The days of `SESSION_DAYS_TRIM_THRESHOLD`, read as Ruby reads them: the digits that stand first.
/// The default, 30, where the variable is not set.
///
/// # Errors
///
/// For what Ruby would take for zero or less, which would delete every session.
///
/// # Examples
///
/// ```
/// use sqlbypass::admin::days;
///
/// assert_eq!(days(None).unwrap(), 30);
/// assert_eq!(days(Some("14")).unwrap(), 14);
/// assert!(days(Some("")).is_err() && days(Some("two weeks")).is_err());
/// ```
pub fn days(threshold: Option<&str>) -> Result<u32> {
    let Some(text) = threshold else { return Ok(DAYS) };
    let text = text.trim_start();
    let mut digits = String::new();
    let mut last = '_';
    for c in text.strip_prefix('+').unwrap_or(text).chars() {
        match c {
            '0'..='9' => digits.push(c),
            '_' if last != '_' => {}
            _ => break,
        }
        last = c;
    }
    let days = if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    match days {
        Some(0) => Err(Error::config(
            "reading SESSION_DAYS_TRIM_THRESHOLD",
            "it is no number of days above zero, and would delete every session",
        )
        .advice("set it to a number of days, or unset it for 30")),
        Some(days) => Ok(days),
        None => {
            let problem = "it has more days than there are";
            Err(Error::config("reading SESSION_DAYS_TRIM_THRESHOLD", problem))
        }
    }
}

/// Which rows go, as far as the table tells; with [`By::Both`] the time that it has is enough.
fn filter(options: &TrimOptions, schema: &Schema) -> Result<Filter> {
    let (updated, created) = match options.by {
        By::Updated => (true, false),
        By::Created => (false, true),
        By::Both => (schema.updated_at, schema.created_at),
    };
    let lacks = (updated && !schema.updated_at) || (created && !schema.created_at);
    if lacks || !(updated || created) {
        let problem = "the table has no such time";
        return Err(Error::schema(DOING, problem)
            .advice("add created_at and updated_at, or choose the one that is there"));
    }
    let age = Some(options.older_than);
    Ok(Filter { idle_for: age.filter(|_| updated), older_than: age.filter(|_| created) })
}

/// Whether no time that counts can be read, so that it takes the database to compare it.
fn is_undated(row: &Row, filter: &Filter) -> bool {
    let ages = [(filter.idle_for, row.updated_at), (filter.older_than, row.created_at)];
    ages.into_iter().all(|(age, time)| age.is_none() || time.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_ruby_reads_them_and_zero_is_refused() {
        for (text, expected) in
            [("7", 7), (" 7", 7), ("+7", 7), ("30 days", 30), ("1_0", 10), ("1__0", 1)]
        {
            assert_eq!(days(Some(text)).unwrap(), expected, "{text}");
        }
        for text in ["", " ", "0", "-1", "abc", "0x10", "00", "_7", "++7", "thirty", "99999999999"]
        {
            assert!(days(Some(text)).unwrap_err().is_config(), "{text}");
        }
    }

    #[test]
    fn the_times_that_the_table_has_decide() {
        let mut schema = Schema { updated_at: true, ..Schema::default() };
        let options = TrimOptions::default();
        let both = filter(&options, &schema).unwrap();
        assert!(both.idle_for.is_some() && both.older_than.is_none());
        let created = TrimOptions { by: By::Created, ..options.clone() };
        assert!(filter(&created, &schema).unwrap_err().is_schema());
        schema.updated_at = false;
        assert!(filter(&options, &schema).unwrap_err().is_schema());
    }
}
