//! sea-orm as its users write it: the entity of `sqlbypass-orm`, found and written by its id
//! column, without guards, timeouts or legacy ids.

#[path = "../orm.rs"]
mod orm;

use bench_kit::{Args, Data, Result, Rival, private_id};
use chrono::Utc;
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter};
use sqlbypass_orm::entity::{ActiveModel, Column, Entity};

fn main() -> Result<()> {
    bench_kit::run::<Bare>()
}

struct Bare(DatabaseConnection);

impl Rival for Bare {
    async fn connect(args: &Args) -> Result<Self> {
        Ok(Self(orm::connect(args).await?))
    }

    async fn find(&self, id: &str, _: usize) -> Result<usize> {
        let find = Entity::find().filter(Column::SessionId.eq(private_id(id)));
        let model = find.one(&self.0).await?.ok_or("no row")?;
        Ok(model.data.ok_or("no data")?.len())
    }

    async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
        let change = ActiveModel {
            data: Set(Some(data.json())),
            updated_at: Set(Utc::now().naive_utc()),
            ..Default::default()
        };
        let update = Entity::update_many().set(change);
        let update = update.filter(Column::SessionId.eq(private_id(id)));
        one(update.exec(&self.0).await?.rows_affected)
    }

    async fn insert(&self, id: &str, data: &Data) -> Result<()> {
        let now = Utc::now().naive_utc();
        let row = ActiveModel {
            session_id: Set(private_id(id)),
            data: Set(Some(data.json())),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        one(Entity::insert(row).exec_without_returning(&self.0).await?)
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        let delete = Entity::delete_many().filter(Column::SessionId.eq(private_id(id)));
        one(delete.exec(&self.0).await?.rows_affected)
    }
}

fn one(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(format!("{rows} rows").into()) }
}
