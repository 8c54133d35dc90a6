//! What was measured, and the file of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fmt, fs};

use bench_kit::{Answer, Database, Operation, Result};
use serde::{Deserialize, Serialize};

use crate::plan;

/// A cell of one database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) rival: &'static str,
    pub(crate) operation: Operation,
    pub(crate) concurrency: usize,
    pub(crate) payload: usize,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rival, operation, concurrency, payload } = self;
        write!(f, "{rival} {operation:?} {payload} B c={concurrency}")
    }
}

/// All answers of a database, in the order in which the cells were first measured.
#[derive(Default)]
pub(crate) struct Measured {
    cells: Vec<(Key, Vec<Answer>)>,
    failures: Vec<String>,
}

impl Measured {
    pub(crate) fn failed(&mut self, failure: String) {
        eprintln!("{failure}");
        self.failures.push(failure);
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(crate) fn add(&mut self, key: Key, answer: Answer) {
        let same = |known: &&mut (Key, Vec<Answer>)| {
            let known = &known.0;
            known.rival == key.rival
                && known.operation == key.operation
                && known.concurrency == key.concurrency
                && known.payload == key.payload
        };
        match self.cells.iter_mut().find(same) {
            Some((_, answers)) => answers.push(answer),
            None => self.cells.push((key, vec![answer])),
        }
    }
}

/// An object of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) rival: String,
    pub(crate) database: String,
    pub(crate) operation: String,
    pub(crate) concurrency: usize,
    pub(crate) payload_bytes: usize,
    pub(crate) ops_per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) rounds: usize,
    pub(crate) durability: String,
}

/// Whether this cell is of that place in a table.
impl Cell {
    pub(crate) fn is_at(&self, database: &str, operation: &str, c: usize, payload: usize) -> bool {
        self.database == database
            && self.operation == operation
            && self.concurrency == c
            && self.payload_bytes == payload
    }
}

/// The files of a folder: all rivals that are published, and the ORM behind our own contract.
const FILES: [&str; 2] = ["results.json", "orm.json"];

pub(crate) fn read(folder: &Path) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for path in FILES.map(|file| folder.join(file)) {
        if path.exists() {
            let more: Vec<Cell> = serde_json::from_str(&fs::read_to_string(path)?)?;
            cells.extend(more);
        }
    }
    Ok(cells)
}

pub(crate) fn write(folder: &Path, cells: &[Cell]) -> Result<()> {
    for (file, is_orm) in FILES.into_iter().zip([false, true]) {
        let lines: Vec<String> = cells
            .iter()
            .filter(|cell| (cell.rival == plan::ORM_STORE) == is_orm)
            .map(serde_json::to_string)
            .collect::<std::result::Result<_, serde_json::Error>>()?;
        fs::write(folder.join(file), format!("[\n{}\n]\n", lines.join(",\n")))?;
    }
    Ok(())
}

/// Puts what was measured in the place of what was known of the same cells.
pub(crate) fn replace(cells: &mut Vec<Cell>, database: Database, measured: &Measured) {
    let name = name(database);
    for (key, answers) in &measured.cells {
        let cell = Cell {
            rival: key.rival.into(),
            database: name.clone(),
            operation: format!("{:?}", key.operation).to_lowercase(),
            concurrency: key.concurrency,
            payload_bytes: key.payload,
            ops_per_second: median(answers.iter().map(|answer| answer.ops_per_second.round())),
            p50_us: median(answers.iter().map(|answer| answer.p50_us as f64)) as u64,
            p99_us: median(answers.iter().map(|answer| answer.p99_us as f64)) as u64,
            rounds: answers.len(),
            durability: plan::durability(database).into(),
        };
        cells.retain(|known| {
            let (operation, tasks, bytes) = (&cell.operation, cell.concurrency, cell.payload_bytes);
            known.rival != cell.rival || !known.is_at(&name, operation, tasks, bytes)
        });
        cells.push(cell);
    }
    let order = |cell: &Cell| {
        let rival = plan::PUBLISHED.iter().position(|rival| *rival == cell.rival);
        let operation = cell.operation.clone();
        (cell.database.clone(), operation, cell.payload_bytes, cell.concurrency, rival)
    };
    cells.sort_by_key(order);
}

pub(crate) fn name(database: Database) -> String {
    format!("{database:?}").to_lowercase()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Cells of the same place, by database, operation, payload and concurrency.
pub(crate) type Places<'c> = BTreeMap<(&'c str, &'c str, usize, usize), Vec<&'c Cell>>;

pub(crate) fn places(cells: &[Cell]) -> Places<'_> {
    let mut places = Places::new();
    for cell in cells {
        let place = (&*cell.database, &*cell.operation, cell.payload_bytes, cell.concurrency);
        places.entry(place).or_default().push(cell);
    }
    places
}
