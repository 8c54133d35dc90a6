//! The migrations.

use sea_orm_migration::prelude::*;

mod m20260101_000001_create_sessions;

pub(crate) use m20260101_000001_create_sessions::INDEX_ID;

/// Makes the table and its indexes as Rails' migration does.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20260101_000001_create_sessions::Migration)]
    }
}
