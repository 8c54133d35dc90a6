//! From owned values to serde types, by the same rules as from bytes.

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::Value;
use super::marshal::reader::{Read, Reader, Stop};

/// An owned value on its way into a serde type.
#[derive(Clone, Copy)]
pub(super) struct Owned<'a>(pub(super) &'a Value);

impl<'de> IntoDeserializer<'de, Stop> for Owned<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Owned<'_> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self.0 {
            Value::Nil => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_i64(value),
                (_, Ok(value)) => visitor.visit_u64(value),
                _ => visitor.visit_i128(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(text) => visitor.visit_str(text),
            Value::Text(text) => match text.as_str() {
                Some(text) => visitor.visit_str(text),
                None => visitor.visit_bytes(text.as_bytes()),
            },
            Value::Symbol(symbol) => match symbol.as_str() {
                Some(name) => visitor.visit_str(name),
                None => visitor.visit_bytes(symbol.text().as_bytes()),
            },
            Value::Array(items) => {
                SeqDeserializer::new(items.iter().map(Owned)).deserialize_any(visitor)
            }
            Value::Map(map) => {
                let entries =
                    map.iter().map(|(key, value)| (StrDeserializer::new(key), Owned(value)));
                MapDeserializer::new(entries).deserialize_any(visitor)
            }
            Value::Hash(hash) => {
                let entries = hash.entries().iter().map(|(key, value)| (Owned(key), Owned(value)));
                MapDeserializer::new(entries).deserialize_any(visitor)
            }
            Value::Time(time) => visitor.visit_string(time.to_string()),
            Value::Decimal(decimal) => visitor.visit_string(decimal.to_string()),
            Value::BigInt(_) => Err(Stop::Misfit),
            Value::Object(object) => object.with_reader(|reader| inert(reader, visitor)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.0.is_nil() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        match self.0 {
            Value::Map(map) => {
                let entries =
                    map.iter().map(|(key, value)| (StrDeserializer::new(key), Owned(value)));
                visitor.visit_enum(serde::de::value::MapAccessDeserializer::new(
                    MapDeserializer::new(entries),
                ))
            }
            value => match value.as_str() {
                Some(text) => {
                    StrDeserializer::<Stop>::new(text).deserialize_enum(name, variants, visitor)
                }
                None => Err(Stop::Misfit),
            },
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// An object's bytes live shorter than `'de`: it goes through a value of serde's own kind.
fn inert<'de, V: Visitor<'de>>(reader: &mut Reader<'_>, visitor: V) -> Read<V::Value> {
    let plain = <Value as serde::Deserialize>::deserialize(reader)?;
    Owned(&plain).deserialize_any(visitor)
}
