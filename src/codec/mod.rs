//! Codecs: bytes ↔ value.
//!
//! A codec opens the stored bytes as a [`Document`], which reads one key at a time, and writes it
//! back with a request's [`Changes`] spliced in: what was not touched goes back as the bytes it
//! came as.

pub(crate) mod base64;
mod content;
mod convert;
mod custom;
#[cfg(feature = "encryption")]
mod encrypted;
pub(crate) mod envelope;
mod hybrid;
mod json;
mod json_string;
mod marshal;
mod null;
mod text;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

pub use content::Content;
pub(crate) use convert::{Conversion, check_bare, plain};
pub use custom::Custom;
#[cfg(feature = "encryption")]
pub(crate) use encrypted::Recryption;
#[cfg(feature = "encryption")]
pub use encrypted::{Encrypted, Key, Keys, Plain, Recrypt};
pub use hybrid::Hybrid;
pub use json::Json;
pub use json_string::JsonString;
pub use marshal::Marshal;
pub use null::Null;

use crate::error::{Error, Result};
use crate::id::PrivateId;
use crate::value::{Map, Value, ValueRef};

/// Reads and writes the data column.
///
/// A codec of your own is most easily made of two functions: see [`Custom`].
pub trait Codec: Send + Sync + fmt::Debug + 'static {
    /// Its name, as in the `--serializer` option and in errors.
    fn name(&self) -> &'static str;

    /// Opens stored data; `None` is a NULL column or a session that is new, both empty.
    ///
    /// # Errors
    ///
    /// When the bytes are not of this format; the error names the format and the offset.
    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>>;

    /// Opens what is stored in the row of this session: its private id, also where the row still
    /// bears the raw one. Only a codec that binds data to its row needs to know.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), and when the data are not this row's.
    fn open_row(&self, row: &PrivateId, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        let _ = row;
        self.open(stored)
    }

    /// Whether what it writes is good in one row alone, so that it is written anew when the session
    /// gets another id.
    fn is_bound(&self) -> bool {
        false
    }
}

impl<C: Codec + ?Sized> Codec for Arc<C> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        (**self).open(stored)
    }

    fn open_row(&self, row: &PrivateId, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        (**self).open_row(row, stored)
    }

    fn is_bound(&self) -> bool {
        (**self).is_bound()
    }
}

/// A session's data as it was stored: a map of text keys that is read key by key.
pub trait Document: Send + Sync {
    /// The value of a top-level key.
    ///
    /// # Errors
    ///
    /// When the bytes under the key are not of the codec's format.
    fn get(&self, key: &str) -> Result<Option<ValueRef<'_>>>;

    /// The top-level keys, in order.
    fn keys(&self) -> Vec<&str>;

    /// The data with these changes applied, encoded.
    ///
    /// # Errors
    ///
    /// When a new value has no counterpart in the codec's format.
    fn encode(&self, changes: &Changes) -> Result<Bytes>;

    /// The same for the row of this session, which may be another than it was opened in.
    ///
    /// # Errors
    ///
    /// As for [`encode`](Self::encode).
    fn encode_row(&self, row: &PrivateId, changes: &Changes) -> Result<Bytes> {
        let _ = row;
        self.encode(changes)
    }
}

/// What a request did to a session: the keys it set or removed, in order, and whether it cleared
/// the session first. `Debug` shows how many keys, never which.
#[derive(Clone, Default)]
pub struct Changes {
    cleared: bool,
    /// Shared by clones until one of them changes: a commit works with what the session keeps.
    keys: Option<Arc<Vec<Change>>>,
}

type Change = (String, Option<Value>);

impl Changes {
    /// Nothing changed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything stored before is gone; what is set afterwards stays.
    pub fn clear(&mut self) {
        self.cleared = true;
        self.keys = None;
    }

    /// Sets a key; nil removes it, as Rails drops nil values at commit.
    pub fn set(&mut self, key: impl Into<String>, value: Value) {
        self.put(key.into(), if value.is_nil() { None } else { Some(value) });
    }

    /// Removes a key.
    pub fn remove(&mut self, key: impl Into<String>) {
        self.put(key.into(), None);
    }

    fn put(&mut self, key: String, value: Option<Value>) {
        let keys = Arc::make_mut(self.keys.get_or_insert_default());
        match keys.iter_mut().find(|(name, _)| *name == key) {
            Some(slot) => slot.1 = value,
            None => keys.push((key, value)),
        }
    }

    fn keys(&self) -> &[Change] {
        self.keys.as_ref().map_or(&[], |keys| keys)
    }

    /// Whether everything stored before is gone.
    pub fn is_cleared(&self) -> bool {
        self.cleared
    }

    /// Whether nothing was touched.
    pub fn is_empty(&self) -> bool {
        !self.cleared && self.keys().is_empty()
    }

    /// Whether any key is set, so that a session that is new holds something.
    pub fn sets_anything(&self) -> bool {
        self.keys().iter().any(|(_, value)| value.is_some())
    }

    /// What became of a key: `None` if it was not touched (after a clear: it is gone), else the
    /// new value or its removal.
    pub fn get(&self, key: &str) -> Option<Option<&Value>> {
        self.get_bytes(key.as_bytes())
    }

    /// The same for a key that is known to be text.
    pub(crate) fn get_bytes(&self, key: &[u8]) -> Option<Option<&Value>> {
        let touched = self.keys().iter().find(|(name, _)| name.as_bytes() == key);
        match touched {
            Some((_, value)) => Some(value.as_ref()),
            None => self.cleared.then_some(None),
        }
    }

    /// The keys touched since the last clear, in order, each with its new value or its removal.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&Value>)> {
        self.keys().iter().map(|(key, value)| (key.as_str(), value.as_ref()))
    }

    /// Whether applying them to `document` would change its content. Decided by the touched keys
    /// and their values, so that a database that normalises what it stores never looks changed.
    ///
    /// # Errors
    ///
    /// When a touched key's stored value cannot be read.
    pub fn alter(&self, document: &dyn Document) -> Result<bool> {
        if self.cleared {
            let kept = self.iter().filter(|(_, value)| value.is_some()).count();
            if kept != document.keys().len() {
                return Ok(true);
            }
        }
        for (key, new) in self.iter() {
            let old = document.get(key)?;
            let equal = match (old, new) {
                (None, None) => true,
                (Some(old), Some(new)) => old.to_value()? == *new,
                _ => false,
            };
            if !equal {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Applies them to a map.
    pub fn apply(&self, map: &mut Map) {
        if self.cleared {
            *map = Map::new();
        }
        for (key, value) in self.iter() {
            match value {
                Some(value) => drop(map.insert(key, value.clone())),
                None => drop(map.remove(key)),
            }
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("cleared", &self.cleared)
            .field("keys", &self.keys().len())
            .finish()
    }
}

/// The codecs by name: what Rails calls the serializer.
///
/// # Examples
///
/// ```
/// use sqlbypass::Serializer;
///
/// let serializer: Serializer = "json".parse().unwrap();
/// assert_eq!(serializer.codec().unwrap().name(), "json");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Serializer {
    /// Base64 of Ruby's Marshal: the gem's default.
    Marshal,
    /// `{"value":{…}}`.
    Json,
    /// Reads Marshal and JSON, writes JSON.
    Hybrid,
    /// The plain object, for json and jsonb columns.
    Null,
}

impl Serializer {
    /// The codec of this name.
    ///
    /// # Errors
    ///
    /// None at present: every name has its codec.
    pub fn codec(self) -> Result<Arc<dyn Codec>> {
        match self {
            Self::Json => Ok(Arc::new(Json)),
            Self::Null => Ok(Arc::new(Null)),
            Self::Marshal => Ok(Arc::new(Marshal)),
            Self::Hybrid => Ok(Arc::new(Hybrid::default())),
        }
    }
}

/// The codec of its name.
impl Codec for Serializer {
    fn name(&self) -> &'static str {
        match self {
            Self::Marshal => Marshal.name(),
            Self::Json => Json.name(),
            Self::Hybrid => Hybrid::default().name(),
            Self::Null => Null.name(),
        }
    }

    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        match self {
            Self::Marshal => Marshal.open(stored),
            Self::Json => Json.open(stored),
            Self::Hybrid => Hybrid::default().open(stored),
            Self::Null => Null.open(stored),
        }
    }
}

impl FromStr for Serializer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "marshal" => Ok(Self::Marshal),
            "json" => Ok(Self::Json),
            "hybrid" => Ok(Self::Hybrid),
            "null" => Ok(Self::Null),
            _ => Err(Error::config("choosing a serializer", "there is none of that name")
                .advice("use marshal, json, hybrid or null")),
        }
    }
}
