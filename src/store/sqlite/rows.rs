//! Rows and parameters: SQLite's values ↔ ours.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::Offset;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use crate::error::{Error, Kind, Result};
use crate::id::StoredId;
use crate::record::{Owner, Record, Row, RowKey};

/// A time as Rails writes it into SQLite: `YYYY-MM-DD HH:MM:SS.ffffff`, without the fraction when
/// it is zero. Trim compares these texts, so the form matters.
#[derive(Clone, Copy)]
pub(super) struct TimeText {
    len: usize,
    bytes: [u8; 26],
}

impl TimeText {
    /// The text of `time`, cut to microseconds; times out of the calendar are clamped.
    pub(super) fn new(time: SystemTime) -> Self {
        let clamped = if time < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
        let time = Timestamp::try_from(time).unwrap_or(clamped);
        let at: DateTime = Offset::UTC.to_datetime(time);
        let (date, clock) = (at.date(), at.time());
        // Before all others, as a year before the first one is.
        let year = u32::from(date.year().max(0).unsigned_abs());
        let micros = at.subsec_nanosecond().unsigned_abs() / 1_000;
        let mut text = Self { len: 19, bytes: *b"0000-00-00 00:00:00.000000" };
        digits(&mut text.bytes[..4], year);
        digits(&mut text.bytes[5..7], date.month().unsigned_abs().into());
        digits(&mut text.bytes[8..10], date.day().unsigned_abs().into());
        digits(&mut text.bytes[11..13], clock.hour().unsigned_abs().into());
        digits(&mut text.bytes[14..16], clock.minute().unsigned_abs().into());
        digits(&mut text.bytes[17..19], clock.second().unsigned_abs().into());
        if micros != 0 {
            digits(&mut text.bytes[20..], micros);
            text.len = 26;
        }
        text
    }

    /// The time so long before now, clamped to the calendar.
    pub(super) fn before(now: SystemTime, age: Duration) -> Self {
        Self::new(now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// The time so long after now, clamped to the calendar.
    pub(super) fn after(now: SystemTime, ahead: Duration) -> Self {
        const CENTURY: Duration = Duration::from_secs(100 * 366 * 86_400);
        Self::new(now.checked_add(ahead.min(CENTURY)).unwrap_or(now))
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    pub(super) fn as_sql(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Text(&self.bytes[..self.len]))
    }
}

/// Text for a text column, a blob for a blob column: Rails compares and reads them as such.
pub(super) fn data_sql(data: Option<&[u8]>, blob: bool) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match data {
        None => ValueRef::Null,
        Some(bytes) if blob => ValueRef::Blob(bytes),
        Some(bytes) => ValueRef::Text(bytes),
    })
}

pub(super) fn text_sql(text: &[u8]) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(ValueRef::Text(text))
}

pub(super) fn key_sql(key: &RowKey) -> ToSqlOutput<'_> {
    match key {
        RowKey::Int(key) => ToSqlOutput::Owned(Value::Integer(*key)),
        RowKey::Text(key) => text_sql(key.as_bytes()),
    }
}

/// Reads `find`'s columns: id, data, created_at, updated_at.
pub(super) fn record(
    row: &rusqlite::Row<'_>,
    read_at: SystemTime,
) -> rusqlite::Result<Option<Record>> {
    let Some(id) = bytes(row.get_ref(0)?).and_then(StoredId::parse) else {
        return Ok(None);
    };
    Ok(Some(Record {
        id,
        data: data(row.get_ref(1)?),
        created_at: time(row.get_ref(2)?),
        updated_at: time(row.get_ref(3)?),
        read_at: Some(read_at),
        legacy_twin: false,
    }))
}

/// Reads `scan`'s columns: key, id, size, data, created_at, updated_at, user.
pub(super) fn row(row: &rusqlite::Row<'_>) -> Result<Row> {
    let get = |at| row.get_ref(at).map_err(|e| super::error::error("reading a row", &e));
    let key = match get(0)? {
        ValueRef::Integer(key) => RowKey::Int(key),
        ValueRef::Text(key) => RowKey::Text(String::from_utf8_lossy(key).into()),
        _ => {
            let problem = "its primary key is neither number nor text";
            return Err(Error::new(Kind::Schema, "reading a row", problem)
                .advice("store it as text, or name another primary key (--primary-key)"));
        }
    };
    let stored_id = bytes(get(1)?).unwrap_or_default();
    Ok(Row {
        key,
        stored_id: String::from_utf8_lossy(stored_id).into(),
        size: get(2)?.as_i64().ok().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        data: data(get(3)?),
        created_at: time(get(4)?),
        updated_at: time(get(5)?),
        owner: Owner::from_stored(bytes(get(6)?)),
    })
}

/// The one copy of the data on its way out.
fn data(value: ValueRef<'_>) -> Option<Bytes> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string().into()),
        ValueRef::Real(number) => Some(number.to_string().into()),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Bytes::copy_from_slice(bytes)),
    }
}

fn bytes(value: ValueRef<'_>) -> Option<&[u8]> {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

/// A time that cannot be read is left out: it must not make a session unreadable.
fn time(value: ValueRef<'_>) -> Option<SystemTime> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    let text = bytes(value)?;
    as_rails_writes(text).or_else(|| {
        let at = PARSER.parse_datetime(text).ok()?;
        Some(SystemTime::from(Offset::UTC.to_timestamp(at).ok()?))
    })
}

/// The form of [`TimeText`] since 1970, without the parser that knows all others.
fn as_rails_writes(text: &[u8]) -> Option<SystemTime> {
    let (seconds, micros) = match text {
        [seconds @ .., b'.', a, b, c, d, e, f] if seconds.len() == 19 => {
            (seconds, number(&[*a, *b, *c, *d, *e, *f])?)
        }
        seconds => (seconds, 0),
    };
    let [y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b' ', h0, h1, b':', mi0, mi1, b':', s0, s1] =
        *seconds
    else {
        return None;
    };
    let below = |tens, ones, end| number(&[tens, ones]).filter(|number| *number < end);
    let day =
        days_since_1970(number(&[y0, y1, y2, y3])?, below(mo0, mo1, 13)?, below(d0, d1, 32)?)?;
    let (hour, minute, second) = (below(h0, h1, 24)?, below(mi0, mi1, 60)?, below(s0, s1, 60)?);
    let seconds = u64::from(day) * 86_400 + u64::from(hour * 3_600 + minute * 60 + second);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, micros * 1_000))
}

/// Days between 1970 and a date of the Gregorian calendar, if there is such a date.
fn days_since_1970(year: u32, month: u32, day: u32) -> Option<u32> {
    const BEFORE: [u32; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let month = month.checked_sub(1)? as usize;
    let length = BEFORE.get(month + 1)? - BEFORE[month] + u32::from(is_leap && month == 1);
    // Years begun since the calendar's year 1, and of them those with a day more.
    let years = year.checked_sub(1)?;
    let leap_days = years / 4 - years / 100 + years / 400;
    let days = years * 365 + leap_days + BEFORE[month] + u32::from(is_leap && month > 1);
    let day = (1..=length).contains(&day).then(|| day - 1)?;
    (days + day).checked_sub(719_162)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
    })
}

/// Writes a number's last digits over all of `out`.
fn digits(out: &mut [u8], mut number: u32) {
    for place in out.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
    }

    fn written(time: SystemTime) -> String {
        let text = TimeText::new(time);
        String::from_utf8(text.bytes[..text.len].to_vec()).unwrap()
    }

    #[test]
    fn times_are_written_as_rails_writes_them_and_read_back() {
        for (micros, text) in [
            (0, "1970-01-01 00:00:00"),
            (1, "1970-01-01 00:00:00.000001"),
            (1_795_382_341_000_000, "2026-11-22 21:19:01"),
            (1_795_382_341_100_000, "2026-11-22 21:19:01.100000"),
        ] {
            assert_eq!(written(at(micros)), text);
            assert_eq!(time(ValueRef::Text(text.as_bytes())), Some(at(micros)));
        }
    }

    #[test]
    fn times_of_other_forms_are_read() {
        for text in
            ["2026-11-22T21:19:01.5", "2026-11-22 21:19:01.500", "2026-11-22 21:19:01.5000000"]
        {
            assert_eq!(time(ValueRef::Text(text.as_bytes())), Some(at(1_795_382_341_500_000)));
        }
    }

    #[test]
    fn the_days_of_three_centuries_are_read_as_they_are_written() {
        for day in 0..110_000_u64 {
            let time = at((day * 86_400 + day % 86_400) * 1_000_000 + day % 2);
            let text = written(time);
            assert_eq!(as_rails_writes(text.as_bytes()), Some(time), "{text}");
        }
        for (text, is_date) in [
            ("1900-02-29", false),
            ("2000-02-29", true),
            ("2023-02-29", false),
            ("2024-02-29", true),
            ("2026-04-31", false),
            ("2026-00-01", false),
            ("2026-01-00", false),
        ] {
            let text = format!("{text} 00:00:00");
            assert_eq!(time(ValueRef::Text(text.as_bytes())).is_some(), is_date, "{text}");
        }
        assert!(time(ValueRef::Text(b"1969-12-31 23:59:59")) < Some(SystemTime::UNIX_EPOCH));
    }

    #[test]
    fn the_texts_sort_as_the_times_do() {
        let times = [0, 1, 999_999, 1_000_000, 1_000_001, 60_000_000, 1_795_382_341_000_000];
        let texts: Vec<String> = times.iter().map(|micros| written(at(*micros))).collect();
        assert!(texts.is_sorted());
    }

    #[test]
    fn what_is_no_time_is_left_out() {
        let odd = ["2026-02-30 00:00:00", "2026-01-01 00:00:0a", "2026-01-01 00:00:00.00000x"];
        for text in ["", "soon", "2026-13-01 00:00:00", "\u{ff12}"].into_iter().chain(odd) {
            assert_eq!(time(ValueRef::Text(text.as_bytes())), None, "{text}");
        }
        assert_eq!(time(ValueRef::Integer(5)), None);
    }
}
