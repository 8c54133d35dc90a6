//! Rails' `marshal` serializer: base64 of Ruby's Marshal format 4.8.
//!
//! The bytes are checked once, from end to end, and the top-level keys are noted; a value is read
//! when it is asked for. A changed key is spliced in: what stands before it goes back byte for
//! byte, and behind it only the numbers of symbols and objects that the change has moved differ.

pub(super) mod compose;
pub(super) mod describe;
mod document;
pub(super) mod writer;

use bytes::Bytes;

use super::json_string::unquoted;
use super::{Codec, Document, base64};
use crate::error::{Error, Result};
use crate::value::marshal::scan::Fault;

/// Base64 of Ruby's Marshal, the gem's default.
///
/// # Examples
///
/// ```
/// use sqlbypass::{Changes, Codec, Marshal};
///
/// // {"a"=>1}
/// let document = Marshal.open(Some("BAh7BkkiBmEGOgZFVGkG\n".into())).unwrap();
/// let a: i64 = document.get("a").unwrap().unwrap().deserialize().unwrap();
/// assert_eq!(a, 1);
///
/// let mut changes = Changes::new();
/// changes.remove("a");
/// assert_eq!(document.encode(&changes).unwrap(), "BAh7AA==\n");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Marshal;

impl Codec for Marshal {
    fn name(&self) -> &'static str {
        "marshal"
    }

    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        let Some(stored) = stored else {
            return Ok(Box::new(document::MarshalDocument::empty()));
        };
        // In a json column the text is a string. What is none is read as leniently as all base64.
        let stored = match stored.first() {
            Some(b'"') => unquoted("marshal", &stored).ok().flatten().unwrap_or(stored),
            _ => stored,
        };
        let document = document::MarshalDocument::parse(base64::decode(&stored))
            .map_err(|fault| stored_fault(&stored, fault))?;
        Ok(Box::new(document.stored(stored)))
    }
}

/// A fault of the decoded bytes, placed in the stored text.
pub(super) fn stored_fault(stored: &[u8], fault: Fault) -> Error {
    let characters = fault.at.saturating_mul(4) / 3;
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let offset = stored
        .iter()
        .enumerate()
        .filter(|(_, byte)| is_base64(byte))
        .nth(characters)
        .map_or(stored.len(), |(at, _)| at);
    Error::decode("marshal", Some(offset), fault.problem())
}
