//! Times that cannot be read, and what becomes of their rows.

use std::time::{Duration, Instant};

use super::{Findings, Severity, counted};
use crate::admin::walk::{Ended, Progress, Watch, is_keyed_by_id, is_worth_a_try, patiently};
use crate::error::Result;
use crate::record::{Filter, Row, RowKey, Scan};
use crate::store::Maintenance;
use crate::table::{Facts, Schema};

/// What stands in a cure for the keys of the rows: SQLite's own functions take more, and less, for a time
/// than Rails does, so that no condition would find the same rows.
const KEYS: &str = "(KEYS)";
/// So many rows are named in a cure.
const NAMED: usize = 20;
/// Rows that are read at once where nothing but their times counts.
const BATCH: u32 = 10_000;
/// No session is so old.
const CENTURY: Duration = Duration::from_secs(100 * 366 * 86_400);
/// Every session is so old.
const MOMENT: Duration = Duration::from_micros(1);

/// A column of times.
#[derive(Clone, Copy, Debug)]
enum Column {
    Created,
    Updated,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "created_at",
            Self::Updated => "updated_at",
        }
    }

    /// What goes by it beside trim.
    fn timeout(self) -> &'static str {
        match self {
            Self::Created => "a lifetime",
            Self::Updated => "an idle timeout",
        }
    }

    fn is_unread(self, row: &Row) -> bool {
        match self {
            Self::Created => row.created_at.is_none(),
            Self::Updated => row.updated_at.is_none(),
        }
    }

    /// The rows that have reached an age by it, as trim asks for them.
    fn past(self, age: Duration) -> Filter {
        match self {
            Self::Created => Filter { idle_for: None, older_than: Some(age) },
            Self::Updated => Filter { idle_for: Some(age), older_than: None },
        }
    }

    /// The store's own statement, if the column has a type that times can be read from.
    fn cure(self, facts: &Facts, rows: &Unread) -> String {
        let (type_of, cure) = match self {
            Self::Created => ("created_at_type", "created_times"),
            Self::Updated => ("updated_at_type", "updated_times"),
        };
        let is_time = |data_type: &str| {
            ["timestamp", "datetime"].iter().any(|time| data_type.starts_with(time))
        };
        let cure = facts.cure(cure).filter(|_| facts.setting(type_of).is_none_or(is_time));
        match cure {
            Some(cure) if cure.contains(KEYS) && rows.keys.is_empty() => {
                format!("set their {} to the current time, or delete them", self.name())
            }
            Some(cure) => {
                let cure = cure.replace(KEYS, &format!("({})", rows.keys.join(", ")));
                format!("{cure} -- as if they had been used just now; look again afterwards")
            }
            None => {
                format!("give {} a type of times, as sqlbypass create --print has it", self.name())
            }
        }
    }
}

/// Rows whose times cannot be read.
#[derive(Debug, Default)]
pub(super) struct Tally {
    created: Unread,
    updated: Unread,
    seen: u64,
}

/// Their number, and the keys of the first, as SQL has them.
#[derive(Debug, Default)]
struct Unread {
    count: u64,
    keys: Vec<String>,
}

impl Unread {
    fn add(&mut self, row: &Row) {
        self.count += 1;
        // A key that is the id is told to nobody.
        if self.keys.len() < NAMED && !is_keyed_by_id(row) {
            self.keys.push(match &row.key {
                RowKey::Int(key) => key.to_string(),
                RowKey::Text(key) => format!("'{}'", key.replace('\'', "''")),
            });
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, row: &Row, schema: &Schema) {
        self.seen += 1;
        if schema.created_at && Column::Created.is_unread(row) {
            self.created.add(row);
        }
        if schema.updated_at && Column::Updated.is_unread(row) {
            self.updated.add(row);
        }
    }

    /// Tells what the database takes these times for, which it has to be asked.
    pub(super) async fn tell<S: Maintenance>(
        &self,
        store: &S,
        facts: &Facts,
        at_most: Option<Duration>,
        watch: impl Watch,
        found: &mut Findings,
    ) -> Result<Ended> {
        let progress = Progress { seen: self.seen, changed: 0, total: Some(self.seen) };
        let mut second = Second { store, progress, begun: Instant::now(), at_most, watch };
        for (column, rows) in [(Column::Updated, &self.updated), (Column::Created, &self.created)] {
            if rows.count == 0 {
                continue;
            }
            match second.ages(column).await {
                Ok(Ok((old, ever))) => told(column, rows, old, ever, facts, found),
                Ok(Err(ended)) => return Ok(ended),
                Err(error) if is_worth_a_try(&error, 0) => return Err(error),
                // Not every server compares a time with whatever the column's type is.
                Err(error) => found.wrong(
                    format!(
                        "{}, nor can the database compare it with a time: trim fails ({error})",
                        unread(column, rows.count)
                    ),
                    column.cure(facts, rows),
                ),
            }
        }
        Ok(Ended::Done)
    }
}

/// `rows` cannot be read, of which so many are past every age and so many past the smallest.
fn told(column: Column, rows: &Unread, old: u64, ever: u64, facts: &Facts, found: &mut Findings) {
    let timeout = column.timeout();
    for (severity, count, fate) in [
        (
            Severity::Wrong,
            old,
            format!(
                "the database takes it for older than any age: the next trim deletes them, and \
                 {timeout} ends them at once"
            ),
        ),
        (
            Severity::Warning,
            rows.count.saturating_sub(ever),
            format!(
                "by it they never grow old: no trim deletes them for it, and {timeout} hides what is \
                 NULL and never ends the others"
            ),
        ),
        (
            Severity::Note,
            ever.saturating_sub(old),
            "the database compares it as it is written, and trim goes by that".to_owned(),
        ),
    ] {
        if count > 0 {
            let what = format!("{}; {fate}", unread(column, count));
            found.add(severity, what, column.cure(facts, rows));
        }
    }
}

fn unread(column: Column, rows: u64) -> String {
    format!("{} no {} that can be read", counted(rows, "row has", "rows have"), column.name())
}

/// A second look at the table, which can be ended as the first one.
struct Second<'a, S, W> {
    store: &'a S,
    progress: Progress,
    begun: Instant,
    at_most: Option<Duration>,
    watch: W,
}

impl<S: Maintenance, W: Watch> Second<'_, S, W> {
    /// How many of these rows are past every age, and how many past the smallest; or why it ended.
    async fn ages(&mut self, column: Column) -> Result<Result<(u64, u64), Ended>> {
        let old = match self.past(column, CENTURY).await? {
            Ok(old) => old,
            Err(ended) => return Ok(Err(ended)),
        };
        Ok(self.past(column, MOMENT).await?.map(|ever| (old, ever)))
    }

    /// How many of the rows that are past this age have no time that can be read.
    async fn past(&mut self, column: Column, age: Duration) -> Result<Result<u64, Ended>> {
        let (mut after, mut count) = (None, 0);
        loop {
            if (self.watch)(&self.progress).is_break() {
                return Ok(Err(Ended::Stopped));
            }
            if self.at_most.is_some_and(|time| self.begun.elapsed() >= time) {
                return Ok(Err(Ended::OutOfTime));
            }
            let scan = Scan { after, filter: column.past(age), ..Scan::new(BATCH) };
            let rows = patiently!(self.store.scan(&scan))?;
            count += rows.iter().filter(|row| column.is_unread(row)).count() as u64;
            match rows.last() {
                Some(last) if rows.len() as u64 >= u64::from(BATCH) => {
                    after = Some(last.key.clone());
                }
                _ => return Ok(Ok(count)),
            }
        }
    }
}
