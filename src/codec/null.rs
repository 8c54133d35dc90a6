//! Rails' `null` serializer: the object as it is, for json and jsonb columns.

use bytes::Bytes;

use super::json::{self, Shape};
use super::{Codec, Document};
use crate::error::Result;

/// The plain JSON object, without Rails' `{"value": …}` around it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Null;

impl Codec for Null {
    fn name(&self) -> &'static str {
        "null"
    }

    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        json::open("null", stored, Shape::Plain)
    }
}
