//! diesel on SQLite: connections of r2d2, on the threads for blocking work.

use bench_kit::{Args, Data, Result, Rival, private_id};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, Pool};

use crate::schema::{NewSession, Session, now, one, sessions};

pub(crate) struct Sqlite(Pool<ConnectionManager<SqliteConnection>>);

#[derive(Debug)]
struct Pragmas(String);

impl CustomizeConnection<SqliteConnection, Error> for Pragmas {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> std::result::Result<(), Error> {
        connection.batch_execute(&self.0).map_err(Error::QueryError)
    }
}

impl Sqlite {
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T> {
        let pool = self.0.clone();
        let work = move || Ok::<_, bench_kit::Failure>(work(&mut *pool.get()?)?);
        tokio::task::spawn_blocking(work).await?
    }
}

impl Rival for Sqlite {
    async fn connect(args: &Args) -> Result<Self> {
        let pragmas = Pragmas(format!(
            "PRAGMA busy_timeout = 60000; PRAGMA journal_mode = WAL; PRAGMA synchronous = {}",
            args.synchronous()
        ));
        let pool = Pool::builder()
            .max_size(args.connections)
            .test_on_check_out(false)
            .connection_customizer(Box::new(pragmas))
            .build(ConnectionManager::new(&args.url))?;
        Ok(Self(pool))
    }

    async fn find(&self, id: &str, _: usize) -> Result<usize> {
        let id = private_id(id);
        self.with(move |connection| {
            sessions::table
                .filter(sessions::session_id.eq(id))
                .select(Session::as_select())
                .first(connection)
        })
        .await?
        .size()
    }

    async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
        let (id, data) = (private_id(id), data.json());
        let rows = self
            .with(move |connection| {
                diesel::update(sessions::table.filter(sessions::session_id.eq(id)))
                    .set((sessions::data.eq(data), sessions::updated_at.eq(now())))
                    .execute(connection)
            })
            .await?;
        one(rows)
    }

    async fn insert(&self, id: &str, data: &Data) -> Result<()> {
        let session = NewSession::new(private_id(id), data.json());
        let rows = self
            .with(move |connection| {
                diesel::insert_into(sessions::table).values(session).execute(connection)
            })
            .await?;
        one(rows)
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        let id = private_id(id);
        let rows = self
            .with(move |connection| {
                diesel::delete(sessions::table.filter(sessions::session_id.eq(id)))
                    .execute(connection)
            })
            .await?;
        one(rows)
    }
}
