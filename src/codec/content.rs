//! What a session holds: stored data with a request's changes in it.

use super::{Changes, Document};
use crate::error::Result;
use crate::value::ValueRef;

/// What a session holds, read key by key.
#[derive(Clone, Copy)]
pub struct Content<'a> {
    document: Option<&'a dyn Document>,
    changes: Option<&'a Changes>,
}

impl<'a> Content<'a> {
    /// Stored data as they are.
    pub fn stored(document: &'a dyn Document) -> Self {
        Self { document: Some(document), changes: None }
    }

    /// Stored data, if there are any, with these changes in them.
    pub fn changed(document: Option<&'a dyn Document>, changes: &'a Changes) -> Self {
        Self { document, changes: Some(changes) }
    }

    /// The value of a top-level key.
    ///
    /// # Errors
    ///
    /// When the stored value cannot be read.
    pub fn get(&self, key: &str) -> Result<Option<ValueRef<'a>>> {
        if let Some(touched) = self.changes.and_then(|changes| changes.get(key)) {
            return Ok(touched.map(ValueRef::owned));
        }
        self.document.map_or(Ok(None), |document| document.get(key))
    }
}
