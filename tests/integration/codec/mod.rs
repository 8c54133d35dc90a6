//! The formats of the data column, against what Ruby wrote and read.

mod base64;
mod json;
mod null;
mod ruby;
mod support;
