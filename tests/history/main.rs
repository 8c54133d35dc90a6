//! Histories: clients in several processes' worth of stores create, find, save, renew, destroy and let
//! expire the sessions of one database while it misbehaves; what each was told is checked against the
//! contract.
//!
//! `HISTORY_SEED` repeats a run's choices, if not its timing; `HISTORY_SECONDS` is how long the clients
//! work under each policy; `HISTORY_FAULT` has one kind of fault alone, by its number.
//! `HISTORY_WITHOUT_BINARY_LOG` has MariaDB without one, and fails sooner or later: see
//! docs/what-happens-when.md. `tests/long.sh histories` runs three seeds.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

mod book;
mod checker;
mod clients;
mod handmade;
mod history;
mod model;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod network;
#[cfg(feature = "postgres")]
mod postgres;
mod process;
#[path = "../support/random.rs"]
mod random;
mod run;
#[cfg(any(feature = "mysql", feature = "postgres"))]
#[path = "../servers/mod.rs"]
mod servers;
mod simulated;
mod sqlite;
mod verdict;
