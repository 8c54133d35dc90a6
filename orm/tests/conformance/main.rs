//! The public conformance suite on the model, on each database.

mod fixture;
#[cfg(feature = "servers")]
mod mariadb;
#[cfg(feature = "servers")]
mod postgres;
#[cfg(feature = "servers")]
#[path = "../../../tests/servers/mod.rs"]
mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;
