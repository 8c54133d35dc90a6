//! The formats of the data column, against what Ruby wrote and read.

mod base64;
mod fixtures;
mod fuzz;
mod json;
mod marshal;
mod null;
mod rails;
mod ruby;
mod support;
