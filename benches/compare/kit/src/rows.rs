//! The rows: the same in every program.

use sha2::{Digest, Sha256};

/// Steps of splitmix64: numbers that look like chance and are the same in every run.
fn mixed(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The public id of row `n`: 32 hex characters, as Rails makes them.
pub fn id(n: usize) -> String {
    let n = n as u64;
    format!("{:016x}{:016x}", mixed(2 * n), mixed(2 * n + 1))
}

/// What Rails' table holds for a public id: `2::` and its SHA-256 in hex.
pub fn private_id(id: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut private = String::with_capacity(67);
    private.push_str("2::");
    for byte in Sha256::digest(id.as_bytes()) {
        private.push(DIGITS[usize::from(byte >> 4)].into());
        private.push(DIGITS[usize::from(byte & 15)].into());
    }
    private
}

/// The public id of the `n`th new row of the run that `seed` names.
pub fn other_id(seed: u64, n: usize) -> String {
    format!("{:016x}{:016x}", mixed(seed), mixed(seed ^ mixed(n as u64)))
}

/// Which row the `n`th operation takes: every row once before any comes again, jumping about.
pub(crate) fn row(n: usize, rows: usize) -> usize {
    n.wrapping_mul(7_919) % rows
}

/// A session's data: one key that says which write it was, and one that fills it up.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    /// The number of the write.
    pub number: usize,
    payload: usize,
}

impl Data {
    pub(crate) fn new(number: usize, payload: usize) -> Self {
        Self { number, payload }
    }

    /// The data column's text, in Rails' JSON: exactly as long as asked for.
    pub fn json(&self) -> String {
        let mut text = format!("{{\"value\":{{\"n\":{},\"t\":\"", self.number);
        let fill = self.payload.saturating_sub(text.len() + 3);
        text.extend(std::iter::repeat_n('x', fill));
        text.push_str("\"}}");
        text
    }

    /// The text of the one key, for rivals that encode sessions themselves.
    pub fn filler(&self) -> String {
        let mut text = format!("{:08}", self.number);
        text.extend(std::iter::repeat_n('x', self.payload.saturating_sub(text.len() + 16)));
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn private_ids_are_those_of_rails() {
        let private = "2::3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9";
        assert_eq!(private_id("0123456789abcdef0123456789abcdef"), private);
    }

    #[test]
    fn ids_differ_and_data_are_as_long_as_asked_for() {
        let ids: HashSet<String> =
            (0..10_000).map(id).chain((0..100).map(|n| other_id(7, n))).collect();
        assert_eq!(ids.len(), 10_100);
        assert!(ids.iter().all(|id| id.len() == 32));
        for payload in [600, 4_096, 32_768] {
            assert_eq!(Data::new(123, payload).json().len(), payload);
        }
    }

    #[test]
    fn every_row_comes_once_before_any_comes_again() {
        for rows in [2_000, 15_000, 100_000] {
            let taken: HashSet<usize> = (0..rows).map(|n| row(n, rows)).collect();
            assert_eq!(taken.len(), rows);
        }
    }
}
