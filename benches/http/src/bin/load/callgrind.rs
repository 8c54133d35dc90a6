//! Whose instructions they were: reads what callgrind wrote and sums its costs by the crate whose
//! source they come from.
//!
//! Code of the standard library and of libc has no side of its own: what is inlined goes with the
//! function that it stands in, a function goes with its callers, by what each of them spent in it.
//! The format: <https://valgrind.org/docs/manual/cl-format.html>.

use std::collections::HashMap;

/// Crates that only we use of all that are in the program: what they do is ours.
const OUR_LIBRARIES: [&str; 10] = [
    "base64-",
    "const-hex-",
    "getrandom-",
    "jiff-",
    "jiff-core-",
    "serde-",
    "serde_core-",
    "serde_json-",
    "simd-json-",
    "zmij-",
];

/// Crates that hyper uses as well: what they do goes with those who call them.
const SHARED_LIBRARIES: [&str; 2] = ["bytes-", "httpdate-"];

/// Counts for nobody: callgrind does not know the instructions that processors have for SHA-256, and
/// without them it takes ten times as many.
const HASHING: &str = "sha2-";

/// Instructions of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Costs {
    pub ours: f64,
    pub all: f64,
}

impl std::ops::Sub for Costs {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { ours: self.ours - other.ours, all: self.all - other.all }
    }
}

/// Sums the costs of a file of callgrind's; `project` is the folder that holds our sources.
pub fn read(text: &str, project: &str) -> Costs {
    let functions = functions(text, project);
    let shares = shares(&functions);
    let mut costs = Costs::default();
    for (name, function) in &functions {
        costs.ours += function.ours + function.neutral * shares.get(name).copied().unwrap_or(0.0);
        costs.all += function.ours + function.theirs + function.neutral;
    }
    costs
}

/// Which side a source file is on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Ours,
    Theirs,
    /// Goes with those who call it.
    Neutral,
    Nobodys,
}

impl Side {
    fn of(file: &str, project: &str) -> Self {
        // Some paths are relative to the package, some are not.
        if file.starts_with("src/") {
            return Self::Ours;
        }
        if let Some(rest) = file.strip_prefix(project) {
            return if rest.starts_with("/src/") { Self::Ours } else { Self::Theirs };
        }
        let Some((_, package)) = file.split_once("/registry/src/") else { return Self::Neutral };
        // The registry's own folder comes first.
        let package = package.split('/').nth(1).unwrap_or_default();
        let is = |name: &str| {
            let version = package.strip_prefix(name);
            version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        };
        match () {
            () if is(HASHING) => Self::Nobodys,
            () if OUR_LIBRARIES.into_iter().any(is) => Self::Ours,
            () if SHARED_LIBRARIES.into_iter().any(is) => Self::Neutral,
            () => Self::Theirs,
        }
    }
}

/// What a function did itself, by the side of the code, and what it was called for.
#[derive(Default)]
struct Function {
    side: Option<Side>,
    ours: f64,
    theirs: f64,
    neutral: f64,
    /// Callers, and what their calls cost with all that was called in turn.
    callers: HashMap<String, f64>,
}

/// Names, of which the file holds each once: `(7) name`, and `(7)` from then on.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn name(&mut self, text: &str) -> String {
        let Some((id, name)) = text.split_once(')') else { return text.to_owned() };
        if !name.is_empty() {
            self.0.insert(id.to_owned(), name.trim_start().to_owned());
        }
        self.0.get(id).cloned().unwrap_or_default()
    }
}

fn functions(text: &str, project: &str) -> HashMap<String, Function> {
    let (mut files, mut names) = (Names::default(), Names::default());
    let mut functions: HashMap<String, Function> = HashMap::new();
    let (mut file, mut function, mut called) = (String::new(), String::new(), String::new());
    let mut is_call = false;
    for line in text.lines() {
        match line.split_once('=') {
            Some(("fl" | "fi" | "fe", name)) => file = files.name(name),
            Some(("cfl" | "cfi", name)) => drop(files.name(name)),
            Some(("fn", name)) => {
                function = names.name(name);
                let side = match Side::of(&file, project) {
                    // The standard library's code for a type of ours.
                    Side::Neutral if function.contains("sqlbypass") => Side::Ours,
                    side => side,
                };
                functions.entry(function.clone()).or_default().side = Some(side);
            }
            Some(("cfn", name)) => called = names.name(name),
            Some(("calls", _)) => is_call = true,
            Some(_) => {}
            None if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) => {
                let cost =
                    line.rsplit(' ').next().and_then(|cost| cost.parse().ok()).unwrap_or(0.0);
                if std::mem::take(&mut is_call) {
                    let callers = &mut functions.entry(called.clone()).or_default().callers;
                    *callers.entry(function.clone()).or_default() += cost;
                    continue;
                }
                let function = functions.entry(function.clone()).or_default();
                match (Side::of(&file, project), function.side) {
                    (Side::Nobodys, _) => {}
                    (Side::Ours, _) | (Side::Neutral, Some(Side::Ours)) => function.ours += cost,
                    (Side::Theirs, _) | (Side::Neutral, Some(Side::Theirs)) => {
                        function.theirs += cost
                    }
                    (Side::Neutral, _) => function.neutral += cost,
                }
            }
            None => {}
        }
    }
    functions
}

/// For each function the part of its neutral code that was run for us.
fn shares(functions: &HashMap<String, Function>) -> HashMap<String, f64> {
    let own = |function: &Function| match function.side {
        Some(Side::Ours) => 1.0,
        _ => 0.0,
    };
    let mut shares: HashMap<String, f64> =
        functions.iter().map(|(name, function)| (name.clone(), own(function))).collect();
    // Neutral functions call each other in chains; no chain is longer than this.
    for _ in 0..64 {
        let mut next = shares.clone();
        for (name, function) in functions {
            if function.side != Some(Side::Neutral) {
                continue;
            }
            let calls: f64 = function.callers.values().sum();
            let for_us: f64 = function
                .callers
                .iter()
                .map(|(caller, cost)| cost * shares.get(caller).copied().unwrap_or(0.0))
                .sum();
            next.insert(name.clone(), if calls > 0.0 { for_us / calls } else { 0.0 });
        }
        shares = next;
    }
    shares
}
