//! The formats of the data column, against what Ruby wrote and read.

mod base64;
mod ruby;
mod support;
