//! What the targets do, so that it can be replayed without a fuzzer: the integration tests run
//! the seed corpora through the same functions.

pub mod base64;
pub mod encrypted;
pub mod json;
pub mod marshal;
