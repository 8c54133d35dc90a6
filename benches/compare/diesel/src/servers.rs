//! diesel-async on PostgreSQL and MariaDB: connections of deadpool, not tested before each use.

use bench_kit::{Args, Data, Result, Rival, private_id};
use diesel::{ExpressionMethods as _, QueryDsl as _, SelectableHelper as _};
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl as _};

use crate::schema::{NewSession, Session, now, one, sessions};

pub(crate) struct Postgres(Pool<AsyncPgConnection>);
pub(crate) struct Mysql(Pool<AsyncMysqlConnection>);

/// The same statements; diesel's bounds for both at once would be longer than they.
macro_rules! rival {
    ($rival:ty, $connection:ty) => {
        impl Rival for $rival {
            async fn connect(args: &Args) -> Result<Self> {
                let mut config = ManagerConfig::<$connection>::default();
                config.recycling_method = RecyclingMethod::Fast;
                let manager = AsyncDieselConnectionManager::new_with_config(&args.url, config);
                Ok(Self(Pool::builder(manager).max_size(args.connections as usize).build()?))
            }

            async fn find(&self, id: &str, _: usize) -> Result<usize> {
                let session: Session = sessions::table
                    .filter(sessions::session_id.eq(private_id(id)))
                    .select(Session::as_select())
                    .first(&mut self.0.get().await?)
                    .await?;
                session.size()
            }

            async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
                let rows =
                    diesel::update(sessions::table.filter(sessions::session_id.eq(private_id(id))))
                        .set((sessions::data.eq(data.json()), sessions::updated_at.eq(now())))
                        .execute(&mut self.0.get().await?)
                        .await?;
                one(rows)
            }

            async fn insert(&self, id: &str, data: &Data) -> Result<()> {
                let rows = diesel::insert_into(sessions::table)
                    .values(NewSession::new(private_id(id), data.json()))
                    .execute(&mut self.0.get().await?)
                    .await?;
                one(rows)
            }

            async fn destroy(&self, id: &str) -> Result<()> {
                let rows =
                    diesel::delete(sessions::table.filter(sessions::session_id.eq(private_id(id))))
                        .execute(&mut self.0.get().await?)
                        .await?;
                one(rows)
            }
        }
    };
}

rival!(Postgres, AsyncPgConnection);
rival!(Mysql, AsyncMysqlConnection);
