//! What tasks do beside the operations of a service.

use super::{Connection, Operation};
use crate::error::Result;
use crate::record::{Filter, Row, RowKey, Still};
use crate::store::call::Call;
use crate::table::Facts;

pub(in crate::store) struct DeleteAlone<'a> {
    pub(in crate::store) keys: &'a [RowKey],
    pub(in crate::store) filter: &'a Filter,
}

impl Operation for DeleteAlone<'_> {
    type Output = Option<u64>;
    const DOING: &'static str = "deleting rows";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Option<u64>, C::Fault> {
        if self.keys.is_empty() {
            return Ok(Some(0));
        }
        let call = Call::delete(connection.statements(), self.keys, self.filter)?;
        connection.execute_alone(call).await
    }
}

pub(in crate::store) struct End<'a> {
    pub(in crate::store) row: &'a Row,
    pub(in crate::store) still: Still,
}

impl Operation for End<'_> {
    type Output = bool;
    const DOING: &'static str = "ending a session";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<bool, C::Fault> {
        let call = Call::end(connection.statements(), self.row, self.still)?;
        Ok(connection.execute(&call).await? > 0)
    }
}

pub(in crate::store) struct Count;

impl Operation for Count {
    type Output = u64;
    const DOING: &'static str = "counting rows";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<u64, C::Fault> {
        connection.counted(&Call::count()).await
    }
}

/// Removes the table, for who has made it.
#[cfg(feature = "cli")]
pub(in crate::store) struct DropTable;

#[cfg(feature = "cli")]
impl Operation for DropTable {
    type Output = ();
    const DOING: &'static str = "removing a table";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<(), C::Fault> {
        connection.execute(&Call::drop_table()).await.map(drop)
    }
}

pub(in crate::store) struct AskFacts;

impl Operation for AskFacts {
    type Output = Facts;
    const DOING: &'static str = "asking the server about itself";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Facts, C::Fault> {
        connection.facts().await
    }
}
