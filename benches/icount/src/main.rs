//! Instructions and allocations of the hot paths, against the budgets in `budgets.txt`.
//!
//! - `bench-icount` checks: a path that takes more than its budget fails.
//! - `bench-icount --update` writes the budgets anew from what is counted now.
//! - `bench-icount PATH ROUNDS` runs one path, for a profiler.
//!
//! Callgrind counts; the difference between two numbers of rounds is the path's own.

mod allocations;
mod paths;

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::process::{Command, ExitCode};

use allocations::allocations;
use paths::{Bench, HotPath, PATHS};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

const BUDGETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budgets.txt");
/// Another compiler, another C library and another moment move a count by a few in a hundred.
const TOLERANCE: f64 = 1.10;
/// What two runs differ by anyway, shared out among rounds: short paths would feel it.
const SLACK: u64 = 100;
const FEW: u64 = 50;
const MANY: u64 = 4_050;

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => check(),
        ["--update"] => update(),
        [path, rounds] => {
            let (_, run) = PATHS.iter().find(|(name, _)| *name == path).ok_or("no such path")?;
            run(&mut Bench::new()?, rounds.parse()?)?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("bench-icount [--update | PATH ROUNDS]".into()),
    }
}

/// What a path takes.
struct Count {
    instructions: u64,
    allocations: u64,
}

impl Count {
    fn of((name, run): &HotPath) -> Result<Self, Failure> {
        // Of a short path the noise of two starts may be the greater part.
        let (many, few) = (instructions(name, MANY)?, instructions(name, FEW)?);
        let instructions = many.saturating_sub(few) / (MANY - FEW);
        let mut bench = Bench::new()?;
        run(&mut bench, FEW)?;
        let before = allocations();
        run(&mut bench, MANY)?;
        // What a path allocates for all its rounds, or now and then, is not its own.
        Ok(Self { instructions, allocations: (allocations() - before) / MANY })
    }
}

fn check() -> Result<ExitCode, Failure> {
    let budgets = budgets()?;
    let mut over = false;
    println!(
        "{:<30} {:>12} {:>12} {:>12} {:>12}",
        "", "instructions", "budget", "allocations", "budget"
    );
    for path in PATHS {
        let count = Count::of(path)?;
        let budget = budgets.get(path.0).ok_or_else(|| format!("no budget for {}", path.0))?;
        let most = (budget.instructions as f64 * TOLERANCE) as u64 + SLACK;
        let is_over = count.instructions > most || count.allocations > budget.allocations;
        over |= is_over;
        println!(
            "{:<30} {:>12} {:>12} {:>12} {:>12}{}",
            path.0,
            count.instructions,
            budget.instructions,
            count.allocations,
            budget.allocations,
            if is_over { "  OVER" } else { "" }
        );
    }
    if over {
        eprintln!(
            "A hot path takes more than its budget and a tenth. If there is a reason, write the \
             budgets anew with\n`bash benches/icount/run.sh --update` and say it in the commit."
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn update() -> Result<ExitCode, Failure> {
    let mut text = String::from("# path: instructions, allocations. Written by run.sh --update.\n");
    for path in PATHS {
        let Count { instructions, allocations } = Count::of(path)?;
        writeln!(text, "{}: {instructions}, {allocations}", path.0)?;
    }
    std::fs::write(BUDGETS, &text)?;
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn budgets() -> Result<HashMap<String, Count>, Failure> {
    let mut budgets = HashMap::new();
    for line in std::fs::read_to_string(BUDGETS)?.lines().filter(|line| !line.starts_with('#')) {
        let (path, counts) = line.rsplit_once(": ").ok_or("a line without counts")?;
        let (instructions, allocations) = counts.split_once(", ").ok_or("a line with one count")?;
        let budget =
            Count { instructions: instructions.parse()?, allocations: allocations.parse()? };
        budgets.insert(path.to_owned(), budget);
    }
    Ok(budgets)
}

/// Of a whole run.
fn instructions(path: &str, rounds: u64) -> Result<u64, Failure> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    // glibc chooses copies by what it is told of caches; valgrind tells the same of each processor
    // that has AVX2.
    command.env("GLIBC_TUNABLES", "glibc.cpu.x86_non_temporal_threshold=1048576");
    command.arg(std::env::current_exe()?).args([path, &rounds.to_string()]);
    let output = command.output().map_err(|error| format!("valgrind: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let count = log.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.ok_or_else(|| format!("callgrind said: {log}").into())
}
