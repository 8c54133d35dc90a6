//! Who is measured, and in what.

use bench_kit::{Database, Operation};

use crate::Args;
use crate::programs::Programs;
use crate::results::Key;

const OPERATIONS: [Operation; 4] =
    [Operation::Find, Operation::Save, Operation::Insert, Operation::Mix];

/// The order of tables and charts.
pub(crate) const PUBLISHED: [&str; 11] = [
    "ours",
    "ours-pool",
    "floor",
    "sqlx-store",
    "rusqlite-store",
    "sea-orm",
    ORM_STORE,
    "diesel",
    "sqlx",
    "axum-session",
    RAILS,
];
pub(crate) const RAILS: &str = "rails";
/// sea-orm behind sqlbypass' `Store`, guards and all: published in a file of its own, `orm.json`.
pub(crate) const ORM_STORE: &str = "sqlbypass-orm";

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    /// Its program, or pgbench.
    pub(crate) program: &'static str,
    /// Whether it makes and fills a table of its own, since it cannot use Rails'.
    pub(crate) own_table: bool,
}

impl Rival {
    const fn new(name: &'static str, program: &'static str) -> Self {
        Self { name, program, own_table: false }
    }

    const fn with_table(name: &'static str, program: &'static str) -> Self {
        Self { name, program, own_table: true }
    }

    /// Whether it has a turn at this cell. The C client has no mix. Rails takes long to start, and
    /// the ORM behind our contract stands beside the bare one: both are measured where the goals are.
    pub(crate) fn does(&self, cell: &Key) -> bool {
        match self.name {
            RAILS | ORM_STORE => cell.payload == 600 && [1, 64].contains(&cell.concurrency),
            _ => self.program != C_CLIENT || cell.operation != Operation::Mix,
        }
    }

    /// Whether nothing is worth measuring without it.
    pub(crate) fn is_ours(&self) -> bool {
        self.program == FILLER.program
    }
}

/// The program that makes and fills Rails' table, which all share who can.
pub(crate) const FILLER: Rival = Rival::new("ours", "ours");
pub(crate) const PGBENCH: &str = "pgbench";
/// `benches/store/mysql_floor.c`.
pub(crate) const C_CLIENT: &str = "mariadb-floor";
/// Rivals on sqlx 0.9 share a program, since they share its SQLite.
const SQLX: &str = "bench-sqlx";

pub(crate) fn rivals(database: Database, programs: &Programs) -> Vec<Rival> {
    let floor = match database {
        Database::Sqlite => "floor",
        Database::Postgres => PGBENCH,
        Database::Mysql => C_CLIENT,
    };
    let mut rivals = vec![FILLER];
    rivals.push(Rival::new("ours-pool", FILLER.program));
    rivals.push(Rival::with_table("sqlx-store", "bench-sqlx-store"));
    if database == Database::Sqlite {
        rivals.push(Rival::with_table("rusqlite-store", "bench-rusqlite-store"));
    }
    rivals.extend([
        Rival::new("sea-orm", SQLX),
        Rival::new(ORM_STORE, SQLX),
        Rival::new("diesel", "bench-diesel"),
        Rival::new("sqlx", SQLX),
        Rival::with_table("axum-session", SQLX),
    ]);
    if programs.has_rails() {
        rivals.push(Rival::new(RAILS, RAILS));
    }
    // Without MariaDB's client library there is no C client, as run.sh has said.
    if floor != C_CLIENT || programs.path(C_CLIENT).exists() {
        rivals.push(Rival::new("floor", floor));
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
    /// Of each turn: before it is measured, and while it is.
    pub(crate) warm_up: f64,
    pub(crate) seconds: f64,
    pub(crate) operations: Vec<Operation>,
    pub(crate) beds: Vec<Size>,
}

/// The cells of one size.
pub(crate) struct Size {
    pub(crate) bytes: usize,
    /// About 60 MB at each size, all in the page cache.
    pub(crate) rows: usize,
    pub(crate) concurrency: Vec<usize>,
}

impl Plan {
    pub(crate) fn new(args: &Args) -> Self {
        let mut plan = if args.quick { Self::quick() } else { Self::full() };
        plan.rounds = args.rounds.unwrap_or(plan.rounds);
        plan.warm_up = args.warm_up.unwrap_or(plan.warm_up);
        plan.seconds = args.seconds.unwrap_or(plan.seconds);
        let asked = |list: &[usize], value: usize| list.is_empty() || list.contains(&value);
        plan.operations.retain(|one| args.operations.is_empty() || args.operations.contains(one));
        plan.beds.retain(|size| asked(&args.bytes, size.bytes));
        for size in &mut plan.beds {
            size.concurrency.retain(|tasks| asked(&args.tasks, *tasks));
        }
        plan
    }

    fn quick() -> Self {
        let beds = vec![Size { bytes: 600, rows: 20_000, concurrency: vec![1, 64] }];
        Self { rounds: 1, warm_up: 0.2, seconds: 0.3, operations: OPERATIONS.to_vec(), beds }
    }

    fn full() -> Self {
        let size = |bytes, rows, concurrency: &[usize]| Size {
            bytes,
            rows,
            concurrency: concurrency.to_vec(),
        };
        let beds = vec![
            size(600, 100_000, &[1, 16, 64, 256]),
            size(4_096, 15_000, &[1, 64]),
            size(32_768, 2_000, &[1, 64]),
        ];
        Self { rounds: 3, warm_up: 0.15, seconds: 0.3, operations: OPERATIONS.to_vec(), beds }
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
