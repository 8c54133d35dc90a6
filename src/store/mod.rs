//! Stores: rows in, rows out.

#[cfg(feature = "_sql")]
pub(crate) mod any;
mod arc;
#[cfg(feature = "_sql")]
mod call;
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) mod connect;
#[cfg(feature = "_sql")]
mod facts;
#[cfg(feature = "_sql")]
// SQLite's changes have a writer of their own and use the half of it.
#[cfg_attr(not(any(feature = "mysql", feature = "postgres")), allow(dead_code, unused_imports))]
mod lane;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod server;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(feature = "_sql")]
mod statements;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod together;

use std::future::Future;

use crate::error::Result;
use crate::id::{PrivateId, StoredId};
use crate::record::{Filter, Lookup, Record, Row, RowKey, Save, Saved, Scan, Still, Timeouts};
use crate::table::{Facts, Schema};

/// Finds, saves and destroys rows. It knows no codec, no cookie and no policy.
///
/// This is the contract that the raw stores, the ORM model and your own store share; the
/// `conformance` feature has the suite that proves it. Every operation ends by a deadline. When an
/// answer is lost after a statement was sent the error says so
/// ([`is_unknown_outcome`](crate::Error::is_unknown_outcome)), and the statement is not sent again.
/// Dropping a future half-way leaves no open transaction and delays nobody else.
pub trait Store: Send + Sync + 'static {
    /// Finds a row by its private id or, where the lookup has one, its legacy id.
    ///
    /// One statement, also with a legacy id; with both rows there, the private one is found.
    /// `None` for an id that is missing or whose row is past a timeout or its expiry, decided by
    /// the database's clock; a raw row does not take the place of a private one that has expired.
    ///
    /// # Errors
    ///
    /// Only for a fault of the system, and when a timeout needs a column that the table lacks.
    fn find(&self, lookup: &Lookup) -> impl Future<Output = Result<Option<Record>>> + Send;

    /// Writes a row: one INSERT, or one UPDATE keyed by the id it was found under, never an
    /// upsert: a destroyed session is not revived.
    ///
    /// The guard is compared null-safe and byte by byte. A row that is missing or past its timeouts
    /// is `Gone`, whatever the guard; one that is there with other data is `Conflict`; a new id that
    /// any row has, expired or not, is `Duplicate`.
    ///
    /// # Errors
    ///
    /// When nothing was written, or when that is unknown; the error says which.
    fn save(&self, save: &Save) -> impl Future<Output = Result<Saved>> + Send;

    /// Removes what is stored under either id, whatever its age, and says whether a row was there.
    ///
    /// # Errors
    ///
    /// When nothing was removed, or when that is unknown; the error says which.
    fn destroy(&self, lookup: &Lookup) -> impl Future<Output = Result<bool>> + Send;

    /// Sets `updated_at` to now and says whether the row was there and not past a timeout.
    ///
    /// On a table without the column it only says that.
    ///
    /// # Errors
    ///
    /// As for [`save`](Store::save).
    fn touch(&self, id: &StoredId, timeouts: Timeouts)
    -> impl Future<Output = Result<bool>> + Send;
}

/// What tasks do to a table: make it, walk over it, thin it out.
pub trait Maintenance: Store {
    /// Makes the table and its indexes if the table is missing; says whether it did.
    ///
    /// # Errors
    ///
    /// When the table cannot be made.
    fn create(&self) -> impl Future<Output = Result<bool>> + Send;

    /// Looks again at what the table has.
    ///
    /// # Errors
    ///
    /// When the table or a column that the store needs is missing.
    fn inspect(&self) -> impl Future<Output = Result<Schema>> + Send;

    /// The next rows in the order of their keys.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or the filter needs a column that the table lacks.
    fn scan(&self, scan: &Scan) -> impl Future<Output = Result<Vec<Row>>> + Send;

    /// The row of this key and its data; `None` where there is none, also for a key that none can have.
    /// By default it is scanned for, a key that is no integer from the table's beginning on. A store
    /// should look it up.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn row(&self, key: &RowKey) -> impl Future<Output = Result<Option<Row>>> + Send {
        async move {
            let (after, limit) = match key {
                RowKey::Int(key) => (key.checked_sub(1).map(RowKey::Int), 1),
                RowKey::Text(_) => (None, 100),
            };
            let mut scan = Scan { after, with_data: true, ..Scan::new(limit) };
            loop {
                let rows = self.scan(&scan).await?;
                scan.after = rows.last().map(|row| row.key.clone());
                let is_last = matches!(key, RowKey::Int(_)) || scan.after.is_none();
                match rows.into_iter().find(|row| row.key == *key) {
                    None if !is_last => {}
                    found => return Ok(found),
                }
            }
        }
    }

    /// Deletes those of these rows that still match the filter, in one short transaction, and says
    /// how many there were.
    ///
    /// # Errors
    ///
    /// When none was deleted, or when that is unknown; the error says which.
    fn delete(&self, keys: &[RowKey], filter: &Filter) -> impl Future<Output = Result<u64>> + Send;

    /// Gives a row a new id if it still has the one it was read with. Leaves its times alone.
    ///
    /// # Errors
    ///
    /// As for [`Store::save`].
    fn rekey(&self, row: &Row, new_id: &PrivateId) -> impl Future<Output = Result<Saved>> + Send;

    /// Ends sessions: removes those of these rows that are still what they were when they were
    /// read, and says of each whether it was. A row whose data is compared was read with its data.
    ///
    /// By default one after another, by [`find`](Store::find) and [`destroy`](Store::destroy): a row
    /// that changes between the two is removed all the same. A store should do it in one statement.
    ///
    /// # Errors
    ///
    /// As for [`Store::save`]; then some may have been removed. Also when the column of users is to
    /// decide and there is none.
    fn end(&self, rows: &[Row], still: Still) -> impl Future<Output = Result<Vec<bool>>> + Send {
        async move {
            let mut ended = Vec::with_capacity(rows.len());
            for row in rows {
                let id = StoredId::parse(row.stored_id.as_bytes());
                let Some(lookup) = id.and_then(Lookup::stored) else {
                    ended.push(false);
                    continue;
                };
                let found = self.find(&lookup).await?;
                let is_same = |record: &Record| record.data == row.data;
                let ends = found.is_some_and(|row| still != Still::Unchanged || is_same(&row));
                ended.push(ends && self.destroy(&lookup).await?);
            }
            Ok(ended)
        }
    }

    /// Removes every row and says how many there were.
    ///
    /// # Errors
    ///
    /// As for [`Store::save`].
    fn clear(&self) -> impl Future<Output = Result<u64>> + Send;

    /// [`delete`](Self::delete) by one process at a time: `None` when another holds the table's lock,
    /// and nothing was deleted.
    ///
    /// The lock is held for this batch and seen by all hosts that use the database. A store without
    /// such a lock deletes at any time, which is the default.
    ///
    /// # Errors
    ///
    /// As for [`delete`](Self::delete).
    fn delete_alone(
        &self,
        keys: &[RowKey],
        filter: &Filter,
    ) -> impl Future<Output = Result<Option<u64>>> + Send {
        async { self.delete(keys, filter).await.map(Some) }
    }

    /// [`rekey`](Self::rekey) of many rows, and what became of each; by default one after another. A
    /// store may do it in one transaction, or several at once.
    ///
    /// # Errors
    ///
    /// As for [`rekey`](Self::rekey); then some may have been applied.
    fn rekey_all(
        &self,
        rows: &[(Row, PrivateId)],
    ) -> impl Future<Output = Result<Vec<Saved>>> + Send {
        async move {
            let mut saved = Vec::with_capacity(rows.len());
            for (row, new_id) in rows {
                saved.push(self.rekey(row, new_id).await?);
            }
            Ok(saved)
        }
    }

    /// [`save`](Store::save) of many rows, and what became of each; by default one after another. A
    /// store may do it in one transaction, or several at once. No id may be named twice.
    ///
    /// # Errors
    ///
    /// As for [`save`](Store::save); then some may have been applied.
    fn save_all(&self, saves: &[Save]) -> impl Future<Output = Result<Vec<Saved>>> + Send {
        async move {
            let mut saved = Vec::with_capacity(saves.len());
            for save in saves {
                saved.push(self.save(save).await?);
            }
            Ok(saved)
        }
    }

    /// How many rows there are; `None`, the default, where the store does not count.
    ///
    /// # Errors
    ///
    /// When they cannot be counted, for instance within the deadline.
    fn count(&self) -> impl Future<Output = Result<Option<u64>>> + Send {
        async { Ok(None) }
    }

    /// What the database says of itself and of the table; nothing by default.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    fn facts(&self) -> impl Future<Output = Result<Facts>> + Send {
        async { Ok(Facts::default()) }
    }
}
