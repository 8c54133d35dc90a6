//! JSON as Ruby's `JSON.generate` writes it: compact, `/` and everything beyond ASCII as they are.

use std::io::Write;

use crate::codec::hybrid::for_json;
use crate::error::{Error, Result};
use crate::value::{Map, Value, float};

/// Appends a value that is nested at most `depth` levels.
///
/// # Errors
///
/// For NaN and the infinities, which JSON cannot say, and for deeper nesting, which Ruby would not
/// read back.
pub(crate) fn write(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<()> {
    match value {
        Value::Nil => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(integer) => append(out, format_args!("{integer}")),
        Value::BigInt(integer) if integer.is_long() => return Err(too_long()),
        Value::BigInt(integer) => append(out, format_args!("{integer}")),
        Value::Float(value) if value.is_finite() => float::write(out, *value),
        Value::Float(_) => return Err(no_number()),
        Value::String(text) => string(out, text),
        Value::Array(items) => {
            let depth = deeper(depth)?;
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(out, item, depth)?;
            }
            out.push(b']');
        }
        Value::Map(value) => map(out, value, depth)?,
        // Ruby's own kinds become the texts and maps that Ruby's generator makes of them.
        other => write(out, &for_json(other.clone(), false)?, depth)?,
    }
    Ok(())
}

/// Appends a map that is nested at most `depth` levels.
pub(super) fn map(out: &mut Vec<u8>, map: &Map, depth: usize) -> Result<()> {
    let depth = deeper(depth)?;
    out.push(b'{');
    for (at, (name, value)) in map.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        key(out, name);
        write(out, value, depth)?;
    }
    out.push(b'}');
    Ok(())
}

/// Appends a key and its colon.
pub(super) fn key(out: &mut Vec<u8>, key: &str) {
    string(out, key);
    out.push(b':');
}

/// Appends a text in quotes.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => append(out, format_args!("\\u{byte:04x}")),
        }
    }
    out.extend_from_slice(&text.as_bytes()[plain_from..]);
    out.push(b'"');
}

fn deeper(depth: usize) -> Result<usize> {
    depth.checked_sub(1).ok_or_else(too_deep)
}

pub(crate) fn too_deep() -> Error {
    Error::value("encoding session data", "Ruby reads JSON of at most 100 levels of nesting")
}

fn too_long() -> Error {
    Error::value("encoding session data", "JSON is read with integers of at most 10,000 digits")
}

fn no_number() -> Error {
    Error::value("encoding session data", "JSON has no NaN and no infinity")
}

fn append(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector does not fail.
    let _ = out.write_fmt(text);
}
