//! The operations on one connection: a statement chosen, run, and its answer read.

use std::future::Future;

use super::connection::{Connection, Fault};
use super::error::is_duplicate;
use super::inspect;
use super::rows;
use crate::error::Result;
use crate::id::{PrivateId, StoredId};
use crate::record::{Filter, Lookup, Record, Row, RowKey, Save, Saved, Scan, Timeouts, Update};
use crate::store::call::{Call, not_applied};
use crate::store::statements::Name;
use crate::table::Schema;

/// What is asked of the store. It may be run more than once, but a statement that writes is sent
/// again only after the server has said that it was not applied.
pub(super) trait Operation: Send + Sync {
    type Output: Send;

    /// For errors.
    const DOING: &'static str;

    fn run(
        &self,
        connection: &mut Connection<'_>,
    ) -> impl Future<Output = Result<Self::Output, Fault>> + Send;
}

pub(super) struct Find<'a>(pub(super) &'a Lookup);

impl Operation for Find<'_> {
    type Output = Option<Record>;
    const DOING: &'static str = "finding a session";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<Option<Record>, Fault> {
        let call = Call::find(connection.statements(), self.0)?;
        let (mut private, mut raw) = (None, None);
        for record in connection.rows(&call).await?.into_iter().filter_map(rows::record) {
            match record.id.is_legacy() {
                true => raw = Some(record),
                false => private = Some(record),
            }
        }
        // With rows under both ids, the private one is the session.
        let twin = raw.is_some();
        Ok(private.map(|record| Record { legacy_twin: twin, ..record }).or(raw))
    }
}

pub(super) struct Write<'a>(pub(super) &'a Save);

impl Operation for Write<'_> {
    type Output = Saved;
    const DOING: &'static str = "saving a session";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<Saved, Fault> {
        match self.0 {
            Save::Insert(insert) => {
                let call = Call::insert(connection.statements(), insert)?;
                let result = connection.execute(&call).await;
                or_duplicate(result.map(|_| Saved::Applied))
            }
            Save::Update(update) => {
                let result = self::update(connection, update).await;
                if update.new_id.is_some() { or_duplicate(result) } else { result }
            }
        }
    }
}

pub(super) struct Touch {
    pub(super) id: StoredId,
    pub(super) timeouts: Timeouts,
}

impl Operation for Touch {
    type Output = bool;
    const DOING: &'static str = "touching a session";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<bool, Fault> {
        let update = Update { timeouts: self.timeouts, ..Update::new(self.id) };
        Ok(self::update(connection, &update).await? == Saved::Applied)
    }
}

async fn update(connection: &mut Connection<'_>, update: &Update) -> Result<Saved, Fault> {
    let call = Call::update(connection.statements(), update)?;
    let applied = match call.name {
        Name::Exists => exists(connection, &call).await?,
        _ => connection.execute(&call).await? > 0,
    };
    if applied {
        return Ok(Saved::Applied);
    }
    let conflict = match call.conflict(update) {
        Some(question) => exists(connection, &question).await?,
        None => false,
    };
    Ok(not_applied(conflict))
}

async fn exists(connection: &mut Connection<'_>, call: &Call<'_>) -> Result<bool, Fault> {
    Ok(!connection.rows(call).await?.is_empty())
}

fn or_duplicate(result: Result<Saved, Fault>) -> Result<Saved, Fault> {
    match result {
        Err(Fault::Sql(fault)) if is_duplicate(&fault) => Ok(Saved::Duplicate),
        result => result,
    }
}

pub(super) struct Destroy<'a>(pub(super) &'a Lookup);

impl Operation for Destroy<'_> {
    type Output = bool;
    const DOING: &'static str = "destroying a session";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<bool, Fault> {
        Ok(connection.execute(&Call::destroy(self.0)).await? > 0)
    }
}

pub(super) struct Rows<'a>(pub(super) &'a Scan);

impl Operation for Rows<'_> {
    type Output = Vec<Row>;
    const DOING: &'static str = "reading rows";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<Vec<Row>, Fault> {
        let call = Call::scan(connection.statements(), self.0)?;
        connection.rows(&call).await?.into_iter().map(rows::row).collect()
    }
}

pub(super) struct Delete<'a> {
    pub(super) keys: &'a [RowKey],
    pub(super) filter: &'a Filter,
}

impl Operation for Delete<'_> {
    type Output = u64;
    const DOING: &'static str = "deleting rows";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<u64, Fault> {
        if self.keys.is_empty() {
            return Ok(0);
        }
        let call = Call::delete(connection.statements(), self.keys, self.filter)?;
        connection.execute(&call).await
    }
}

pub(super) struct Rekey<'a> {
    pub(super) row: &'a Row,
    pub(super) new_id: &'a PrivateId,
}

impl Operation for Rekey<'_> {
    type Output = Saved;
    const DOING: &'static str = "re-keying a row";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<Saved, Fault> {
        let result = connection.execute(&Call::rekey(self.row, self.new_id)).await;
        or_duplicate(result.map(|rows| if rows > 0 { Saved::Applied } else { Saved::Gone }))
    }
}

pub(super) struct Clear;

impl Operation for Clear {
    type Output = u64;
    const DOING: &'static str = "clearing the sessions table";

    async fn run(&self, connection: &mut Connection<'_>) -> Result<u64, Fault> {
        connection.execute(&Call::clear()).await
    }
}

pub(super) struct Inspect;

impl Operation for Inspect {
    type Output = Schema;
    const DOING: &'static str = inspect::DOING;

    async fn run(&self, connection: &mut Connection<'_>) -> Result<Schema, Fault> {
        connection.inspect().await?;
        Ok(connection.statements().schema.clone())
    }
}
