//! The formats of the data column, against what Ruby wrote and read.

mod base64;
mod fuzz;
mod json;
mod null;
mod rails;
mod ruby;
mod support;
