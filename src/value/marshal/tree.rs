//! From bytes to owned values.

use super::copy::Copier;
use super::reader::{Head, Item, Read, Reader, Stop};
use super::{Node, moment};
use crate::value::number::{BigInt, Decimal};
use crate::value::text::{EncodingRef, Symbol, TextRef};
use crate::value::{Hash, Map, Object, Value};

/// Reads a whole value. What has no plain form becomes inert bytes; so does all of it where it
/// nests too deep, contains itself, or is large by links alone.
pub(super) fn value(node: Node<'_>) -> Read<Value> {
    let mut reader = Reader::new(node.source, node.at);
    match read(&mut reader) {
        Err(Stop::Deep | Stop::Large) => object(node),
        result => result,
    }
}

fn object(node: Node<'_>) -> Read<Value> {
    let dump = Copier::extract(node.source, node.at)?;
    Ok(Value::Object(Object::parse(dump)?))
}

fn read(reader: &mut Reader<'_>) -> Read<Value> {
    reader.value(|reader, item| {
        let bare = item.class.is_none() && item.extended.is_none();
        match item.head {
            Head::Nil => Ok(Value::Nil),
            Head::Bool(value) => Ok(Value::Bool(value)),
            Head::Int(value) => Ok(Value::Int(value.into())),
            Head::Big(negative, magnitude) => Ok(integer(negative, magnitude)),
            Head::Float(value) => Ok(Value::Float(value)),
            Head::Symbol(name) => Ok(Value::Symbol(Symbol::from_text(name.to_owned()))),
            Head::Str(text) if bare && item.variables == 0 => Ok(string(text)),
            Head::Array(count) if bare && item.variables == 0 => array(reader, count),
            Head::Hash(count, default) if item.extended.is_none() && item.variables == 0 => {
                hash(reader, item, count, default)
            }
            Head::Dumped(class, dump) if bare => dumped(reader, item, class, dump),
            _ => inert(reader, item),
        }
    })
}

fn integer(negative: bool, magnitude: &[u8]) -> Value {
    let big = BigInt::from_le_bytes(negative, magnitude);
    match big.to_i128() {
        Some(value) => Value::Int(value),
        None => Value::BigInt(big),
    }
}

fn string(text: TextRef<'_>) -> Value {
    match (text.encoding, std::str::from_utf8(text.bytes)) {
        (EncodingRef::Utf8, Ok(text)) => Value::String(text.to_owned()),
        _ => Value::Text(text.to_owned()),
    }
}

/// Room for so many items at first: a count is paid for only as items are read.
fn room(count: usize) -> usize {
    count.min(32)
}

fn array(reader: &mut Reader<'_>, count: usize) -> Read<Value> {
    let mut items = Vec::with_capacity(room(count));
    for _ in 0..count {
        items.push(read(reader)?);
    }
    Ok(Value::Array(items))
}

fn hash<'a>(
    reader: &mut Reader<'a>,
    item: &mut Item<'a>,
    count: usize,
    default: bool,
) -> Read<Value> {
    let class = item.class.map(|class| class.bytes);
    if !matches!(class, None | Some(b"Hash" | Map::INDIFFERENT)) {
        return inert(reader, item);
    }
    let mut entries = Vec::with_capacity(room(count));
    let mut texts = true;
    for _ in 0..count {
        let key = read(reader)?;
        texts &= matches!(key, Value::String(_) | Value::Text(_)) && key.as_str().is_some();
        entries.push((key, read(reader)?));
    }
    let default = if default { Some(read(reader)?) } else { None };
    if texts && default.is_none() && class != Some(b"Hash") {
        let mut map: Map = entries
            .into_iter()
            .filter_map(|(key, value)| Some((key.into_string()?, value)))
            .collect();
        map.set_indifferent(class.is_some());
        return Ok(Value::Map(map));
    }
    let mut hash = Hash::new(entries, default);
    hash.set_by_identity(class == Some(b"Hash"));
    hash.set_indifferent(class == Some(Map::INDIFFERENT));
    Ok(Value::Hash(Box::new(hash)))
}

fn dumped<'a>(
    reader: &mut Reader<'a>,
    item: &mut Item<'a>,
    class: TextRef<'a>,
    dump: TextRef<'a>,
) -> Read<Value> {
    if class.bytes == b"BigDecimal"
        && item.variables == 0
        && let Some(decimal) = Decimal::from_dump(dump.bytes)
    {
        return Ok(Value::Decimal(decimal));
    }
    if class.bytes == b"Time" {
        let mut plain = true;
        let moment = moment::read(reader, item, dump.bytes, |reader, _| {
            plain = false;
            reader.skip(1)
        })?;
        if let Some(moment) = moment.filter(|moment| plain && moment.rest.is_none()) {
            return Ok(Value::Time(Box::new(moment.time)));
        }
    }
    inert(reader, item)
}

/// Keeps an item as bytes of its own.
fn inert<'a>(reader: &mut Reader<'a>, item: &mut Item<'a>) -> Read<Value> {
    let dump = Copier::extract(reader.source(), item.start)?;
    reader.charge(dump.len() / 4)?;
    reader.skip_item(item)?;
    Ok(Value::Object(Object::parse(dump)?))
}
