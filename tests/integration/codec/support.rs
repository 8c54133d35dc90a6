//! Fixtures, and random values that are the same in every run.

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

/// SplitMix64: small, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
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
