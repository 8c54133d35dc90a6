//! The formats of the data column, against what Ruby wrote and read.

mod base64;
#[cfg(feature = "cli")]
mod command;
mod counts;
mod fixtures;
mod interpreter;
mod json;
mod marshal;
mod null;
mod rails;
mod ruby;
mod serde_values;
mod session;
mod support;
