#![doc = include_str!("../README.md")]

pub mod admin;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cookie;
mod error;
#[cfg(feature = "http")]
mod http;
mod id;
mod manager;
mod observe;
mod rails;
mod record;
mod session;
#[cfg(feature = "_sql")]
mod sql;
mod store;
mod table;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;
mod value;

/// Its examples run as tests.
#[cfg(all(doctest, feature = "encryption", feature = "sqlite"))]
#[doc = include_str!("../docs/encryption.md")]
struct Encryption;

/// Its examples run as tests.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../docs/users.md")]
struct UsersOfSessions;

/// For this project's tests, benches and fuzzing; not part of the public API.
#[doc(hidden)]
pub mod internals {
    pub use crate::codec::base64::internals as base64;
}

#[cfg(feature = "tower-sessions")]
pub use self::tower_sessions::TowerSessions;
pub use codec::{
    Changes, Codec, Content, Custom, Document, Hybrid, Json, JsonString, Marshal, Null, Serializer,
};
#[cfg(feature = "encryption")]
pub use codec::{Encrypted, Key, Keys, Plain, Recrypt};
pub use cookie::{Caching, CookieOptions, SameSite, SessionOptions, Spelling};
#[cfg(feature = "postgres")]
pub use deadpool_postgres;
pub use error::{Error, Result};
#[cfg(feature = "http")]
pub use http::{
    CommitFailure, CommitReport, HyperSessions, OverTls, ResponseFuture, SessionLayer,
    SessionService,
};
pub use id::{LegacyId, PrivateId, SessionId, StoredId};
pub use manager::{Late, ManagerOptions, Merges, Policy, SessionManager, Users};
#[cfg(feature = "mysql")]
pub use mysql_async;
pub use observe::{IdHash, LogSalt, UnknownId, UnknownIds, UnknownIdsReceiver};
pub use rails::{CsrfToken, Flash, WardenUser};
pub use record::{
    Expiry, Filter, Guard, Insert, Lookup, Owner, Record, Row, RowKey, Save, Saved, Scan, Still,
    Timeouts, Update,
};
#[cfg(feature = "sqlite")]
pub use rusqlite;
pub use session::{Commit, CookieChange, Outcome, Session, SessionInfo};
#[cfg(feature = "_sql")]
pub use store::any::{AnyBuilder, AnyStore};
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub use store::connect::SslMode;
#[cfg(feature = "mysql")]
pub use store::mysql::{MySqlBuilder, MySqlStore};
#[cfg(feature = "postgres")]
pub use store::postgres::{ChannelBinding, PostgresBuilder, PostgresStore, TargetSessionAttrs};
#[cfg(feature = "sqlite")]
pub use store::sqlite::{SqliteBuilder, SqliteStore, Synchronous};
pub use store::{Maintenance, Store};
pub use table::{Facts, Layout, Schema, Table};
#[cfg(feature = "postgres")]
pub use tokio_postgres;
pub use value::{
    BigInt, Decimal, Encoding, Hash, Map, Object, Symbol, Text, Time, Value, ValueRef,
};
