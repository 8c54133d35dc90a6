//! The store on PostgreSQL: a pool of connections, statements prepared once on each.

mod connect;
mod connection;
mod error;
mod inspect;
mod many;
mod options;
mod pool;
mod rows;
mod shared;
mod statements;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

pub use options::{ChannelBinding, PostgresBuilder, TargetSessionAttrs};

use self::shared::Shared;
use super::server::{
    AskFacts, Clear, Count, Delete, DeleteAlone, Destroy, End, Find, Inspect, Lanes, OneRow, Rekey,
    Rows, Touch, Write,
};
use super::{Maintenance, Store};
use crate::error::Result;
use crate::id::{PrivateId, StoredId};
use crate::observe::{Seen, System, describe, done, operation};
use crate::record::{Filter, Lookup, Record, Row, RowKey, Save, Saved, Scan, Still, Timeouts};
use crate::store::together::together;
use crate::table::{Facts, Schema};

/// Sessions in a PostgreSQL table, also one that a Rails app uses at the same time.
///
/// Clones share the connections. Times are those of the server's clock. Every operation ends by the
/// deadline of [`PostgresBuilder::deadline`]; one that was given up leaves no transaction open and
/// no connection that others would have to wait for.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
    lanes: Option<Lanes<Shared>>,
}

impl PostgresStore {
    /// Connects by URL to a database with Rails' table `sessions`, with default settings; see
    /// [`url`](Self::url).
    ///
    /// # Errors
    ///
    /// When the URL is wrong, the server cannot be reached, or the table does not fit.
    pub async fn open(url: &str) -> Result<Self> {
        Self::url(url)?.open().await
    }

    /// Settings by URL, or by a libpq connection string.
    ///
    /// # Errors
    ///
    /// When the URL is wrong or has a parameter that is not known.
    pub fn url(url: &str) -> Result<PostgresBuilder> {
        PostgresBuilder::from_url(url)
    }

    /// Settings without a URL.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::from_nothing()
    }

    /// Settings for a pool of your own. Its connections keep the time limits that you gave them;
    /// [`PostgresBuilder::deadline`] still ends each operation.
    pub fn pool(pool: deadpool_postgres::Pool) -> PostgresBuilder {
        PostgresBuilder::from_pool(pool)
    }

    /// Closes the connections; the store answers errors afterwards. Operations that are under way
    /// or wait for a connection end first, each by its deadline. A pool of your own stays open.
    ///
    /// # Errors
    ///
    /// None today.
    pub async fn close(&self) -> Result<()> {
        if let Some(lanes) = &self.lanes {
            lanes.close().await;
        }
        self.shared.close().await;
        Ok(())
    }

    /// Removes the table; the store is of no use afterwards.
    #[cfg(feature = "cli")]
    pub(crate) async fn drop_table(&self) -> Result<()> {
        self.shared.run(super::server::DropTable).await
    }

    pub(super) async fn from_builder(options: PostgresBuilder) -> Result<Self> {
        describe();
        let lazy = options.lazy;
        let shared = Arc::new(Shared::new(options)?);
        if !lazy {
            shared.open().await?;
        }
        Ok(Self { lanes: shared.lanes(), shared })
    }
}

/// The statements that give a table in use the column of users.
pub(super) fn addition(builder: &PostgresBuilder) -> Result<Vec<String>> {
    super::statements::addition(&statements::creating(&builder.table))
}
const SYSTEM: System = System::Postgres;

/// The statements that make the table.
pub(super) fn creation(builder: &PostgresBuilder) -> Result<Vec<String>> {
    super::statements::creation(&builder.table, &statements::creating(&builder.table))
}

impl Store for PostgresStore {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        let work = pin!(async {
            match &self.lanes {
                Some(lanes) => lanes.find(lookup).await,
                None => self.shared.run(Find(lookup)).await,
            }
        });
        operation(SYSTEM, "find", None, Seen::found, work).await
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        let work = pin!(async {
            match &self.lanes {
                Some(lanes) => lanes.save(save).await,
                None => self.shared.run(Write(save)).await,
            }
        });
        operation(SYSTEM, "save", save.data_len(), Seen::saved, work).await
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        let work = pin!(async {
            match &self.lanes {
                Some(lanes) => lanes.destroy(lookup).await,
                None => self.shared.run(Destroy(lookup)).await,
            }
        });
        operation(SYSTEM, "destroy", None, Seen::met, work).await
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        let work = pin!(async {
            match &self.lanes {
                Some(lanes) => lanes.touch(id, timeouts).await,
                None => self.shared.run(Touch { id: *id, timeouts }).await,
            }
        });
        operation(SYSTEM, "touch", None, Seen::met, work).await
    }
}

impl Maintenance for PostgresStore {
    async fn create(&self) -> Result<bool> {
        let work = pin!(self.shared.create_table());
        operation(SYSTEM, "create", None, done, work).await
    }

    async fn inspect(&self) -> Result<Schema> {
        let work = pin!(self.shared.run(Inspect));
        operation(SYSTEM, "inspect", None, done, work).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<Row>> {
        let work = pin!(self.shared.run(Rows(scan)));
        operation(SYSTEM, "scan", None, Seen::read, work).await
    }

    async fn row(&self, key: &RowKey) -> Result<Option<Row>> {
        let work = pin!(self.shared.run(OneRow(key)));
        match operation(SYSTEM, "row", None, done, work).await {
            // A text that is no value of the key's type is no row's key.
            Err(error) if error.code().is_some_and(|code| code.starts_with("22")) => Ok(None),
            found => found,
        }
    }

    async fn delete(&self, keys: &[RowKey], filter: &Filter) -> Result<u64> {
        let work = pin!(self.shared.run(Delete { keys, filter }));
        operation(SYSTEM, "delete", None, Seen::rows, work).await
    }

    async fn rekey(&self, row: &Row, new_id: &PrivateId) -> Result<Saved> {
        let work = pin!(self.shared.run(Rekey { row, new_id }));
        operation(SYSTEM, "rekey", None, Seen::saved, work).await
    }

    async fn end(&self, rows: &[Row], still: Still) -> Result<Vec<bool>> {
        let one = async |row| {
            let work = pin!(self.shared.run(End { row, still }));
            operation(SYSTEM, "end", None, Seen::met, work).await
        };
        together(rows.iter().map(one).collect()).await
    }

    async fn clear(&self) -> Result<u64> {
        let work = pin!(self.shared.run(Clear));
        operation(SYSTEM, "clear", None, Seen::rows, work).await
    }

    async fn delete_alone(&self, keys: &[RowKey], filter: &Filter) -> Result<Option<u64>> {
        let work = pin!(self.shared.run(DeleteAlone { keys, filter }));
        operation(SYSTEM, "delete_alone", None, Seen::rows_alone, work).await
    }

    async fn rekey_all(&self, rows: &[(Row, PrivateId)]) -> Result<Vec<Saved>> {
        let all: Vec<_> = rows.iter().map(|(row, new_id)| self.rekey(row, new_id)).collect();
        together(all).await
    }

    async fn save_all(&self, saves: &[Save]) -> Result<Vec<Saved>> {
        let all: Vec<_> = saves.iter().map(|save| self.save(save)).collect();
        together(all).await
    }

    async fn count(&self) -> Result<Option<u64>> {
        let work = pin!(self.shared.run(Count));
        operation(SYSTEM, "count", None, done, work).await.map(Some)
    }

    async fn facts(&self) -> Result<Facts> {
        let work = pin!(self.shared.run(AskFacts));
        operation(SYSTEM, "facts", None, done, work).await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
