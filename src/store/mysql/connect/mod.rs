//! Connecting: where to, how encrypted, as whom, and what went wrong.

mod failure;
mod hosts;
mod parameters;
mod server;
mod tls;

pub(super) use failure::of_attempt;
pub(super) use hosts::{Connect, Connector, Link, describe};
pub(super) use server::Server;
