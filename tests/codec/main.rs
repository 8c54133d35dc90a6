//! The formats of the data column, against what Ruby wrote and read.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod base64;
#[cfg(feature = "cli")]
mod command;
mod counts;
#[cfg(feature = "encryption")]
mod encrypted;
mod fixtures;
mod interpreter;
mod json;
mod marshal;
mod names;
mod null;
mod plain_types;
mod rails;
#[path = "../support/random.rs"]
mod random;
mod ruby;
mod serde_values;
mod session;
mod splice;
mod support;
