//! [`OrmStore`]: the contract of a store on the model.

use std::time::Duration;

use bytes::Bytes;
use chrono::NaiveDateTime;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{
    Condition, ConnectionTrait, DatabaseConnection, DbBackend, FromQueryResult, QuerySelect,
    UpdateMany,
};
use sqlbypass::{
    Error, Insert, Lookup, Record, Result, Save, Saved, Store, StoredId, Timeouts, Update,
};

use crate::entity::{Column, Entity};
use crate::error::{Doing, failed, is_duplicate, is_rolled_back, late};
use crate::expressions::{alive, guard, has_id, now, system_time};

const FINDING: Doing = Doing { what: "finding a session", writes: false };
const SAVING: Doing = Doing { what: "saving a session", writes: true };
const DESTROYING: Doing = Doing { what: "destroying a session", writes: true };
/// A statement that was taken back for another's sake is sent again so often.
const ATTEMPTS: usize = 10;

/// The table `sessions` through sea-orm.
///
/// Clones share the connections. Pool, time-outs of connecting and the database are those of the
/// connection that is handed in; its sessions have to be in UTC, as sqlx opens them.
#[derive(Clone, Debug)]
pub struct OrmStore {
    connection: DatabaseConnection,
    deadline: Duration,
}

impl OrmStore {
    /// A store on these connections, with a deadline of 5 seconds for each operation.
    pub fn new(connection: DatabaseConnection) -> Self {
        Self { connection, deadline: Duration::from_secs(5) }
    }

    /// How long an operation may take, waiting for a connection included.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The connections.
    pub fn connection(&self) -> &DatabaseConnection {
        &self.connection
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    /// Runs one statement to its end or to the deadline.
    pub(crate) async fn within<T>(
        &self,
        doing: Doing,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.deadline, statement).await {
            Ok(result) => result.map_err(|error| failed(doing, &error)),
            Err(_) => Err(late(doing)),
        }
    }

    /// The same for a write that may meet a taken id, or lose a deadlock.
    async fn write<F>(&self, statement: impl Fn() -> F) -> Result<Option<u64>>
    where
        F: Future<Output = Result<u64, DbErr>>,
    {
        let attempts = async {
            for _ in 1..ATTEMPTS {
                match statement().await {
                    Err(error) if is_rolled_back(&error) => {}
                    other => return other,
                }
            }
            statement().await
        };
        let counted = async {
            match attempts.await {
                Ok(rows) => Ok(Some(rows)),
                Err(error) if is_duplicate(&error) => Ok(None),
                Err(error) => Err(error),
            }
        };
        self.within(SAVING, counted).await
    }

    async fn insert(&self, insert: &Insert) -> Result<Saved> {
        let data = text(&insert.data)?;
        let backend = self.backend();
        let mut statement = sea_orm::sea_query::Query::insert();
        let now = now(backend);
        let columns = [Column::SessionId, Column::Data, Column::CreatedAt, Column::UpdatedAt];
        let values = [insert.id.as_str().into(), data.into(), now.clone(), now];
        statement.into_table(Entity).columns(columns).values_panic(values);
        let execute = || async { Ok(self.connection.execute(&statement).await?.rows_affected()) };
        let rows = self.write(execute);
        Ok(if rows.await?.is_some() { Saved::Applied } else { Saved::Duplicate })
    }

    async fn update(&self, update: &Update) -> Result<Saved> {
        let backend = self.backend();
        let there =
            has_id(backend, [update.id.as_str()]).add_option(alive(backend, update.timeouts));
        let guard = guard(backend, &update.guard);
        let condition = there.clone().add_option(guard.clone());
        let rows = match sets(backend, update)? {
            sets if sets.is_empty() => Some(u64::from(self.exists(condition).await?)),
            sets => {
                let mut statement = Entity::update_many().filter(condition);
                for (column, value) in sets {
                    statement = statement.col_expr(column, value);
                }
                self.updated(statement).await?
            }
        };
        Ok(match rows {
            None => Saved::Duplicate,
            Some(0) if guard.is_some() && self.exists(there).await? => Saved::Conflict,
            Some(0) => Saved::Gone,
            Some(_) => Saved::Applied,
        })
    }

    /// The rows that it changed; `None` when it met a taken id.
    pub(crate) async fn updated(&self, statement: UpdateMany<Entity>) -> Result<Option<u64>> {
        let execute = || {
            let statement = statement.clone();
            async { Ok(statement.exec(&self.connection).await?.rows_affected) }
        };
        self.write(execute).await
    }

    async fn exists(&self, condition: Condition) -> Result<bool> {
        self.within(SAVING, Entity::find().filter(condition).exists(&self.connection)).await
    }
}

/// A row as a find reads it.
#[derive(FromQueryResult)]
struct Found {
    session_id: String,
    data: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
    read_at: NaiveDateTime,
    alive: bool,
}

impl Found {
    fn record(self, id: StoredId, legacy_twin: bool) -> Record {
        let mut record = Record::new(id, self.data.map(Bytes::from));
        record.created_at = Some(system_time(self.created_at));
        record.updated_at = Some(system_time(self.updated_at));
        record.read_at = Some(system_time(self.read_at));
        record.legacy_twin = legacy_twin;
        record
    }
}

impl Store for OrmStore {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        let backend = self.backend();
        let (private, legacy) = (StoredId::from(lookup.private), lookup.legacy.map(StoredId::from));
        let ids = [Some(&private), legacy.as_ref()].into_iter().flatten().map(StoredId::as_str);
        let alive = alive(backend, lookup.timeouts).unwrap_or_else(|| Expr::value(true));
        let select = Entity::find()
            .select_only()
            .columns([Column::SessionId, Column::Data, Column::CreatedAt, Column::UpdatedAt])
            .expr_as(now(backend), "read_at")
            .expr_as(alive, "alive")
            .filter(has_id(backend, ids))
            .into_model::<Found>();
        let mut rows = self.within(FINDING, select.all(&self.connection)).await?;
        let mut take = |id: StoredId| {
            let at = rows.iter().position(|row| row.session_id == id.as_str())?;
            Some(rows.swap_remove(at))
        };
        let raw = legacy.and_then(|id| Some((id, take(id)?)));
        // An expired private row is the session all the same, and hides the raw one.
        Ok(match (take(private), raw) {
            (Some(row), raw) => row.alive.then(|| row.record(private, raw.is_some())),
            (None, Some((id, row))) => row.alive.then(|| row.record(id, false)),
            (None, None) => None,
        })
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        match save {
            Save::Insert(insert) => self.insert(insert).await,
            Save::Update(update) => self.update(update).await,
        }
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        let legacy = lookup.legacy.as_ref().map(|id| id.as_str());
        let ids = [Some(lookup.private.as_str()), legacy].into_iter().flatten();
        let statement = Entity::delete_many().filter(has_id(self.backend(), ids));
        let deleted = self.within(DESTROYING, statement.exec(&self.connection)).await?;
        Ok(deleted.rows_affected > 0)
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        let touched = self.update(&Update { timeouts, ..Update::new(*id) }).await?;
        Ok(touched == Saved::Applied)
    }
}

/// What an update writes; the table has no expiry.
fn sets(backend: DbBackend, update: &Update) -> Result<Vec<(Column, Expr)>> {
    let mut sets = Vec::new();
    if let Some(id) = &update.new_id {
        sets.push((Column::SessionId, Expr::value(id.as_str())));
    }
    if let Some(data) = &update.data {
        sets.push((Column::Data, Expr::value(text(data)?)));
    }
    if update.restart {
        sets.push((Column::CreatedAt, now(backend)));
    }
    if update.touch {
        sets.push((Column::UpdatedAt, now(backend)));
    }
    Ok(sets)
}

fn text(data: &[u8]) -> Result<&str> {
    std::str::from_utf8(data).map_err(|_| {
        Error::value(SAVING.what, "its data are not UTF-8, and the model's column holds text")
            .advice("choose a serializer that writes text")
    })
}
