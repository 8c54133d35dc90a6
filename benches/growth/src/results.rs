//! What was measured, and the files of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bench_kit::{Answer, Args, Database, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A store at one size of its table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) database: String,
    pub(crate) operation: String,
    pub(crate) concurrency: usize,
    pub(crate) rows: usize,
    /// Of the table and its indexes.
    pub(crate) megabytes: u64,
    pub(crate) ops_per_second: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
}

impl Cell {
    pub(crate) fn new(turn: &Args, rows: usize, megabytes: u64, answers: &[Answer]) -> Self {
        Self {
            database: name(turn.database),
            operation: format!("{:?}", turn.operation).to_lowercase(),
            concurrency: turn.concurrency,
            rows,
            megabytes,
            ops_per_second: median(answers.iter().map(|answer| answer.ops_per_second as u64)),
            p50_us: median(answers.iter().map(|answer| answer.p50_us)),
            p99_us: median(answers.iter().map(|answer| answer.p99_us)),
        }
    }
}

/// What something takes of memory, in bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) database: String,
    pub(crate) what: String,
    pub(crate) count: usize,
    /// What Rust code has allocated, for each.
    pub(crate) heap_bytes: u64,
    /// What the process has grown by, for each.
    pub(crate) resident_bytes: u64,
}

#[derive(Default)]
pub(crate) struct Results {
    pub(crate) growth: Vec<Cell>,
    memory: Vec<Memory>,
    pub(crate) connections: Vec<Memory>,
}

const FILES: [&str; 3] = ["growth.json", "memory.json", "connections.json"];

impl Results {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let [growth, memory, connections] = FILES.map(|file| folder.join(file));
        Ok(Self {
            growth: read(&growth)?,
            memory: read(&memory)?,
            connections: read(&connections)?,
        })
    }

    pub(crate) fn replace(&mut self, database: Database, cells: Vec<Cell>) {
        self.growth.retain(|cell| cell.database != name(database));
        self.growth.extend(cells);
    }

    pub(crate) fn replace_memory(&mut self, database: Database, memory: Vec<Memory>) {
        self.memory.retain(|line| line.database != name(database));
        self.memory.extend(memory);
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let [growth, memory, connections] = FILES.map(|file| folder.join(file));
        write(&growth, &self.growth)?;
        write(&memory, &self.memory)?;
        write(&connections, &self.connections)?;
        Ok(fs::write(folder.join("results.md"), self.markdown())?)
    }

    fn markdown(&self) -> String {
        let mut text = GROWTH.to_owned();
        for cell in &self.growth {
            let Cell { database, operation, concurrency, rows, megabytes, .. } = cell;
            let (rate, p50, p99) = (cell.ops_per_second, cell.p50_us, cell.p99_us);
            let _ = writeln!(
                text,
                "| {database} | {rows} | {megabytes} | {operation} | {concurrency} | {rate} | {p50} | {p99} |"
            );
        }
        text += MEMORY;
        for line in self.memory.iter().chain(&self.connections) {
            let Memory { database, what, count, heap_bytes, resident_bytes } = line;
            let _ = writeln!(
                text,
                "| {database} | {what} | {count} | {heap_bytes} | {resident_bytes} |"
            );
        }
        text
    }
}

const GROWTH: &str = "\
# How cost grows

Written by `benches/growth/run.sh`; the median of the rounds. What is measured stands in
[benches/README.md](../README.md).

| database | rows | MB of table and indexes | operation | tasks | per second | p50 µs | p99 µs |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

const MEMORY: &str = "
# Memory

Of each of so many, in bytes: what Rust code has on its heap, and by how much the process has grown.

| database | what | measured on | heap | resident |
| --- | --- | --- | --- | --- |
";

fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

fn write<T: Serialize>(path: &Path, values: &[T]) -> Result<()> {
    let lines: Vec<String> = values
        .iter()
        .map(serde_json::to_string)
        .collect::<std::result::Result<_, serde_json::Error>>()?;
    Ok(fs::write(path, format!("[\n{}\n]\n", lines.join(",\n")))?)
}

pub(crate) fn name(database: Database) -> String {
    format!("{database:?}").to_lowercase()
}

fn median(values: impl Iterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
