//! On MariaDB, in a database for each test.

use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use crate::fixture::{Migrated, Place};
use crate::servers::MariaDb;

pub(crate) struct InDatabase;

impl Place for InDatabase {
    type Guard = ();

    async fn connect() -> (DatabaseConnection, ()) {
        let server = MariaDb::shared();
        let name = server.create_schema().await;
        let mut options = ConnectOptions::new(server.socket_url(&name));
        options.max_connections(4);
        (Database::connect(options).await.unwrap(), ())
    }
}

sqlbypass::conformance_tests!(
    Migrated<InDatabase>: store, races, manager, merges, merged_keys, late, rotation, times,
        maintenance, maintenance_times, users
);
