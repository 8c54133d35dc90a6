//! The text of a data column to JSON for people, and back.

use serde_json::Value as Json;

use super::hybrid::for_json;
use super::marshal::{compose, describe, stored_fault, writer};
use super::{Serializer, base64, json};
use crate::error::{Error, Result};
use crate::value::Value;
use crate::value::json::{self as json_reader, MAX_DEPTH};
use crate::value::marshal::Node;
use crate::value::marshal::out::{Out, VERSION};
use crate::value::marshal::source::Source;

impl Serializer {
    /// The text of a data column as JSON.
    ///
    /// Plain JSON is easy to read and lossy where Ruby has kinds that JSON has not (see
    /// [`Hybrid::lossy`](super::Hybrid::lossy)); `typed` describes every value with its kind,
    /// encoding, class and links, and loses nothing that Ruby could see.
    ///
    /// # Errors
    ///
    /// When the text is not of this format, or nests too deep to be shown.
    ///
    /// # Examples
    ///
    /// ```
    /// use sqlbypass::Serializer;
    ///
    /// let json = Serializer::Marshal.to_json(b"BAg6BmE=", false).unwrap();
    /// assert_eq!(json, r#""a""#);
    /// let json = Serializer::Marshal.to_json(b"BAg6BmE=", true).unwrap();
    /// assert_eq!(json, r#"{"t":"sym","enc":"US-ASCII","hex":"61","v":"a"}"#);
    /// ```
    pub fn to_json(self, stored: &[u8], typed: bool) -> Result<String> {
        let marshal = match self {
            Self::Marshal => true,
            Self::Hybrid => stored.starts_with(b"BAh"),
            Self::Json | Self::Null => false,
        };
        let source = if marshal {
            Source::parse(base64::decode(stored)).map_err(|fault| stored_fault(stored, fault))?
        } else {
            Source::parse(dump(&self.json_value(stored)?)?)?
        };
        if typed {
            return Ok(describe::describe(&source)?.to_string());
        }
        let value = Node { source: &source, at: VERSION.len() }.to_value()?;
        json_text(for_json(value, true)?)
    }

    /// The text of a data column from JSON as [`to_json`](Self::to_json) gives it.
    ///
    /// # Errors
    ///
    /// When the JSON is malformed, is no typed description where one is asked for, or describes
    /// what this format cannot say.
    ///
    /// # Examples
    ///
    /// ```
    /// use sqlbypass::Serializer;
    ///
    /// assert_eq!(Serializer::Marshal.from_json(r#"{"a":1}"#, false).unwrap(), b"BAh7BkkiBmEGOgZFVGkG\n");
    /// ```
    #[allow(clippy::wrong_self_convention)]
    pub fn from_json(self, json: &str, typed: bool) -> Result<Vec<u8>> {
        let dump = if typed {
            compose::compose(&parse("JSON", json.as_bytes())?)?
        } else {
            dump(&read("JSON", json.as_bytes())?)?
        };
        if self == Self::Marshal {
            return Ok(base64::encode(&dump));
        }
        let source = Source::parse(dump)?;
        let value = Node { source: &source, at: VERSION.len() }.to_value()?;
        let text = json_text(for_json(value, false)?)?;
        Ok(match self {
            Self::Null => text,
            _ => format!("{{\"value\":{text}}}"),
        }
        .into_bytes())
    }

    /// The value of a JSON text: what its member `value` holds, or all of it.
    fn json_value(self, stored: &[u8]) -> Result<Value> {
        let format = if self == Self::Null { "null" } else { "json" };
        match (self, read(format, stored)?) {
            (Self::Json | Self::Hybrid, Value::Map(mut fields)) => {
                Ok(fields.remove("value").unwrap_or_default())
            }
            (_, value) => Ok(value),
        }
    }
}

/// A value by Ruby's rules for JSON.
fn read(format: &'static str, text: &[u8]) -> Result<Value> {
    let value = json::utf8(text).and_then(json_reader::read);
    value.map_err(|fault| Error::decode(format, Some(fault.offset), fault.expected))
}

fn parse(format: &'static str, text: &[u8]) -> Result<Json> {
    serde_json::from_slice(text).map_err(|error| {
        let lines = text.split_inclusive(|byte| *byte == b'\n').take(error.line().max(1) - 1);
        let offset = lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
        Error::decode(format, Some(offset.min(text.len())), "expected well-formed JSON")
    })
}

fn dump(value: &Value) -> Result<Vec<u8>> {
    let mut out = Out::with_capacity(256);
    writer::write(&mut out, value)?;
    Ok(out.bytes)
}

/// The value's text as the JSON codec writes it, nested as deep as Ruby reads it.
fn json_text(value: Value) -> Result<String> {
    let mut text = Vec::new();
    json::write(&mut text, &value, MAX_DEPTH)?;
    String::from_utf8(text)
        .map_err(|_| Error::value("showing session data", "the value has no JSON text"))
}
