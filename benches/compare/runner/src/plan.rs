//! Who is measured, and in what.

use bench_kit::{Database, Operation};

use crate::Args;
use crate::programs::Programs;

pub(crate) const OPERATIONS: [Operation; 4] =
    [Operation::Find, Operation::Save, Operation::Insert, Operation::Mix];

/// The order of tables and charts.
pub(crate) const PUBLISHED: [&str; 3] = ["ours", "floor", "rails"];

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rival {
    pub(crate) name: &'static str,
    /// Its program, or pgbench.
    pub(crate) program: &'static str,
}

impl Rival {
    const fn new(name: &'static str, program: &'static str) -> Self {
        Self { name, program }
    }

    /// Whether it can: the C client has no mix.
    pub(crate) fn does(&self, operation: Operation) -> bool {
        self.program != C_CLIENT || operation != Operation::Mix
    }
}

/// The program that makes and fills Rails' table, which all share.
pub(crate) const FILLER: Rival = Rival::new("ours", "ours");
pub(crate) const PGBENCH: &str = "pgbench";
/// `benches/store/mysql_floor.c`.
pub(crate) const C_CLIENT: &str = "mariadb-floor";

pub(crate) fn rivals(database: Database, programs: &Programs) -> Vec<Rival> {
    let floor = match database {
        Database::Sqlite => "floor",
        Database::Postgres => PGBENCH,
        Database::Mysql => C_CLIENT,
    };
    let mut rivals = vec![FILLER];
    if programs.has_rails() {
        rivals.push(Rival::new("rails", "rails"));
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
    pub(crate) seconds: f64,
    pub(crate) concurrency: Vec<usize>,
    /// Bytes of data, and rows: about 60 MB at each size, all in the page cache.
    pub(crate) payloads: Vec<(usize, usize)>,
}

impl Plan {
    pub(crate) fn new(args: &Args) -> Self {
        let mut plan = if args.quick { Self::quick() } else { Self::full() };
        plan.rounds = args.rounds.unwrap_or(plan.rounds);
        plan.seconds = args.seconds.unwrap_or(plan.seconds);
        let asked = |list: &[usize], value: usize| list.is_empty() || list.contains(&value);
        plan.concurrency.retain(|tasks| asked(&args.tasks, *tasks));
        plan.payloads.retain(|(bytes, _)| asked(&args.bytes, *bytes));
        plan
    }

    fn quick() -> Self {
        Self { rounds: 1, seconds: 0.5, concurrency: vec![1, 64], payloads: vec![(600, 20_000)] }
    }

    fn full() -> Self {
        Self {
            rounds: 3,
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
