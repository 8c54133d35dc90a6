//! A value that still lies in the stored bytes.

use std::fmt;

use serde::de::DeserializeOwned;

use super::{Value, serde_bridge};
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

    /// The value on its own.
    ///
    /// # Errors
    ///
    /// When it cannot be represented.
    pub fn to_value(self) -> Result<Value> {
        match self.0 {
            Repr::Owned(value) => Ok(value.clone()),
            Repr::Json(text) => serde_bridge::value_from_json(text),
        }
    }

    /// Reads it into any type that serde can deserialize.
    ///
    /// # Errors
    ///
    /// When the value does not fit the type. The message names the type and never the value.
    pub fn deserialize<T: DeserializeOwned>(self) -> Result<T> {
        match self.0 {
            Repr::Owned(value) => value.deserialize(),
            Repr::Json(text) => serde_bridge::deserialize_json(text),
        }
    }
}

impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueRef(..)")
    }
}
