//! Another codec's text as a JSON string, for json and jsonb columns.

use bytes::Bytes;

use super::json;
use super::{Changes, Codec, Document};
use crate::error::{Error, Result};
use crate::value::ValueRef;
use crate::value::json::{Fault, Scanner};

/// Writes another codec's text as a JSON string: what ActiveRecord's class of the Rails gem leaves
/// in a json or jsonb column under `json`, `hybrid` or `marshal`.
///
/// | column | Rails' class | serializer | codec |
/// | --- | --- | --- | --- |
/// | text | either | `marshal`, `json`, `hybrid` | [`Marshal`](crate::Marshal), [`Json`](crate::Json), [`Hybrid`](crate::Hybrid) |
/// | json, jsonb | ActiveRecord's (the default) | `marshal`, `json`, `hybrid` | `JsonString(Marshal)`, `JsonString(Json)`, `JsonString(Hybrid::default())` |
/// | json, jsonb | `SqlBypass` | `json`, `hybrid` | [`Json`](crate::Json), [`Hybrid`](crate::Hybrid) |
/// | json, jsonb | ActiveRecord's | `null` | [`Null`](crate::Null) |
///
/// MariaDB's json is text with a check: there both classes store what `Json` and `Hybrid` write.
///
/// Reading takes the other shapes too: what is no JSON string is read as the inner codec reads it,
/// and `Marshal`, `Json` and `Hybrid` on their own read a JSON string of their text. So a table in
/// which both classes have written is read whole, and written in the configured one's shape.
///
/// # Examples
///
/// ```
/// use sqlbypass::{Changes, Codec, Json, JsonString};
///
/// let stored = r#""{\"value\":{\"a\":1}}""#;
/// let document = JsonString(Json).open(Some(stored.into())).unwrap();
/// let mut changes = Changes::new();
/// changes.set("a", 2.into());
/// assert_eq!(document.encode(&changes).unwrap(), r#""{\"value\":{\"a\":2}}""#);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonString<C>(pub C);

impl<C: Codec> Codec for JsonString<C> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        let inner = match &stored {
            // What JSON has for nothing, whatever the inner codec has for it.
            Some(text) if matches!(text.trim_ascii(), b"null" | b"false") => None,
            Some(text) => unquoted(self.name(), text)?.or_else(|| stored.clone()),
            None => None,
        };
        Ok(Box::new(Quoted { document: self.0.open(inner)?, stored }))
    }
}

struct Quoted {
    document: Box<dyn Document>,
    /// What it came as, which an unchanged document goes back as.
    stored: Option<Bytes>,
}

impl Document for Quoted {
    fn get(&self, key: &str) -> Result<Option<ValueRef<'_>>> {
        self.document.get(key)
    }

    fn keys(&self) -> Vec<&str> {
        self.document.keys()
    }

    fn encode(&self, changes: &Changes) -> Result<Bytes> {
        if let (true, Some(stored)) = (changes.is_empty(), &self.stored) {
            return Ok(stored.clone());
        }
        let text = self.document.encode(changes)?;
        let text = std::str::from_utf8(&text).map_err(|_| {
            Error::value("encoding session data", "the inner codec writes no UTF-8")
                .advice("only a codec that writes text fits into a JSON string")
        })?;
        let mut out = Vec::with_capacity(text.len() + text.len() / 8 + 2);
        json::string(&mut out, text);
        Ok(Bytes::from(out))
    }
}

/// The text that a JSON string holds, if the whole is one.
pub(super) fn unquoted(format: &'static str, stored: &[u8]) -> Result<Option<Bytes>> {
    if !begins_string(stored) {
        return Ok(None);
    }
    let text = json::utf8(stored).and_then(text_in_string);
    let text = text.map_err(|fault| Error::decode(format, Some(fault.offset), fault.expected))?;
    Ok(text.map(|(text, _)| Bytes::from(text)))
}

fn begins_string(stored: &[u8]) -> bool {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    stored.iter().find(|byte| !blank(byte)) == Some(&b'"')
}

/// The text that a JSON string holds, and where the string begins, if the whole is one.
pub(super) fn text_in_string(text: &str) -> Result<Option<(String, usize)>, Fault> {
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
