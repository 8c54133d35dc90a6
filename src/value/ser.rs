//! From serde types to values, by the rules of `serde_json::to_value` with two differences: a
//! float that is not finite is an error instead of null, and integers have all their digits.

use std::fmt;

use serde::ser::{self, Serialize};

use super::{BigInt, Map, Value, json};

/// The name by which serde_json's `RawValue` tells its serializers that it is JSON text.
const RAW: &str = "$serde_json::private::RawValue";

/// How many items to make room for on a type's word alone.
const ROOM: usize = 1024;

/// Why there is no value. It never holds what a type's own message says: that may quote content.
#[derive(Debug)]
pub(super) enum Unfit {
    NotFinite,
    Other,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFinite => "a float that is not finite",
            Self::Other => "no value of a session",
        })
    }
}

impl std::error::Error for Unfit {}

impl ser::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Other
    }
}

type Built = Result<Value, Unfit>;

/// The value of anything that serde can serialize.
pub(super) fn build<T: Serialize + ?Sized>(value: &T) -> Built {
    value.serialize(Builder { is_key: false })
}

/// A map's key: whatever serializes to a text, a truth value or an integer.
fn build_key<T: Serialize + ?Sized>(key: &T) -> Result<String, Unfit> {
    match key.serialize(Builder { is_key: true })? {
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Int(value) => Ok(value.to_string()),
        Value::BigInt(value) => Ok(value.to_string()),
        _ => Err(Unfit::Other),
    }
}

/// JSON text inside of a value.
fn build_raw(text: &str) -> Built {
    let value = json::read(text).map_err(|_| Unfit::Other)?;
    // Recurses at most as deep as the reader lets a text be nested.
    fn is_finite(value: &Value) -> bool {
        match value {
            Value::Float(value) => value.is_finite(),
            Value::Array(items) => items.iter().all(is_finite),
            Value::Map(map) => map.iter().all(|(_, value)| is_finite(value)),
            _ => true,
        }
    }
    if is_finite(&value) { Ok(value) } else { Err(Unfit::NotFinite) }
}

/// A variant with content is a map of its name.
fn tagged(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::Map([(variant, value)].into_iter().collect()),
        None => value,
    }
}

#[derive(Clone, Copy)]
struct Builder {
    is_key: bool,
}

impl Builder {
    fn items(variant: Option<&'static str>, len: Option<usize>) -> Items {
        Items { variant, items: Vec::with_capacity(len.unwrap_or(0).min(ROOM)) }
    }

    fn entries(variant: Option<&'static str>, len: Option<usize>) -> Entries {
        let entries = Vec::with_capacity(len.unwrap_or(0).min(ROOM));
        Entries { variant, is_raw: false, key: None, entries }
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, value: $type) -> Built {
            Ok(Value::Int(value.into()))
        }
    )*};
}

impl ser::Serializer for Builder {
    type Ok = Value;
    type Error = Unfit;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64,
    }

    fn serialize_u128(self, value: u128) -> Built {
        Ok(match value.try_into() {
            Ok(value) => Value::Int(value),
            Err(_) => Value::BigInt(BigInt::from_le_bytes(false, &value.to_le_bytes())),
        })
    }

    fn serialize_bool(self, value: bool) -> Built {
        Ok(Value::Bool(value))
    }

    fn serialize_f32(self, value: f32) -> Built {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Built {
        if value.is_finite() { Ok(Value::Float(value)) } else { Err(Unfit::NotFinite) }
    }

    fn serialize_char(self, value: char) -> Built {
        Ok(Value::String(value.into()))
    }

    fn serialize_str(self, text: &str) -> Built {
        Ok(Value::String(text.to_owned()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Built {
        Ok(Value::Array(bytes.iter().map(|byte| Value::Int((*byte).into())).collect()))
    }

    fn serialize_none(self) -> Built {
        Ok(Value::Nil)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Built {
        if self.is_key { Err(Unfit::Other) } else { value.serialize(self) }
    }

    fn serialize_unit(self) -> Built {
        Ok(Value::Nil)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Built {
        Ok(Value::Nil)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Built {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Built {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Built {
        Ok(tagged(Some(variant), build(value)?))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items, Unfit> {
        Ok(Self::items(None, len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Items, Unfit> {
        Ok(Self::items(None, Some(len)))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items, Unfit> {
        Ok(Self::items(None, Some(len)))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items, Unfit> {
        Ok(Self::items(Some(variant), Some(len)))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Entries, Unfit> {
        Ok(Self::entries(None, len))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Entries, Unfit> {
        Ok(Entries { is_raw: name == RAW, ..Self::entries(None, Some(len)) })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Entries, Unfit> {
        Ok(Self::entries(Some(variant), Some(len)))
    }
}

/// A list in the making.
struct Items {
    variant: Option<&'static str>,
    items: Vec<Value>,
}

macro_rules! items {
    ($($kind:ident::$method:ident),* $(,)?) => {$(
        impl ser::$kind for Items {
            type Ok = Value;
            type Error = Unfit;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
                self.items.push(build(value)?);
                Ok(())
            }

            fn end(self) -> Built {
                Ok(tagged(self.variant, Value::Array(self.items)))
            }
        }
    )*};
}
items! {
    SerializeSeq::serialize_element, SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field, SerializeTupleVariant::serialize_field,
}

/// A map in the making.
struct Entries {
    variant: Option<&'static str>,
    is_raw: bool,
    key: Option<String>,
    entries: Vec<(String, Value)>,
}

impl Entries {
    fn finish(self) -> Built {
        if self.is_raw {
            return match self.entries.as_slice() {
                [(_, Value::String(text))] => build_raw(text),
                _ => Err(Unfit::Other),
            };
        }
        Ok(tagged(self.variant, Value::Map(self.entries.into_iter().collect::<Map>())))
    }
}

impl ser::SerializeMap for Entries {
    type Ok = Value;
    type Error = Unfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unfit> {
        self.key = Some(build_key(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        let key = self.key.take().ok_or(Unfit::Other)?;
        self.entries.push((key, build(value)?));
        Ok(())
    }

    fn end(self) -> Built {
        self.finish()
    }
}

macro_rules! fields {
    ($($kind:ident),*) => {$(
        impl ser::$kind for Entries {
            type Ok = Value;
            type Error = Unfit;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Unfit> {
                self.entries.push((key.to_owned(), build(value)?));
                Ok(())
            }

            fn end(self) -> Built {
                self.finish()
            }
        }
    )*};
}
fields!(SerializeStruct, SerializeStructVariant);
