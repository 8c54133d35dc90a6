//! Rails' `hybrid` serializer: reads Marshal and JSON, always writes JSON.

use bytes::Bytes;

use super::{Changes, Codec, Document, Json, Marshal};
use crate::error::{Error, Result};
use crate::value::{Map, Value, ValueRef, key_text};

/// Text that begins with `BAh` is Marshal, everything else JSON; what is written is JSON.
///
/// A session that came as Marshal turns into JSON as a whole when it is first changed, as in
/// Rails. A symbol and a subclass of Ruby's string become strings, a key that is no text becomes
/// the text that Ruby's `to_s` gives, a hash's default and every class are left out, a time
/// becomes Ruby's `2024-02-29 12:00:00 UTC` and a `BigDecimal` its decimal text. Bytes that are no
/// text, floats that JSON cannot say, and all other objects are an error, unless
/// [lossy](Self::lossy) conversion is asked for.
///
/// # Examples
///
/// ```
/// use sqlbypass::{Changes, Codec, Hybrid};
///
/// // {"a"=>1}
/// let document = Hybrid::default().open(Some("BAh7BkkiBmEGOgZFVGkG\n".into())).unwrap();
/// let mut changes = Changes::new();
/// changes.set("b", 2.into());
/// assert_eq!(document.encode(&changes).unwrap(), r#"{"value":{"a":1,"b":2}}"#);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Hybrid {
    lossy: bool,
}

impl Hybrid {
    /// Converts also what JSON cannot say: bytes with replacement characters, floats to null,
    /// objects as [`Value::deserialize`] reads them, and null for what is left.
    pub fn lossy(mut self) -> Self {
        self.lossy = true;
        self
    }
}

impl Codec for Hybrid {
    fn name(&self) -> &'static str {
        "hybrid"
    }

    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        match stored {
            Some(text) if text.starts_with(b"BAh") => {
                Ok(Box::new(Converted { marshal: Marshal.open(Some(text))?, lossy: self.lossy }))
            }
            stored => Json.open(stored),
        }
    }
}

/// A document that came as Marshal and goes as JSON.
struct Converted {
    marshal: Box<dyn Document>,
    lossy: bool,
}

impl Document for Converted {
    fn get(&self, key: &str) -> Result<Option<ValueRef<'_>>> {
        self.marshal.get(key)
    }

    fn keys(&self) -> Vec<&str> {
        self.marshal.keys()
    }

    fn encode(&self, changes: &Changes) -> Result<Bytes> {
        if changes.is_empty() {
            return self.marshal.encode(changes);
        }
        let mut whole = Changes::new();
        for key in self.marshal.keys() {
            let kept = match changes.get(key) {
                None => self.marshal.get(key)?.map(ValueRef::to_value).transpose()?,
                Some(Some(_)) if changes.is_cleared() => None,
                Some(value) => value.cloned(),
            };
            if let Some(value) = kept {
                whole.set(key, for_json(value, self.lossy)?);
            }
        }
        for (key, value) in changes.iter() {
            if let (Some(value), None) = (value, whole.get(key)) {
                whole.set(key, for_json(value.clone(), self.lossy)?);
            }
        }
        Json.open(None)?.encode(&whole)
    }
}

/// The value in kinds that JSON has.
pub(super) fn for_json(value: Value, lossy: bool) -> Result<Value> {
    Ok(match value {
        Value::Float(float) if !float.is_finite() => given_up(lossy)?,
        Value::Symbol(symbol) => for_json(symbol.text().clone().into(), lossy)?,
        Value::Text(text) => match text.as_str() {
            Some(text) => text.into(),
            None if lossy => String::from_utf8_lossy(text.as_bytes()).into_owned().into(),
            None => given_up(false)?,
        },
        Value::Array(items) => Value::Array(
            items.into_iter().map(|item| for_json(item, lossy)).collect::<Result<_>>()?,
        ),
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(key, value)| Ok((key, for_json(value, lossy)?)))
                .collect::<Result<Map>>()?,
        ),
        Value::Hash(hash) => Value::Map(
            hash.entries()
                .iter()
                .map(|(key, value)| {
                    if !lossy && matches!(key, Value::Array(_) | Value::Map(_) | Value::Hash(_)) {
                        given_up(false)?;
                    }
                    Ok((key_text(key), for_json(value.clone(), lossy)?))
                })
                .collect::<Result<Map>>()?,
        ),
        Value::Time(time) => time.ruby_text().into(),
        Value::Decimal(decimal) => decimal.to_string().into(),
        Value::Object(object) if lossy || object.is_core() => match object.to_plain() {
            Ok(plain) => for_json(plain, lossy)?,
            Err(_) => given_up(lossy)?,
        },
        Value::Object(_) => given_up(false)?,
        value => value,
    })
}

fn given_up(lossy: bool) -> Result<Value> {
    if lossy {
        return Ok(Value::Nil);
    }
    Err(Error::value("encoding session data", "a value has no counterpart in JSON"))
}
