//! Behaviour through the public API, on real databases.

mod http;
mod layers;
