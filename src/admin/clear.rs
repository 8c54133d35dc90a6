//! Clear: every session goes.

use super::shape::check_ids;
use super::walk::{Ended, Pace, Walk, Watch, patiently};
use crate::error::Result;
use crate::record::{Filter, RowKey};
use crate::store::Maintenance;

/// What [`clear`] is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClearOptions {
    /// How to go over the table.
    pub pace: Pace,
    /// Only counts.
    pub dry_run: bool,
    /// Takes ids of any shape, also where most of the first rows have one that nobody generates.
    pub any_shape: bool,
}

/// What [`clear`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClearReport {
    /// Rows deleted; in a dry run those that would be.
    pub deleted: u64,
    /// Why it ended.
    pub ended: Ended,
}

/// Deletes every session that there is, in short transactions, so that a service beside goes on.
/// Sessions that begin meanwhile may stay.
///
/// # Errors
///
/// When most ids of the first rows do not look like sessions', so that it may be another table, which is
/// left as it is; or when the database fails, then what was deleted before is deleted.
pub async fn clear<S: Maintenance>(
    store: &S,
    options: &ClearOptions,
    watch: impl Watch,
) -> Result<ClearReport> {
    if !options.any_shape {
        check_ids(store, "clearing sessions").await?;
    }
    let mut walk = Walk::start(store, &options.pace, false, watch).await?;
    while let Some(rows) = walk.next().await? {
        let keys: Vec<RowKey> = rows.into_iter().map(|row| row.key).collect();
        let deleted = match options.dry_run {
            true => keys.len() as u64,
            false if keys.is_empty() => 0,
            false => patiently!(store.delete(&keys, &Filter::default()))?,
        };
        walk.changed(deleted);
    }
    let (progress, ended) = walk.finish();
    Ok(ClearReport { deleted: progress.changed, ended })
}
