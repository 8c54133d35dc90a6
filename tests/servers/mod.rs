//! Database servers that the tests start themselves: each in a folder of its own, on a free port,
//! as a user without rights, and gone when the tests are gone.

#![allow(dead_code, unused_imports)] // Each program that uses this needs another part of it.
#![allow(clippy::unwrap_used)] // A test fails by panicking.

pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod deaf;
pub(crate) mod disk;
pub(crate) mod galera;
pub(crate) mod mariadb;
pub(crate) mod mortal;
pub(crate) mod pgbouncer;
pub(crate) mod postgres;
mod process;
pub(crate) mod proxy;

pub(crate) use certificates::Certificates;
pub(crate) use cluster::Cluster;
pub(crate) use deaf::Deaf;
pub(crate) use disk::{Failing, SickDisk};
pub(crate) use galera::Galera;
pub(crate) use mariadb::MariaDb;
pub(crate) use pgbouncer::PgBouncer;
pub(crate) use postgres::{Options, Postgres};
pub(crate) use proxy::Proxy;
