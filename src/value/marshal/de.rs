//! From bytes to serde, without an owned value in between.
//!
//! A symbol reads as a string, a `HashWithIndifferentAccess` as a map, a subclass as what it is
//! made of, a `Set` as a list, a `Time` as RFC 3339 text, a `BigDecimal` as decimal text, an object
//! and a struct as a map of their variables and members, and `marshal_dump`'s result in place of
//! the object that gave it.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::moment;
use super::reader::{Head, Item, Read, Reader, Stop};
use crate::value::number::{BigInt, Decimal};
use crate::value::text::TextRef;

/// serde's own message would quote the value: it is dropped.
impl serde::de::Error for Stop {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self::Misfit
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the value cannot be read")
    }
}

impl std::error::Error for Stop {}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.value(|reader, item| visit(reader, item, visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.is_nil() {
            self.skip(1)?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
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
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        self.value(|reader, item| match item.head {
            Head::Str(name) | Head::Symbol(name) => {
                let value = visitor.visit_enum(Variant { name, content: None });
                reader.skip_item(item)?;
                value
            }
            Head::Hash(1, false) => {
                let name = reader.value(|reader, item| match item.head {
                    Head::Str(name) | Head::Symbol(name) => {
                        reader.skip_item(item)?;
                        Ok(name)
                    }
                    _ => Err(Stop::Misfit),
                })?;
                visitor.visit_enum(Variant { name, content: Some(reader) })
            }
            _ => Err(Stop::Misfit),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.skip(1)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

fn visit<'de, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
    item: &mut Item<'de>,
    visitor: V,
) -> Read<V::Value> {
    match item.head {
        Head::Nil => visitor.visit_unit(),
        Head::Bool(value) => visitor.visit_bool(value),
        Head::Int(value) => visitor.visit_i64(value),
        Head::Big(negative, magnitude) => visit_big(negative, magnitude, visitor),
        Head::Float(value) => visitor.visit_f64(value),
        Head::Symbol(text) | Head::Str(text) | Head::Regexp(text, _) => visit_text(text, visitor),
        Head::Array(count) => visit_list(reader, count, visitor),
        Head::Hash(count, default) => {
            let value = visit_pairs(reader, count, false, visitor)?;
            if default {
                reader.skip(1)?;
            }
            Ok(value)
        }
        Head::Object(class, 1) if class.bytes == b"Set" => visit_set(reader, item, visitor),
        Head::Object(_, count) | Head::Struct(_, count) => {
            visit_pairs(reader, count, true, visitor)
        }
        Head::Marshaled(class) if class.bytes == b"ActiveSupport::TimeWithZone" => {
            visit_first(reader, item, visitor)
        }
        Head::Marshaled(_) => reader.deserialize_any(visitor),
        Head::Dumped(class, dump) => visit_dump(reader, item, class, dump, visitor),
        Head::Class(name) | Head::Module(name) => match std::str::from_utf8(name) {
            Ok(name) => visitor.visit_borrowed_str(name),
            Err(_) => visitor.visit_borrowed_bytes(name),
        },
    }
}

fn visit_big<'de, V: Visitor<'de>>(negative: bool, magnitude: &[u8], visitor: V) -> Read<V::Value> {
    let value = BigInt::from_le_bytes(negative, magnitude).to_i128().ok_or(Stop::Misfit)?;
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => visitor.visit_i64(value),
        (_, Ok(value)) => visitor.visit_u64(value),
        _ => visitor.visit_i128(value),
    }
}

fn visit_text<'de, V: Visitor<'de>>(text: TextRef<'de>, visitor: V) -> Read<V::Value> {
    match text.as_str() {
        Some(text) => visitor.visit_borrowed_str(text),
        None => visitor.visit_borrowed_bytes(text.bytes),
    }
}

fn visit_list<'de, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
    count: usize,
    visitor: V,
) -> Read<V::Value> {
    let mut list = List { reader, left: count };
    let value = visitor.visit_seq(&mut list)?;
    let left = list.left;
    reader.skip(left)?;
    Ok(value)
}

fn visit_pairs<'de, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
    count: usize,
    named: bool,
    visitor: V,
) -> Read<V::Value> {
    let mut pairs = Pairs { reader, left: count, named };
    let value = visitor.visit_map(&mut pairs)?;
    while pairs.left > 0 {
        pairs.left -= 1;
        if named {
            pairs.reader.name()?;
        } else {
            pairs.reader.skip(1)?;
        }
        pairs.reader.skip(1)?;
    }
    Ok(value)
}

/// A `Set` keeps its members as the keys of a hash.
fn visit_set<'de, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
    item: &mut Item<'de>,
    visitor: V,
) -> Read<V::Value> {
    reader.name()?;
    let value = reader.value(|reader, inner| {
        let Head::Hash(count, _) = inner.head else { return Err(Stop::Misfit) };
        let mut members = Members { reader, left: count };
        let value = visitor.visit_seq(&mut members)?;
        reader.skip_item(inner)?;
        Ok(value)
    })?;
    reader.skip_item(item)?;
    Ok(value)
}

/// The first item of the list that `marshal_dump` gave: a zoned time's moment in UTC.
fn visit_first<'de, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
    item: &mut Item<'de>,
    visitor: V,
) -> Read<V::Value> {
    let value = reader.value(|reader, list| {
        if !matches!(list.head, Head::Array(1..)) {
            return Err(Stop::Misfit);
        }
        let value = reader.deserialize_any(visitor)?;
        reader.skip_item(list)?;
        Ok(value)
    })?;
    reader.skip_item(item)?;
    Ok(value)
}

fn visit_dump<'de, V: Visitor<'de>>(
    reader: &mut Reader<'de>,
    item: &mut Item<'de>,
    class: TextRef<'de>,
    dump: TextRef<'de>,
    visitor: V,
) -> Read<V::Value> {
    match class.bytes {
        b"Time" => {
            let moment = moment::read(reader, item, dump.bytes, |reader, _| reader.skip(1))?;
            visitor.visit_string(moment.ok_or(Stop::Misfit)?.time.to_string())
        }
        b"BigDecimal" => {
            let decimal = Decimal::from_dump(dump.bytes).ok_or(Stop::Misfit)?;
            visitor.visit_string(decimal.to_string())
        }
        _ => visit_text(dump, visitor),
    }
}

struct List<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for List<'_, 'de> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(1024))
    }
}

struct Members<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Members<'_, 'de> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let member = seed.deserialize(&mut *self.reader)?;
        self.reader.skip(1)?;
        Ok(Some(member))
    }
}

struct Pairs<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
    /// Keys are names of variables, shown without `@`.
    named: bool,
}

impl<'de> MapAccess<'de> for Pairs<'_, 'de> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Read<Option<K::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if !self.named {
            return seed.deserialize(&mut *self.reader).map(Some);
        }
        let name = self.reader.name()?.as_str().ok_or(Stop::Misfit)?;
        let name = name.strip_prefix('@').unwrap_or(name);
        seed.deserialize(serde::de::value::BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Read<V::Value> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(1024))
    }
}

struct Variant<'r, 'de> {
    name: TextRef<'de>,
    content: Option<&'r mut Reader<'de>>,
}

impl<'r, 'de> EnumAccess<'de> for Variant<'r, 'de> {
    type Error = Stop;
    type Variant = Content<'r, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Read<(V::Value, Content<'r, 'de>)> {
        let name = self.name.as_str().ok_or(Stop::Misfit)?;
        let name = serde::de::value::BorrowedStrDeserializer::<Stop>::new(name);
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

struct Content<'r, 'de>(Option<&'r mut Reader<'de>>);

impl<'r, 'de> Content<'r, 'de> {
    fn reader(self) -> Read<&'r mut Reader<'de>> {
        self.0.ok_or(Stop::Misfit)
    }
}

impl<'de> VariantAccess<'de> for Content<'_, 'de> {
    type Error = Stop;

    fn unit_variant(self) -> Read<()> {
        match self.0 {
            None => Ok(()),
            Some(reader) if reader.is_nil() => reader.skip(1),
            Some(_) => Err(Stop::Misfit),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Read<T::Value> {
        seed.deserialize(self.reader()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        self.reader()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        self.reader()?.deserialize_any(visitor)
    }
}
