//! How Ruby dumps a `Time`: eight packed bytes in UTC, and the rest as variables.

use super::reader::{Head, Item, Read, Reader, Stop};
use super::scan::read_int;
use crate::value::text::TextRef;
use crate::value::time::{Time, civil, days};

/// A dumped time, and the fraction of a nanosecond that [`Time`] does not keep.
pub(crate) struct Moment {
    pub(crate) time: Time,
    pub(crate) rest: Option<(i64, i64)>,
}

#[derive(Default)]
struct Variables {
    offset: Option<i32>,
    zone: Option<Box<str>>,
    nano: (Option<i64>, Option<i64>),
    submicro: Option<i64>,
}

/// Reads a `Time` with all its variables. Those that are not its own go to `other`, which must
/// read their value. `None` if its bytes are none of a time.
pub(crate) fn read<'a>(
    reader: &mut Reader<'a>,
    item: &mut Item<'a>,
    dump: &[u8],
    mut other: impl FnMut(&mut Reader<'a>, TextRef<'a>) -> Read<()>,
) -> Read<Option<Moment>> {
    let mut found = Variables::default();
    reader.variables(item, |reader, name| match name.bytes {
        b"offset" => reader.value(|reader, item| {
            found.offset = integer(reader, item)?.and_then(|offset| i32::try_from(offset).ok());
            Ok(())
        }),
        b"nano_num" => reader.value(|reader, item| {
            found.nano.0 = integer(reader, item)?;
            Ok(())
        }),
        b"nano_den" => reader.value(|reader, item| {
            found.nano.1 = integer(reader, item)?;
            Ok(())
        }),
        b"zone" => reader.value(|reader, item| {
            if let Head::Str(text) = item.head {
                found.zone = text.as_str().map(Into::into);
            }
            reader.skip_item(item)
        }),
        b"submicro" => reader.value(|reader, item| {
            if let Head::Str(text) = item.head {
                found.submicro = Some(submicro(text.bytes));
            }
            reader.skip_item(item)
        }),
        b"E" | b"encoding" => reader.skip(1),
        _ => other(reader, name),
    })?;
    Ok(unpack(dump, found))
}

/// What `to_s` of a Rails time with a zone answers, which is dumped as a list of the moment, the
/// zone's name, and the wall clock as if it were UTC.
pub(crate) fn zoned_text(reader: &mut Reader<'_>) -> Read<String> {
    reader.value(|reader, item| {
        match item.head {
            Head::Marshaled(class) if class.bytes == b"ActiveSupport::TimeWithZone" => {}
            _ => return Err(Stop::Misfit),
        }
        reader.value(|reader, list| {
            if !matches!(list.head, Head::Array(3)) {
                return Err(Stop::Misfit);
            }
            let moment = plain(reader)?;
            let is_utc = reader.value(|reader, item| {
                let Head::Str(name) = item.head else { return Err(Stop::Misfit) };
                reader.skip_item(item)?;
                Ok(matches!(
                    name.bytes.strip_prefix(b"Etc/").unwrap_or(name.bytes),
                    b"UTC" | b"UCT"
                ))
            })?;
            let east = plain(reader)?.seconds.saturating_sub(moment.seconds);
            let east = i32::try_from(east).map_err(|_| Stop::Misfit)?;
            Ok(if is_utc { moment } else { moment.at_offset(east) }.ruby_text())
        })
    })
}

/// A time that is one of its own, in UTC.
fn plain(reader: &mut Reader<'_>) -> Read<Time> {
    reader.value(|moment, item| {
        let Head::Dumped(class, dump) = item.head else { return Err(Stop::Misfit) };
        if class.bytes != b"Time" {
            return Err(Stop::Misfit);
        }
        let read = read(moment, item, dump.bytes, |reader, _| reader.skip(1))?;
        let mut time = read.ok_or(Stop::Misfit)?.time;
        time.offset = None;
        Ok(time)
    })
}

fn integer<'a>(reader: &mut Reader<'a>, item: &mut Item<'a>) -> Read<Option<i64>> {
    let value = match item.head {
        Head::Int(value) => Some(value),
        _ => None,
    };
    reader.skip_item(item)?;
    Ok(value)
}

fn unpack(dump: &[u8], found: Variables) -> Option<Moment> {
    let (first, second) = (word(dump, 0)?, word(dump, 4)?);
    let Variables { offset, zone, nano, submicro } = found;
    if first >> 31 == 0 {
        // Ruby 1.8 before 1.8.0: seconds and microseconds.
        let nanoseconds = u32::try_from(u64::from(second) * 1000).ok()?;
        let time =
            Time { seconds: i64::from(first), nanoseconds, offset: offset.or(Some(0)), zone };
        return Some(Moment { time, rest: None });
    }
    let part = |word: u32, shift: u32, bits: u32| i64::from(word >> shift & ((1 << bits) - 1));
    let utc = part(first, 30, 1) == 1;
    let mut year = part(first, 14, 16) + 1900;
    if dump.len() > 8 {
        let distance = year_distance(dump)?;
        year = if year == 1900 { 1900 - distance } else { year.checked_add(distance)? };
    }
    // Ruby counts months past December on.
    let month = part(first, 10, 4);
    let day = days(year.checked_add(month / 12)?, month % 12 + 1, part(first, 5, 5))?;
    let clock = part(first, 0, 5) * 3600 + part(second, 26, 6) * 60 + part(second, 20, 6);
    let seconds = day.checked_mul(86_400)?.checked_add(clock)?;
    let mut nanoseconds = part(second, 0, 20) * 1000;
    let mut rest = None;
    match (nano, submicro) {
        ((Some(over), under), _) => {
            let under = under.filter(|under| *under > 0).unwrap_or(1);
            nanoseconds += over.div_euclid(under);
            rest = (over.rem_euclid(under) > 0).then_some((over.rem_euclid(under), under));
        }
        (_, Some(extra)) => nanoseconds += extra,
        _ => {}
    }
    let nanoseconds = u32::try_from(nanoseconds).ok().filter(|nano| *nano < 1_000_000_000)?;
    let zone = if utc { None } else { zone };
    let offset = if utc { None } else { offset.or(Some(0)) };
    Some(Moment { time: Time { seconds, nanoseconds, offset, zone }, rest })
}

fn word(dump: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(dump.get(at..at + 4)?.try_into().ok()?))
}

/// Years before 1900 or after 67435: a packed length and a number in little endian.
fn year_distance(dump: &[u8]) -> Option<i64> {
    let (length, at) = read_int(dump, 8).ok()?;
    let bytes = dump.get(at..at.checked_add(usize::try_from(length).ok()?)?)?;
    // Further than this the seconds would not fit anyway.
    if bytes.len() > 5 {
        return None;
    }
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | i64::from(*byte)))
}

/// Three decimal digits in two bytes, four bits each.
fn submicro(bytes: &[u8]) -> i64 {
    let digit = |at: usize, shift: u32| {
        bytes.get(at).map_or(0, |byte| i64::from(byte >> shift & 15).min(9))
    };
    digit(0, 4) * 100 + digit(0, 0) * 10 + digit(1, 4)
}

/// The packed bytes of a time.
pub(crate) fn pack(time: &Time) -> Vec<u8> {
    let (year, month, day) = civil(time.seconds.div_euclid(86_400));
    let second = time.seconds.rem_euclid(86_400);
    let (stored, distance) = match year {
        ..1900 => (0, Some(1900 - year)),
        1900..=67_435 => (year - 1900, None),
        _ => (0xffff, Some(year - 67_435)),
    };
    let utc = i64::from(time.offset.is_none());
    let first = 1 << 31 | utc << 30 | stored << 14 | (month - 1) << 10 | day << 5 | (second / 3600);
    let micro = i64::from(time.nanoseconds / 1000);
    let second = (second / 60 % 60) << 26 | (second % 60) << 20 | micro;
    let mut bytes = [(first as u32).to_le_bytes(), (second as u32).to_le_bytes()].concat();
    if let Some(distance) = distance {
        let digits = distance.to_le_bytes();
        let length = digits.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.push(length as u8 + 5);
        bytes.extend_from_slice(&digits[..length]);
    }
    bytes
}

/// What goes into the variable `submicro` for older readers: the digits below a microsecond.
pub(crate) fn pack_submicro(nanoseconds: u32) -> Vec<u8> {
    let below = nanoseconds % 1000;
    let mut bytes = vec![(((below / 100) << 4) | (below / 10 % 10)) as u8];
    if !below.is_multiple_of(10) {
        bytes.push(((below % 10) << 4) as u8);
    }
    bytes
}
