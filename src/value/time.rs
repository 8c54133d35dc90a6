//! Ruby's `Time`.

use std::fmt;

/// A point in time with a zone, as Ruby's `Time` keeps it.
///
/// `Display` is RFC 3339 with as many digits as are needed; `Debug` shows no content.
///
/// # Examples
///
/// ```
/// use sqlbypass::Time;
///
/// let time = Time::utc(1_700_000_000, 500_000_000);
/// assert_eq!(time.to_string(), "2023-11-14T22:13:20.5Z");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
    pub(crate) offset: Option<i32>,
    pub(crate) zone: Option<Box<str>>,
}

impl Time {
    /// So many seconds and nanoseconds after 1970 began, in UTC.
    pub fn utc(seconds: i64, nanoseconds: u32) -> Self {
        Self { seconds, nanoseconds, offset: None, zone: None }
    }

    /// The same moment, shown this many seconds east of UTC.
    pub fn at_offset(mut self, seconds_east: i32) -> Self {
        self.offset = Some(seconds_east);
        self
    }

    /// Seconds since 1970 began, in UTC.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Nanoseconds within the second.
    pub fn nanoseconds(&self) -> u32 {
        self.nanoseconds
    }

    /// Seconds east of UTC; `None` where it is kept in UTC.
    pub fn offset(&self) -> Option<i32> {
        self.offset
    }

    /// The zone's abbreviation, for instance `CET`, where one was kept.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// What Ruby's `Time#to_s` answers: `2024-02-29 12:00:00 UTC`, or with `+0100` at the end.
    pub(crate) fn ruby_text(&self) -> String {
        let (date, clock) = self.local();
        let zone = match self.offset {
            None => "UTC".to_owned(),
            Some(offset) => offset_text(offset, ""),
        };
        format!("{date} {clock} {zone}")
    }

    fn local(&self) -> (String, String) {
        let local = self.seconds.saturating_add(i64::from(self.offset.unwrap_or(0)));
        let (year, month, day) = civil(local.div_euclid(86_400));
        let second = local.rem_euclid(86_400);
        let date = format!("{year:04}-{month:02}-{day:02}");
        (date, format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, clock) = self.local();
        write!(f, "{date}T{clock}")?;
        if self.nanoseconds > 0 {
            let digits = format!("{:09}", self.nanoseconds);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        match self.offset {
            None => f.write_str("Z"),
            Some(offset) => f.write_str(&offset_text(offset, ":")),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time(..)")
    }
}

pub(crate) fn offset_text(offset: i32, colon: &str) -> String {
    let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.unsigned_abs() / 60);
    format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant's `civil_from_days`).
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The day counted from 1970-01-01; `None` where it is too far away.
pub(crate) fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let year = year.checked_sub(i64::from(month <= 2))?;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era.checked_mul(146_097)?.checked_add(day_of_era - 719_468)
}
