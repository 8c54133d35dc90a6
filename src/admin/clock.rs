//! The database's clock, reckoned on from when it was asked.

use std::time::{Duration, Instant, SystemTime};

use crate::record::{Filter, Row};

/// Times and clocks are compared with so much to spare where the database decides in the end.
const SPARE: Duration = Duration::from_secs(60);

pub(super) struct Clock {
    asked: Instant,
    /// `None` where the store tells no time.
    told: Option<SystemTime>,
}

impl Clock {
    pub(super) fn new(told: Option<SystemTime>) -> Self {
        Self { asked: Instant::now(), told }
    }

    /// Whether a row as it was read matches the filter by now.
    pub(super) fn matches(&self, row: &Row, filter: &Filter) -> bool {
        self.is_past(row, filter, Duration::ZERO)
    }

    /// Whether the database may find that it does.
    pub(super) fn may_match(&self, row: &Row, filter: &Filter) -> bool {
        self.is_past(row, filter, SPARE)
    }

    fn is_past(&self, row: &Row, filter: &Filter, spare: Duration) -> bool {
        let ages = [(filter.idle_for, row.updated_at), (filter.older_than, row.created_at)];
        ages.into_iter().any(|(age, time)| match (age, time, self.told) {
            (None, ..) => false,
            (Some(age), Some(time), Some(told)) => {
                let now = told + self.asked.elapsed() + spare;
                now.duration_since(time).is_ok_and(|past| past >= age)
            }
            // What cannot be reckoned here is left to the database.
            _ => !spare.is_zero(),
        })
    }
}
