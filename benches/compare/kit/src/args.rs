//! What a rival is told.

use clap::{Parser, ValueEnum};

/// The arguments of every rival.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Which rival it is, for a program that holds more than one.
    #[arg(long, default_value = "")]
    pub rival: String,
    /// Which database it is.
    #[arg(long)]
    pub database: Database,
    /// Where it is.
    #[arg(long)]
    pub url: String,
    /// What to do.
    #[arg(long)]
    pub operation: Operation,
    /// Tasks at the same time.
    #[arg(long, default_value_t = 1)]
    pub concurrency: usize,
    /// The most connections.
    #[arg(long, default_value_t = 8)]
    pub connections: u32,
    /// Bytes of data in a row.
    #[arg(long, default_value_t = 600)]
    pub payload: usize,
    /// Rows in the table.
    #[arg(long, default_value_t = 100_000)]
    pub rows: usize,
    /// How long to measure.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// How long to run before that: connections are opened, statements prepared.
    #[arg(long, default_value_t = 0.3)]
    pub warm_up: f64,
}

impl Args {
    /// Whether the table has to be made and filled.
    pub fn create(&self) -> bool {
        self.operation == Operation::Fill
    }

    /// SQLite's settings: what a commit acknowledges is on disk, unless a table is being filled.
    pub fn synchronous(&self) -> &'static str {
        if self.create() { "OFF" } else { "FULL" }
    }
}

/// The databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Database {
    /// A file; the URL is its path.
    Sqlite,
    /// A server.
    Postgres,
    /// A server, of MySQL or MariaDB.
    Mysql,
}

/// The operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// Makes the table and its rows.
    Fill,
    /// Reads a row.
    Find,
    /// Replaces the data of a row.
    Save,
    /// Adds a row.
    Insert,
    /// Nine finds, one save.
    Mix,
}
