//! Ratios to each database's floor, from rounds in turn: what the machine does to one it does to all.
//!
//! `cargo bench --features postgres --bench ratios` takes some five minutes and prints a table;
//! `-- 600b find c64` measures what has these words in its name.

mod bed;
mod postgres;
#[path = "../../tests/servers/mod.rs"]
mod servers;

use std::io::{Write as _, stdout};

use bed::{OPERATIONS, Operation, SIZES};
use postgres::{Rig, Which};
use tokio::runtime::Runtime;

const ROUNDS: usize = 11;
/// A round of one of them takes about so long.
const SECONDS: f64 = 0.7;

fn main() {
    let words = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (tasks, words): (Vec<_>, Vec<_>) = words
        .partition(|word| word.strip_prefix('c').is_some_and(|rest| rest.parse::<usize>().is_ok()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("tokio");
    let Some(server) = postgres::start() else { return };
    print(
        "| PostgreSQL | tasks | ops/s, median | ratio to the floor |\n| --- | --- | --- | --- |\n",
    );
    for size in SIZES {
        let of_size = |operation: &Operation| format!("{} {}", operation.name(), size.0);
        let wanted = |operation: &Operation| words.iter().all(|w| of_size(operation).contains(w));
        let operations: Vec<_> = OPERATIONS.into_iter().filter(wanted).collect();
        if operations.is_empty() {
            continue;
        }
        let rig = Rig::new(&runtime, &server, size);
        for operation in operations {
            measure(&runtime, &rig, operation, &of_size(&operation), &tasks);
        }
    }
}

fn measure(runtime: &Runtime, rig: &Rig, operation: Operation, name: &str, tasks: &[String]) {
    let is_wanted = |which: &Which| {
        tasks.is_empty() || tasks.iter().any(|c| which.name().ends_with(c.as_str()))
    };
    let subjects: Vec<_> = rig.subjects(operation).into_iter().filter(is_wanted).collect();
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); subjects.len()];
    for round in 0..=ROUNDS {
        for (subject, rates) in subjects.iter().zip(&mut rates) {
            let n = rates.last().map_or(500, |rate| (rate * SECONDS) as u64 + 64);
            let rate = n as f64 / rig.time(runtime, *subject, operation, n).as_secs_f64();
            if round == 1 {
                // The first round was for caches.
                rates.clear();
            }
            rates.push(rate);
        }
    }
    let mut floors = [None; 4];
    for (subject, rates) in subjects.iter().zip(&mut rates) {
        rates.sort_by(f64::total_cmp);
        let median = rates[rates.len() / 2];
        let (Which::Floor(index) | Which::Driver(index) | Which::Ours(index) | Which::Lanes(index)) =
            *subject;
        if matches!(subject, Which::Floor(_)) {
            floors[index] = Some(median);
        }
        let ratio =
            floors[index].map_or_else(String::new, |floor| format!("{:.2}", median / floor));
        print(&format!("| {name} | {} | {median:.0} | {ratio} |\n", subject.name()));
    }
}

fn print(text: &str) {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).expect("standard output");
}
