//! Show: one session, decoded.

use std::time::SystemTime;

use bytes::Bytes;

use super::mask::mask;
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
/// Masked are texts and numbers under names that speak of secrets, such parameters of URLs and what
/// stands there before an `@`, the beginnings of password hashes, JSON Web Tokens, and what looks as if
/// it were random. A mask does not tell a length. What is secret in words alone is shown.
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
        mask(&mut json);
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
