//! A typed description of a dump in JSON: every kind, encoding, class and link that Ruby would
//! see. For people who look into a session, and for checks against Ruby.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json, json};

use crate::error::Result;
use crate::value::marshal::reader::{Head, Item, Read, Reader};
use crate::value::marshal::source::Source;
use crate::value::marshal::{misread, moment, out::VERSION};
use crate::value::number::{BigInt, ruby_float};
use crate::value::text::{EncodingRef, TextRef};
use crate::value::time::{Time, offset_text};

/// Describes the value in a dump.
pub(crate) fn describe(source: &Source) -> Result<Json> {
    let mut describer = Describer::default();
    let mut reader = Reader::new(source, VERSION.len());
    let mut json =
        describer.value(&mut reader).map_err(|stop| misread("describing session data", stop))?;
    describer.number(&mut json);
    Ok(json)
}

#[derive(Default)]
struct Describer {
    /// Where each object that was met begins, and its number for now.
    met: HashMap<usize, u64>,
    /// Those that were met again.
    again: HashSet<u64>,
    numbers: HashMap<u64, u64>,
}

impl Describer {
    fn value(&mut self, reader: &mut Reader<'_>) -> Read<Json> {
        reader.value(|reader, item| {
            let id = match item.head {
                Head::Nil | Head::Bool(_) | Head::Int(_) | Head::Big(..) | Head::Float(_) => None,
                Head::Symbol(_) | Head::Class(_) | Head::Module(_) => None,
                _ => Some(self.met.len() as u64),
            };
            if let Some(id) = id {
                if let Some(id) = self.met.get(&item.start) {
                    self.again.insert(*id);
                    let id = *id;
                    reader.skip_item(item)?;
                    return Ok(json!({"t": "ref", "id": id}));
                }
                self.met.insert(item.start, id);
            }
            let mut described = self.item(reader, item)?;
            if let Some(id) = id {
                described.insert("id".into(), id.into());
            }
            Ok(Json::Object(described))
        })
    }

    fn item<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        item: &mut Item<'a>,
    ) -> Read<Map<String, Json>> {
        let mut described = match item.head {
            Head::Nil => object(json!({"t": "nil"})),
            Head::Bool(value) => object(json!({"t": "bool", "v": value})),
            Head::Int(value) => object(json!({"t": "int", "v": value.to_string()})),
            Head::Big(negative, magnitude) => {
                // The text of digits takes a time that grows with the square of their number.
                reader.charge(magnitude.len() * magnitude.len() / 4096)?;
                let value = BigInt::from_le_bytes(negative, magnitude);
                object(json!({"t": "int", "v": value.to_string()}))
            }
            Head::Float(value) => float(value),
            Head::Symbol(name) => text("sym", name),
            Head::Str(bytes) => text("str", bytes),
            Head::Regexp(source, options) => regexp(source, options),
            Head::Array(count) => {
                let items = (0..count).map(|_| self.value(reader)).collect::<Read<Vec<Json>>>()?;
                nested("array", [("v", items.into())])
            }
            Head::Hash(count, default) => self.hash(reader, item, count, default)?,
            Head::Object(class, count) => self.object(reader, class, count)?,
            Head::Struct(class, count) => {
                let members = self.named(reader, count)?;
                nested("struct", [("class", name(class).into()), ("v", members.into())])
            }
            Head::Marshaled(class) => {
                nested("umarshal", [("class", name(class).into()), ("v", self.value(reader)?)])
            }
            Head::Dumped(class, dump) => return self.dumped(reader, item, class, dump),
            Head::Class(class) => object(json!({"t": "class", "v": lossy(class)})),
            Head::Module(module) => object(json!({"t": "module", "v": lossy(module)})),
        };
        if let Some(class) = item.class.filter(|class| !is_core_class(class.bytes)) {
            described.insert("class".into(), name(class).into());
        }
        let modules = reader.modules(item)?;
        if !modules.is_empty() {
            described.insert("ext".into(), modules.into_iter().map(name).collect());
        }
        let variables = self.variables(reader, item)?;
        if !variables.is_empty() {
            described.insert("iv".into(), variables.into());
        }
        Ok(described)
    }

    fn hash<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        item: &Item<'a>,
        count: usize,
        default: bool,
    ) -> Read<Map<String, Json>> {
        let by_identity = item.class.is_some_and(|class| class.bytes == b"Hash");
        let mut entries: Vec<(Json, Json)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for _ in 0..count {
            let key = self.key(reader)?;
            let value = self.value(reader)?;
            let place = *places.entry(key.to_string()).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(entry) if !by_identity => entry.1 = value,
                _ => entries.push((key, value)),
            }
        }
        let entries = entries.into_iter().map(|(key, value)| Json::Array(vec![key, value]));
        let mut described = nested("hash", [("v", entries.collect())]);
        if default {
            described.insert("default".into(), self.value(reader)?);
        }
        if by_identity {
            described.insert("by_identity".into(), true.into());
        }
        Ok(described)
    }

    /// A string as a key is described each time: Ruby shares equal ones anyway.
    fn key(&mut self, reader: &mut Reader<'_>) -> Read<Json> {
        let plain = reader.peek_value(|reader, item| match item.head {
            Head::Str(bytes) if item.class.is_none() && item.variables == 0 => {
                Ok(Some(Json::Object(text("str", bytes))))
            }
            _ => reader.skip_item(item).map(|()| None),
        })?;
        match plain {
            Some(key) => reader.skip(1).map(|()| key),
            None => self.value(reader),
        }
    }

    fn object<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        class: TextRef<'a>,
        count: usize,
    ) -> Read<Map<String, Json>> {
        let mut fields = self.named(reader, count)?;
        let place = |wanted: &str| fields.iter().position(|field| field[0] == wanted);
        if class.bytes == b"Range"
            && let (Some(begin), Some(end), Some(excl)) =
                (place("begin"), place("end"), place("excl"))
        {
            let mut take = |place: usize| fields[place][1].take();
            let excl = take(excl)["v"].take();
            let ends = [("begin", take(begin)), ("end", take(end)), ("excl", excl)];
            return Ok(nested("range", ends));
        }
        let exception = match (place("mesg"), place("bt")) {
            (Some(message), Some(backtrace)) => {
                let lines = |lines: &Vec<Json>| lines.iter().map(readable).collect();
                let lines = fields[backtrace][1]["v"].as_array().map_or(Json::Null, lines);
                Some((readable(&fields[message][1]), lines))
            }
            _ => None,
        };
        fields.retain(|field| is_variable(&field[0]));
        let class = ("class", name(class).into());
        let Some((message, backtrace)) = exception else {
            return Ok(nested("object", [class, ("iv", fields.into())]));
        };
        let mut described =
            nested("exception", [class, ("message", message), ("backtrace", backtrace)]);
        if !fields.is_empty() {
            described.insert("iv".into(), fields.into());
        }
        Ok(described)
    }

    fn dumped<'a>(
        &mut self,
        reader: &mut Reader<'a>,
        item: &mut Item<'a>,
        class: TextRef<'a>,
        dump: TextRef<'a>,
    ) -> Read<Map<String, Json>> {
        let mut variables = Vec::new();
        if class.bytes == b"Time" {
            let moment = moment::read(reader, item, dump.bytes, |reader, variable| {
                variables.push(pair(variable, self.value(reader)?));
                Ok(())
            })?;
            if let Some(moment) = moment {
                let mut described = time(&moment.time, moment.rest);
                variables.retain(|variable| is_variable(&variable[0]));
                if !variables.is_empty() {
                    described.insert("iv".into(), variables.into());
                }
                return Ok(described);
            }
        }
        let mut described = text("str", dump);
        variables.extend(self.variables(reader, item)?);
        if !variables.is_empty() {
            described.insert("iv".into(), variables.into());
        }
        Ok(nested("udef", [("class", name(class).into()), ("dump", described.into())]))
    }

    fn variables<'a>(&mut self, reader: &mut Reader<'a>, item: &mut Item<'a>) -> Read<Vec<Json>> {
        let mut variables = Vec::new();
        reader.variables(item, |reader, variable| {
            // Ruby cannot see one without an `@`.
            if variable.bytes.starts_with(b"@") {
                variables.push(pair(variable, self.value(reader)?));
                return Ok(());
            }
            reader.skip(1)
        })?;
        Ok(variables)
    }

    fn named(&mut self, reader: &mut Reader<'_>, count: usize) -> Read<Vec<Json>> {
        (0..count)
            .map(|_| {
                let field = reader.name()?;
                Ok(pair(field, self.value(reader)?))
            })
            .collect()
    }

    /// Takes away the numbers of what was met once, and counts the others from 1.
    fn number(&mut self, json: &mut Json) {
        match json {
            Json::Array(items) => items.iter_mut().for_each(|item| self.number(item)),
            Json::Object(fields) => {
                if let Some(id) = fields.get("id").and_then(Json::as_u64) {
                    if self.again.contains(&id) {
                        let next = self.numbers.len() as u64 + 1;
                        let number = *self.numbers.entry(id).or_insert(next);
                        fields.insert("id".into(), number.into());
                    } else {
                        fields.remove("id");
                    }
                }
                fields.values_mut().for_each(|value| self.number(value));
            }
            _ => {}
        }
    }
}

fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// What holds other descriptions, which go in as they are: `json!` copies them, at each level anew.
fn nested<const N: usize>(kind: &str, fields: [(&str, Json); N]) -> Map<String, Json> {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    [("t".to_owned(), kind.into())].into_iter().chain(fields).collect()
}

fn pair(key: TextRef<'_>, value: Json) -> Json {
    Json::Array(vec![name(key).into(), value])
}

/// The text of a described string, also of one without an encoding.
fn readable(described: &Json) -> Json {
    let hex = || const_hex::decode(described["hex"].as_str()?).ok();
    match described["v"].as_str() {
        Some(text) => text.into(),
        None => hex().map_or(Json::Null, |bytes| lossy(&bytes).into()),
    }
}

fn is_core_class(class: &[u8]) -> bool {
    matches!(class, b"Hash" | b"String" | b"Array" | b"Regexp")
}

fn is_variable(name: &Json) -> bool {
    name.as_str().is_some_and(|name| name.starts_with('@'))
}

fn name(text: TextRef<'_>) -> String {
    lossy(text.bytes)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text(kind: &str, text: TextRef<'_>) -> Map<String, Json> {
    let encoding = text.encoding.to_owned();
    let mut described =
        object(json!({"t": kind, "enc": encoding.name(), "hex": const_hex::encode(text.bytes)}));
    if matches!(text.encoding, EncodingRef::Utf8 | EncodingRef::Ascii)
        && let Some(readable) = text.as_str()
    {
        described.insert("v".into(), readable.into());
    }
    described
}

fn regexp(mut source: TextRef<'_>, options: u8) -> Map<String, Json> {
    if source.encoding == EncodingRef::Binary && source.bytes.is_ascii() {
        source.encoding = EncodingRef::Ascii;
    }
    let mut described = text("regexp", source);
    described.insert("opts".into(), options.into());
    described
}

fn float(value: f64) -> Map<String, Json> {
    let bits = if value.is_nan() { "nan".into() } else { format!("{:016x}", value.to_bits()) };
    object(json!({"t": "float", "v": ruby_float(value), "bits": bits}))
}

fn time(time: &Time, rest: Option<(i64, i64)>) -> Map<String, Json> {
    let offset = time.offset().unwrap_or(0);
    let zone = if time.offset().is_none() { Some("UTC") } else { time.zone() };
    let shown = Time::utc(time.seconds(), 0).at_offset(offset).to_string();
    let clock = &shown[..shown.len() - offset_text(offset, ":").len()];
    let mut described = object(json!({
        "t": "time",
        "utc": time.offset().is_none(),
        "sec": time.seconds().to_string(),
        "nsec": time.nanoseconds(),
        "offset": offset,
        "zone": zone,
        "iso": format!("{clock}.{:09}{}", time.nanoseconds(), offset_text(offset, ":")),
    }));
    if let Some((over, under)) = rest {
        let divisor = gcd(over, under);
        described
            .insert("subnsec".into(), format!("{}/{}", over / divisor, under / divisor).into());
    }
    described
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}
