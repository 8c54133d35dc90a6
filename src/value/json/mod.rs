//! JSON text by the rules of Ruby's `JSON.parse` (json 2.6): RFC 8259 with comments between
//! tokens and a backslash before any character, nested at most 100 deep, integers of any size,
//! the last of duplicate keys. `NaN` and the infinities are refused.
//!
//! Two differences: text that is not UTF-8 and halves of surrogate pairs are refused too, of which
//! Ruby makes strings that it could not write again.

mod plain;
mod read;
mod scan;
mod simd;

pub(crate) use read::read;
pub(crate) use scan::{Fault, Scanner, Text};

/// How deep arrays and objects may be nested: `JSON.parse`'s `max_nesting`.
pub(crate) const MAX_DEPTH: usize = 100;
