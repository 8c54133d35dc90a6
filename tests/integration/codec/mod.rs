//! Codecs against what Ruby wrote.

mod fixtures;
mod fuzzed;
mod marshal;
mod ruby;
mod session;
