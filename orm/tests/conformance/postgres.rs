//! On PostgreSQL, in a schema for each test.

use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use crate::fixture::{Migrated, Place};
use crate::servers::Postgres;

pub(crate) struct InSchema;

impl Place for InSchema {
    type Guard = ();

    async fn connect() -> (DatabaseConnection, ()) {
        let server = Postgres::shared();
        let schema = server.create_schema().await;
        let mut options = ConnectOptions::new(server.url("postgres"));
        options.max_connections(4).set_schema_search_path(schema);
        (Database::connect(options).await.unwrap(), ())
    }
}

sqlbypass::conformance_tests!(
    Migrated<InSchema>: store, races, manager, merges, merged_keys, late, rotation, times,
        maintenance, maintenance_times, users
);
