//! Times that cannot be read, and what becomes of their rows.

use std::time::{Duration, Instant};

use super::{Findings, Severity, counted};
use crate::admin::walk::{Ended, Pace, Walk, Watch, is_keyed_by_id, is_worth_a_try};
use crate::error::Result;
use crate::record::{Filter, Row, RowKey};
use crate::store::Maintenance;
use crate::table::{Facts, Schema};

/// What stands in a cure for the keys of the rows: SQLite's own functions take more, and less, for a time
/// than Rails does, so that no condition would find the same rows.
pub(super) const KEYS: &str = "(KEYS)";
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
        if self.keys.len() < NAMED {
            self.keys.extend(key_of(row));
        }
    }
}

/// A row's key as SQL has it. One that is the id is told to nobody.
pub(super) fn key_of(row: &Row) -> Option<String> {
    match &row.key {
        _ if is_keyed_by_id(row) => None,
        RowKey::Int(key) => Some(key.to_string()),
        RowKey::Text(key) => Some(format!("'{}'", key.replace('\'', "''"))),
    }
}

impl Tally {
    pub(super) fn add(&mut self, row: &Row, schema: &Schema) {
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
        pace: (&Pace, Instant),
        mut watch: impl Watch,
        found: &mut Findings,
    ) -> Result<Ended> {
        for (column, rows) in [(Column::Updated, &self.updated), (Column::Created, &self.created)] {
            if rows.count == 0 {
                continue;
            }
            match ages(store, column, pace, &mut watch).await {
                Ok(Err(ended)) => return Ok(ended),
                Ok(Ok((old, ever))) => told(column, rows, old, ever, facts, found),
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
    let fates = [
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
    ];
    // What has one cure is told once, the worst first.
    let fates: Vec<_> = fates.iter().filter(|(_, count, _)| *count > 0).collect();
    let Some((severity, ..)) = fates.first() else { return };
    let told: Vec<String> = match &fates[..] {
        [(_, _, fate)] => vec![fate.clone()],
        several => several
            .iter()
            .map(|(_, count, fate)| format!("of {}, {fate}", counted(*count, "row", "rows")))
            .collect(),
    };
    let what = format!("{}; {}", unread(column, rows.count), told.join("; "));
    found.add(*severity, what, column.cure(facts, rows));
}

fn unread(column: Column, rows: u64) -> String {
    format!("{} no {} that can be read", counted(rows, "row has", "rows have"), column.name())
}

/// How many of these rows are past every age, and how many past the smallest; or why that is not known.
async fn ages<S: Maintenance>(
    store: &S,
    column: Column,
    (pace, begun): (&Pace, Instant),
    watch: &mut impl Watch,
) -> Result<Result<(u64, u64), Ended>> {
    let mut counts = [0, 0];
    for (count, age) in counts.iter_mut().zip([CENTURY, MOMENT]) {
        let pace = Pace { batch: BATCH, ..pace.since(begun) };
        let filter = column.past(age);
        let mut walk = Walk::over(store, &pace, Vec::new(), &mut *watch).filtered(filter);
        while let Some(rows) = walk.next().await? {
            *count += rows.iter().filter(|row| column.is_unread(row)).count() as u64;
        }
        match walk.finish().1 {
            Ended::Done => {}
            ended => return Ok(Err(ended)),
        }
    }
    Ok(Ok((counts[0], counts[1])))
}
