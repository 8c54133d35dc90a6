//! `sqlbypass serve`: the real program, spoken to over the network, killed and started again.

mod api;
mod client;
mod durability;
mod examples;
mod input;
mod mysql;
mod page;
mod postgres;
mod process;
#[cfg(feature = "encryption")]
mod rails;
mod start;
mod trouble;
