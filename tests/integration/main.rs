//! Behaviour through the public API, on real databases.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

#[cfg(feature = "cli")]
mod admin;
mod conformance;
#[cfg(feature = "encryption")]
mod encrypted;
mod harness;
mod hostile;
mod http;
mod layers;
mod life;
mod mysql;
#[cfg(feature = "metrics")]
mod observe;
mod postgres;
mod promises;
#[path = "../support/random.rs"]
mod random;
#[cfg(feature = "cli")]
mod serve;
#[path = "../servers/mod.rs"]
mod servers;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;
