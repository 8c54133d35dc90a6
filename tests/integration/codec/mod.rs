//! Codecs against what Ruby wrote.

mod fixtures;
mod marshal;
mod ruby;
