//! The chart of the README: on each database finds and saves of 600 bytes by 64 tasks.

use std::path::Path;

use bench_kit::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::plan::{ORM_STORE, PUBLISHED};
use crate::results::Cell;
use crate::table::rate;

const DATABASES: [(&str, &str); 3] =
    [("sqlite", "SQLite"), ("postgres", "PostgreSQL"), ("mysql", "MariaDB")];
const OPERATIONS: [&str; 2] = ["find", "save"];
const OURS: RGBColor = RGBColor(37, 99, 235);
const POOL: RGBColor = RGBColor(147, 197, 253);
const FLOOR: RGBColor = RGBColor(100, 116, 139);
const OTHERS: RGBColor = RGBColor(203, 213, 225);
const TEXT: RGBColor = RGBColor(30, 41, 59);
const WIDTH: u32 = 760;
/// A bar with the space below it.
const BAR: i32 = 17;
/// Where bars begin, beside their names.
const LEFT: i32 = 150;
/// Where they begin below their title.
const TOP: i32 = 30;

pub(crate) fn draw(path: &Path, cells: &[Cell]) -> Result<()> {
    let panels: Vec<Panel<'_>> =
        DATABASES.iter().filter_map(|database| Panel::new(*database, cells)).collect();
    let height: i32 = panels.iter().map(Panel::height).sum();
    if height == 0 {
        return Ok(());
    }
    let root = SVGBackend::new(path, (WIDTH, u32::try_from(height)?)).into_drawing_area();
    root.fill(&WHITE).map_err(|error| error.to_string())?;
    let mut rest = root.clone();
    for panel in &panels {
        let (area, below) = rest.split_vertically(panel.height());
        panel.draw(&area).map_err(|error| error.to_string())?;
        rest = below;
    }
    Ok(root.present().map_err(|error| error.to_string())?)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// One database.
struct Panel<'c> {
    database: &'static str,
    bars: [Vec<&'c Cell>; 2],
}

impl<'c> Panel<'c> {
    /// `None` where nothing has been measured.
    fn new((name, database): (&str, &'static str), cells: &'c [Cell]) -> Option<Self> {
        let bars = OPERATIONS.map(|operation| {
            let is_shown =
                |cell: &&Cell| cell.is_at(name, operation, 64, 600) && cell.rival != ORM_STORE;
            let mut bars: Vec<&Cell> = cells.iter().filter(is_shown).collect();
            bars.sort_by_key(|cell| PUBLISHED.iter().position(|rival| *rival == cell.rival));
            bars
        });
        let measured = bars.iter().any(|bars| !bars.is_empty());
        measured.then_some(Self { database, bars })
    }

    fn height(&self) -> i32 {
        let bars = self.bars.iter().map(Vec::len).max().unwrap_or(0);
        TOP + i32::try_from(bars).unwrap_or(0) * BAR + 14
    }

    fn draw(&self, area: &Area<'_>) -> Drawn {
        for ((half, operation), bars) in
            area.split_evenly((1, 2)).iter().zip(OPERATIONS).zip(&self.bars)
        {
            let title = format!("{}: {operation}s per second", self.database);
            draw_bars(half, &title, bars)?;
        }
        Ok(())
    }
}

fn draw_bars(area: &Area<'_>, title: &str, cells: &[&Cell]) -> Drawn {
    let text = |size: u32| ("sans-serif", size).into_font().color(&TEXT);
    area.draw(&Text::new(title.to_owned(), (8, 10), text(15)))?;
    let most = cells.iter().map(|cell| cell.ops_per_second).fold(1.0, f64::max);
    let room = f64::from(area.dim_in_pixel().0) - f64::from(LEFT) - 44.0;
    for (at, cell) in cells.iter().enumerate() {
        let top = TOP + i32::try_from(at)? * BAR;
        let length = (cell.ops_per_second / most * room).max(1.0) as i32;
        let color = match &*cell.rival {
            "ours" => OURS,
            "ours-pool" => POOL,
            "floor" => FLOOR,
            _ => OTHERS,
        };
        let bar = [(LEFT, top), (LEFT + length, top + BAR - 4)];
        area.draw(&Rectangle::new(bar, color.filled()))?;
        area.draw(&Text::new(label(cell), (8, top + 2), text(12)))?;
        let value = rate(cell.ops_per_second);
        area.draw(&Text::new(value, (LEFT + length + 4, top + 2), text(12)))?;
    }
    Ok(())
}

fn label(cell: &Cell) -> String {
    match (&*cell.rival, &*cell.database) {
        ("ours", _) => "sqlbypass".into(),
        ("ours-pool", _) => "sqlbypass, plain pool".into(),
        ("floor", "sqlite") => "rusqlite loop".into(),
        ("floor", "postgres") => "pgbench".into(),
        ("floor", _) => "C client".into(),
        ("sqlx-store", _) => "tower-sessions, sqlx".into(),
        ("rusqlite-store", _) => "tower-sessions, rusqlite".into(),
        ("diesel", "sqlite") | ("sqlx" | "sea-orm", _) => cell.rival.clone(),
        ("diesel", _) => "diesel-async".into(),
        ("axum-session", _) => "axum_session".into(),
        ("rails", _) => "Rails, one process".into(),
        (rival, _) => rival.into(),
    }
}
