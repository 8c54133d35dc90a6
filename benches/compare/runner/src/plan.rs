//! Who is measured, and in what.

use bench_kit::{Database, Operation};

use crate::programs::Programs;

pub(crate) const OPERATIONS: [Operation; 4] =
    [Operation::Find, Operation::Save, Operation::Insert, Operation::Mix];

/// The rivals of `results.json`, in the order of its tables.
pub(crate) const PUBLISHED: &[&str] = &[
    "ours",
    "ours-pool",
    "floor",
    "sqlx-store",
    "rusqlite-store",
    "sea-orm",
    "diesel",
    "sqlx",
    "axum-session",
    "rails",
];

/// Our contract kept by sea-orm; its cells are in `orm.json`.
pub(crate) const ORM_STORE: &str = "sea-orm-store";

/// Where a rival's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    /// In Rails' table, which they share.
    Rails,
    /// In a table of their own, which they make and fill.
    Own,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    /// Its program, or pgbench.
    pub(crate) program: &'static str,
    pub(crate) rows: Rows,
}

impl Rival {
    const fn new(name: &'static str, rows: Rows) -> Self {
        Self { name, program: name, rows }
    }
}

/// The program that makes and fills Rails' table.
pub(crate) const FILLER: Rival = Rival::new("ours", Rows::Rails);
pub(crate) const PGBENCH: &str = "pgbench";
/// `mariadb/floor.c`.
pub(crate) const C_CLIENT: &str = "mariadb-floor";

pub(crate) fn rivals(database: Database, programs: &Programs) -> Vec<Rival> {
    let mut rivals = vec![
        FILLER,
        Rival::new("sqlx-store", Rows::Own),
        Rival::new("sea-orm", Rows::Rails),
        Rival::new(ORM_STORE, Rows::Rails),
        Rival::new("diesel", Rows::Rails),
        Rival::new("sqlx", Rows::Rails),
        Rival::new("axum-session", Rows::Own),
    ];
    if programs.has_rails() {
        rivals.push(Rival::new("rails", Rows::Rails));
    }
    match database {
        Database::Sqlite => {
            rivals.push(Rival::new("floor", Rows::Rails));
            rivals.push(Rival::new("rusqlite-store", Rows::Own));
        }
        Database::Postgres => {
            rivals.push(Rival { name: "floor", program: PGBENCH, rows: Rows::Rails });
        }
        Database::Mysql => {
            rivals.push(Rival { name: "floor", program: C_CLIENT, rows: Rows::Rails });
        }
    }
    rivals
}

/// Those that are asked for.
pub(crate) fn databases(only: Option<Database>) -> Vec<Database> {
    let all = [Database::Sqlite, Database::Postgres, Database::Mysql];
    all.into_iter().filter(|database| only.is_none_or(|only| only == *database)).collect()
}

pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) concurrency: Vec<usize>,
    /// Bytes of data, and rows: about 60 MB at each size, all in the page cache.
    pub(crate) payloads: Vec<(usize, usize)>,
}

impl Plan {
    pub(crate) fn new(quick: bool, rounds: Option<usize>) -> Self {
        if quick {
            return Self {
                rounds: rounds.unwrap_or(1),
                seconds: 0.5,
                concurrency: vec![1, 64],
                payloads: vec![(600, 20_000)],
            };
        }
        Self {
            rounds: rounds.unwrap_or(3),
            seconds: 1.5,
            concurrency: vec![1, 16, 64, 256],
            payloads: vec![(600, 100_000), (4_096, 15_000), (32_768, 2_000)],
        }
    }
}

/// The most connections that a rival may have: what suits most of them on two cores.
pub(crate) fn connections(operation: Operation, concurrency: usize) -> usize {
    let most = match operation {
        Operation::Find | Operation::Mix => 8,
        Operation::Save | Operation::Insert | Operation::Fill => 16,
    };
    most.min(concurrency)
}

pub(crate) fn durability(database: Database) -> &'static str {
    match database {
        Database::Sqlite => "journal_mode=WAL, synchronous=FULL",
        Database::Postgres => "fsync=on, synchronous_commit=on",
        Database::Mysql => "innodb_flush_log_at_trx_commit=1, no binary log",
    }
}
