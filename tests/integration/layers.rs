//! Data flows one way: a module imports only what stands to its left.

use std::fs;
use std::path::{Path, PathBuf};

/// Left to right; `docs/architecture.md` draws it.
const ORDER: [&str; 18] = [
    "error",
    "id",
    "table",
    "value",
    "cookie",
    "record",
    "observe",
    "codec",
    "sql",
    "store",
    "session",
    "manager",
    "rails",
    "http",
    "tower_sessions",
    "admin",
    "conformance",
    "lib",
];

fn rank(module: &str) -> usize {
    let found = ORDER.iter().position(|name| *name == module);
    found.unwrap_or_else(|| panic!("{module} has no place in the order: see docs/architecture.md"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The modules that a source names behind `crate::`, its comments left out.
fn imports(text: &str) -> Vec<String> {
    let code: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    // A macro's `$crate::name` stands in the code of whoever uses it.
    let code = code.join("\n").replace("$crate::", "");
    let word = |rest: &str| {
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    code.split("crate::").skip(1).map(word).filter(|module| !module.is_empty()).collect()
}

#[test]
fn imports_point_to_the_left() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    for file in files {
        let path = file.strip_prefix(&root).unwrap();
        if path.starts_with("bin") {
            continue;
        }
        let module = path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            // `$crate::Name` and `crate::Name` in a macro or a doc link name public items.
            if import.starts_with(char::is_uppercase) {
                continue;
            }
            assert!(
                rank(&import) <= rank(module),
                "{} imports crate::{import}, which stands to the right of {module}",
                path.display()
            );
        }
    }
}

/// A file of more than 600 lines wants to be two.
#[test]
fn files_stay_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "orm/src", "orm/tests"] {
        sources(&root.join(folder), &mut files);
    }
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(
            lines <= 600,
            "{} has {lines} lines: the design asks for a new room",
            file.display()
        );
    }
}
