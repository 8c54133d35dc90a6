#![doc = include_str!("../README.md")]

mod codec;
mod error;
mod id;
mod record;
mod value;

pub use codec::{Changes, Codec, Custom, Document, Hybrid, Json, Marshal, Null, Serializer};
pub use error::{Error, Result};
pub use id::{LegacyId, PrivateId, SessionId, StoredId};
pub use record::{
    Expiry, Filter, Guard, Insert, Lookup, Record, Row, RowKey, Save, Saved, Scan, Timeouts, Update,
};
pub use value::{
    BigInt, Decimal, Encoding, Hash, Map, Object, Symbol, Text, Time, Value, ValueRef,
};
