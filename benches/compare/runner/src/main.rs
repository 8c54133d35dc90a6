//! Starts databases and rivals in turn, and writes down what they did; see `benches/README.md`.

mod c_client;
mod chart;
mod goals;
mod pgbench;
mod place;
mod plan;
mod programs;
mod results;
#[path = "../../../../tests/servers/mod.rs"]
mod servers;
mod table;

use std::path::PathBuf;

use bench_kit::{Database, Operation, Result};
use clap::Parser;
use place::Place;
use plan::Plan;
use programs::Programs;
use results::{Key, Measured};

/// Measures all rivals.
#[derive(Parser)]
struct Args {
    /// 600 bytes, 1 and 64 tasks, 20,000 rows, one short round; results go to the folder for builds.
    #[arg(long)]
    quick: bool,
    /// This database alone; what was measured of the others stays.
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
    /// Bytes of data: these sizes alone, for instance 600.
    #[arg(long, value_delimiter = ',')]
    bytes: Vec<usize>,
    /// How long a turn is measured.
    #[arg(long)]
    seconds: Option<f64>,
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
    let mut cells = results::read(&output.join("results.json"))?;
    if !args.render {
        let plan = Plan::new(&args);
        let programs = Programs { built: args.programs.clone(), scripts: compare.clone() };
        for database in plan::databases(args.only) {
            let Some(place) = Place::new(database)? else { continue };
            let measured = measure(&plan, &place, &programs)?;
            results::replace(&mut cells, database, &measured);
        }
        results::write(&output.join("results.json"), &cells)?;
    }
    std::fs::write(output.join("results.md"), table::markdown(&cells))?;
    chart::draw(&output, &cells)?;
    let goals = goals::markdown(&cells, &args.project);
    if args.quick {
        std::fs::write(output.join("goals.md"), goals)?;
    } else {
        goals::put(&args.project.join("benches/README.md"), &goals)?;
    }
    println!("{}", output.join("results.md").display());
    Ok(())
}

/// All cells of a database: in each round every rival has its turn at a cell before the next cell.
fn measure(plan: &Plan, place: &Place, programs: &Programs) -> Result<Measured> {
    let mut measured = Measured::default();
    for (payload, rows) in &plan.payloads {
        let bed = place.bed(*payload, *rows, plan, programs)?;
        for round in 0..plan.rounds {
            for operation in plan::OPERATIONS {
                for concurrency in &plan.concurrency {
                    let mut rivals = plan::rivals(place.database(), programs);
                    rivals.retain(|rival| rival.does(operation));
                    let turn = round % rivals.len();
                    rivals.rotate_left(turn);
                    for rival in rivals {
                        let key = Key {
                            rival: rival.name,
                            operation,
                            concurrency: *concurrency,
                            payload: *payload,
                        };
                        let answer = bed.run(&rival, &key, plan, programs)?;
                        eprintln!(
                            "{:?} {} {:?} {payload} B c={concurrency} round {round}: {:.0}/s",
                            place.database(),
                            rival.name,
                            operation,
                            answer.ops_per_second
                        );
                        measured.add(key, answer);
                    }
                    if operation != Operation::Find {
                        bed.tidy()?;
                    }
                }
            }
        }
    }
    Ok(measured)
}
