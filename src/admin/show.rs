//! Show: one session, decoded.

use std::time::SystemTime;

use bytes::Bytes;

use super::upgrade::is_secured;
use super::walk::{RowName, open};
use crate::codec::{Codec, plain};
use crate::error::Result;
use crate::id::SessionId;
use crate::record::{Lookup, RowKey, Scan};
use crate::store::Maintenance;

/// Which session.
#[derive(Clone, Debug)]
pub enum Which {
    /// The one of this cookie.
    Session(SessionId),
    /// The one whose row has this integer as its key.
    Row(i64),
}

/// A session, decoded. `Debug` shows its size only.
#[derive(Clone)]
#[non_exhaustive]
pub struct Shown {
    /// Its row, where it was found by that.
    pub row: Option<RowName>,
    /// When it began.
    pub created_at: Option<SystemTime>,
    /// When it was last saved or touched.
    pub updated_at: Option<SystemTime>,
    /// Bytes of its data.
    pub size: u64,
    /// Whether its id is stored as a digest.
    pub secured: bool,
    /// What it holds, as JSON; what JSON cannot say is replaced. Secrets are masked unless it was
    /// asked otherwise.
    pub data: serde_json::Value,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Finds a session and decodes it with a codec: a [`Serializer`](crate::Serializer), or `Encrypted`
/// over one; `None` where there is none. With `reveal` nothing is masked.
///
/// Masked are texts under names that speak of secrets, the beginnings of password hashes, and what
/// looks as if it were random.
///
/// # Errors
///
/// When the database fails, or the data cannot be decoded.
pub async fn show<S: Maintenance>(
    store: &S,
    which: &Which,
    codec: impl Codec,
    reveal: bool,
) -> Result<Option<Shown>> {
    let Some(Found { id, data, shown }) = find(store, which).await? else { return Ok(None) };
    let mut json = plain(&*open(&codec, &id, data)?)?;
    if !reveal {
        mask(&mut json, false);
    }
    Ok(Some(Shown { data: json, ..shown }))
}

struct Found {
    id: Box<str>,
    data: Option<Bytes>,
    shown: Shown,
}

async fn find<S: Maintenance>(store: &S, which: &Which) -> Result<Option<Found>> {
    match which {
        Which::Session(id) => {
            let record = store.find(&Lookup::with_legacy(id)).await?;
            Ok(record.map(|record| {
                let shown = Shown {
                    row: None,
                    created_at: record.created_at,
                    updated_at: record.updated_at,
                    size: record.data.as_ref().map_or(0, |data| data.len() as u64),
                    secured: !record.id.is_legacy(),
                    data: serde_json::Value::Null,
                };
                Found { id: record.id.as_str().into(), data: record.data, shown }
            }))
        }
        Which::Row(key) => {
            let after = key.checked_sub(1).map(RowKey::Int);
            let scan = Scan { after, with_data: true, ..Scan::new(1) };
            let rows = store.scan(&scan).await?;
            let row = rows.into_iter().find(|row| row.key == RowKey::Int(*key));
            Ok(row.map(|row| {
                let shown = Shown {
                    row: Some(RowName::new(&row)),
                    created_at: row.created_at,
                    updated_at: row.updated_at,
                    size: row.size,
                    secured: is_secured(&row.stored_id),
                    data: serde_json::Value::Null,
                };
                Found { id: row.stored_id, data: row.data, shown }
            }))
        }
    }
}

/// Parts of names whose values are nobody's business.
const SECRET: [&str; 16] = [
    "token",
    "secret",
    "passw",
    "salt",
    "otp",
    "credential",
    "key",
    "auth",
    "csrf",
    "nonce",
    "state",
    "verifier",
    "ticket",
    "signature",
    "cookie",
    "session_id",
];

fn mask(value: &mut serde_json::Value, is_secret: bool) {
    match value {
        serde_json::Value::String(text) if is_secret || looks_random(text) => {
            *text = format!("[masked: {} characters]", text.chars().count());
        }
        serde_json::Value::Array(items) => {
            items.iter_mut().for_each(|item| mask(item, is_secret));
        }
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.to_ascii_lowercase();
                mask(value, is_secret || SECRET.iter().any(|part| name.contains(part)));
            }
        }
        _ => {}
    }
}

/// Whether a text may be a token, or the beginning of a password's hash: one long word of letters
/// and digits.
fn looks_random(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'$' | b'.')
    });
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let has_letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    text.len() >= 16 && is_word && has_digits && has_letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_and_the_rest_is_not() {
        let mut value = json!({
            "_csrf_token": "short",
            "warden.user.user.key": [[42], "$2a$11$abcdefghijklmnopqrstuu"],
            "cart": [{"sku": "red shoes", "count": 2}],
            "nested": {"api_key": ["x"], "id": "0123456789abcdef0123456789abcdef"},
            "user": "ada",
        });
        mask(&mut value, false);
        assert_eq!(
            value,
            json!({
                "_csrf_token": "[masked: 5 characters]",
                "warden.user.user.key": [[42], "[masked: 29 characters]"],
                "cart": [{"sku": "red shoes", "count": 2}],
                "nested": {"api_key": ["[masked: 1 characters]"], "id": "[masked: 32 characters]"},
                "user": "ada",
            })
        );
    }
}
