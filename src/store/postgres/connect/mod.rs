//! Connecting: where to, how encrypted, as whom, and what went wrong.

mod failure;
mod hosts;
mod parameters;
mod server;
mod tls;
mod url;

pub(super) use failure::{Failure, unwrap};
pub(super) use hosts::{Connect, Connector};
pub(super) use server::{Host, Password, Roots, Server};
