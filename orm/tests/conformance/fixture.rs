//! The hooks of a table, through the model itself: they hold on every database.

use std::marker::PhantomData;
use std::time::Duration;

use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue::Set, DatabaseConnection, IntoActiveModel as _};
use sqlbypass::Maintenance as _;
use sqlbypass::conformance::{Fixture, RawRow};
use sqlbypass_orm::OrmStore;
use sqlbypass_orm::entity::{ActiveModel, Column, Entity};

/// A database that has tables of one's own.
pub(crate) trait Place: Send + Sync + 'static {
    /// What has to live as long as the table.
    type Guard: Send + Sync + 'static;

    /// Connections to a database, or a part of one, without the table.
    fn connect() -> impl Future<Output = (DatabaseConnection, Self::Guard)> + Send;
}

/// A table that the migration has made.
pub(crate) struct Migrated<P: Place> {
    connection: DatabaseConnection,
    _guard: P::Guard,
    place: PhantomData<P>,
}

impl<P: Place> Fixture for Migrated<P> {
    type Store = OrmStore;

    async fn open() -> (Self, OrmStore) {
        let (connection, guard) = P::connect().await;
        let store = OrmStore::new(connection.clone());
        assert!(store.create().await.unwrap());
        (Self { connection, _guard: guard, place: PhantomData }, store)
    }

    async fn put(&self, id: &str, data: Option<&[u8]>) {
        let now = chrono::Utc::now().naive_utc();
        let row = ActiveModel {
            session_id: Set(id.to_owned()),
            data: Set(data.map(|data| String::from_utf8(data.to_vec()).unwrap())),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        row.insert(&self.connection).await.unwrap();
    }

    async fn rows(&self) -> Vec<RawRow> {
        let rows = Entity::find().all(&self.connection).await.unwrap();
        rows.into_iter().map(|row| (row.session_id, row.data.map(String::into_bytes))).collect()
    }

    async fn age(&self, id: &str, by: Duration) {
        let select = Entity::find().filter(Column::SessionId.eq(id));
        let row = select.one(&self.connection).await.unwrap().unwrap();
        let (created_at, updated_at) = (row.created_at - by, row.updated_at - by);
        let mut row = row.into_active_model();
        row.created_at = Set(created_at);
        row.updated_at = Set(updated_at);
        row.update(&self.connection).await.unwrap();
    }
}
