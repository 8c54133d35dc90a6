//! Rails' `null` serializer: the object as it is, for json and jsonb columns.

use bytes::Bytes;

use super::json::{self, Shape};
use super::{Codec, Document};
use crate::error::{Error, Result};
use crate::value::json::{Fault, Scanner};

/// The plain JSON object, without Rails' `{"value": …}` around it.
///
/// What the two classes of the Rails gem leave in a json or jsonb column is read by these rules:
///
/// - An object is the session (ActiveRecord's class with `null`).
/// - A string holds the text of another serializer (ActiveRecord's class with `json` or `hybrid`):
///   `{"value":{…}}` in it is unwrapped. Text of `marshal` in it is an error that says so.
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
        let Some(source) = stored else { return Ok(json::empty(Shape::Plain)) };
        open(source).map_err(|fault| Error::decode("null", Some(fault.offset), fault.expected))
    }
}

fn open(source: Bytes) -> Result<Box<dyn Document>, Fault> {
    match text_in_string(json::utf8(&source)?)? {
        // Offsets within the string's text would mislead: its beginning is named.
        Some((inner, at)) => json::open(Bytes::from(inner), Shape::Wrapped, Shape::Plain)
            .map_err(|fault| Fault { offset: at, ..fault }),
        None => json::open(source, Shape::Plain, Shape::Plain),
    }
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
    // Marshal 4.8 of a hash, in base64.
    if inner.starts_with("BAh") {
        return Err(Fault { offset: at, expected: "expected JSON, and this is base64 of Marshal" });
    }
    Ok(Some((inner, at)))
}
