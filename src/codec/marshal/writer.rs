//! Writes values as Ruby's `Marshal.dump` would.

use crate::error::{Error, Result};
use crate::value::float;
use crate::value::marshal::copy::Copier;
use crate::value::marshal::moment;
use crate::value::marshal::out::{Out, VERSION};
use crate::value::number::is_flonum;
use crate::value::text::{EncodingRef, TextRef};
use crate::value::{Hash, Map, Time, Value};

/// How deep values may nest: writing recurses.
const MAX_DEPTH: usize = 500;

/// Writes one value behind what was written before.
pub(crate) fn write<'a>(out: &mut Out<'a>, value: &'a Value) -> Result<()> {
    write_at(out, value, 0)
}

/// Writes a key of a hash. Ruby keeps one object for equal keys, so a second one is a link.
pub(crate) fn write_key<'a>(out: &mut Out<'a>, key: &'a str) {
    shared_string(out, TextRef { bytes: key.as_bytes(), encoding: EncodingRef::Utf8 });
}

fn write_at<'a>(out: &mut Out<'a>, value: &'a Value, depth: usize) -> Result<()> {
    if depth == MAX_DEPTH {
        return Err(Error::value("encoding session data", "a value nests too deep"));
    }
    match value {
        Value::Nil => out.bytes.push(b'0'),
        Value::Bool(value) => out.bytes.push(if *value { b'T' } else { b'F' }),
        Value::Int(value) => write_int(out, *value),
        Value::BigInt(value) => write_big(out, value.is_negative(), value.magnitude()),
        Value::Float(value) => write_float(out, *value),
        Value::String(text) => {
            out.string(TextRef { bytes: text.as_bytes(), encoding: EncodingRef::Utf8 });
        }
        Value::Text(text) => out.string(text.borrowed()),
        Value::Symbol(symbol) => out.symbol(symbol.text().borrowed()),
        Value::Array(items) => {
            out.bytes.push(b'[');
            out.object();
            out.int(length(items.len())?);
            for item in items {
                write_at(out, item, depth + 1)?;
            }
        }
        Value::Map(map) => write_map(out, map, depth)?,
        Value::Hash(hash) => write_hash(out, hash, depth)?,
        Value::Time(time) => write_time(out, time, time.zone()),
        Value::Decimal(decimal) => {
            out.bytes.push(b'u');
            out.ascii_symbol("BigDecimal");
            out.text(decimal.dump().as_bytes());
            out.object();
        }
        Value::Object(object) => {
            let source = object.source();
            Copier::new(source, VERSION.len()).values(out, VERSION.len(), 1)?;
        }
    }
    Ok(())
}

/// A length as Marshal packs it.
fn length(length: usize) -> Result<i64> {
    u32::try_from(length)
        .ok()
        .filter(|length| *length < 1 << 30)
        .map(i64::from)
        .ok_or_else(|| Error::value("encoding session data", "a value has too many parts"))
}

/// Within 31 bits as such; beyond as a big one, as Ruby does on every platform.
pub(crate) fn write_int(out: &mut Out<'_>, value: i128) {
    match i64::try_from(value) {
        Ok(small @ -0x4000_0000..=0x3fff_ffff) => {
            out.bytes.push(b'i');
            out.int(small);
        }
        _ => write_big(out, value < 0, &value.unsigned_abs().to_le_bytes()),
    }
}

pub(crate) fn write_big(out: &mut Out<'_>, negative: bool, magnitude: &[u8]) {
    let used = magnitude.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    out.bytes.extend_from_slice(if negative { b"l-" } else { b"l+" });
    out.object();
    out.int(used.div_ceil(2) as i64);
    out.bytes.extend_from_slice(&magnitude[..used]);
    if used % 2 == 1 {
        out.bytes.push(0);
    }
}

/// Equal floats are one object where Ruby keeps them inside the reference; infinities and NaN
/// nearly always, because they come from constants.
pub(crate) fn write_float(out: &mut Out<'_>, value: f64) {
    let value = if value.is_nan() { f64::NAN } else { value };
    let shared = is_flonum(value) || !value.is_finite();
    let next = out.objects();
    if let Some(number) = shared.then(|| out.floats.get_or_insert(value.to_bits(), next)).flatten()
    {
        return out.link(number);
    }
    out.bytes.push(b'f');
    out.object();
    let at = out.bytes.len();
    out.bytes.push(0);
    float::write_marshal(&mut out.bytes, value);
    // A short length is one byte.
    out.bytes[at] = (out.bytes.len() - at + 4) as u8;
}

/// A string that Ruby keeps once for all equal ones.
pub(crate) fn shared_string<'a>(out: &mut Out<'a>, text: TextRef<'a>) {
    let key = (text.bytes, text.encoding == EncodingRef::Ascii);
    let shareable = matches!(text.encoding, EncodingRef::Utf8 | EncodingRef::Ascii);
    let next = out.objects();
    match shareable.then(|| out.strings.get_or_insert(key, next)).flatten() {
        Some(number) => out.link(number),
        None => out.string(text),
    }
}

fn write_map<'a>(out: &mut Out<'a>, map: &'a Map, depth: usize) -> Result<()> {
    if map.is_indifferent() {
        indifferent(out);
    }
    out.bytes.push(b'{');
    out.object();
    out.int(length(map.len())?);
    for (key, value) in map.iter() {
        write_key(out, key);
        write_at(out, value, depth + 1)?;
    }
    Ok(())
}

fn indifferent(out: &mut Out<'_>) {
    out.bytes.push(b'C');
    out.symbol(TextRef { bytes: Map::INDIFFERENT, encoding: EncodingRef::Ascii });
}

fn write_hash<'a>(out: &mut Out<'a>, hash: &'a Hash, depth: usize) -> Result<()> {
    if hash.is_indifferent() {
        indifferent(out);
    }
    if hash.is_by_identity() {
        out.bytes.push(b'C');
        out.ascii_symbol("Hash");
    }
    out.bytes.push(if hash.default_value().is_some() { b'}' } else { b'{' });
    out.object();
    out.int(length(hash.entries().len())?);
    for (key, value) in hash.entries() {
        match key {
            Value::String(key) if !hash.is_by_identity() => write_key(out, key),
            Value::Text(key) if !hash.is_by_identity() => shared_string(out, key.borrowed()),
            key => write_at(out, key, depth + 1)?,
        }
        write_at(out, value, depth + 1)?;
    }
    match hash.default_value() {
        Some(default) => write_at(out, default, depth + 1),
        None => Ok(()),
    }
}

pub(super) fn write_time<'a>(out: &mut Out<'a>, time: &Time, zone: Option<&'a str>) {
    time_head(out, time, 0);
    time_variables(out, time, zone, None);
    out.object();
}

/// A time up to its variables, of which there will be `others` more than its own.
pub(super) fn time_head(out: &mut Out<'_>, time: &Time, others: usize) {
    out.bytes.extend_from_slice(b"Iu");
    out.ascii_symbol("Time");
    out.text(&moment::pack(time));
    let below = if !time.nanoseconds().is_multiple_of(1000) { 3 } else { 0 };
    out.int((1 + usize::from(time.offset().is_some()) + below + others) as i64);
}

/// A time's own variables; `rest` is the fraction of a nanosecond that is left over. The time
/// takes its number behind the last variable of all.
pub(super) fn time_variables<'a>(
    out: &mut Out<'a>,
    time: &Time,
    zone: Option<&'a str>,
    rest: Option<(i64, i64)>,
) {
    out.ascii_symbol("zone");
    match if time.offset().is_none() { Some("UTC") } else { zone } {
        Some(zone) => {
            let encoding = if zone.is_ascii() { EncodingRef::Ascii } else { EncodingRef::Utf8 };
            shared_string(out, TextRef { bytes: zone.as_bytes(), encoding });
        }
        None => out.bytes.push(b'0'),
    }
    if let Some(offset) = time.offset() {
        out.ascii_symbol("offset");
        write_int(out, offset.into());
    }
    let below = i128::from(time.nanoseconds() % 1000);
    if below > 0 {
        let (over, under) = rest.unwrap_or((0, 1));
        out.ascii_symbol("nano_num");
        write_int(out, below * i128::from(under) + i128::from(over));
        out.ascii_symbol("nano_den");
        write_int(out, under.into());
        out.ascii_symbol("submicro");
        out.bytes.push(b'"');
        out.object();
        out.text(&moment::pack_submicro(time.nanoseconds()));
    }
}
