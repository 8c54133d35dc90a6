//! The operations on one connection: a statement chosen, run, and its answer read.

use std::sync::Arc;

use super::Connection;
use crate::error::Result;
use crate::id::{PrivateId, StoredId};
use crate::record::{Filter, Lookup, Record, Row, RowKey, Save, Saved, Scan, Timeouts, Update};
use crate::store::call::{Call, not_applied};
use crate::store::lane::Change;
use crate::store::statements::Name;
use crate::table::Schema;

/// For errors.
pub(in crate::store) const INSPECTING: &str = "looking at the sessions table";

/// What is asked of the store. It may be run more than once, but a statement that writes is sent
/// again only after the server has said that it was not applied.
pub(in crate::store) trait Operation: Send + Sync {
    type Output: Send;

    /// For errors.
    const DOING: &'static str;

    fn run<C: Connection>(
        &self,
        connection: &mut C,
    ) -> impl Future<Output = Result<Self::Output, C::Fault>> + Send;
}

pub(in crate::store) struct Find<'a>(pub(in crate::store) &'a Lookup);

impl Operation for Find<'_> {
    type Output = Option<Record>;
    const DOING: &'static str = "finding a session";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Option<Record>, C::Fault> {
        let call = Call::find(connection.statements(), self.0)?;
        let (mut private, mut raw) = (None, None);
        let each = |record: Record| match record.id.is_legacy() {
            true => raw = Some(record),
            false => private = Some(record),
        };
        connection.records(&call, each).await?;
        // With rows under both ids, the private one is the session.
        let twin = raw.is_some();
        Ok(private.map(|record| Record { legacy_twin: twin, ..record }).or(raw))
    }
}

pub(in crate::store) struct Write<'a>(pub(in crate::store) &'a Save);

impl Operation for Write<'_> {
    type Output = Saved;
    const DOING: &'static str = "saving a session";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Saved, C::Fault> {
        match self.0 {
            Save::Insert(insert) => {
                let call = Call::insert(connection.statements(), insert)?;
                let result = connection.execute(&call).await;
                or_duplicate::<C>(result.map(|_| Saved::Applied))
            }
            Save::Update(update) => {
                let result = self::update(connection, update).await;
                if update.new_id.is_some() { or_duplicate::<C>(result) } else { result }
            }
        }
    }
}

pub(in crate::store) struct Touch {
    pub(in crate::store) id: StoredId,
    pub(in crate::store) timeouts: Timeouts,
}

impl Operation for Touch {
    type Output = bool;
    const DOING: &'static str = "touching a session";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<bool, C::Fault> {
        let update = Change::touch(self.id, self.timeouts);
        Ok(self::update(connection, &update).await? == Saved::Applied)
    }
}

async fn update<C: Connection>(connection: &mut C, update: &Update) -> Result<Saved, C::Fault> {
    let call = Call::update(connection.statements(), update)?;
    let applied = match call.name {
        Name::Exists => connection.exists(&call).await?,
        _ => connection.execute(&call).await? > 0,
    };
    if applied {
        return Ok(Saved::Applied);
    }
    let conflict = match call.conflict(update) {
        Some(question) => connection.exists(&question).await?,
        None => false,
    };
    Ok(not_applied(conflict))
}

fn or_duplicate<C: Connection>(result: Result<Saved, C::Fault>) -> Result<Saved, C::Fault> {
    match result {
        Err(fault) if C::is_duplicate(&fault) => Ok(Saved::Duplicate),
        result => result,
    }
}

pub(in crate::store) struct Destroy<'a>(pub(in crate::store) &'a Lookup);

impl Operation for Destroy<'_> {
    type Output = bool;
    const DOING: &'static str = "destroying a session";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<bool, C::Fault> {
        Ok(connection.execute(&Call::destroy(self.0)).await? > 0)
    }
}

pub(in crate::store) struct Rows<'a>(pub(in crate::store) &'a Scan);

impl Operation for Rows<'_> {
    type Output = Vec<Row>;
    const DOING: &'static str = "reading rows";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Vec<Row>, C::Fault> {
        let call = Call::scan(connection.statements(), self.0)?;
        let mut rows = Vec::new();
        connection.scanned(&call, |row| rows.push(row)).await?;
        Ok(rows)
    }
}

pub(in crate::store) struct OneRow<'a>(pub(in crate::store) &'a RowKey);

impl Operation for OneRow<'_> {
    type Output = Option<Row>;
    const DOING: &'static str = "reading a row";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Option<Row>, C::Fault> {
        let mut found = None;
        connection.scanned(&Call::row(self.0), |row| found = Some(row)).await?;
        Ok(found)
    }
}

pub(in crate::store) struct Delete<'a> {
    pub(in crate::store) keys: &'a [RowKey],
    pub(in crate::store) filter: &'a Filter,
}

impl Operation for Delete<'_> {
    type Output = u64;
    const DOING: &'static str = "deleting rows";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<u64, C::Fault> {
        if self.keys.is_empty() {
            return Ok(0);
        }
        let call = Call::delete(connection.statements(), self.keys, self.filter)?;
        connection.execute(&call).await
    }
}

pub(in crate::store) struct Rekey<'a> {
    pub(in crate::store) row: &'a Row,
    pub(in crate::store) new_id: &'a PrivateId,
}

impl Operation for Rekey<'_> {
    type Output = Saved;
    const DOING: &'static str = "re-keying a row";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Saved, C::Fault> {
        let result = connection.execute(&Call::rekey(self.row, self.new_id)).await;
        or_duplicate::<C>(result.map(|rows| if rows > 0 { Saved::Applied } else { Saved::Gone }))
    }
}

pub(in crate::store) struct Clear;

impl Operation for Clear {
    type Output = u64;
    const DOING: &'static str = "clearing the sessions table";

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<u64, C::Fault> {
        connection.execute(&Call::clear()).await
    }
}

pub(in crate::store) struct Inspect;

impl Operation for Inspect {
    type Output = Schema;
    const DOING: &'static str = INSPECTING;

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Schema, C::Fault> {
        connection.inspect().await?;
        Ok(Arc::clone(connection.statements()).schema.clone())
    }
}
