//! sea-orm as its users write it, on Rails' table; a save is one UPDATE, without the find that an
//! active model begins with.

use bench_kit::{Args, Data, Result, Rival, private_id};
use chrono::Utc;
use sea_orm::entity::prelude::*;
use sea_orm::{ActiveValue, DatabaseConnection};
use sqlbypass_orm::entity::{ActiveModel, Column, Entity};

pub(crate) struct SeaOrm(DatabaseConnection);

impl Rival for SeaOrm {
    async fn connect(args: &Args) -> Result<Self> {
        Ok(Self(crate::connection(args).await?))
    }

    async fn find(&self, id: &str, _: usize) -> Result<usize> {
        let found = Entity::find().filter(Column::SessionId.eq(private_id(id))).one(&self.0);
        let model = found.await?.ok_or("no row")?;
        Ok(std::hint::black_box(model).data.ok_or("no data")?.len())
    }

    async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
        let update = Entity::update_many()
            .col_expr(Column::Data, data.json().into())
            .col_expr(Column::UpdatedAt, Utc::now().naive_utc().into())
            .filter(Column::SessionId.eq(private_id(id)));
        one(update.exec(&self.0).await?.rows_affected)
    }

    async fn insert(&self, id: &str, data: &Data) -> Result<()> {
        let now = Utc::now().naive_utc();
        let model = ActiveModel {
            id: ActiveValue::NotSet,
            session_id: ActiveValue::Set(private_id(id)),
            data: ActiveValue::Set(Some(data.json())),
            created_at: ActiveValue::Set(now),
            updated_at: ActiveValue::Set(now),
        };
        one(Entity::insert(model).exec_without_returning(&self.0).await?)
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        let delete = Entity::delete_many().filter(Column::SessionId.eq(private_id(id)));
        one(delete.exec(&self.0).await?.rows_affected)
    }
}

fn one(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(format!("{rows} rows").into()) }
}
