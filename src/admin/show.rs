//! Show: one session, decoded.

use std::time::SystemTime;

use bytes::Bytes;

use super::mask::mask;
use super::upgrade::is_secured;
use super::walk::{RowName, Watch, open};
use crate::codec::{Codec, plain};
use crate::error::Result;
use crate::id::SessionId;
use crate::record::Lookup;
use crate::store::Maintenance;

/// Which session.
#[derive(Clone, Debug)]
pub enum Which {
    /// The one of this cookie.
    Session(SessionId),
    /// The one of this row, as a list tells it: by the row's key or, where that is the session's id,
    /// by a digest, for which the table is read until the row is found.
    Row(RowName),
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
/// over one; `None` where there is none, or where the watch has stopped the search. With `reveal` nothing
/// is masked.
///
/// Masked are texts and numbers under names that speak of secrets (but for numbers that count or time
/// these, as `tokens_left` does), such parameters of URLs and what stands there before an `@`, the
/// beginnings of password hashes, JSON Web Tokens, numbers of cards, and words and segments of paths
/// that look as if they were random; also within JSON that a text holds. A mask does not tell a length.
/// What is secret in words alone is shown.
///
/// # Errors
///
/// When the database fails, or the data cannot be decoded.
pub async fn show<S: Maintenance>(
    store: &S,
    which: &Which,
    codec: impl Codec,
    reveal: bool,
    watch: impl Watch,
) -> Result<Option<Shown>> {
    let Some(found) = find(store, which, watch).await? else { return Ok(None) };
    let Found { id, data, shown } = found;
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

async fn find<S: Maintenance>(
    store: &S,
    which: &Which,
    watch: impl Watch,
) -> Result<Option<Found>> {
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
        Which::Row(name) => {
            let row = name.find(store, watch).await?;
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
