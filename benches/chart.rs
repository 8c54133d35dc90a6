//! Draws `docs/sqlite.svg`, or the file that is named, from the last run of the store's benches:
//!
//! `cargo bench --bench store && cargo run --example chart`

use std::error::Error;
use std::fs;

use plotters::prelude::*;

/// Operation, and the bars beside each other for it.
const OPERATIONS: [&str; 4] = ["find", "mix", "insert", "save"];
const BARS: [(&str, &str, RGBColor); 3] = [
    ("floor", "rusqlite loop, 1 thread", RGBColor(148, 163, 184)),
    ("c1", "sqlbypass, 1 task", RGBColor(96, 165, 250)),
    ("c64", "sqlbypass, 64 tasks", RGBColor(37, 99, 235)),
];
const SIZE: &str = "600b";

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "docs/sqlite.svg".into());
    let root = SVGBackend::new(&path, (760, 300)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((1, OPERATIONS.len()));
    for (area, operation) in areas.iter().zip(OPERATIONS) {
        draw(area, operation)?;
    }
    root.present()?;
    println!("{path}");
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(area: &Area<'_>, operation: &str) -> Result<(), Box<dyn Error>> {
    let rates: Vec<f64> =
        BARS.iter().map(|(bar, ..)| rate(operation, bar)).collect::<Result<_, _>>()?;
    let top = rates.iter().copied().fold(0.0, f64::max) * 1.18;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{operation}, thousands/s"), ("sans-serif", 15))
        .margin(8)
        .build_cartesian_2d(0.0..3.0_f64, -top * 0.3..top)?;
    for (at, ((_, label, color), rate)) in BARS.iter().zip(&rates).enumerate() {
        let left = at as f64;
        let bar = Rectangle::new([(left + 0.12, 0.0), (left + 0.88, *rate)], color.filled());
        let text = if *rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
        let value = Text::new(text, (left + 0.25, rate + top * 0.07), ("sans-serif", 14));
        chart.draw_series([bar])?;
        chart.draw_series([value])?;
        let key = (0.12, -top * (0.06 + 0.08 * left));
        chart.draw_series([Text::new(*label, key, ("sans-serif", 12).into_font().color(color))])?;
    }
    Ok(())
}

/// Thousands of operations a second, from criterion's median.
fn rate(operation: &str, bar: &str) -> Result<f64, Box<dyn Error>> {
    let path = format!("target/criterion/store_sqlite_{operation}_{SIZE}/{bar}/new/estimates.json");
    let text = fs::read_to_string(&path)
        .map_err(|_| format!("{path} is missing: run `cargo bench --bench store` first"))?;
    let estimates: serde_json::Value = serde_json::from_str(&text)?;
    let nanoseconds = estimates["median"]["point_estimate"].as_f64().ok_or("no median")?;
    Ok(1e6 / nanoseconds)
}
