//! The Markdown table of the results.

use std::fmt::Write as _;

use crate::plan::PUBLISHED;
use crate::results::{Cell, places};

const HEAD: &str = "\
# All rivals

Operations a second, the median of the rounds, and below each p99 in microseconds. The fastest of a
line is **bold**; the last column says who is faster than sqlbypass as it opens by default, and by how
much. Written by `bash benches/compare/run.sh`; who is who, what is fair about it, and what is not, is
in [../README.md](../README.md).
";

pub(crate) fn markdown(all: &[Cell]) -> String {
    let mut text = HEAD.to_owned();
    let mut last = "";
    let mut rivals: Vec<&str> = Vec::new();
    let places = places(all);
    for ((database, operation, payload, concurrency), cells) in &places {
        if *database != last {
            last = database;
            let has = |name: &&str| {
                all.iter().any(|cell| cell.database == *database && cell.rival == *name)
            };
            rivals = PUBLISHED.iter().copied().filter(has).collect();
            let durability = &cells[0].durability;
            let of_all = all.iter().filter(|cell| cell.database == *database);
            let rounds = of_all.map(|cell| cell.rounds).min().unwrap_or(0);
            let _ = write!(text, "\n## {database}\n\n{durability}; {rounds} rounds or more.\n\n");
            let _ =
                writeln!(text, "| operation | bytes | tasks | {} | faster |", rivals.join(" | "));
            let _ = writeln!(text, "|{}", " --- |".repeat(rivals.len() + 4));
        }
        let of = |name: &str| cells.iter().find(|cell| cell.rival == name);
        let best = cells.iter().map(|cell| cell.ops_per_second).fold(0.0, f64::max);
        let _ = write!(text, "| {operation} | {payload} | {concurrency} |");
        for rival in &rivals {
            let _ = match of(rival) {
                None => write!(text, " |"),
                Some(cell) => {
                    let rate = rate(cell.ops_per_second);
                    let mark = if cell.ops_per_second >= best { "**" } else { "" };
                    write!(text, " {mark}{rate}{mark}<br>{} |", cell.p99_us)
                }
            };
        }
        let _ = writeln!(text, " {} |", faster(cells));
    }
    text
}

/// Who is faster than we are, and by how much.
fn faster(cells: &[&Cell]) -> String {
    let Some(ours) = cells.iter().find(|cell| cell.rival == "ours") else {
        return String::new();
    };
    let ours = ours.ops_per_second;
    let winners: Vec<String> = cells
        .iter()
        .filter(|cell| cell.ops_per_second > ours)
        .map(|cell| format!("{} {:.2}×", cell.rival, cell.ops_per_second / ours))
        .collect();
    winners.join(", ")
}

pub(crate) fn rate(rate: f64) -> String {
    match rate {
        10_000.0.. => format!("{:.0}k", rate / 1_000.0),
        1_000.0.. => format!("{:.1}k", rate / 1_000.0),
        _ => format!("{rate:.0}"),
    }
}
