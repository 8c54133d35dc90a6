//! diesel through diesel-async and deadpool, as its users write it.

use bench_kit::{Args, Data, Database, Failure, Result, Rival, private_id};
use chrono::{NaiveDateTime, Utc};
use diesel::prelude::*;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{
    AsyncConnection as _, AsyncMysqlConnection, AsyncPgConnection, RunQueryDsl,
    SimpleAsyncConnection as _,
};

diesel::table! {
    sessions (id) {
        id -> BigInt,
        session_id -> Text,
        data -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

type Sqlite = SyncConnectionWrapper<SqliteConnection>;
type Row = (String, Option<String>, NaiveDateTime, NaiveDateTime);

fn main() -> Result<()> {
    match bench_kit::args().database {
        Database::Sqlite => bench_kit::run::<Diesel<Sqlite>>(),
        Database::Postgres => bench_kit::run::<Diesel<AsyncPgConnection>>(),
        Database::Mysql => bench_kit::run::<Diesel<AsyncMysqlConnection>>(),
    }
}

struct Diesel<C: diesel_async::pooled_connection::PoolableConnection + 'static>(Pool<C>);

/// The same for each kind of connection: diesel is generic in ways that take more words than a
/// macro.
macro_rules! rival {
    ($connection:ty, $config:path) => {
        impl Diesel<$connection> {
            async fn connection(&self) -> Result<Object<$connection>> {
                Ok(self.0.get().await?)
            }
        }

        impl Rival for Diesel<$connection> {
            async fn connect(args: &Args) -> Result<Self> {
                let manager =
                    AsyncDieselConnectionManager::new_with_config(&args.url, $config(args));
                Ok(Self(Pool::builder(manager).max_size(args.connections as usize).build()?))
            }

            async fn find(&self, id: &str, _: usize) -> Result<usize> {
                let mut connection = self.connection().await?;
                let row: Row = sessions::table
                    .filter(sessions::session_id.eq(private_id(id)))
                    .select((
                        sessions::session_id,
                        sessions::data,
                        sessions::created_at,
                        sessions::updated_at,
                    ))
                    .first(&mut connection)
                    .await?;
                Ok(row.1.ok_or("no data")?.len())
            }

            async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
                let mut connection = self.connection().await?;
                let row = sessions::table.filter(sessions::session_id.eq(private_id(id)));
                let rows = diesel::update(row)
                    .set((
                        sessions::data.eq(data.json()),
                        sessions::updated_at.eq(Utc::now().naive_utc()),
                    ))
                    .execute(&mut connection)
                    .await?;
                one(rows)
            }

            async fn insert(&self, id: &str, data: &Data) -> Result<()> {
                let mut connection = self.connection().await?;
                let now = Utc::now().naive_utc();
                let rows = diesel::insert_into(sessions::table)
                    .values((
                        sessions::session_id.eq(private_id(id)),
                        sessions::data.eq(data.json()),
                        sessions::created_at.eq(now),
                        sessions::updated_at.eq(now),
                    ))
                    .execute(&mut connection)
                    .await?;
                one(rows)
            }

            async fn destroy(&self, id: &str) -> Result<()> {
                let mut connection = self.connection().await?;
                let row = sessions::table.filter(sessions::session_id.eq(private_id(id)));
                one(diesel::delete(row).execute(&mut connection).await?)
            }
        }
    };
}

rival!(Sqlite, sqlite);
rival!(AsyncPgConnection, plain);
rival!(AsyncMysqlConnection, plain);

fn plain<C>(_: &Args) -> ManagerConfig<C>
where
    C: diesel_async::AsyncConnection + 'static,
{
    ManagerConfig::default()
}

fn sqlite(args: &Args) -> ManagerConfig<Sqlite> {
    let synchronous = args.synchronous();
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(move |url| {
        Box::pin(async move {
            let mut connection = Sqlite::establish(url).await?;
            let pragmas = format!(
                "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
                 PRAGMA synchronous = {synchronous};"
            );
            let set = connection.batch_execute(&pragmas).await;
            set.map_err(ConnectionError::CouldntSetupConfiguration)?;
            Ok(connection)
        })
    });
    config
}

fn one(rows: usize) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Failure::from(format!("{rows} rows"))) }
}
