//! The value model that every codec reads into and writes from.
//!
//! [`Value`] owns, [`ValueRef`] borrows from the stored bytes and is read only as far as it is
//! asked for.

mod borrowed;
pub(crate) mod float;
pub(crate) mod json;
mod map;
mod serde_bridge;

use std::fmt;

pub use borrowed::ValueRef;
pub use map::Map;

use crate::error::Result;

/// A value of a session.
///
/// `Debug` shows kind and size, never content: session data does not belong into logs.
///
/// # Examples
///
/// ```
/// use sqlbypass::Value;
///
/// let cart = Value::from(serde_json::json!({"sku": 7, "tags": ["a"]}));
/// assert_eq!(cart.as_map().unwrap().get("sku").and_then(Value::as_i64), Some(7));
/// assert_eq!(format!("{cart:?}"), "Map(2)");
/// ```
#[derive(Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Value {
    /// Ruby's nil, JSON's null. A top-level key that holds it is dropped at commit.
    #[default]
    Nil,
    /// true or false.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A float.
    Float(f64),
    /// A text in UTF-8.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// An ordered map.
    Map(Map),
}

impl Value {
    /// Whether it is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => i64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The number as a float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// The list, if it is one.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(value) => Some(value),
            _ => None,
        }
    }

    /// The map, if it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(value) => Some(value),
            _ => None,
        }
    }

    /// Makes a value of anything that serde can serialize.
    ///
    /// # Errors
    ///
    /// When the value has no counterpart, for instance a map whose keys are no texts.
    pub fn from_serialize<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self> {
        serde_bridge::from_serialize(value)
    }

    /// Reads the value into any type that serde can deserialize.
    ///
    /// # Errors
    ///
    /// When the value does not fit the type. The message names the type and never the value.
    pub fn deserialize<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_bridge::deserialize(self)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("Nil"),
            Self::Bool(_) => f.write_str("Bool(..)"),
            Self::Int(_) => f.write_str("Int(..)"),
            Self::Float(_) => f.write_str("Float(..)"),
            Self::String(text) => write!(f, "String({})", text.len()),
            Self::Array(items) => write!(f, "Array({})", items.len()),
            Self::Map(map) => write!(f, "Map({})", map.len()),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
from! {
    bool => Bool, i32 => Int, u32 => Int, i64 => Int, u64 => Int, f64 => Float,
    &str => String, String => String, Vec<Value> => Array, Map => Map,
}
