//! The default session model on sea-orm, as its users would write it: an entity, a migration, and
//! [`OrmStore`], which keeps the contract of [`sqlbypass::Store`] with them.
//!
//! What the contract costs an ORM:
//!
//! - A guard, a new id and a timeout have to be part of one UPDATE. An active model's `update` is
//!   keyed by the primary key and knows no condition, so saves go through `update_many` and the
//!   expressions of sea-query: no model, no hooks of `ActiveModelBehavior`.
//! - An active model holds values, not expressions: the database's clock comes in through the
//!   query that its `insert` builds, or the client's clock would decide.
//! - A find decides about a legacy row in Rust, so an expired private row is read with its data.
//! - Each statement is built and rendered anew at every call.
//! - A database in memory goes with its connection, and sqlx closes one whose test before use a
//!   caller abandons: give such a pool one connection and `test_before_acquire(false)`.
//! - The model holds text: data have to be UTF-8, as those of all of Rails' serializers are.
//!
//! # Examples
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sea_orm::Database;
//! use sqlbypass::{Json, Maintenance, SessionManager};
//! use sqlbypass_orm::OrmStore;
//!
//! let store = OrmStore::new(Database::connect("sqlite://sessions.db?mode=rwc").await?);
//! store.create().await?;
//! let sessions = SessionManager::new(store, Json);
//! # Ok(())
//! # }
//! ```

pub mod entity;
mod error;
mod expressions;
mod maintenance;
mod migration;
mod store;

pub use migration::Migrator;
pub use store::OrmStore;
