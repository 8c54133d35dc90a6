//! Behaviour through the public API, on real databases.

mod conformance;
mod http;
mod layers;
