//! Histories: clients in several processes' worth of stores create, find, save, renew, destroy and let
//! expire the sessions of one database while it misbehaves; what each was told is checked against the
//! contract.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod checker;
mod handmade;
mod history;
mod model;
mod random;
mod simulated;
