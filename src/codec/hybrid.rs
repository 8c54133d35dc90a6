//! Rails' `hybrid` serializer: reads Marshal and JSON, always writes JSON.

use bytes::Bytes;

use super::json_string::unquoted;
use super::{Changes, Codec, Document, Json, Marshal, json};
use crate::error::{Error, Result};
use crate::value::json::MAX_DEPTH;
use crate::value::{Map, Value, ValueRef, key_text};

/// Text that begins with `BAh` is Marshal, everything else JSON; what is written is JSON.
///
/// A session that came as Marshal turns into JSON as a whole when it is first changed, as in
/// Rails. A symbol and a subclass of Ruby's string become strings, a key that is no text becomes
/// the text that Ruby's `to_s` gives, a hash's default and every class are left out, a time
/// becomes Ruby's `2024-02-29 12:00:00 UTC` (one of Rails' with its zone's offset, `+0900`), as the
/// gem writes it since 2.2, and a `BigDecimal` its decimal text. Bytes that are no text, floats that
/// JSON cannot say, and all other objects are an error, unless [lossy](Self::lossy) conversion is
/// asked for.
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
        let inner = stored.as_deref().map(|text| unquoted("hybrid", text)).transpose()?.flatten();
        match inner.or(stored) {
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
        let mut whole = Vec::new();
        for key in self.marshal.keys() {
            let kept = match changes.get(key) {
                None => self.marshal.get(key)?.map(ValueRef::to_value).transpose()?,
                Some(Some(_)) if changes.is_cleared() => None,
                Some(value) => value.cloned(),
            };
            // Rails drops a nil at the commit.
            if let Some(value) = kept.filter(|value| !value.is_nil()) {
                whole.push((key, for_json(value, self.lossy)?));
            }
        }
        for (key, value) in changes.iter() {
            let is_new = changes.is_cleared() || self.marshal.get(key)?.is_none();
            if let (Some(value), true) = (value, is_new) {
                whole.push((key, for_json(value.clone(), self.lossy)?));
            }
        }
        json::encode(&whole.into_iter().collect())
    }
}

/// The value in kinds that JSON has.
pub(super) fn for_json(value: Value, lossy: bool) -> Result<Value> {
    convert(value, lossy, MAX_DEPTH)
}

/// Recurses at most as deep as Ruby lets JSON nest.
fn convert(value: Value, lossy: bool, depth: usize) -> Result<Value> {
    let within = |value| match depth.checked_sub(1) {
        Some(depth) => convert(value, lossy, depth),
        None => Err(json::too_deep()),
    };
    Ok(match value {
        Value::Float(float) if !float.is_finite() => given_up(lossy)?,
        Value::BigInt(integer) if lossy && integer.is_long() => Value::Nil,
        Value::Symbol(symbol) => convert(symbol.text().clone().into(), lossy, depth)?,
        Value::Text(text) => match text.as_str() {
            Some(text) => text.into(),
            None if lossy => String::from_utf8_lossy(text.as_bytes()).into_owned().into(),
            None => given_up(false)?,
        },
        Value::Array(items) => Value::Array(items.into_iter().map(within).collect::<Result<_>>()?),
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(key, value)| Ok((key, within(value)?)))
                .collect::<Result<Map>>()?,
        ),
        Value::Hash(hash) => Value::Map(
            hash.entries()
                .iter()
                .map(|(key, value)| {
                    if !lossy && !has_text(key) {
                        given_up(false)?;
                    }
                    Ok((key_text(key), within(value.clone())?))
                })
                .collect::<Result<Map>>()?,
        ),
        Value::Time(time) => time.ruby_text().into(),
        Value::Decimal(decimal) => decimal.to_string().into(),
        Value::Object(object) => match object.zoned_text() {
            Some(time) => time.into(),
            None if lossy || object.is_core() => match object.to_plain() {
                Ok(plain) => convert(plain, lossy, depth)?,
                Err(_) => given_up(lossy)?,
            },
            None => given_up(false)?,
        },
        value => value,
    })
}

/// Whether a key's text is what Ruby's `to_s` gives.
fn has_text(key: &Value) -> bool {
    match key {
        Value::Array(_) | Value::Map(_) | Value::Hash(_) => false,
        Value::BigInt(integer) => !integer.is_long(),
        _ => true,
    }
}

fn given_up(lossy: bool) -> Result<Value> {
    if lossy {
        return Ok(Value::Nil);
    }
    Err(Error::value("encoding session data", "a value has no counterpart in JSON"))
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, for_json};
    use crate::value::{Hash, Map, Value};

    fn nested(levels: usize, wrap: impl Fn(Value) -> Value) -> Value {
        (0..levels).fold(Value::Nil, |value, _| wrap(value))
    }

    #[test]
    fn converts_as_deep_as_ruby_reads_and_no_deeper() {
        let array = |value| Value::Array(vec![value]);
        let map = |value| Value::Map([("a", value)].into_iter().collect::<Map>());
        let hash = |value| Value::Hash(Box::new(Hash::new(vec![(1.into(), value)], None)));
        for lossy in [false, true] {
            for wrap in [&array as &dyn Fn(Value) -> Value, &map, &hash] {
                assert!(for_json(nested(MAX_DEPTH, wrap), lossy).is_ok());
                let error = for_json(nested(MAX_DEPTH + 1, wrap), lossy).unwrap_err();
                assert!(error.to_string().contains("100 levels"), "{error}");
            }
        }
    }
}
