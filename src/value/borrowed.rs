//! A value that still lies in the stored bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;

use super::marshal::Node;
use super::{Object, Value, serde_bridge};
use crate::error::Result;

/// A value borrowed from a document: read only as far as it is asked for.
///
/// `Debug` shows no content.
#[derive(Clone, Copy)]
pub struct ValueRef<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    Owned(&'a Value),
    /// Valid JSON text of one value.
    Json(&'a str),
    /// Checked Marshal bytes.
    Marshal(Node<'a>),
}

impl<'a> ValueRef<'a> {
    /// A value that was parsed already.
    pub fn owned(value: &'a Value) -> Self {
        Self(Repr::Owned(value))
    }

    /// JSON text of one value that was checked to be valid.
    pub(crate) fn json(text: &'a str) -> Self {
        Self(Repr::Json(text))
    }

    pub(crate) fn marshal(node: Node<'a>) -> Self {
        Self(Repr::Marshal(node))
    }

    /// The value on its own, fit to be stored in another document: links that lead out of it are
    /// resolved, and what has no plain form stays as inert bytes.
    ///
    /// # Errors
    ///
    /// When it cannot be represented.
    pub fn to_value(self) -> Result<Value> {
        match self.0 {
            Repr::Owned(value) => Ok(value.clone()),
            Repr::Json(text) => serde_bridge::value_from_json(text),
            Repr::Marshal(node) => node.to_value(),
        }
    }

    /// The value as inert bytes, with every link within it: for moving it as it is. Links that
    /// lead out of it are resolved by copying what they lead to. `None` where it does not come
    /// from Marshal.
    ///
    /// # Errors
    ///
    /// When its links are too entangled to be followed.
    pub fn to_object(self) -> Result<Option<Object>> {
        match self.0 {
            Repr::Marshal(node) => node.to_object().map(Some),
            Repr::Owned(Value::Object(object)) => Ok(Some(object.clone())),
            _ => Ok(None),
        }
    }

    /// Reads it into any type that serde can deserialize; see [`Value::deserialize`].
    ///
    /// # Errors
    ///
    /// When the value does not fit the type. The message names the type and never the value.
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<T> {
        match self.0 {
            Repr::Owned(value) => value.deserialize(),
            Repr::Json(text) => serde_bridge::deserialize_json(text),
            Repr::Marshal(node) => node.deserialize(),
        }
    }

    /// The text, if it is one; borrowed where it lies in the bytes as it is.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        match self.0 {
            Repr::Owned(value) => value.as_str().map(Cow::Borrowed),
            Repr::Json(_) => self.deserialize().ok().map(Cow::Owned),
            Repr::Marshal(node) => node.as_str().map(Cow::Borrowed),
        }
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueRef(..)")
    }
}
