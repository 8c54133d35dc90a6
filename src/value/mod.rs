//! The value model that every codec reads into and writes from.
//!
//! [`Value`] owns, [`ValueRef`] borrows from the stored bytes and is read only as far as it is
//! asked for.

mod borrowed;
mod de;
pub(crate) mod float;
mod hash;
pub(crate) mod json;
mod map;
pub(crate) mod marshal;
pub(crate) mod number;
mod object;
mod ser;
mod serde_bridge;
pub(crate) mod text;
pub(crate) mod time;

use std::fmt;

pub use borrowed::ValueRef;
pub use hash::Hash;
pub use map::Map;
pub use number::{BigInt, Decimal};
pub use object::Object;
pub(crate) use serde_bridge::key_text;
pub use text::{Encoding, Symbol, Text};
pub use time::Time;

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
#[derive(Clone, Default)]
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
    /// An ordered map of texts, also a `HashWithIndifferentAccess`.
    Map(Map),
    /// An integer beyond what 128 bits hold.
    BigInt(BigInt),
    /// A string that is not UTF-8, or was not marked as such.
    Text(Text),
    /// A symbol.
    Symbol(Symbol),
    /// A hash with other keys, or with a default.
    Hash(Box<Hash>),
    /// A time with its zone.
    Time(Box<Time>),
    /// A `BigDecimal`.
    Decimal(Decimal),
    /// Anything else of Ruby's, kept as it is.
    Object(Object),
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

    /// The text, if it is one that can be read as UTF-8; also a symbol's name and a subclass of
    /// Ruby's string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            Self::Text(text) => text.as_str(),
            Self::Symbol(symbol) => symbol.as_str(),
            Self::Object(object) => object.as_str(),
            _ => None,
        }
    }

    /// The text's bytes in its own encoding, if it is one.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(value) => Some(value.as_bytes()),
            Self::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    pub(crate) fn into_string(self) -> Option<String> {
        match self {
            Self::String(value) => Some(value),
            value => value.as_str().map(str::to_owned),
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
    /// When the value has no counterpart, for instance a map whose keys are no texts, or holds a
    /// float that is not finite. The message names the type and never the value.
    pub fn from_serialize<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self> {
        serde_bridge::from_serialize(value)
    }

    /// Reads the value into any type that serde can deserialize.
    ///
    /// A symbol reads as a string, a `HashWithIndifferentAccess` as a map, a subclass of Ruby's
    /// core types as what it is made of, a `Set` as a list, a time as RFC 3339 text, a
    /// `BigDecimal` as decimal text, an object and a struct as a map of their variables and
    /// members (without the `@`), and an object that dumps itself as what it dumped.
    ///
    /// # Errors
    ///
    /// When the value does not fit the type. The message names the type and never the value.
    pub fn deserialize<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_bridge::deserialize(self)
    }
}

/// Equal as Ruby's `==` has it, with one difference: an integer never equals a float. A text
/// equals a string of the same bytes where its encoding reads the same.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::BigInt(a), Self::BigInt(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => {
                a == b || (a.as_str().is_some() && a.as_str() == b.as_str())
            }
            (Self::String(a), Self::Text(b)) | (Self::Text(b), Self::String(a)) => {
                b.as_str() == Some(a)
            }
            (Self::Symbol(a), Self::Symbol(b)) => a == b,
            (Self::Hash(a), Self::Hash(b)) => a == b,
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Decimal(a), Self::Decimal(b)) => a.to_string() == b.to_string(),
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => false,
        }
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
            Self::Map(map) => map.fmt(f),
            Self::BigInt(value) => fmt::Debug::fmt(value, f),
            Self::Text(text) => text.fmt(f),
            Self::Symbol(symbol) => symbol.fmt(f),
            Self::Hash(hash) => hash.fmt(f),
            Self::Time(time) => fmt::Debug::fmt(time, f),
            Self::Decimal(decimal) => fmt::Debug::fmt(decimal, f),
            Self::Object(object) => object.fmt(f),
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
    &str => String, String => String, Vec<Value> => Array, Map => Map, BigInt => BigInt,
    Text => Text, Symbol => Symbol, Hash => Hash, Time => Time, Decimal => Decimal,
    Object => Object,
}
