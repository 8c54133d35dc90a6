//! The store on PostgreSQL.

mod connect_error;
mod health;
mod hosts;
mod options;
mod parameters;
mod pool;
mod server;
mod tls;
mod url;

pub use options::{ChannelBinding, PostgresBuilder, SslMode, TargetSessionAttrs};
