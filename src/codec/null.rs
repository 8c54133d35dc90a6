//! Rails' `null` serializer: the object as it is, for json and jsonb columns.

use bytes::Bytes;

use super::json::{self, Shape};
use super::json_string::text_in_string;
use super::{Codec, Document, Marshal};
use crate::error::{Error, Result};
use crate::value::json::{Fault, MAX_DEPTH};
use crate::value::{Map, Value, ValueRef};

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
/// What is written is always the plain object; [`JsonString`](crate::JsonString) has a table of the
/// shapes and which codec writes which.
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
    let entries = session.keys().into_iter().map(|key| {
        let value = session.get(key)?.map(ValueRef::to_value).transpose()?;
        Ok((key, value.unwrap_or_default()))
    });
    let map =
        entries.filter(|entry| !matches!(entry, Ok((_, Value::Nil)))).collect::<Result<Map>>()?;
    let mut text = Vec::new();
    json::write(&mut text, &Value::Map(map), MAX_DEPTH)?;
    Null.open(Some(text.into()))
}
