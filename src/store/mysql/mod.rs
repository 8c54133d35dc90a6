//! The store on MySQL and MariaDB: a pool of connections, statements prepared once on each.

mod connect;
mod connection;
mod cures;
mod error;
mod inspect;
mod many;
mod options;
mod pool;
mod prepared;
mod rows;
mod shared;
mod single;
mod statements;
mod tasks;
mod transaction;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

pub use options::MySqlBuilder;

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
use crate::sql::Flags;
use crate::store::statements::Name;
use crate::store::together::together;
use crate::table::{Facts, Schema};

/// Sessions in a MySQL or MariaDB table, also one that a Rails app uses at the same time.
///
/// Clones share the connections. Times are those of the server's clock. Every operation ends by the
/// deadline of [`MySqlBuilder::deadline`]; one that was given up leaves no transaction open and
/// no connection that others would have to wait for.
///
/// Its user needs SELECT, INSERT, UPDATE and DELETE on the table, and CREATE on the database where the
/// store is to make it.
///
/// # Examples
///
/// ```no_run
/// # async fn open() -> sqlbypass::Result<()> {
/// use std::time::Duration;
/// use sqlbypass::{Json, MySqlStore, SessionManager};
///
/// let url = "mysql://app:secret@db1,db2/shop?pool_max=16";
/// let store = MySqlStore::url(url)?.create(true).deadline(Duration::from_secs(2)).open().await?;
/// let sessions = SessionManager::new(store.clone(), Json);
/// // When the service ends.
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MySqlStore {
    shared: Arc<Shared>,
    lanes: Option<Lanes<Shared>>,
}

impl MySqlStore {
    /// Connects by URL to a database with Rails' table `sessions`, with default settings; see
    /// [`url`](Self::url).
    ///
    /// # Errors
    ///
    /// When the URL is wrong, the server cannot be reached, or the table does not fit.
    pub async fn open(url: &str) -> Result<Self> {
        Self::url(url)?.open().await
    }

    /// Settings by URL: `mysql://user:password@host,host:3307/database?name=value&name=value`, also
    /// beginning with `mariadb://`. A name may be written with dashes or with underscores.
    ///
    /// | parameter | is |
    /// | --- | --- |
    /// | `socket` | the path of a unix socket, in place of the hosts |
    /// | `ssl-mode` | `DISABLED`, `PREFERRED` (the default), `REQUIRED`, `VERIFY_CA`, `VERIFY_IDENTITY` |
    /// | `ssl-ca`, `ssl-cert`, `ssl-key` | files: the authority's certificate, the client's and its key |
    /// | `connect_timeout` | [`connect_deadline`](MySqlBuilder::connect_deadline) in seconds |
    /// | `pool_max` | [`max_connections`](MySqlBuilder::max_connections) |
    /// | `load_balance_hosts` | `random`, or `disable` (the default) |
    /// | `wsrep_sync_wait` | [`wsrep_sync_wait`](MySqlBuilder::wsrep_sync_wait): `true` or `false` (the default) |
    ///
    /// Special characters of a password are percent-encoded: `%40` for `@`, `%2F` for `/`.
    ///
    /// # Errors
    ///
    /// When the URL is wrong or has a parameter that is not known.
    pub fn url(url: &str) -> Result<MySqlBuilder> {
        MySqlBuilder::from_url(url)
    }

    /// Settings without a URL.
    pub fn builder() -> MySqlBuilder {
        MySqlBuilder::from_nothing()
    }

    /// Settings for a pool of your own, of mysql_async 0.37. Build its options with
    /// `client_found_rows(true)`, and with `reset_connection(false)`, without which each operation costs
    /// four round trips; autocommit has to be on, and statements have to be cached, as they are by
    /// default. Others may use the pool too; a transaction that they leave open when they give a
    /// connection back is rolled back and an error of whoever comes next.
    ///
    /// Its connections keep the settings that you gave them, and there are no lanes over them;
    /// [`MySqlBuilder::deadline`] still ends each operation.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
    /// use mysql_async::{Opts, OptsBuilder, Pool, PoolOpts};
    /// use sqlbypass::MySqlStore;
    ///
    /// let opts = OptsBuilder::from_opts(Opts::from_url("mysql://app:secret@db/shop")?)
    ///     .client_found_rows(true)
    ///     .pool_opts(PoolOpts::new().with_reset_connection(false));
    /// let store = MySqlStore::pool(Pool::new(opts)).open().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pool(pool: mysql_async::Pool) -> MySqlBuilder {
        MySqlBuilder::from_pool(pool)
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

    pub(super) async fn from_builder(options: MySqlBuilder) -> Result<Self> {
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
pub(super) fn addition(builder: &MySqlBuilder) -> Result<Vec<String>> {
    super::statements::addition(&statements::creating(&builder.table))
}

const SYSTEM: System = System::MySql;

/// The statement that makes the table, its indexes inside.
pub(super) fn creation(builder: &MySqlBuilder) -> Result<Vec<String>> {
    builder.table.check()?;
    let statements = statements::creating(&builder.table);
    Ok(vec![statements.get(Name::Create, Flags::default())?.sql.clone()])
}

impl Store for MySqlStore {
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

impl Maintenance for MySqlStore {
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
            // A text that the key's character set cannot write is no row's key.
            Err(error) if error.code() == Some("1267") => Ok(None),
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

impl fmt::Debug for MySqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlStore").field("options", &self.shared.options).finish_non_exhaustive()
    }
}
