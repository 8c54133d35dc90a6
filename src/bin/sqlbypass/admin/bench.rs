//! `sqlbypass bench`.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use sqlbypass::Layout;
use sqlbypass::admin::{
    self, BenchLine, BenchOptions, BenchProgress, BenchReport, Ended, Latency, Load,
};

use super::create::Profile;
use super::database::Database;
use super::output::{answer, counted};
use super::task::{Line, Watcher, block_on, check, ending};
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass bench --database sqlite://app.db
  sqlbypass bench --tasks 1,8,64,256 --rows 100000 --database postgres://app@db/shop
  sqlbypass bench --profile tuned --format json --database mysql://app@db/shop

It makes a table of its own, sqlbypass_bench_ and random digits, and removes it, also after Ctrl-C; only
a run that is killed leaves it behind. The sessions table is not touched, but who shares the database
feels the load. A SQLite file keeps the room that the table took, and is made where it is missing.";

/// Measure finds, saves and a 90/10 mix on your own database, in a temporary table
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Rows of the temporary table
    #[arg(long, alias = "fill", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rows: u32,
    /// Bytes of data in each row
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    bytes: u32,
    /// Tasks at the same time, a measurement for each
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,16,64", value_parser = clap::value_parser!(u16).range(1..=4_096))]
    tasks: Vec<u16>,
    /// How long each is measured
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// The layout of the table, as create has it
    #[arg(long, value_enum, default_value = "rails")]
    profile: Profile,
    #[command(flatten)]
    database: Database,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=3_600.0).contains(&seconds) => Ok(seconds),
        _ => Err("write a number of seconds from 0.01 to 3600".into()),
    }
}

/// Measures and reports.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    block_on(work(options))
}

async fn work(options: &Options) -> Result<(), Failure> {
    let wanted = BenchOptions {
        rows: options.rows as usize,
        bytes: options.bytes as usize,
        tasks: options.tasks.iter().map(|tasks| usize::from(*tasks)).collect(),
        time: Duration::from_secs_f64(options.seconds),
        layout: Layout::from(options.profile),
        schema: options.database.schema().map(str::to_owned),
    };
    let format = options.database.format;
    let settings = options.database.for_a_service()?;
    let mut watcher = Watcher::reading(format)?;
    let report = admin::bench(settings, &wanted, watcher.watch_by(progress)).await;
    let report = watcher.end(report)?;
    answer(format, &text(options, &report), &json(options, &report))?;
    check(report.ended)
}

/// How far it is: in rows first, then in measurements.
fn progress(progress: &BenchProgress) -> Line {
    let (seen, total, of, json) = match *progress {
        BenchProgress::Filling { rows, total, .. } => {
            (rows, total, "rows to begin with".into(), json!({"step": "filling"}))
        }
        BenchProgress::Measuring { load, tasks, done, total, .. } => {
            let load = name(load);
            let by = counted(tasks as u64, "task");
            let json = json!({"step": "measuring", "load": load, "tasks": tasks});
            (done, total, format!("measurements, now {load} by {by}"), json)
        }
        _ => (0, 0, "steps".into(), json!({})),
    };
    let (seen, total) = (seen as u64, total as u64);
    let mut json = json;
    (json["seen"], json["total"]) = (seen.into(), total.into());
    Line { seen, total: Some(total), of, json }
}

fn text(options: &Options, report: &BenchReport) -> String {
    let trip = &report.round_trip;
    let stopped = if report.ended == Ended::Stopped { "; stopped half-way" } else { "" };
    let mut text = format!(
        "{} rows of {} bytes{stopped}\n\n{:<6} {:>6} {:>10} {:>9} {:>9} {:>9}\n",
        options.rows, options.bytes, "", "tasks", "per second", "p50 ms", "p99 ms", "p99.9 ms",
    );
    text += &line("trip", 1, 1.0 / trip.p50.as_secs_f64().max(1e-9), trip);
    for BenchLine { load, tasks, per_second, latency, .. } in &report.lines {
        text += &line(name(*load), *tasks, *per_second, latency);
    }
    text + "\ntrip: the smallest statement there and back, which no find can beat by itself\n"
}

fn line(name: &str, tasks: usize, per_second: f64, latency: &Latency) -> String {
    let [p50, p99, p999] =
        [latency.p50, latency.p99, latency.p999].map(|time| time.as_secs_f64() * 1e3);
    format!("{name:<6} {tasks:>6} {per_second:>10.0} {p50:>9.3} {p99:>9.3} {p999:>9.3}\n")
}

fn json(options: &Options, report: &BenchReport) -> serde_json::Value {
    let lines: Vec<_> = report
        .lines
        .iter()
        .map(|line| {
            json!({
                "load": name(line.load),
                "tasks": line.tasks,
                "per_second": line.per_second.round(),
                "latency_us": micros(&line.latency),
            })
        })
        .collect();
    json!({
        "rows": options.rows,
        "bytes": options.bytes,
        "round_trip_us": micros(&report.round_trip),
        "measured": lines,
        "ended": ending(report.ended).1,
    })
}

fn micros(latency: &Latency) -> serde_json::Value {
    let micros = |time: Duration| (time.as_secs_f64() * 1e7).round() / 10.0;
    json!({"p50": micros(latency.p50), "p99": micros(latency.p99), "p99.9": micros(latency.p999)})
}

fn name(load: Load) -> &'static str {
    match load {
        Load::Find => "find",
        Load::Save => "save",
        Load::Mix => "90/10",
    }
}
