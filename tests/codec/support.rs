//! Fixtures, and a clock that a busy machine does not move.

use serde_json::Value;

/// The rows of a fixtures file.
pub(super) fn rows(file: &str) -> Vec<Value> {
    let path = format!("{}/tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("fixtures are part of the sources");
    text.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect()
}

/// The bytes that a row gives in hex.
pub(super) fn hex(row: &Value, key: &str) -> Vec<u8> {
    const_hex::decode(row[key].as_str().expect("a row has this key")).expect("hex")
}

/// Seconds of this thread on a processor, so that a busy machine cannot fail a test.
pub(super) struct Stopwatch(f64, std::time::Instant);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(Self::on_processor().unwrap_or(0.0), std::time::Instant::now())
    }

    pub(super) fn seconds(&self) -> f64 {
        match Self::on_processor() {
            Some(now) => now - self.0,
            None => self.1.elapsed().as_secs_f64(),
        }
    }

    /// Where the system counts it: Linux, in nanoseconds.
    fn on_processor() -> Option<f64> {
        let counts = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(counts.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
    }
}
