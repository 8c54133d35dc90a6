//! Starts databases and rivals in turn, and writes down what they did; see `benches/README.md`.

mod c_client;
mod chart;
mod goals;
mod lanes;
mod micro;
mod pgbench;
mod place;
mod plan;
mod programs;
mod results;
#[path = "../../../../tests/servers/mod.rs"]
mod servers;
mod table;

use std::path::PathBuf;
use std::time::Instant;

use bench_kit::{Database, Operation, Result};
use clap::Parser;
use place::{Bed, Place};
use plan::{Plan, Rival};
use programs::Programs;
use results::{Key, Measured};

/// Measures all rivals.
#[derive(Parser)]
struct Args {
    /// 600 bytes, 1 and 64 tasks, 20,000 rows, one short round; results go to the folder for builds.
    #[arg(long)]
    quick: bool,
    /// This database alone. Cells that are not measured keep their figures.
    #[arg(long)]
    only: Option<Database>,
    /// Measures nothing: writes tables and charts from the results that are there.
    #[arg(long)]
    render: bool,
    /// Rounds; the median counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// Tasks at the same time: these alone, for instance 1,64.
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<usize>,
    /// These operations alone, for instance find,save.
    #[arg(long, value_delimiter = ',')]
    operations: Vec<Operation>,
    /// Bytes of data: these sizes alone, for instance 600.
    #[arg(long, value_delimiter = ',')]
    bytes: Vec<usize>,
    /// How long a turn is measured.
    #[arg(long)]
    seconds: Option<f64>,
    /// How long a turn runs before it is measured.
    #[arg(long)]
    warm_up: Option<f64>,
    /// These rivals alone, for instance ours,sea-orm.
    #[arg(long, value_delimiter = ',')]
    rivals: Vec<String>,
    /// Where the rivals' programs are.
    #[arg(long)]
    programs: PathBuf,
    /// The project's folder.
    #[arg(long)]
    project: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let compare = args.project.join("benches/compare");
    let output = if args.quick { args.programs.join("compare") } else { compare.clone() };
    std::fs::create_dir_all(&output)?;
    let mut cells = results::read(&output)?;
    if !args.render {
        let plan = Plan::new(&args);
        let programs = Programs { built: args.programs.clone(), scripts: compare.clone() };
        for database in plan::databases(args.only) {
            let Some(place) = Place::new(database)? else { continue };
            let mut rivals = plan::rivals(database, &programs);
            rivals.retain(|rival| {
                args.rivals.is_empty() || args.rivals.iter().any(|name| name == rival.name)
            });
            let measured = measure(&plan, &place, &rivals, &programs)?;
            results::replace(&mut cells, database, &measured);
            // What has been measured is not lost with the next database.
            results::write(&output, &cells)?;
        }
    }
    std::fs::write(output.join("results.md"), table::markdown(&cells))?;
    let charts = if args.quick { output.clone() } else { args.project.join("docs") };
    chart::draw(&charts.join("compare.svg"), &cells)?;
    let goals = goals::markdown(&cells, &micro::update(&output, &args.project)?);
    let goals = goals + &lanes::markdown(&cells);
    if args.quick {
        std::fs::write(output.join("goals.md"), goals)?;
    } else {
        goals::put(&args.project.join("benches/README.md"), &goals)?;
    }
    println!("{}", output.join("results.md").display());
    Ok(())
}

/// All cells of a database: in each round every rival has its turn at a cell before the next cell.
fn measure(plan: &Plan, place: &Place, rivals: &[Rival], programs: &Programs) -> Result<Measured> {
    let (mut measured, begun) = (Measured::default(), Instant::now());
    for size in &plan.beds {
        let bed = place.bed(size, rivals, plan, programs)?;
        for round in 0..plan.rounds {
            for operation in plan.operations.iter().copied() {
                for concurrency in &size.concurrency {
                    let cell = Key {
                        rival: "",
                        operation,
                        concurrency: *concurrency,
                        payload: size.bytes,
                    };
                    turns(&mut measured, &bed, (rivals, round), cell, plan, programs)?;
                    if operation != Operation::Find {
                        bed.tidy()?;
                    }
                }
            }
        }
    }
    eprintln!("{:?}: {:.0} s", place.database(), begun.elapsed().as_secs_f64());
    for failure in measured.failures() {
        eprintln!("left out: {failure}");
    }
    Ok(measured)
}

/// One turn of each rival at a cell; another begins in each round.
fn turns(
    measured: &mut Measured,
    bed: &Bed<'_>,
    (rivals, round): (&[Rival], usize),
    cell: Key,
    plan: &Plan,
    programs: &Programs,
) -> Result<()> {
    let mut rivals = rivals.to_vec();
    rivals.retain(|rival| rival.does(&cell));
    let first = round % rivals.len().max(1);
    rivals.rotate_left(first);
    for rival in rivals {
        let key = Key { rival: rival.name, ..cell };
        match bed.run(&rival, &key, plan, programs) {
            Ok(answer) => {
                eprintln!("{key} round {round}: {:.0}/s", answer.ops_per_second);
                measured.add(key, answer);
            }
            // A rival that fails has no figure for this round; ours has to be there.
            Err(error) if !rival.is_ours() => measured.failed(format!("{key}: {error}")),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
