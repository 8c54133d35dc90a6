//! PostgreSQL: what goes wrong with servers, networks, poolers and tables, on servers of our own.

mod connect;
mod crowds;
mod disk;
mod errors;
mod failover;
mod faults;
mod lanes;
mod pooler;
mod promises;
mod schema;
mod shapes;
mod tls;

/// The same without lanes.
#[path = "."]
mod plain {
    use super::{AnyPlace, data, insert, new_id, update};

    type Place = AnyPlace<false>;

    #[allow(clippy::duplicate_mod)]
    #[path = "disk.rs"]
    mod disk;
    #[allow(clippy::duplicate_mod)]
    #[path = "faults.rs"]
    mod faults;
    #[allow(clippy::duplicate_mod)]
    #[path = "promises.rs"]
    mod promises;
    #[allow(clippy::duplicate_mod)]
    #[path = "schema.rs"]
    mod schema;
}

use bytes::Bytes;
use sqlbypass::{
    Insert, Lookup, PostgresBuilder, PostgresStore, Result, Save, Saved, SessionId, Store, Table,
    Update,
};
use tokio_postgres::Client;

use crate::conformance::postgres::RAILS;
use crate::servers::Postgres;

/// A table of its own, and a connection beside the store's, which has lanes or not.
struct AnyPlace<const LANES: bool> {
    raw: Client,
    schema: String,
}

type Place = AnyPlace<true>;

impl<const LANES: bool> AnyPlace<LANES> {
    /// On the server that most tests share, with the table that Rails makes.
    async fn shared() -> Self {
        Self::on(Postgres::shared(), RAILS).await
    }

    /// `{schema}` stands for the test's own in `ddl`.
    async fn on(server: &Postgres, ddl: &str) -> Self {
        let schema = server.create_schema().await;
        let raw = server.connect("postgres").await;
        raw.batch_execute(&ddl.replace("{schema}", &schema)).await.unwrap();
        Self { raw, schema }
    }

    fn table(&self) -> String {
        format!("{}.sessions", self.schema)
    }

    /// The store's settings for its table, by a server's URL.
    fn builder(&self, url: &str) -> PostgresBuilder {
        let table = Table::new(self.table()).unwrap();
        PostgresStore::url(url).unwrap().table(table).lanes(LANES).max_connections(4)
    }

    async fn open(&self) -> PostgresStore {
        self.builder(&Postgres::shared().socket_url("postgres")).open().await.unwrap()
    }

    /// Changes the table; `{table}` stands for its name.
    async fn run(&self, sql: &str) {
        self.raw.batch_execute(&sql.replace("{table}", &self.table())).await.unwrap();
    }

    async fn count(&self) -> i64 {
        let sql = format!("SELECT count(*) FROM {}", self.table());
        self.raw.query_one(&sql, &[]).await.unwrap().get(0)
    }
}

fn new_id() -> SessionId {
    SessionId::generate().unwrap()
}

async fn insert(store: &PostgresStore, id: &SessionId, data: &str) -> Result<Saved> {
    let insert = Insert::new(id.private(), data.to_owned());
    store.save(&Save::Insert(insert)).await
}

async fn update(store: &PostgresStore, id: &SessionId, data: &str) -> Result<Saved> {
    let update = Update::new(id.private().into()).data(data.to_owned());
    store.save(&Save::Update(update)).await
}

async fn data(store: &PostgresStore, id: &SessionId) -> Option<Bytes> {
    store.find(&Lookup::new(id)).await.unwrap().and_then(|record| record.data)
}
