//! The chart: operations per second by the size of the table.

use std::path::Path;

use bench_kit::Result;
use plotters::prelude::*;

use crate::results::Cell;

const SIZE: (u32, u32) = (760, 300);
const TEXT: RGBColor = RGBColor(30, 41, 59);
const DATABASES: [(&str, &str, RGBColor); 3] = [
    ("sqlite", "SQLite", RGBColor(37, 99, 235)),
    ("postgres", "PostgreSQL", RGBColor(13, 148, 136)),
    ("mysql", "MariaDB", RGBColor(217, 119, 6)),
];

pub(crate) fn draw(path: &Path, cells: &[Cell]) -> Result<()> {
    if cells.is_empty() {
        return Ok(());
    }
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(|error| error.to_string())?;
    for (area, operation) in root.split_evenly((1, 2)).iter().zip(["find", "save"]) {
        let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.operation == operation).collect();
        panel(area, operation, &cells).map_err(|error| error.to_string())?;
    }
    Ok(root.present().map_err(|error| error.to_string())?)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(
    area: &Area<'_>,
    operation: &str,
    cells: &[&Cell],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let text = |size: u32| ("sans-serif", size).into_font().color(&TEXT);
    let rates = || cells.iter().map(|cell| cell.ops_per_second as f64);
    let (least, most) = (rates().fold(f64::MAX, f64::min), rates().fold(1.0, f64::max));
    let rows = || cells.iter().map(|cell| cell.rows as f64);
    let (fewest, largest) = (rows().fold(f64::MAX, f64::min), rows().fold(1.0, f64::max));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{operation}s per second, by rows of the table"), text(14))
        .margin(8)
        .x_label_area_size(28)
        .y_label_area_size(58)
        .build_cartesian_2d(
            (fewest / 1.5..largest * 1.5).log_scale(),
            (least / 2.0..most * 1.5).log_scale(),
        )?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_label_formatter(&|rows| short(*rows))
        .y_label_formatter(&|rate| short(*rate))
        .label_style(text(12))
        .draw()?;
    for (database, label, color) in DATABASES {
        for (tasks, width) in [(64, 2), (1, 1)] {
            let mut points: Vec<(f64, f64)> = cells
                .iter()
                .filter(|cell| cell.database == database && cell.concurrency == tasks)
                .map(|cell| (cell.rows as f64, cell.ops_per_second as f64))
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            if points.is_empty() {
                continue;
            }
            let style = color.stroke_width(width);
            chart
                .draw_series(LineSeries::new(points.clone(), style).point_size(1 + width))?
                .label(format!("{label}, {tasks} task{}", if tasks == 1 { "" } else { "s" }))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], style));
        }
    }
    if operation == "save" {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .label_font(text(11))
            .draw()?;
    }
    Ok(())
}

fn short(number: f64) -> String {
    match number {
        million if million >= 1e6 => format!("{:.0}M", million / 1e6),
        thousand if thousand >= 1e3 => format!("{:.0}k", thousand / 1e3),
        number => format!("{number:.0}"),
    }
}
