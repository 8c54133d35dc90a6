//! From one format of the data column to the other, as a whole.

use bytes::Bytes;

use super::hybrid::for_json;
use super::json_string::unquoted;
use super::{Changes, Codec, Document, Json, Marshal, Null, Serializer, json};
use crate::error::{Error, Result};
use crate::value::{Map, Value, ValueRef};

/// How to convert.
#[derive(Clone, Copy)]
pub(crate) struct Conversion {
    /// Whether Marshal is wanted; else JSON.
    pub(crate) to_marshal: bool,
    /// What text that is no Marshal was written by.
    pub(crate) from: Serializer,
    /// Whether to replace what JSON cannot say.
    pub(crate) lossy: bool,
    /// Whether the column takes JSON alone, in which Marshal stands as a string.
    pub(crate) in_json: bool,
}

impl Conversion {
    /// The data in the other format; `None` when it is in that format already.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or not be said in the other format without loss.
    pub(crate) fn run(self, stored: &Bytes) -> Result<Option<Bytes>> {
        let inner = unquoted("hybrid", stored)?;
        let was_quoted = inner.is_some();
        let text = inner.unwrap_or_else(|| stored.clone());
        let is_marshal = text.starts_with(b"BAh");
        let document = match (is_marshal, self.from) {
            (true, _) => Marshal.open(Some(text))?,
            (false, Serializer::Null) => Null.open(Some(text))?,
            (false, _) => wrapped(text)?,
        };
        if is_marshal == self.to_marshal {
            return Ok(None);
        }
        let session = values(&*document)?;
        let converted = if self.to_marshal { marshal(session)? } else { self.json(session)? };
        let quotes = was_quoted || (self.in_json && self.to_marshal);
        if quotes { quoted(&converted).map(Some) } else { Ok(Some(converted)) }
    }

    fn json(self, session: Vec<(String, Value)>) -> Result<Bytes> {
        let plain = |(key, value)| Ok((key, for_json(value, self.lossy)?));
        let map = session.into_iter().map(plain).collect::<Result<Map>>()?;
        json::encode(&map)
    }
}

/// What a session holds as JSON for people: what JSON cannot say is replaced.
///
/// # Errors
///
/// When it cannot be read.
pub(crate) fn plain(document: &dyn Document) -> Result<serde_json::Value> {
    let mut fields = serde_json::Map::new();
    for (key, value) in values(document)? {
        let json = serde_json::to_value(for_json(value, true)?)
            .map_err(|_| Error::value("showing session data", "a value has no JSON text"))?;
        fields.insert(key, json);
    }
    Ok(fields.into())
}

/// JSON of Rails' `json` serializer. An object without `value` is read as an empty session, which is
/// no reason to throw away what it holds.
fn wrapped(text: Bytes) -> Result<Box<dyn Document>> {
    let document = Json.open(Some(text.clone()))?;
    check_bare(&Json, &*document, text)?;
    Ok(document)
}

/// Refuses what Rails' serializers of JSON have read as an empty session and is an object that holds
/// something all the same. A codec of somebody's own may have its reasons.
pub(crate) fn check_bare(codec: &dyn Codec, document: &dyn Document, text: Bytes) -> Result<()> {
    let is_wrapped = matches!(codec.name(), "json" | "hybrid");
    let holds = |bare: Box<dyn Document>| bare.keys().iter().any(|key| *key != "value");
    if !is_wrapped || !document.keys().is_empty() || !Null.open(Some(text)).is_ok_and(holds) {
        return Ok(());
    }
    Err(Error::decode("json", None, "it is an object without the key \"value\"")
        .advice("if it was written by the serializer null, say so"))
}

/// What the session holds; Rails drops a nil at the next commit.
fn values(document: &dyn Document) -> Result<Vec<(String, Value)>> {
    let mut values = Vec::new();
    for key in document.keys() {
        let value = document.get(key)?.map(ValueRef::to_value).transpose()?;
        if let Some(value) = value.filter(|value| !value.is_nil()) {
            values.push((key.to_owned(), value));
        }
    }
    Ok(values)
}

fn marshal(session: Vec<(String, Value)>) -> Result<Bytes> {
    let mut changes = Changes::new();
    for (key, value) in session {
        changes.set(key, value);
    }
    Marshal.open(None)?.encode(&changes)
}

fn quoted(text: &[u8]) -> Result<Bytes> {
    let text = std::str::from_utf8(text)
        .map_err(|_| Error::value("converting session data", "the result is no text"))?;
    let mut out = Vec::with_capacity(text.len() + 16);
    json::string(&mut out, text);
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO_JSON: Conversion =
        Conversion { to_marshal: false, from: Serializer::Json, lossy: false, in_json: false };
    const TO_MARSHAL: Conversion = Conversion { to_marshal: true, ..TO_JSON };

    fn run(conversion: Conversion, stored: &str) -> Option<String> {
        let converted = conversion.run(&Bytes::copy_from_slice(stored.as_bytes())).unwrap();
        converted.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn both_ways_and_back() {
        let (marshal, json) = ("BAh7BkkiBmEGOgZFVGkG\n", r#"{"value":{"a":1}}"#);
        assert_eq!(run(TO_JSON, marshal).unwrap(), json);
        assert_eq!(run(TO_MARSHAL, json).unwrap(), marshal);
        assert_eq!(run(TO_JSON, json), None);
        assert_eq!(run(TO_MARSHAL, marshal), None);
        let null = Conversion { from: Serializer::Null, ..TO_MARSHAL };
        assert_eq!(run(null, r#"{"a":1}"#).unwrap(), marshal);
    }

    #[test]
    fn in_a_json_column_the_shape_stays() {
        let in_json = Conversion { in_json: true, ..TO_MARSHAL };
        let quoted = r#""BAh7BkkiBmEGOgZFVGkG\n""#;
        assert_eq!(run(in_json, r#"{"value":{"a":1}}"#).unwrap(), quoted);
        let back = Conversion { in_json: true, ..TO_JSON };
        assert_eq!(run(back, quoted).unwrap(), r#""{\"value\":{\"a\":1}}""#);
    }

    #[test]
    fn what_json_cannot_say_is_refused_unless_loss_is_allowed() {
        // {"a"=>NaN}
        let stored = Bytes::from_static(b"BAh7BkkiBmEGOgZFVGYIbmFu");
        assert!(TO_JSON.run(&stored).unwrap_err().is_value());
        let lossy = Conversion { lossy: true, ..TO_JSON };
        assert!(lossy.run(&stored).unwrap().is_some());
    }

    #[test]
    fn what_would_be_lost_in_reading_is_refused() {
        assert!(TO_MARSHAL.run(&Bytes::from_static(br#"{"a":1}"#)).unwrap_err().is_decode());
        assert!(TO_JSON.run(&Bytes::from_static(b"nonsense")).unwrap_err().is_decode());
    }
}
