//! What lanes must not cost, beside our own plain pool, for `benches/README.md`.

use std::fmt::Write as _;

use crate::results::Cell;

const HEAD: &str = "\n\
| lanes against our plain pool | at least | PostgreSQL | MariaDB | SQLite |
| --- | --- | --- | --- | --- |
";
const DATABASES: [&str; 3] = ["postgres", "mysql", "sqlite"];

/// What is compared: operations a second, or how long 99 in 100 take at most.
#[derive(Clone, Copy)]
enum Of {
    Rate,
    P99,
}

/// Name, operation, tasks, bytes, what is compared, and the least ratio, above 1 if lanes win.
type Line = (&'static str, &'static str, usize, usize, Of, f64);

const LINES: [Line; 8] = [
    ("find, 1 task", "find", 1, 600, Of::Rate, 0.95),
    ("save, 1 task", "save", 1, 600, Of::Rate, 0.95),
    ("find, 64 tasks", "find", 64, 600, Of::Rate, 1.0),
    ("save, 64 tasks", "save", 64, 600, Of::Rate, 1.0),
    ("p99 of a find, 64 tasks", "find", 64, 600, Of::P99, 1.0),
    ("p99 of a save, 64 tasks", "save", 64, 600, Of::P99, 1.0),
    ("save of 32 KiB, 1 task", "save", 1, 32_768, Of::Rate, 0.95),
    ("save of 32 KiB, 64 tasks", "save", 64, 32_768, Of::Rate, 1.0),
];

pub(crate) fn markdown(cells: &[Cell]) -> String {
    let mut text = HEAD.to_owned();
    for line in LINES {
        let (name, .., least) = line;
        let measured = DATABASES.map(|database| match ratio(cells, database, line) {
            None => " |".to_owned(),
            Some(ratio) if ratio >= least => format!(" **{ratio:.2}** |"),
            Some(ratio) => format!(" {ratio:.2}, missed |"),
        });
        let _ = writeln!(text, "| {name} | {least} |{}", measured.concat());
    }
    text
}

fn ratio(cells: &[Cell], database: &str, (_, operation, tasks, bytes, of, _): Line) -> Option<f64> {
    let cell = |rival: &str| {
        cells
            .iter()
            .find(|cell| cell.rival == rival && cell.is_at(database, operation, tasks, bytes))
    };
    let (ours, pool) = (cell("ours")?, cell("ours-pool")?);
    Some(match of {
        Of::Rate => ours.ops_per_second / pool.ops_per_second,
        Of::P99 => pool.p99_us as f64 / ours.p99_us as f64,
    })
}
