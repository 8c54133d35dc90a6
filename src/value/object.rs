//! Ruby objects, which are kept and never instantiated.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::marshal::reader::{Head, Reader};
use super::marshal::scan::Fault;
use super::marshal::source::Source;
use super::marshal::{Node, moment};
use super::{Value, ValueRef};
use crate::error::Result;

/// Anything of Ruby's that has no plain form here: objects, structs, instances of subclasses,
/// values with instance variables, and values that contain themselves.
///
/// It is inert: bytes that go back as they came, and that can be looked at. Two of them are equal
/// if their bytes are. `Debug` shows the length.
#[derive(Clone)]
pub struct Object(Arc<Source>);

impl Object {
    /// From what Ruby's `Marshal.dump` made. It may be of any value; bytes behind it are ignored.
    ///
    /// # Errors
    ///
    /// When the bytes are no dump.
    pub fn from_dump(dump: impl Into<Vec<u8>>) -> Result<Self> {
        Ok(Self::parse(dump.into())?)
    }

    pub(crate) fn parse(dump: Vec<u8>) -> Result<Self, Fault> {
        Source::parse(dump).map(|source| Self(Arc::new(source)))
    }

    /// What Ruby's `Marshal.load` would take: a dump of this object alone.
    pub fn dump(&self) -> &[u8] {
        self.0.data()
    }

    /// The name of its class, where it was dumped with one.
    pub fn class(&self) -> Option<&str> {
        let (head, class) = self.head()?;
        match (class, head) {
            (Some(class), _)
            | (None, Head::Object(class, _) | Head::Struct(class, _))
            | (None, Head::Marshaled(class) | Head::Dumped(class, _)) => {
                std::str::from_utf8(class.bytes).ok()
            }
            _ => None,
        }
    }

    /// The text of a string that is more than a string, such as an `ActiveSupport::SafeBuffer`.
    pub fn as_str(&self) -> Option<&str> {
        self.node().as_str()
    }

    /// Whether it is one of Ruby's strings, arrays or hashes with something added: a class of the
    /// user's, modules, or instance variables.
    pub(crate) fn is_core(&self) -> bool {
        matches!(self.head(), Some((Head::Str(_) | Head::Array(_) | Head::Hash(..), _)))
    }

    /// What Ruby's `to_s` gives, if it is a Rails time with a zone.
    pub(crate) fn zoned_text(&self) -> Option<String> {
        self.with_reader(|reader| moment::zoned_text(reader).ok())
    }

    /// Reads it into any type that serde can deserialize; see [`Value::deserialize`].
    ///
    /// # Errors
    ///
    /// When it does not fit the type.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T> {
        self.node().deserialize()
    }

    /// It, as it is read from a document.
    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef::marshal(self.node())
    }

    /// The value that it reads as: a map of its variables, a list of its members, a text.
    ///
    /// # Errors
    ///
    /// When it contains itself or nests too deep.
    pub fn to_plain(&self) -> Result<Value> {
        self.deserialize()
    }

    pub(crate) fn node(&self) -> Node<'_> {
        Node { source: &self.0, at: super::marshal::out::VERSION.len() }
    }

    pub(crate) fn with_reader<T>(&self, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
        let node = self.node();
        read(&mut Reader::new(node.source, node.at))
    }

    pub(crate) fn source(&self) -> &Source {
        &self.0
    }

    fn head(&self) -> Option<(Head<'_>, Option<super::text::TextRef<'_>>)> {
        let node = self.node();
        let item = Reader::new(node.source, node.at).glance().ok()?;
        Some((item.head, item.class))
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.dump() == other.dump()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({} bytes)", self.dump().len())
    }
}
