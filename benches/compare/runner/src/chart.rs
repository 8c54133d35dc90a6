//! The charts of the results: one for each database, finds and saves of 600 bytes by 64 tasks.

use std::path::Path;

use bench_kit::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::plan::PUBLISHED;
use crate::results::Cell;
use crate::table::rate;

const OPERATIONS: [&str; 2] = ["find", "save"];
const OURS: RGBColor = RGBColor(37, 99, 235);
const FLOOR: RGBColor = RGBColor(100, 116, 139);
const OTHERS: RGBColor = RGBColor(203, 213, 225);
const TEXT: RGBColor = RGBColor(30, 41, 59);
const BAR: i32 = 20;
const LEFT: i32 = 110;

pub(crate) fn draw(folder: &Path, cells: &[Cell]) -> Result<()> {
    for database in ["sqlite", "postgres", "mysql"] {
        let shown = |operation: &str| -> Vec<&Cell> {
            let is_shown = |cell: &&Cell| cell.is_at(database, operation, 64, 600);
            let mut shown: Vec<&Cell> = cells.iter().filter(is_shown).collect();
            shown.sort_by_key(|cell| PUBLISHED.iter().position(|rival| *rival == cell.rival));
            shown
        };
        let both = OPERATIONS.map(shown);
        let bars = both.iter().map(Vec::len).max().unwrap_or(0);
        if bars == 0 {
            continue;
        }
        let path = folder.join(format!("{database}.svg"));
        let height = 44 + u32::try_from(bars)? * BAR as u32;
        let root = SVGBackend::new(&path, (760, height)).into_drawing_area();
        root.fill(&WHITE).map_err(|error| error.to_string())?;
        for (area, (operation, cells)) in
            root.split_evenly((1, 2)).iter().zip(OPERATIONS.into_iter().zip(&both))
        {
            bars_of(area, operation, cells).map_err(|error| error.to_string())?;
        }
        root.present().map_err(|error| error.to_string())?;
    }
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn bars_of(
    area: &Area<'_>,
    operation: &str,
    cells: &[&Cell],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let text = |size: u32, color: RGBColor| ("sans-serif", size).into_font().color(&color);
    let title = format!("{operation}s per second, 64 tasks");
    area.draw(&Text::new(title, (LEFT, 10), text(15, TEXT)))?;
    let most = cells.iter().map(|cell| cell.ops_per_second).fold(1.0, f64::max);
    let room = f64::from(area.dim_in_pixel().0) - f64::from(LEFT) - 50.0;
    for (at, cell) in cells.iter().enumerate() {
        let top = 34 + i32::try_from(at)? * BAR;
        let length = (cell.ops_per_second / most * room).max(1.0) as i32;
        let color = match &*cell.rival {
            "ours" => OURS,
            "floor" => FLOOR,
            _ => OTHERS,
        };
        let bar = [(LEFT, top), (LEFT + length, top + BAR - 5)];
        area.draw(&Rectangle::new(bar, color.filled()))?;
        area.draw(&Text::new(label(cell), (4, top + 2), text(12, TEXT)))?;
        let value = rate(cell.ops_per_second);
        area.draw(&Text::new(value, (LEFT + length + 4, top + 2), text(12, TEXT)))?;
    }
    Ok(())
}

fn label(cell: &Cell) -> String {
    match (&*cell.rival, &*cell.database) {
        ("ours", _) => "sqlbypass".into(),
        ("floor", "sqlite") => "rusqlite loop".into(),
        ("floor", "postgres") => "pgbench".into(),
        ("floor", _) => "C client".into(),
        (rival, _) => rival.into(),
    }
}
