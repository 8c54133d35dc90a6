//! A store behind an `Arc`.

use std::sync::Arc;

use super::{Maintenance, Store};
use crate::error::Result;
use crate::id::{PrivateId, StoredId};
use crate::record::{Filter, Lookup, Record, Row, RowKey, Save, Saved, Scan, Still, Timeouts};
use crate::table::{Facts, Schema};

/// Several managers may share a store.
impl<S: Store> Store for Arc<S> {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        (**self).find(lookup).await
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        (**self).save(save).await
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        (**self).destroy(lookup).await
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        (**self).touch(id, timeouts).await
    }
}

impl<S: Maintenance> Maintenance for Arc<S> {
    async fn create(&self) -> Result<bool> {
        (**self).create().await
    }

    async fn inspect(&self) -> Result<Schema> {
        (**self).inspect().await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<Row>> {
        (**self).scan(scan).await
    }

    async fn row(&self, key: &RowKey) -> Result<Option<Row>> {
        (**self).row(key).await
    }

    async fn delete(&self, keys: &[RowKey], filter: &Filter) -> Result<u64> {
        (**self).delete(keys, filter).await
    }

    async fn rekey(&self, row: &Row, new_id: &PrivateId) -> Result<Saved> {
        (**self).rekey(row, new_id).await
    }

    async fn end(&self, rows: &[Row], still: Still) -> Result<Vec<bool>> {
        (**self).end(rows, still).await
    }

    async fn clear(&self) -> Result<u64> {
        (**self).clear().await
    }

    async fn delete_alone(&self, keys: &[RowKey], filter: &Filter) -> Result<Option<u64>> {
        (**self).delete_alone(keys, filter).await
    }

    async fn rekey_all(&self, rows: &[(Row, PrivateId)]) -> Result<Vec<Saved>> {
        (**self).rekey_all(rows).await
    }

    async fn save_all(&self, saves: &[Save]) -> Result<Vec<Saved>> {
        (**self).save_all(saves).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        (**self).count().await
    }

    async fn facts(&self) -> Result<Facts> {
        (**self).facts().await
    }
}
