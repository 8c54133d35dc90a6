//! The public conformance suite, run on SQLite's tables and on a store of the tests.

pub(crate) mod memory;
mod model;
pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod sqlite;
mod statements;
