//! A codec of the user's own, made of two functions.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{Changes, Codec, Document};
use crate::error::Result;
use crate::value::{Map, ValueRef};

type Decode = dyn Fn(&[u8]) -> Result<Map> + Send + Sync;
type Encode = dyn Fn(&Map) -> Result<Vec<u8>> + Send + Sync;

/// A codec of your own: one function from bytes to a map, one back.
///
/// # Examples
///
/// ```
/// use sqlbypass::{Codec, Custom, Error, Map, Value};
///
/// // One `key=value` a line, texts only.
/// let lines = Custom::new(
///     "lines",
///     |bytes| {
///         let text = std::str::from_utf8(bytes)
///             .map_err(|e| Error::decode("lines", Some(e.valid_up_to()), "not UTF-8"))?;
///         Ok(text.lines().filter_map(|line| line.split_once('=')).collect())
///     },
///     |map| {
///         let line = |(key, value): (&str, &Value)| format!("{key}={}\n", value.as_str().unwrap_or(""));
///         Ok(map.iter().map(line).collect::<String>().into_bytes())
///     },
/// );
/// assert_eq!(lines.open(Some("a=1\n".into())).unwrap().keys(), ["a"]);
/// ```
#[derive(Clone)]
pub struct Custom {
    name: &'static str,
    decode: Arc<Decode>,
    encode: Arc<Encode>,
}

impl Custom {
    /// Makes the codec. Errors are best made with [`Error::decode`](crate::Error::decode) and
    /// [`Error::value`](crate::Error::value); they must not quote data.
    pub fn new(
        name: &'static str,
        decode: impl Fn(&[u8]) -> Result<Map> + Send + Sync + 'static,
        encode: impl Fn(&Map) -> Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self { name, decode: Arc::new(decode), encode: Arc::new(encode) }
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Codec for Custom {
    fn name(&self) -> &'static str {
        self.name
    }

    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        let map = match stored {
            Some(bytes) => (self.decode)(&bytes)?,
            None => Map::new(),
        };
        Ok(Box::new(Whole { map, encode: Arc::clone(&self.encode) }))
    }
}

/// A document that was decoded as a whole.
struct Whole {
    map: Map,
    encode: Arc<Encode>,
}

impl Document for Whole {
    fn get(&self, key: &str) -> Result<Option<ValueRef<'_>>> {
        Ok(self.map.get(key).map(ValueRef::owned))
    }

    fn keys(&self) -> Vec<&str> {
        self.map.iter().map(|(key, _)| key).collect()
    }

    fn encode(&self, changes: &Changes) -> Result<Bytes> {
        if changes.is_empty() {
            return (self.encode)(&self.map).map(Bytes::from);
        }
        let mut map = self.map.clone();
        changes.apply(&mut map);
        (self.encode)(&map).map(Bytes::from)
    }
}
