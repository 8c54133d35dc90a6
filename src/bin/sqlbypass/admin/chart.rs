//! The picture of `sqlbypass stats --svg`.

use std::path::Path;

use plotters::prelude::*;
use sqlbypass::Error;
use sqlbypass::admin::Stats;

use super::time::{bytes, day};
use crate::failure::Failure;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

const BLUE: RGBColor = RGBColor(37, 99, 235);
/// So many days are drawn, the last ones.
const DAYS: usize = 60;

/// Draws sizes and growth, one above the other.
pub(super) fn draw(file: &Path, stats: &Stats) -> Result<(), Failure> {
    let sizes: Vec<_> =
        stats.sizes.iter().map(|(up_to, rows)| (format!("≤ {}", bytes(*up_to)), *rows)).collect();
    let last = stats.days.len().saturating_sub(DAYS);
    let days: Vec<_> = stats.days[last..].iter().map(|(time, rows)| (day(*time), *rows)).collect();
    let drawn = || -> Drawn {
        let root = SVGBackend::new(file, (760, 520)).into_drawing_area();
        root.fill(&WHITE)?;
        let areas = root.split_evenly((2, 1));
        bars(&areas[0], "sessions by the size of their data", &sizes)?;
        bars(&areas[1], "new sessions by day (UTC)", &days)?;
        Ok(root.present()?)
    };
    drawn().map_err(|fault| {
        let problem = format!("{}: {fault}", file.display());
        Error::config("drawing", problem).into()
    })
}

fn bars(area: &Area<'_>, title: &str, bars: &[(String, u64)]) -> Drawn {
    let top = bars.iter().map(|(_, rows)| *rows).max().unwrap_or(0).max(1) as f64 * 1.15;
    let count = bars.len().max(1);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .build_cartesian_2d(0.0..count as f64, -top * 0.15..top)?;
    // Labels that would run into each other are left out.
    let every = count.div_ceil(8);
    for (at, (label, rows)) in bars.iter().enumerate() {
        let (left, rows) = (at as f64, *rows);
        let bar = Rectangle::new([(left + 0.1, 0.0), (left + 0.9, rows as f64)], BLUE.filled());
        chart.draw_series([bar])?;
        if at % every == 0 {
            let font = ("sans-serif", 12);
            let value = Text::new(rows.to_string(), (left + 0.1, rows as f64 + top * 0.08), font);
            let label = Text::new(label.clone(), (left + 0.1, -top * 0.03), font);
            chart.draw_series([value, label])?;
        }
    }
    Ok(())
}
