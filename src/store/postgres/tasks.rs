//! What tasks do beside the operations of a service.

use super::connection::{Connection, Fault};
use super::operations::Operation;
use crate::error::Result;
use crate::record::{Filter, RowKey};
use crate::store::call::Call;
use crate::table::Facts;

pub(super) struct DeleteAlone<'a> {
    pub(super) keys: &'a [RowKey],
    pub(super) filter: &'a Filter,
}

impl Operation for DeleteAlone<'_> {
    type Output = Option<u64>;
    const DOING: &'static str = "deleting rows";

    /// The lock is taken and left within the statement's transaction, so that it also holds behind a
    /// transaction pooler.
    async fn run(&self, connection: &mut Connection<'_>) -> Result<Option<u64>, Fault> {
        let call = Call::delete(&connection.statements, self.keys, self.filter)?.alone();
        let mut deleted = None;
        let each = |row: tokio_postgres::Row| {
            let is_held: bool = row.try_get(0)?;
            let rows: i64 = row.try_get(1)?;
            deleted = is_held.then(|| u64::try_from(rows).unwrap_or(0));
            Ok(())
        };
        connection.execute_returning(&call, each).await?;
        Ok(deleted)
    }
}

pub(super) struct Count;

impl Operation for Count {
    type Output = u64;
    const DOING: &'static str = "counting rows";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<u64, Fault> {
        let mut count = 0_i64;
        let each = |row: tokio_postgres::Row| {
            count = row.try_get(0)?;
            Ok(())
        };
        connection.rows(&Call::count(), each).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

pub(super) struct AskFacts;

impl Operation for AskFacts {
    type Output = Facts;
    const DOING: &'static str = "asking the server about itself";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<Facts, Fault> {
        connection.facts().await
    }
}
