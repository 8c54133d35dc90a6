//! The goals beside what was measured, for `benches/README.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bench_kit::Result;

use crate::micro::{MICROS, Ratios, SHARE};
use crate::results::Cell;

const BEGIN: &str = "<!-- goals: written by compare/run.sh -->";
const END: &str = "<!-- end of goals -->";
const HEAD: &str = "\
| ours against | must | moonshot | measured |
| --- | --- | --- | --- |
";

/// What counts say and no clock.
const ALLOCATIONS: &str = "\
| allocations of a find, the driver's own left out | at most 3 | 0 to 1 | held by `tests/counts` |
";

/// A ratio of operations a second on one database, with 600 bytes.
struct Store {
    rival: &'static str,
    database: &'static str,
    operation: &'static str,
    concurrency: usize,
    must: f64,
    moonshot: f64,
}

const fn goal(
    rival: &'static str,
    (database, operation, concurrency): (&'static str, &'static str, usize),
    must: f64,
    moonshot: f64,
) -> Store {
    Store { rival, database, operation, concurrency, must, moonshot }
}

const STORES: &[Store] = &[
    goal("floor", ("postgres", "find", 64), 2.5, 3.2),
    goal("sqlx-store", ("postgres", "find", 64), 6.0, 8.0),
    goal("sea-orm", ("postgres", "find", 64), 6.5, 9.0),
    goal("rails", ("postgres", "find", 64), 20.0, 30.0),
    goal("floor", ("postgres", "find", 1), 0.95, 1.1),
    goal("sqlx-store", ("postgres", "find", 1), 2.5, 3.0),
    goal("sea-orm", ("postgres", "find", 1), 2.3, 2.7),
    goal("rails", ("postgres", "find", 1), 4.0, 5.0),
    goal("floor", ("postgres", "save", 64), 2.7, 3.3),
    goal("sqlx-store", ("postgres", "save", 64), 4.0, 5.0),
    goal("sea-orm", ("postgres", "save", 64), 4.0, 5.5),
    goal("rails", ("postgres", "save", 64), 12.0, 20.0),
    goal("floor", ("mysql", "find", 64), 2.0, 2.5),
    goal("sqlx-store", ("mysql", "find", 64), 4.5, 5.5),
    goal("sea-orm", ("mysql", "find", 64), 5.5, 7.0),
    goal("rails", ("mysql", "find", 64), 20.0, 30.0),
    goal("rails", ("mysql", "find", 1), 4.0, 5.0),
    goal("floor", ("mysql", "save", 64), 1.4, 1.8),
    goal("sqlx-store", ("mysql", "save", 64), 3.0, 3.5),
    goal("sea-orm", ("mysql", "save", 64), 5.0, 6.0),
    goal("rails", ("mysql", "save", 64), 12.0, 20.0),
    goal("floor", ("sqlite", "find", 64), 1.8, 2.5),
    goal("sqlx-store", ("sqlite", "find", 64), 7.0, 9.0),
    goal("sea-orm", ("sqlite", "find", 64), 20.0, 30.0),
    goal("rails", ("sqlite", "find", 64), 20.0, 30.0),
    goal("rails", ("sqlite", "find", 1), 4.0, 5.0),
    goal("floor", ("sqlite", "save", 64), 4.0, 5.0),
    goal("sqlx-store", ("sqlite", "save", 64), 3.5, 4.5),
    goal("sea-orm", ("sqlite", "save", 64), 5.0, 6.0),
    goal("rails", ("sqlite", "save", 64), 12.0, 20.0),
];

pub(crate) fn markdown(cells: &[Cell], micro: &Ratios) -> String {
    let mut text = HEAD.to_owned();
    for store in STORES {
        let tasks = if store.concurrency == 1 { "1 task" } else { "64 tasks" };
        let rival = name(store.database, store.rival);
        let name = format!("{rival}: {}, {}, {tasks}", store.database, store.operation);
        line(&mut text, &name, store.must, store.moonshot, store_ratio(cells, store));
    }
    for goal in MICROS {
        let ratio = micro.get(goal.name).copied();
        line(&mut text, goal.name, goal.must, goal.moonshot, ratio);
    }
    text += ALLOCATIONS;
    let _ = writeln!(
        text,
        "| our share of the processor's time of a whole request, driver and hyper left out | at most \
         10 % | 5 % | {} |",
        match micro.get(SHARE) {
            None => "not measured yet".to_owned(),
            Some(share) if *share <= 5.0 => format!("**{share:.1} %**, beyond the moonshot"),
            Some(share) if *share <= 10.0 => format!("**{share:.1} %**, reached"),
            Some(share) => format!("{share:.1} %, missed"),
        }
    );
    text
}

fn line(text: &mut String, name: &str, must: f64, moonshot: f64, ratio: Option<f64>) {
    let measured = match ratio {
        None => "not measured yet".to_owned(),
        Some(ratio) if ratio >= moonshot => format!("**{ratio:.2}**, beyond the moonshot"),
        Some(ratio) if ratio >= must => format!("**{ratio:.2}**, reached"),
        Some(ratio) => format!("{ratio:.2}, missed"),
    };
    let _ = writeln!(text, "| {name} | {must} | {moonshot} | {measured} |");
}

fn name(database: &str, rival: &str) -> &'static str {
    match (database, rival) {
        ("postgres", "floor") => "pgbench, prepared",
        ("mysql", "floor") => "C client",
        (_, "floor") => "rusqlite loop",
        (_, "sqlx-store") => "tower-sessions-sqlx-store",
        (_, "rails") => "Rails, in one process",
        _ => "sea-orm",
    }
}

fn store_ratio(cells: &[Cell], store: &Store) -> Option<f64> {
    let rate = |is_wanted: &dyn Fn(&str) -> bool| {
        cells
            .iter()
            .filter(|cell| is_wanted(&cell.rival))
            .filter(|cell| cell.is_at(store.database, store.operation, store.concurrency, 600))
            .map(|cell| cell.ops_per_second)
            .reduce(f64::max)
    };
    // The default store; a plain pool is there to compare with.
    Some(rate(&|name| name == "ours")? / rate(&|name| name == store.rival)?)
}

/// Puts the table in its place in the page.
pub(crate) fn put(page: &Path, goals: &str) -> Result<()> {
    let text = fs::read_to_string(page)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("the page has no place for the goals")?;
    let (_, after) = rest.split_once(END).ok_or("the goals' place in the page has no end")?;
    Ok(fs::write(page, format!("{before}{BEGIN}\n\n{goals}\n{END}{after}"))?)
}
