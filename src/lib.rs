#![doc = include_str!("../README.md")]

mod codec;
mod error;
mod id;
mod rails;
mod record;
mod value;

/// For this project's tests, benches and fuzzing; not part of the public API.
#[doc(hidden)]
pub mod internals {
    pub use crate::codec::base64::internals as base64;
}

pub use codec::{Changes, Codec, Custom, Document, Hybrid, Json, Marshal, Null, Serializer};
pub use error::{Error, Result};
pub use id::{LegacyId, PrivateId, SessionId, StoredId};
pub use rails::{CsrfToken, Flash, WardenUser};
pub use record::{
    Expiry, Filter, Guard, Insert, Lookup, Record, Row, RowKey, Save, Saved, Scan, Timeouts, Update,
};
pub use value::{
    BigInt, Decimal, Encoding, Hash, Map, Object, Symbol, Text, Time, Value, ValueRef,
};
