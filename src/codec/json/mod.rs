//! Rails' `json` serializer: `{"value":{…}}`, compact.
//!
//! Opening checks the whole text and splits the top level into slices of it; a value is parsed when
//! it is asked for, and what was not touched goes back as the text it came as. The rules are those
//! of activerecord-session_store's `JsonSerializer` and Ruby's `JSON`.
//!
//! The walk is our own because it is the fastest of those that check the whole text (the benches
//! `codec/json/get` have simd-json's tape, serde_json's `RawValue` and sonic-rs beside it), and
//! because none of these takes all that Ruby takes. Whole values of some size go to simd-json.

mod split;
mod write;

use bytes::Bytes;

use super::json_string::unquoted;
use super::{Changes, Codec, Document};
use crate::error::{Error, Result};
use crate::value::json::{Fault, MAX_DEPTH};
use crate::value::{Map, Value, ValueRef};
use split::{Entries, Entry, Span, split};
pub(crate) use write::write;
pub(super) use write::{string, too_deep};

/// `{"value":{…}}`, as Rails' `json` serializer writes it.
///
/// - nil and false load as an empty session, and so does an object without the key `value`, as in
///   Rails; any other value that is no object is an error.
/// - Text is read as Ruby's `JSON.parse` reads it: nested at most 100 deep, with comments, the last
///   of duplicate keys. Text that Ruby would take for more than it can write again (bytes that are
///   not UTF-8, halves of surrogate pairs) is refused.
/// - A JSON string that holds such text is read as well, and written without the string; see
///   [`JsonString`](crate::JsonString). An error's offset then counts in the text it holds.
/// - A time is written as the gem writes it since 2.2, `2024-02-29 12:00:00 UTC`, and so are Ruby's
///   other kinds: see [`Hybrid`](crate::Hybrid). Up to 2.1 the gem wrote `2024-02-29T12:00:00.000Z`;
///   Rails reads either back as a string.
/// - What JSON cannot say (NaN and the infinities) and what Ruby could not read back (more than 100
///   levels) is not written.
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
        let Some(source) = stored else { return Ok(empty(Shape::Wrapped)) };
        let source = unquoted("json", &source)?.unwrap_or(source);
        open(source, Shape::Wrapped, Shape::Wrapped)
            .map_err(|fault| Error::decode("json", Some(fault.offset), fault.expected))
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

impl Shape {
    fn around(self) -> (&'static str, &'static str) {
        match self {
            Self::Wrapped => (r#"{"value":{"#, "}}"),
            Self::Plain => ("{", "}"),
        }
    }

    /// How deep a session's value may still be nested.
    fn depth(self) -> usize {
        match self {
            Self::Wrapped => MAX_DEPTH - 2,
            Self::Plain => MAX_DEPTH - 1,
        }
    }
}

pub(super) fn empty(shape: Shape) -> Box<dyn Document> {
    Box::new(JsonDocument { source: Bytes::new(), shape, entries: Entries::default() })
}

pub(super) fn utf8(source: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(source)
        .map_err(|error| Fault { offset: error.valid_up_to(), expected: "expected UTF-8" })
}

/// Opens text of one shape, to be written in another.
pub(super) fn open(source: Bytes, from: Shape, to: Shape) -> Result<Box<dyn Document>, Fault> {
    let entries = split(utf8(&source)?, from)?;
    Ok(Box::new(JsonDocument { source, shape: to, entries }))
}

struct JsonDocument {
    source: Bytes,
    shape: Shape,
    entries: Entries,
}

impl JsonDocument {
    fn text(&self, span: Span) -> &str {
        // Spans come from slices of a `str`, so they are valid UTF-8.
        std::str::from_utf8(&self.source[span.range()]).unwrap_or_default()
    }

    fn key<'a>(&'a self, entry: &'a Entry) -> &'a str {
        entry.decoded_key().unwrap_or_else(|| self.text(entry.key))
    }

    /// What becomes of an entry.
    fn change<'c>(&self, changes: &'c Changes, entry: &Entry) -> Option<Option<&'c Value>> {
        changes.get_bytes(entry.key_in(&self.source))
    }

    /// Whether only a comma stands between two entries of the source.
    fn adjoin(&self, left: &Entry, right: &Entry) -> bool {
        // The right one begins with a quote, which its key's span leaves out.
        let gap = left.value.range().end..right.key.range().start - 1;
        self.source.get(gap) == Some(b",")
    }

    /// A run of entries as they lie in the source, from the quote of the first key.
    fn run(&self, first: &Entry, last: &Entry) -> &[u8] {
        &self.source[first.key.range().start - 1..last.value.range().end]
    }
}

impl Document for JsonDocument {
    fn get(&self, key: &str) -> Result<Option<ValueRef<'_>>> {
        let entry = self.entries.find(&self.source, key);
        Ok(entry.map(|entry| ValueRef::json(self.text(entry.value))))
    }

    fn keys(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| self.key(entry)).collect()
    }

    fn encode(&self, changes: &Changes) -> Result<Bytes> {
        let (open, close) = self.shape.around();
        let mut out = Vec::with_capacity(self.source.len() + 64);
        out.extend_from_slice(open.as_bytes());
        let depth = self.shape.depth();
        let mut kept = self.entries.iter().peekable();
        while let Some(entry) = kept.next() {
            match self.change(changes, entry) {
                None => {}
                Some(Some(value)) if !changes.is_cleared() => {
                    separate(&mut out, open);
                    write::key(&mut out, self.key(entry));
                    write(&mut out, value, depth)?;
                    continue;
                }
                // Removed; or after a clear set again, and then it is a new key at the end.
                Some(_) => continue,
            }
            let mut last = entry;
            while let Some(next) =
                kept.next_if(|next| self.adjoin(last, next) && self.change(changes, next).is_none())
            {
                last = next;
            }
            separate(&mut out, open);
            out.extend_from_slice(self.run(entry, last));
        }
        for (key, value) in changes.iter() {
            let Some(value) = value else { continue };
            if changes.is_cleared() || self.entries.find(&self.source, key).is_none() {
                separate(&mut out, open);
                write::key(&mut out, key);
                write(&mut out, value, depth)?;
            }
        }
        out.extend_from_slice(close.as_bytes());
        Ok(Bytes::from(out))
    }
}

/// A whole session in Rails' wrapper.
pub(super) fn encode(session: &Map) -> Result<Bytes> {
    let mut out = br#"{"value":"#.to_vec();
    write::map(&mut out, session, MAX_DEPTH - 1)?;
    out.push(b'}');
    Ok(Bytes::from(out))
}

fn separate(out: &mut Vec<u8>, open: &str) {
    if out.len() > open.len() {
        out.push(b',');
    }
}
