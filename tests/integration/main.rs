//! Everything that is tested from outside, in one binary.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod codec;
