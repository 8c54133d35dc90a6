//! What tasks do to the table.

use bytes::Bytes;
use chrono::NaiveDateTime;
use sea_orm::entity::prelude::*;
use sea_orm::{FromQueryResult, QueryOrder, QuerySelect};
use sea_orm_migration::{MigratorTrait, SchemaManager};
use sqlbypass::{
    Error, Filter, Guard, Maintenance, Owner, PrivateId, Result, Row, RowKey, Saved, Scan, Schema,
    Still,
};

use crate::OrmStore;
use crate::entity::{Column, Entity};
use crate::error::Doing;
use crate::expressions::{data_size, filter, guard, has_id, system_time};
use crate::migration::{INDEX_ID, Migrator};

const TABLE: &str = "sessions";
const CREATING: Doing = Doing { what: "creating the sessions table", writes: true };
const INSPECTING: Doing = Doing { what: "inspecting the sessions table", writes: false };
const SCANNING: Doing = Doing { what: "scanning sessions", writes: false };
const DELETING: Doing = Doing { what: "deleting sessions", writes: true };

/// A row as a scan reads it.
#[derive(FromQueryResult)]
struct Scanned {
    id: i64,
    session_id: String,
    size: Option<i64>,
    data: Option<String>,
    created_at: NaiveDateTime,
    updated_at: NaiveDateTime,
}

impl From<Scanned> for Row {
    fn from(row: Scanned) -> Self {
        Self {
            key: RowKey::Int(row.id),
            stored_id: row.session_id.into(),
            size: row.size.and_then(|size| size.try_into().ok()).unwrap_or_default(),
            data: row.data.map(Bytes::from),
            created_at: Some(system_time(row.created_at)),
            updated_at: Some(system_time(row.updated_at)),
            owner: Owner::Unknown,
        }
    }
}

impl OrmStore {
    async fn has_table(&self, doing: Doing) -> Result<bool> {
        self.within(doing, SchemaManager::new(self.connection()).has_table(TABLE)).await
    }
}

impl Maintenance for OrmStore {
    async fn create(&self) -> Result<bool> {
        if self.has_table(CREATING).await? {
            return Ok(false);
        }
        self.within(CREATING, Migrator::up(self.connection(), None)).await?;
        if !self.has_table(CREATING).await? {
            return Err(Error::schema(CREATING.what, "the table was dropped after its migration")
                .advice("roll the migration back and run it again"));
        }
        Ok(true)
    }

    async fn inspect(&self) -> Result<Schema> {
        if !self.has_table(INSPECTING).await? {
            return Err(Error::schema(INSPECTING.what, "the table is missing")
                .advice("run the migration, or Maintenance::create"));
        }
        let manager = SchemaManager::new(self.connection());
        let mut schema = Schema::default();
        schema.primary_key = Some("id".into());
        schema.data_type = "text".into();
        schema.created_at =
            self.within(INSPECTING, manager.has_column(TABLE, "created_at")).await?;
        schema.updated_at =
            self.within(INSPECTING, manager.has_column(TABLE, "updated_at")).await?;
        schema.unique_id = self.within(INSPECTING, manager.has_index(TABLE, INDEX_ID)).await?;
        Ok(schema)
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<Row>> {
        let mut select = Entity::find()
            .select_only()
            .columns([Column::Id, Column::SessionId, Column::CreatedAt, Column::UpdatedAt])
            .expr_as(data_size(self.backend()), "size")
            .filter(filter(self.backend(), &scan.filter))
            .order_by_asc(Column::Id)
            .limit(u64::from(scan.limit));
        if scan.with_data {
            select = select.column(Column::Data);
        }
        if let Some(after) = &scan.after {
            select = select.filter(Column::Id.gt(key(after)));
        }
        let rows = select.into_model::<Scanned>().all(self.connection());
        Ok(self.within(SCANNING, rows).await?.into_iter().map(Row::from).collect())
    }

    async fn delete(&self, keys: &[RowKey], which: &Filter) -> Result<u64> {
        let statement = Entity::delete_many()
            .filter(Column::Id.is_in(keys.iter().map(key)))
            .filter(filter(self.backend(), which));
        Ok(self.within(DELETING, statement.exec(self.connection())).await?.rows_affected)
    }

    async fn rekey(&self, row: &Row, new_id: &PrivateId) -> Result<Saved> {
        let statement = Entity::update_many()
            .col_expr(Column::SessionId, new_id.as_str().into())
            .filter(Column::Id.eq(key(&row.key)))
            .filter(has_id(self.backend(), [&*row.stored_id]));
        Ok(match self.updated(statement).await? {
            None => Saved::Duplicate,
            Some(0) => Saved::Gone,
            Some(_) => Saved::Applied,
        })
    }

    async fn end(&self, rows: &[Row], still: Still) -> Result<Vec<bool>> {
        let mut ended = Vec::with_capacity(rows.len());
        for row in rows {
            let unchanged = Guard::Data(row.data.clone());
            let unchanged = guard(self.backend(), &unchanged).filter(|_| still == Still::Unchanged);
            let statement = Entity::delete_many()
                .filter(Column::Id.eq(key(&row.key)))
                .filter(has_id(self.backend(), [&*row.stored_id]).add_option(unchanged));
            let deleted = self.within(DELETING, statement.exec(self.connection())).await?;
            ended.push(deleted.rows_affected > 0);
        }
        Ok(ended)
    }

    async fn clear(&self) -> Result<u64> {
        let statement = Entity::delete_many().exec(self.connection());
        Ok(self.within(DELETING, statement).await?.rows_affected)
    }
}

/// The model's keys are numbers; no row has another.
fn key(key: &RowKey) -> i64 {
    match key {
        RowKey::Int(key) => *key,
        RowKey::Text(_) => i64::MIN,
    }
}
