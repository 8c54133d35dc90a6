//! Rows and parameters: the driver's values ↔ ours.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use mysql_async::{Row as Raw, Value};

use super::connection::Fault;
use super::inspect::Key;
use crate::error::{Error, Kind};
use crate::id::StoredId;
use crate::record::{Owner, Record, Row, RowKey};
use crate::sql::{Param, Statement};
use crate::store::call::Values;

/// Times further away than this are as good as for ever, and the server can still reckon with them.
const FAR: Duration = Duration::from_secs(1_000 * 366 * 86_400);
/// A statement takes no more parameters than 65,535.
const MAX_KEYS: usize = 1 << 15;

/// The statement's parameters in their order. Keys and ids are as many as [`count`] says.
pub(super) fn args(statement: &Statement, values: &Values<'_>, kind: Key) -> Vec<Value> {
    let mut args = Vec::with_capacity(statement.params.len() + count(values));
    for param in &statement.params {
        match param {
            Param::Keys => {
                args.extend(padded(values.keys).map(|key| of_key(key, kind)));
            }
            Param::Ids => args.extend(padded(values.ids).map(|id| of_bytes(*id))),
            param => args.push(arg(*param, values, kind)),
        }
    }
    args
}

/// How many placeholders there are for keys or ids: few numbers, so that few statements have to be
/// prepared.
pub(super) fn count(values: &Values<'_>) -> usize {
    padded_count(values.keys.len().max(values.ids.len()))
}

fn padded_count(count: usize) -> usize {
    if count == 0 { 0 } else { count.next_power_of_two() }
}

/// The last once more until there are enough.
fn padded<T>(list: &[T]) -> impl Iterator<Item = &T> {
    let last = list.last().into_iter().cycle();
    list.iter().chain(last).take(padded_count(list.len()))
}

/// Refuses more keys than a statement takes.
pub(super) fn check_keys(statement: &Statement, keys: &[RowKey]) -> Result<(), Error> {
    let lists = statement.params.iter().filter(|param| **param == Param::Keys).count();
    if lists * padded_count(keys.len()) <= MAX_KEYS {
        return Ok(());
    }
    let problem = format!("{} rows are more than one statement takes", keys.len());
    Err(Error::config("deleting rows", problem).advice("delete at most 16,384 rows at once"))
}

fn arg(param: Param, values: &Values<'_>, kind: Key) -> Value {
    let key = |key: Option<&RowKey>| key.map_or(Value::NULL, |key| of_key(key, kind));
    let micros = |time: Option<Duration>| {
        let micros = |time: Duration| i64::try_from(time.min(FAR).as_micros()).unwrap_or(i64::MAX);
        time.map_or(Value::NULL, |time| Value::Int(micros(time)))
    };
    match param {
        Param::Id => of_bytes(values.id),
        Param::Legacy => of_bytes(values.legacy),
        Param::NewId => of_bytes(values.new_id),
        Param::StoredId => of_bytes(values.stored_id),
        Param::Data => of_bytes(values.data),
        Param::GuardData => of_bytes(values.guard),
        Param::User => of_bytes(values.user),
        Param::IdleMicros => micros(values.timeouts.idle),
        Param::LifetimeMicros => micros(values.timeouts.lifetime),
        Param::ExpiryMicros => micros(values.expires_in),
        Param::After => key(values.after),
        Param::Key => key(values.keys.first()),
        Param::Limit => Value::UInt(values.limit.into()),
        Param::Keys
        | Param::Now
        | Param::IdleSince
        | Param::BornSince
        | Param::ExpiresAt
        | Param::Ids
        | Param::NewIds
        | Param::Datas
        | Param::Guards
        | Param::Users => {
            unreachable!("the files of sql/mysql have no such parameter in this place")
        }
    }
}

fn of_bytes(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::NULL, |bytes| Value::Bytes(bytes.into()))
}

/// A number for a column of numbers and text for one of text: what is compared with the other kind
/// is compared as a float, and not by the index.
fn of_key(key: &RowKey, kind: Key) -> Value {
    match (key, kind) {
        (RowKey::Int(key), Key::Number) => Value::Int(*key),
        (RowKey::Text(key), Key::Number) => match key.parse() {
            Ok(key) => Value::UInt(key),
            Err(_) => Value::Bytes(key.as_bytes().into()),
        },
        (RowKey::Int(key), Key::Text) => Value::Bytes(key.to_string().into()),
        (RowKey::Text(key), Key::Text) => Value::Bytes(key.as_bytes().into()),
        (RowKey::Int(key), Key::Binary) => Value::Bytes(unhex(&key.to_string())),
        (RowKey::Text(key), Key::Binary) => Value::Bytes(unhex(key)),
    }
}

/// What `scan` read as HEX; nothing for what is none.
fn unhex(text: &str) -> Vec<u8> {
    const_hex::decode(text).unwrap_or_default()
}

fn take(row: &mut Raw, column: usize) -> Option<Value> {
    row.take(column)
}

fn take_bytes(row: &mut Raw, column: usize) -> Option<Vec<u8>> {
    match take(row, column) {
        Some(Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    }
}

/// Reads `find`'s columns: id, data, created_at, updated_at, the clock. `None` for a row whose id
/// has no shape of ours.
pub(super) fn record(mut row: Raw) -> Option<Record> {
    let id = take_bytes(&mut row, 0)?;
    Some(Record {
        id: StoredId::parse(&id)?,
        created_at: time(&mut row, 2),
        updated_at: time(&mut row, 3),
        read_at: time(&mut row, 4),
        data: take_bytes(&mut row, 1).map(Bytes::from),
        legacy_twin: false,
    })
}

/// Reads `find_many`'s columns: those of `find`, and whether the row is past no timeout; NULL where
/// a time that it needs is missing.
pub(super) fn found(mut row: Raw) -> Option<(Record, Option<bool>)> {
    let is_alive = match take(&mut row, 5) {
        Some(Value::Int(truth)) => Some(truth != 0),
        Some(Value::UInt(truth)) => Some(truth != 0),
        _ => None,
    };
    Some((record(row)?, is_alive))
}

/// Reads `scan`'s columns: key, id, size, data, created_at, updated_at, user.
pub(super) fn row(mut row: Raw) -> Result<Row, Fault> {
    let key = match take(&mut row, 0) {
        Some(Value::Int(key)) => RowKey::Int(key),
        Some(Value::UInt(key)) => match i64::try_from(key) {
            Ok(key) => RowKey::Int(key),
            Err(_) => RowKey::Text(key.to_string().into()),
        },
        Some(Value::Bytes(key)) => RowKey::Text(String::from_utf8_lossy(&key).into()),
        _ => {
            let problem = "its key is neither number nor text";
            let error = Error::new(Kind::Schema, "reading a row", problem);
            return Err(error.advice("name another primary key").into());
        }
    };
    let stored_id = take_bytes(&mut row, 1).unwrap_or_default();
    let size = match take(&mut row, 2) {
        Some(Value::Int(size)) => u64::try_from(size).unwrap_or(0),
        Some(Value::UInt(size)) => size,
        _ => 0,
    };
    Ok(Row {
        key,
        stored_id: String::from_utf8_lossy(&stored_id).into(),
        size,
        data: take_bytes(&mut row, 3).map(Bytes::from),
        created_at: time(&mut row, 4),
        updated_at: time(&mut row, 5),
        owner: Owner::from_stored(take_bytes(&mut row, 6).as_deref()),
    })
}

/// A time that cannot be read (zeros, a column of another type) is left out: it must not make a
/// session unreadable.
fn time(row: &mut Raw, column: usize) -> Option<SystemTime> {
    let Some(Value::Date(year, month, day, hour, minute, second, micros)) = take(row, column)
    else {
        return None;
    };
    let small = |number: u8| i8::try_from(number).ok();
    let nanos = i32::try_from(micros).ok()?.checked_mul(1_000)?;
    let at = DateTime::new(
        i16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        nanos,
    );
    let time = Offset::UTC.to_timestamp(at.ok()?).ok()?;
    Some(SystemTime::from(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bound_as_their_column_compares_them() {
        let text = |text: &str| RowKey::Text(text.into());
        assert_eq!(of_key(&RowKey::Int(-7), Key::Number), Value::Int(-7));
        let large = u64::MAX.to_string();
        assert_eq!(of_key(&text(&large), Key::Number), Value::UInt(u64::MAX));
        assert_eq!(of_key(&RowKey::Int(7), Key::Text), Value::Bytes(b"7".to_vec()));
        assert_eq!(of_key(&text("00FF"), Key::Binary), Value::Bytes(vec![0, 0xFF]));
    }

    #[test]
    fn keys_are_padded_with_the_last() {
        let keys: Vec<RowKey> = (1..=5).map(RowKey::Int).collect();
        let statement = Statement { sql: String::new(), params: vec![Param::Limit, Param::Keys] };
        let values = Values { keys: &keys, limit: 9, ..Values::default() };
        let args = args(&statement, &values, Key::Number);
        assert_eq!(args.len(), 1 + 8);
        assert_eq!(args[0], Value::UInt(9));
        assert_eq!(args[5..], [5, 5, 5, 5].map(Value::Int));
        let many = vec![RowKey::Int(1); MAX_KEYS + 1];
        assert!(check_keys(&statement, &many).unwrap_err().is_config());
        assert!(check_keys(&statement, &many[1..]).is_ok());
        let twice = Statement { sql: String::new(), params: vec![Param::Keys, Param::Keys] };
        assert!(check_keys(&twice, &many[1..]).unwrap_err().is_config());
        assert!(check_keys(&twice, &many[..MAX_KEYS / 2]).is_ok());
    }
}
