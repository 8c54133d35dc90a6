//! To and from serde types and `serde_json::Value`.
//!
//! serde's own messages quote the value that did not fit; ours name the type alone.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use super::{Map, Value, json};
use crate::error::{Error, Result};

pub(super) fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map(Value::from).map_err(|_| {
        Error::value(
            "storing a session value",
            format!("a {} cannot be stored", std::any::type_name::<T>()),
        )
    })
}

pub(super) fn deserialize<T: DeserializeOwned>(value: &Value) -> Result<T> {
    serde_json::from_value(Json::from(value.clone())).map_err(|_| misfit::<T>())
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
        }
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
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Json::deserialize(deserializer).map(Self::from)
    }
}
