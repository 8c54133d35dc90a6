//! Rails' `null` serializer: the object as it is, for json and jsonb columns.

use bytes::Bytes;

use super::json::{self, Shape};
use super::{Changes, Codec, Document, Marshal};
use crate::error::{Error, Result};
use crate::value::json::{Fault, Scanner};

/// The plain JSON object, without Rails' `{"value": …}` around it.
///
/// What the two classes of the Rails gem leave in a json or jsonb column is read by these rules:
///
/// - An object is the session (ActiveRecord's class with `null`).
/// - A string holds the text of another serializer (ActiveRecord's class with `json`, `hybrid` or
///   `marshal`), and is read as [`Hybrid`](crate::Hybrid) reads that text.
/// - `{"value":{…}}` as an object is **not** unwrapped, since it may be a session whose one key is
///   `value`; Rails does not unwrap it either. Read such columns (written by the gem's
///   `SqlBypass`) with [`Json`](crate::Json).
/// - null and false load as an empty session.
///
/// What is written is always the plain object.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

impl Codec for Null {
    fn name(&self) -> &'static str {
        "null"
    }

    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        let fault = |fault: Fault| Error::decode("null", Some(fault.offset), fault.expected);
        let Some(source) = stored else { return Ok(json::empty(Shape::Plain)) };
        let inner = json::utf8(&source).and_then(text_in_string).map_err(fault)?;
        match inner {
            None => json::open(source, Shape::Plain, Shape::Plain).map_err(fault),
            Some((inner, _)) if inner.starts_with("BAh") => from_marshal(inner),
            // Offsets within the string's text would mislead: its beginning is named.
            Some((inner, at)) => json::open(inner.into(), Shape::Wrapped, Shape::Plain)
                .map_err(|inner| fault(Fault { offset: at, ..inner })),
        }
    }
}

fn from_marshal(text: String) -> Result<Box<dyn Document>> {
    let session = Marshal.open(Some(text.into()))?;
    let mut changes = Changes::new();
    for key in session.keys() {
        if let Some(value) = session.get(key)? {
            changes.set(key, value.to_value()?);
        }
    }
    Null.open(Some(json::empty(Shape::Plain).encode(&changes)?))
}

/// The text that a JSON string holds, and where the string begins, if the whole is one.
fn text_in_string(text: &str) -> Result<Option<(String, usize)>, Fault> {
    let mut scanner = Scanner::new(text);
    scanner.blank()?;
    if scanner.peek() != Some(b'"') {
        return Ok(None);
    }
    let at = scanner.at();
    let inner = scanner.string()?.decode().into_owned();
    scanner.end()?;
    Ok(Some((inner, at)))
}
