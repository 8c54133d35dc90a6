//! A dump from its typed description, as Ruby would write it.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::writer;
use crate::error::{Error, Result};
use crate::value::marshal::out::Out;
use crate::value::number::{BigInt, MAX_DIGITS};
use crate::value::text::{EncodingRef, TextRef};
use crate::value::time::Time;

/// The dump that a description stands for.
pub(crate) fn compose(description: &Json) -> Result<Vec<u8>> {
    let mut composer = Composer {
        out: Out::with_capacity(256),
        ids: HashMap::new(),
        classes: HashMap::new(),
        zones: HashMap::new(),
        depth: 0,
    };
    composer.value(description)?;
    Ok(composer.out.bytes)
}

struct Composer<'a> {
    out: Out<'a>,
    /// The object numbers of what will be met again.
    ids: HashMap<u64, usize>,
    /// The object numbers of classes and modules: there is one of each.
    classes: HashMap<&'a str, usize>,
    /// The names of time zones that will be met again.
    zones: HashMap<u64, &'a str>,
    depth: usize,
}

fn bad(expected: &'static str) -> Error {
    Error::value("reading a typed description", format!("expected {expected}"))
}

impl<'a> Composer<'a> {
    fn value(&mut self, json: &'a Json) -> Result<()> {
        // A description nests twice as deep in JSON, and its reader's bound is lower.
        if self.depth > 500 {
            return Err(bad("less nesting"));
        }
        self.depth += 1;
        self.any(json)?;
        self.depth -= 1;
        Ok(())
    }

    fn any(&mut self, json: &'a Json) -> Result<()> {
        match field(json, "t")? {
            "nil" => self.out.bytes.push(b'0'),
            "bool" => {
                let value = json["v"].as_bool().ok_or_else(|| bad("true or false"))?;
                self.out.bytes.push(if value { b'T' } else { b'F' });
            }
            "int" => self.int(json)?,
            "float" => self.float(json)?,
            "sym" => match json["v"].as_str() {
                Some(name) => self.name(name),
                None => self.odd_symbol(json)?,
            },
            "ref" => {
                let id = json["id"].as_u64().and_then(|id| self.ids.get(&id));
                self.out.link(*id.ok_or_else(|| bad("the id of what came before"))?);
            }
            "str" => self.string(json, b"\"", &[])?,
            "regexp" => {
                let options = json["opts"].as_u64().and_then(|bits| u8::try_from(bits).ok());
                self.string(json, b"/", &[options.ok_or_else(|| bad("opts"))?])?;
            }
            "array" => {
                let variables = self.wrappers(json)?;
                let items = list(&json["v"])?;
                self.out.bytes.push(b'[');
                self.object(json);
                self.out.int(items.len() as i64);
                items.iter().try_for_each(|item| self.value(item))?;
                self.variables(variables)?;
            }
            "hash" => self.hash(json)?,
            "struct" => {
                let variables = self.wrappers(json)?;
                self.out.bytes.push(b'S');
                self.object(json);
                self.name(field(json, "class")?);
                self.pairs(list(&json["v"])?)?;
                self.variables(variables)?;
            }
            "object" | "range" | "exception" => self.plain_object(json)?,
            "umarshal" => {
                self.out.bytes.push(b'U');
                self.object(json);
                self.name(field(json, "class")?);
                self.value(&json["v"])?;
            }
            "udef" => self.user_defined(json)?,
            "time" => self.time(json)?,
            kind @ ("class" | "module") => self.class(kind, field(json, "v")?),
            _ => return Err(bad("a kind that is known")),
        }
        Ok(())
    }

    fn object(&mut self, json: &Json) {
        let number = self.out.object();
        if let Some(id) = json["id"].as_u64() {
            self.ids.insert(id, number);
        }
    }

    fn name(&mut self, name: &'a str) {
        let encoding = if name.is_ascii() { EncodingRef::Ascii } else { EncodingRef::Utf8 };
        self.out.symbol(TextRef { bytes: name.as_bytes(), encoding });
    }

    /// A symbol that is no text is spelled out each time.
    fn odd_symbol(&mut self, json: &'a Json) -> Result<()> {
        let encoding = EncodingRef::named(field(json, "enc")?.as_bytes());
        self.out.bytes.extend_from_slice(match encoding {
            EncodingRef::Binary | EncodingRef::Ascii => b":",
            _ => b"I:",
        });
        self.out.text(&bytes(json)?);
        self.out.name_symbol(None);
        if !matches!(encoding, EncodingRef::Binary | EncodingRef::Ascii) {
            self.out.encoding(encoding);
        }
        Ok(())
    }

    fn int(&mut self, json: &Json) -> Result<()> {
        let text = field(json, "v")?;
        if let Ok(value) = text.parse() {
            writer::write_int(&mut self.out, value);
            return Ok(());
        }
        let value = Some(text).filter(|digits| digits.len() <= 10 * MAX_DIGITS);
        let value = value.and_then(BigInt::from_decimal);
        let value = value.ok_or_else(|| bad("an integer of at most 100,000 digits"))?;
        writer::write_big(&mut self.out, value.is_negative(), value.magnitude());
        Ok(())
    }

    fn float(&mut self, json: &Json) -> Result<()> {
        let value = match json["bits"].as_str() {
            Some("nan") => f64::NAN,
            Some(bits) => {
                f64::from_bits(u64::from_str_radix(bits, 16).map_err(|_| bad("16 hex digits"))?)
            }
            None => match field(json, "v")? {
                "Infinity" => f64::INFINITY,
                "-Infinity" => f64::NEG_INFINITY,
                "NaN" => f64::NAN,
                text => text.parse().map_err(|_| bad("a float"))?,
            },
        };
        writer::write_float(&mut self.out, value);
        Ok(())
    }

    /// `I`, `e` and `C` as far as they are needed; answers the variables that are to follow.
    fn wrappers(&mut self, json: &'a Json) -> Result<&'a [Json]> {
        let variables = variables(json)?;
        if !variables.is_empty() {
            self.out.bytes.push(b'I');
        }
        self.classes_of(json)?;
        Ok(variables)
    }

    fn classes_of(&mut self, json: &'a Json) -> Result<()> {
        for module in json["ext"].as_array().into_iter().flatten() {
            self.out.bytes.push(b'e');
            self.name(module.as_str().ok_or_else(|| bad("a module's name"))?);
        }
        let own = !matches!(field(json, "t")?, "object" | "struct" | "exception");
        if let (Some(class), true) = (json["class"].as_str(), own) {
            self.out.bytes.push(b'C');
            self.name(class);
        }
        if json["by_identity"] == true {
            self.out.bytes.push(b'C');
            self.name("Hash");
        }
        Ok(())
    }

    fn variables(&mut self, variables: &'a [Json]) -> Result<()> {
        if variables.is_empty() { Ok(()) } else { self.pairs(variables) }
    }

    fn pairs(&mut self, pairs: &'a [Json]) -> Result<()> {
        self.out.int(pairs.len() as i64);
        self.named(pairs)
    }

    fn named(&mut self, pairs: &'a [Json]) -> Result<()> {
        for pair in pairs {
            self.name(pair[0].as_str().ok_or_else(|| bad("a name and a value"))?);
            self.value(&pair[1])?;
        }
        Ok(())
    }

    /// A string or a regexp: its text, and what stands between the text and its variables.
    fn string(&mut self, json: &'a Json, kind: &[u8], tail: &[u8]) -> Result<()> {
        let encoding = EncodingRef::named(field(json, "enc")?.as_bytes());
        let others = variables(json)?;
        let count = usize::from(encoding != EncodingRef::Binary) + others.len();
        if count > 0 {
            self.out.bytes.push(b'I');
        }
        self.classes_of(json)?;
        self.out.bytes.extend_from_slice(kind);
        self.object(json);
        self.out.text(&bytes(json)?);
        self.out.bytes.extend_from_slice(tail);
        if count > 0 {
            self.out.int(count as i64);
            self.out.encoding_variable(encoding);
            self.named(others)?;
        }
        Ok(())
    }

    fn hash(&mut self, json: &'a Json) -> Result<()> {
        let variables = self.wrappers(json)?;
        let entries = list(&json["v"])?;
        let default = json.get("default");
        self.out.bytes.push(if default.is_some() { b'}' } else { b'{' });
        self.object(json);
        self.out.int(entries.len() as i64);
        for entry in entries {
            let (key, value) = (&entry[0], &entry[1]);
            let plain = key["t"] == "str" && key.get("class").is_none() && key.get("iv").is_none();
            match key["v"].as_str() {
                Some(text) if plain && json["by_identity"] != true => {
                    let encoding = EncodingRef::named(field(key, "enc")?.as_bytes());
                    let text = TextRef { bytes: text.as_bytes(), encoding };
                    writer::shared_string(&mut self.out, text);
                }
                _ => self.value(key)?,
            }
            self.value(value)?;
        }
        default.map_or(Ok(()), |default| self.value(default))?;
        self.variables(variables)
    }

    fn plain_object(&mut self, json: &'a Json) -> Result<()> {
        self.classes_of(json)?;
        self.out.bytes.push(b'o');
        self.object(json);
        let others = variables(json)?;
        match field(json, "t")? {
            "range" => {
                self.name("Range");
                self.out.int(3);
                self.name("excl");
                self.out.bytes.push(if json["excl"] == true { b'T' } else { b'F' });
                self.name("begin");
                self.value(&json["begin"])?;
                self.name("end");
                return self.value(&json["end"]);
            }
            "exception" => {
                self.name(field(json, "class")?);
                self.out.int(2 + others.len() as i64);
                self.name("mesg");
                self.utf8(&json["message"])?;
                self.name("bt");
                match json["backtrace"].as_array() {
                    Some(lines) => {
                        self.out.bytes.push(b'[');
                        self.out.object();
                        self.out.int(lines.len() as i64);
                        lines.iter().try_for_each(|line| self.utf8(line))?;
                    }
                    None => self.out.bytes.push(b'0'),
                }
            }
            _ => {
                self.name(field(json, "class")?);
                self.out.int(others.len() as i64);
            }
        }
        self.named(others)
    }

    fn utf8(&mut self, json: &'a Json) -> Result<()> {
        match json.as_str() {
            Some(text) => {
                self.out.string(TextRef { bytes: text.as_bytes(), encoding: EncodingRef::Utf8 })
            }
            None if json.is_null() => self.out.bytes.push(b'0'),
            None => return Err(bad("a text or null")),
        }
        Ok(())
    }

    fn user_defined(&mut self, json: &'a Json) -> Result<()> {
        let dump = &json["dump"];
        let encoding = EncodingRef::named(field(dump, "enc")?.as_bytes());
        let others = variables(dump)?;
        let count = usize::from(encoding != EncodingRef::Binary) + others.len();
        self.out.bytes.extend_from_slice(if count > 0 { b"Iu" } else { b"u" });
        self.name(field(json, "class")?);
        self.out.text(&bytes(dump)?);
        if count > 0 {
            self.out.int(count as i64);
            self.out.encoding_variable(encoding);
            self.named(others)?;
        }
        self.object(json);
        Ok(())
    }

    fn time(&mut self, json: &'a Json) -> Result<()> {
        let seconds = field(json, "sec")?.parse().map_err(|_| bad("seconds"))?;
        let nanoseconds = json["nsec"].as_u64().and_then(|nano| u32::try_from(nano).ok());
        let nanoseconds =
            nanoseconds.filter(|nano| *nano < 1_000_000_000).ok_or_else(|| bad("nanoseconds"))?;
        let mut time = Time::utc(seconds, nanoseconds);
        if json["utc"] != true {
            let offset = json["offset"].as_i64().and_then(|offset| i32::try_from(offset).ok());
            time = time.at_offset(offset.ok_or_else(|| bad("an offset"))?);
        }
        if json.get("class").is_some() {
            return self.zoned_time(json, &time);
        }
        let rest = json["subnsec"].as_str().and_then(|rest| {
            let (over, under) = rest.split_once('/')?;
            Some((over.parse().ok()?, under.parse().ok()?))
        });
        let others = variables(json)?;
        writer::time_head(&mut self.out, &time, others.len());
        writer::time_variables(&mut self.out, &time, json["zone"].as_str(), rest);
        self.named(others)?;
        self.object(json);
        Ok(())
    }

    /// Rails' time dumps the moment, the zone's name, and the wall clock as if it were UTC. Of the
    /// description only these are used: the rest is what Rails looks up by the name.
    fn zoned_time(&mut self, json: &'a Json, time: &Time) -> Result<()> {
        let named = |pairs: &'a Json, name: &str| {
            let mut pairs = pairs["iv"].as_array().into_iter().flatten();
            pairs.find(|pair| pair[0] == name).map(|pair| &pair[1])
        };
        let zone = named(json, "@time_zone").ok_or_else(|| bad("a time zone"))?;
        let id = zone["id"].as_u64();
        let name = match named(zone, "@name").and_then(|name| name["v"].as_str()) {
            Some(name) => name,
            None => *id.and_then(|id| self.zones.get(&id)).ok_or_else(|| bad("a zone's name"))?,
        };
        if let Some(id) = id {
            self.zones.insert(id, name);
        }
        let utc = Time::utc(time.seconds(), time.nanoseconds());
        let local = i64::from(time.offset().unwrap_or(0)).saturating_add(time.seconds());
        self.out.bytes.push(b'U');
        self.object(json);
        self.name(field(json, "class")?);
        self.out.bytes.push(b'[');
        self.out.object();
        self.out.int(3);
        writer::write_time(&mut self.out, &utc, None);
        writer::shared_string(
            &mut self.out,
            TextRef { bytes: name.as_bytes(), encoding: EncodingRef::Utf8 },
        );
        writer::write_time(&mut self.out, &Time::utc(local, time.nanoseconds()), None);
        Ok(())
    }

    fn class(&mut self, kind: &str, name: &'a str) {
        if let Some(number) = self.classes.get(name) {
            return self.out.link(*number);
        }
        self.out.bytes.push(if kind == "class" { b'c' } else { b'm' });
        self.classes.insert(name, self.out.objects());
        self.out.object();
        self.out.text(name.as_bytes());
    }
}

fn field<'a>(json: &'a Json, name: &'static str) -> Result<&'a str> {
    json[name].as_str().ok_or_else(|| {
        Error::value("reading a typed description", format!("expected a text in `{name}`"))
    })
}

fn list(json: &Json) -> Result<&[Json]> {
    json.as_array().map(Vec::as_slice).ok_or_else(|| bad("a list in `v`"))
}

fn variables(json: &Json) -> Result<&[Json]> {
    json.get("iv").map_or(Ok(&[]), list)
}

fn bytes(json: &Json) -> Result<Vec<u8>> {
    const_hex::decode(field(json, "hex")?).map_err(|_| bad("hex digits"))
}
