use sea_orm::DbBackend;
use sea_orm_migration::prelude::*;

use crate::entity::{Column, Entity};

/// The names that Rails gives the indexes.
pub(crate) const INDEX_ID: &str = "index_sessions_on_session_id";
const INDEX_UPDATED: &str = "index_sessions_on_updated_at";

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let table = Table::create()
            .table(Entity)
            .col(ColumnDef::new(Column::Id).big_integer().not_null().auto_increment().primary_key())
            .col(id(backend).not_null())
            .col(ColumnDef::new(Column::Data).text())
            .col(time(backend, Column::CreatedAt).not_null())
            .col(time(backend, Column::UpdatedAt).not_null())
            .to_owned();
        manager.create_table(table).await?;
        let ids =
            Index::create().name(INDEX_ID).table(Entity).col(Column::SessionId).unique().take();
        manager.create_index(ids).await?;
        let times = Index::create().name(INDEX_UPDATED).table(Entity).col(Column::UpdatedAt).take();
        manager.create_index(times).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(Entity).to_owned()).await
    }
}

/// Compares byte by byte, also on MySQL.
fn id(backend: DbBackend) -> ColumnDef {
    let mut column = ColumnDef::new(Column::SessionId);
    match backend {
        DbBackend::MySql => column.custom("varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
        _ => column.string(),
    };
    column
}

/// Microseconds on every database.
fn time(backend: DbBackend, column: Column) -> ColumnDef {
    let mut column = ColumnDef::new(column);
    match backend {
        DbBackend::Postgres => column.custom("timestamp(6) without time zone"),
        _ => column.custom("datetime(6)"),
    };
    column
}
