//! To and from serde types and `serde_json::Value`.
//!
//! serde's own messages quote the value that did not fit; ours name the type alone.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use super::de::Owned;
use super::ser::{self, Unfit};
use super::{BigInt, Encoding, Hash, Map, Text, Value, json};
use crate::error::{Error, Result};

pub(super) fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Value> {
    ser::build(value).map_err(|unfit| {
        let name = std::any::type_name::<T>();
        let problem = match unfit {
            Unfit::NotFinite => format!("a {name} holds a float that is not finite"),
            Unfit::Other => format!("a {name} cannot be stored"),
        };
        Error::value("storing a session value", problem)
    })
}

pub(super) fn deserialize<T: DeserializeOwned>(value: &Value) -> Result<T> {
    T::deserialize(Owned(value)).map_err(|_| misfit::<T>())
}

pub(super) fn deserialize_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    // serde_json knows neither comments nor all that Ruby takes: such text goes by way of a value.
    serde_json::from_str(text).or_else(|_| deserialize(&value_from_json(text)?))
}

pub(super) fn value_from_json(text: &str) -> Result<Value> {
    json::read(text).map_err(|fault| Error::decode("json", Some(fault.offset), fault.expected))
}

fn misfit<T>() -> Error {
    Error::value(
        "reading a session value",
        format!("the stored value does not fit {}", std::any::type_name::<T>()),
    )
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i128() {
                Some(value) => Self::Int(value),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::String(text),
            Json::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Json::Object(map) => Self::Map(map.into_iter().collect::<Map>()),
        }
    }
}

/// By the rules of [`Value::deserialize`], and lossy where those end: bytes that are no text read
/// as text with replacement characters, an integer beyond 64 bits and an object that contains
/// itself as null.
impl From<Value> for Json {
    fn from(value: Value) -> Self {
        match value {
            Value::Nil => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => {
                serde_json::Number::from_i128(value).map_or(Self::Null, Self::Number)
            }
            Value::Float(value) => Self::from(value),
            Value::String(text) => Self::String(text),
            Value::Array(items) => Self::Array(items.into_iter().map(Self::from).collect()),
            Value::Map(map) => {
                Self::Object(map.into_iter().map(|(key, value)| (key, value.into())).collect())
            }
            Value::BigInt(_) => Self::Null,
            Value::Text(text) => Self::String(lossy(&text)),
            Value::Symbol(symbol) => Self::String(lossy(symbol.text())),
            Value::Hash(hash) => Self::Object(
                hash.entries()
                    .iter()
                    .map(|(key, value)| (key_text(key), Self::from(value.clone())))
                    .collect(),
            ),
            Value::Time(time) => Self::String(time.to_string()),
            Value::Decimal(decimal) => Self::String(decimal.to_string()),
            Value::Object(object) => object.to_plain().map_or(Self::Null, Self::from),
        }
    }
}

fn lossy(text: &Text) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

/// A key as Ruby's `to_s` has it, where it is no text.
pub(crate) fn key_text(key: &Value) -> String {
    match key {
        Value::Nil => String::new(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::BigInt(value) if value.is_long() => "more than 10,000 digits".into(),
        Value::BigInt(value) => value.to_string(),
        Value::Float(value) => super::number::ruby_float(*value),
        Value::Time(time) => time.ruby_text(),
        Value::Decimal(decimal) => decimal.to_string(),
        key => match key.as_str() {
            Some(text) => text.to_owned(),
            None => Json::from(key.clone()).to_string(),
        },
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                _ => serializer.serialize_i128(*value),
            },
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => serializer.collect_seq(items),
            Self::Map(map) => serializer.collect_map(map.iter()),
            Self::BigInt(value) => big(value, serializer),
            Self::Text(text) => serialize_text(text, serializer),
            Self::Symbol(symbol) => serialize_text(symbol.text(), serializer),
            Self::Hash(hash) => serializer
                .collect_map(hash.entries().iter().map(|(key, value)| (key_text(key), value))),
            Self::Time(time) => serializer.serialize_str(&time.to_string()),
            Self::Decimal(decimal) => serializer.serialize_str(&decimal.to_string()),
            Self::Object(object) => match object.to_plain() {
                Ok(plain) => plain.serialize(serializer),
                Err(_) => Err(serde::ser::Error::custom("an object without a plain form")),
            },
        }
    }
}

/// serde has no such integers; serde_json takes the digits as they are.
fn big<S: Serializer>(value: &BigInt, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_long() {
        return Err(serde::ser::Error::custom("an integer of more than 10,000 digits"));
    }
    let digits = serde_json::value::RawValue::from_string(value.to_string());
    digits.map_err(serde::ser::Error::custom)?.serialize(serializer)
}

fn serialize_text<S: Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
    match text.as_str() {
        Some(text) => serializer.serialize_str(text),
        None => serializer.serialize_bytes(text.as_bytes()),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Value, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::Text(Text::new(bytes, Encoding::Binary)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(32));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0).min(32));
        while let Some(entry) = map.next_entry::<Value, Value>()? {
            entries.push(entry);
        }
        if entries.iter().all(|(key, _)| matches!(key, Value::String(_))) {
            let texts =
                entries.into_iter().filter_map(|(key, value)| Some((key.into_string()?, value)));
            return Ok(Value::Map(texts.collect()));
        }
        Ok(Value::Hash(Box::new(Hash::new(entries, None))))
    }
}
