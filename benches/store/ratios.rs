//! Ratios to each database's floor, from rounds in turn: what the machine does to one it does to all.
//!
//! `cargo bench --features postgres,mysql --bench ratios` takes half an hour and prints a table;
//! `-- sqlite 600b find c64` measures what has these words in its name;
//! with `turns` a task waits for its turn before each operation, as requests to a service do.

mod bed;
mod mysql;
mod postgres;
#[path = "../../tests/servers/mod.rs"]
mod servers;
mod sqlite;

use std::io::{Write as _, stdout};
use std::sync::atomic::Ordering;

use bed::{Compared, OPERATIONS, Operation, SIZES, TASKS, TURNS, Times, Which};
use tokio::runtime::Runtime;

const ROUNDS: usize = 11;
/// A round of one of them takes about so long.
const SECONDS: f64 = 0.7;

fn main() {
    let words = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let (turns, words): (Vec<_>, Vec<_>) = words.partition(|word| word == "turns");
    TURNS.store(!turns.is_empty(), Ordering::Relaxed);
    let words = words.into_iter();
    let (tasks, words): (Vec<_>, Vec<_>) = words
        .partition(|word| word.strip_prefix('c').is_some_and(|rest| rest.parse::<usize>().is_ok()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("tokio");
    print(
        "| what | of | ops/s, median | to the floor | to the driver | p50 µs | p99 µs |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    of_database(&runtime, (&words, &tasks), "sqlite", sqlite::start, sqlite::Rig::new);
    of_database(&runtime, (&words, &tasks), "postgres", postgres::start, postgres::Rig::new);
    of_database(&runtime, (&words, &tasks), "mysql", mysql::start, mysql::Rig::new);
}

type Size = (&'static str, usize, usize);

fn of_database<S, R: Compared>(
    runtime: &Runtime,
    (words, tasks): (&[String], &[String]),
    database: &str,
    start: impl Fn() -> Option<S>,
    rig: impl Fn(&Runtime, &S, Size) -> R,
) {
    let mut server = None;
    for size in SIZES {
        let named = |operation: &Operation| format!("{database} {} {}", operation.name(), size.0);
        let wanted = |operation: &Operation| words.iter().all(|w| named(operation).contains(w));
        let operations: Vec<_> = OPERATIONS.into_iter().filter(wanted).collect();
        if operations.is_empty() {
            continue;
        }
        if server.is_none() {
            server = start();
        }
        let Some(server) = &server else { return };
        let rig = rig(runtime, server, size);
        for operation in operations {
            measure(runtime, &rig, operation, &named(&operation), tasks);
        }
    }
}

fn measure(
    runtime: &Runtime,
    rig: &impl Compared,
    operation: Operation,
    name: &str,
    tasks: &[String],
) {
    let is_wanted = |which: &Which| {
        let of = which.name();
        tasks.is_empty() || tasks.iter().any(|c| of == *c || of.ends_with(&format!("-{c}")))
    };
    let subjects: Vec<_> = rig.subjects(operation).into_iter().filter(is_wanted).collect();
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); subjects.len()];
    let mut quantiles: Vec<[Vec<f64>; 2]> = vec![Default::default(); subjects.len()];
    for round in 0..=ROUNDS {
        for ((subject, rates), quantiles) in subjects.iter().zip(&mut rates).zip(&mut quantiles) {
            let n = rates.last().map_or(500, |rate| (rate * SECONDS) as u64 + 64);
            let rate = n as f64 / rig.time(runtime, *subject, operation, n).as_secs_f64();
            let times = Times::take();
            if round == 1 {
                // The first round was for caches.
                rates.clear();
                quantiles.iter_mut().for_each(Vec::clear);
            }
            rates.push(rate);
            for (share, quantile) in [0.5, 0.99].into_iter().zip(quantiles) {
                quantile.extend(times.quantile(share).map(|time| time.as_secs_f64() * 1e6));
            }
        }
    }
    let (mut floors, mut drivers) = ([None; TASKS.len()], [None; TASKS.len()]);
    for ((subject, rates), quantiles) in subjects.iter().zip(&mut rates).zip(&mut quantiles) {
        let median = self::median(rates).unwrap_or_default();
        let (Which::Floor(index)
        | Which::Driver(index)
        | Which::Shared(index)
        | Which::Ours(index)
        | Which::Lanes(index)) = *subject;
        match subject {
            Which::Floor(_) => floors[index] = Some(median),
            Which::Driver(_) => drivers[index] = Some(median),
            Which::Shared(_) | Which::Ours(_) | Which::Lanes(_) => {}
        }
        let to = |other: Option<f64>| {
            other.map_or_else(String::new, |other| format!("{:.2}", median / other))
        };
        let (floor, driver) = (to(floors[index]), to(drivers[index]));
        let [p50, p99] = quantiles.each_mut().map(|of_rounds| {
            self::median(of_rounds).map_or_else(String::new, |t| format!("{t:.1}"))
        });
        let of = subject.name();
        print(&format!("| {name} | {of} | {median:.0} | {floor} | {driver} | {p50} | {p99} |\n"));
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn print(text: &str) {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).expect("standard output");
}
