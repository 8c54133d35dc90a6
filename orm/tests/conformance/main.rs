//! The public conformance suite on the model, on each database.

mod fixture;
#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres"))]
#[path = "../../../tests/servers/mod.rs"]
mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;
