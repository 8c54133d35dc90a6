//! Rails' `json` serializer: `{"value":{…}}`, compact.
//!
//! The top level is split into slices of the stored text; a value is parsed when it is asked for,
//! and what was not touched goes back as the text it came as. The rules are those of
//! activerecord-session_store's `JsonSerializer` and Ruby's `JSON`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Changes, Codec, Document};
use crate::error::{Error, Result};
use crate::value::{Value, ValueRef};

/// `{"value":{…}}`, as Rails' `json` serializer writes it.
///
/// # Examples
///
/// ```
/// use sqlbypass::{Changes, Codec, Json};
///
/// let stored = r#"{"value":{"a":1,"b":[1, 2]}}"#;
/// let document = Json.open(Some(stored.into())).unwrap();
/// let mut changes = Changes::new();
/// changes.set("a", 2.into());
/// assert_eq!(document.encode(&changes).unwrap(), r#"{"value":{"a":2,"b":[1, 2]}}"#);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Codec for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        open("json", stored, Shape::Wrapped)
    }
}

/// What stands around the session's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{"value":{…}}`
    Wrapped,
    /// `{…}`
    Plain,
}

pub(super) fn open(
    format: &'static str,
    stored: Option<Bytes>,
    shape: Shape,
) -> Result<Box<dyn Document>> {
    let source = stored.unwrap_or_default();
    let entries = if source.is_empty() { Vec::new() } else { split(format, &source, shape)? };
    Ok(Box::new(JsonDocument { source, shape, entries }))
}

struct JsonDocument {
    source: Bytes,
    shape: Shape,
    entries: Vec<Entry>,
}

/// One top-level key, and where its value's text lies in the source.
struct Entry {
    key: Key,
    value: Range<usize>,
}

/// A key without escapes is a slice of the source, between its quotes.
enum Key {
    Slice(Range<usize>),
    Escaped(String),
}

impl JsonDocument {
    fn text(&self, range: &Range<usize>) -> &str {
        // Ranges come from `str` slices of the source, so they are valid UTF-8.
        std::str::from_utf8(&self.source[range.clone()]).unwrap_or_default()
    }

    fn key<'a>(&'a self, entry: &'a Entry) -> &'a str {
        match &entry.key {
            Key::Slice(range) => self.text(range),
            Key::Escaped(key) => key,
        }
    }

    fn find(&self, key: &str) -> Option<&Entry> {
        let is_it = |entry: &&Entry| match &entry.key {
            Key::Slice(range) => self.source[range.clone()] == *key.as_bytes(),
            Key::Escaped(name) => name == key,
        };
        // The last of duplicate keys wins, as in Ruby; `split` has dropped the earlier ones.
        self.entries.iter().find(is_it)
    }
}

impl Document for JsonDocument {
    fn get(&self, key: &str) -> Result<Option<ValueRef<'_>>> {
        Ok(self.find(key).map(|entry| ValueRef::json(self.text(&entry.value))))
    }

    fn keys(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| self.key(entry)).collect()
    }

    fn encode(&self, changes: &Changes) -> Result<Bytes> {
        let mut out = Vec::with_capacity(self.source.len() + 64);
        if self.shape == Shape::Wrapped {
            out.extend_from_slice(b"{\"value\":");
        }
        out.push(b'{');
        let mut first = true;
        for entry in &self.entries {
            let key = self.key(entry);
            match changes.get(key) {
                None => {
                    write_key(&mut out, &mut first, key)?;
                    out.extend_from_slice(&self.source[entry.value.clone()]);
                }
                Some(None) => {}
                // After a clear a key that is set again goes to the end, as a new one does.
                Some(Some(_)) if changes.is_cleared() => {}
                Some(Some(value)) => {
                    write_key(&mut out, &mut first, key)?;
                    write_value(&mut out, value)?;
                }
            }
        }
        for (key, value) in changes.iter() {
            let Some(value) = value else { continue };
            if changes.is_cleared() || self.find(key).is_none() {
                write_key(&mut out, &mut first, key)?;
                write_value(&mut out, value)?;
            }
        }
        out.push(b'}');
        if self.shape == Shape::Wrapped {
            out.push(b'}');
        }
        Ok(Bytes::from(out))
    }
}

fn write_key(out: &mut Vec<u8>, first: &mut bool, key: &str) -> Result<()> {
    if !std::mem::take(first) {
        out.push(b',');
    }
    serde_json::to_writer(&mut *out, key).map_err(|_| unwritable())?;
    out.push(b':');
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &Value) -> Result<()> {
    if holds_no_json(value) {
        return Err(Error::value("encoding session data", "JSON has no NaN and no infinity"));
    }
    let mut serializer = serde_json::Serializer::with_formatter(out, RubyText);
    serde::Serialize::serialize(value, &mut serializer).map_err(|_| unwritable())
}

fn unwritable() -> Error {
    Error::value("encoding session data", "a value cannot be written as JSON")
}

/// Ruby's generator refuses what JSON cannot say; serde_json would write `null`.
fn holds_no_json(value: &Value) -> bool {
    match value {
        Value::Float(float) => !float.is_finite(),
        Value::Array(items) => items.iter().any(holds_no_json),
        Value::Map(map) => map.iter().any(|(_, value)| holds_no_json(value)),
        _ => false,
    }
}

/// Compact JSON with the float text of Ruby's `Float#to_s`: `100.0`, `1.0e+20`, `1.0e-07`.
struct RubyText;

impl serde_json::ser::Formatter for RubyText {
    fn write_f64<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        value: f64,
    ) -> std::io::Result<()> {
        writer.write_all(ruby_float(value).as_bytes())
    }
}

/// Ruby writes 1e-4 ≤ |x| < 1e16 plainly and the rest with a signed exponent of two digits.
fn ruby_float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}{point}e{sign}{digits:0>2}")
}

/// Finds the top-level keys and checks the whole text.
fn split(format: &'static str, source: &Bytes, shape: Shape) -> Result<Vec<Entry>> {
    let text = std::str::from_utf8(source)
        .map_err(|error| Error::decode(format, Some(error.valid_up_to()), "expected UTF-8"))?;
    let fault = |error: serde_json::Error, within: &str| {
        let start = within.as_ptr() as usize - text.as_ptr() as usize;
        let offset = start + offset_of(within, error.line(), error.column());
        Error::decode(format, Some(offset), "expected well-formed JSON")
    };
    let outer: &RawValue = serde_json::from_str(text).map_err(|error| fault(error, text))?;
    let mut object = outer.get();
    if shape == Shape::Wrapped && object.starts_with('{') {
        let fields: Fields<'_> =
            serde_json::from_str(object).map_err(|error| fault(error, object))?;
        match fields.0.into_iter().find(|(key, _)| key == "value") {
            Some((_, value)) => object = value.get(),
            None => return Ok(Vec::new()),
        }
    }
    match object.as_bytes().first() {
        Some(b'{') => {}
        // Rails loads nil and false as an empty session, and fails on anything else.
        Some(b'n' | b'f') => return Ok(Vec::new()),
        _ => {
            let offset = object.as_ptr() as usize - text.as_ptr() as usize;
            return Err(Error::decode(format, Some(offset), "expected an object"));
        }
    }
    let fields: Fields<'_> = serde_json::from_str(object).map_err(|error| fault(error, object))?;
    let at = |part: &str| {
        let start = part.as_ptr() as usize - text.as_ptr() as usize;
        start..start + part.len()
    };
    Ok(fields
        .0
        .into_iter()
        .map(|(key, value)| Entry {
            key: match key {
                Cow::Borrowed(key) => Key::Slice(at(key)),
                Cow::Owned(key) => Key::Escaped(key),
            },
            value: at(value.get()),
        })
        .collect())
}

fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

/// An object's keys and the text of their values, in order, the last of duplicate keys kept.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<BorrowedKey<'de>, &'de RawValue>()? {
            match fields.iter_mut().find(|(name, _)| *name == key.0) {
                Some(slot) => slot.1 = value,
                None => fields.push((key.0, value)),
            }
        }
        Ok(Fields(fields))
    }
}

#[derive(Deserialize)]
struct BorrowedKey<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::ruby_float;

    #[test]
    fn floats_as_ruby_writes_them() {
        let cases = [
            (100.0, "100.0"),
            (1e20, "1.0e+20"),
            (1e-7, "1.0e-07"),
            (1.5e300, "1.5e+300"),
            (1e15, "1000000000000000.0"),
            (1e16, "1.0e+16"),
            (0.0001, "0.0001"),
            (0.00001, "1.0e-05"),
            (-0.0, "-0.0"),
            (2.5, "2.5"),
        ];
        for (value, text) in cases {
            assert_eq!(ruby_float(value), text);
        }
    }
}
