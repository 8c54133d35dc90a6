//! Fills tables step by step and measures a store at each; see `benches/README.md`.

mod chart;
mod grown;
mod heap;
mod memory;
mod place;
mod results;
#[path = "../../../tests/servers/mod.rs"]
mod servers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bench_kit::{Answer, Args as Turn, Database, Operation, Result};
use clap::Parser;
use grown::Grown;
use place::Place;
use results::{Cell, Results};

/// Rows of the tables.
const STEPS: [usize; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
const TASKS: [usize; 2] = [1, 64];
const DATABASES: [Database; 3] = [Database::Sqlite, Database::Postgres, Database::Mysql];

/// Measures how cost grows.
#[derive(Parser)]
struct Args {
    /// This database alone; the others keep their figures.
    #[arg(long)]
    only: Option<Database>,
    /// No table of more rows than these; results go to the folder for builds.
    #[arg(long)]
    most: Option<usize>,
    /// Memory alone.
    #[arg(long)]
    memory: bool,
    /// Rounds; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long a turn is measured.
    #[arg(long, default_value_t = 1.5)]
    seconds: f64,
    /// The project's folder.
    #[arg(long)]
    project: PathBuf,
    /// The folder for builds.
    #[arg(long)]
    programs: PathBuf,
}

fn main() -> Result<()> {
    // A store is measured in a process of its own.
    if let Some(errand) = memory::Errand::from_environment() {
        return errand.run();
    }
    let args = Args::parse();
    let own = args.project.join("benches/growth");
    let (folder, charts) = match args.most {
        Some(_) => (args.programs.join("growth"), args.programs.join("growth")),
        None => (own, args.project.join("docs")),
    };
    std::fs::create_dir_all(&folder)?;
    let mut results = Results::read(&folder)?;
    for database in DATABASES {
        if args.only.is_some_and(|only| only != database) {
            continue;
        }
        let Some(mut place) = Place::new(database, &args.programs)? else { continue };
        if !args.memory {
            results.replace(database, measure(&mut place, &args)?);
        }
        results.replace_memory(database, memory::measure(&place)?);
        results.write(&folder)?;
    }
    if args.only.is_none() {
        results.connections = memory::connections(&args.programs.join("release/server"))?;
        results.write(&folder)?;
    }
    chart::draw(&charts.join("growth.svg"), &results.growth)?;
    println!("{}", folder.join("results.md").display());
    Ok(())
}

/// All steps of a database, each table on top of the one before.
fn measure(place: &mut Place, args: &Args) -> Result<Vec<Cell>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut cells = Vec::new();
    for rows in STEPS.into_iter().filter(|rows| args.most.is_none_or(|most| *rows <= most)) {
        let begun = Instant::now();
        let megabytes = runtime.block_on(place.fill(rows))?;
        let filled = begun.elapsed().as_secs();
        eprintln!("{:?}: {rows} rows, {megabytes} MB, in {filled} s", place.database());
        for operation in [Operation::Find, Operation::Save] {
            for concurrency in TASKS {
                let turn = turn(place, rows, operation, concurrency, args.seconds);
                let mut answers = Vec::new();
                for _ in 0..args.rounds {
                    answers.push(runtime.block_on(answer(&turn, rows))?);
                }
                let cell = Cell::new(&turn, rows, megabytes, &answers);
                eprintln!(
                    "{:?} {operation:?} c={concurrency}: {}/s",
                    place.database(),
                    cell.ops_per_second
                );
                cells.push(cell);
            }
            runtime.block_on(place.tidy())?;
        }
    }
    Ok(cells)
}

fn turn(
    place: &Place,
    rows: usize,
    operation: Operation,
    concurrency: usize,
    seconds: f64,
) -> Turn {
    Turn {
        rival: "ours".into(),
        database: place.database(),
        url: place.url(),
        operation,
        concurrency,
        // The store's own default.
        connections: 0,
        payload: place::PAYLOAD,
        rows: if operation == Operation::Save { rows.min(grown::SAVED) } else { rows },
        seconds,
        warm_up: 0.5,
    }
}

async fn answer(turn: &Turn, rows: usize) -> Result<Answer> {
    let store = Arc::new(Grown::open(turn, rows).await?);
    bench_kit::measure(store, turn).await
}
