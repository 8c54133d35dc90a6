//! Rows and parameters: PostgreSQL's binary values ↔ ours.

use std::error::Error as StdError;
use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type};

use super::connection::Fault;
use crate::error::{self, Error};
use crate::id::StoredId;
use crate::record::{Owner, Record, Row, RowKey};
use crate::sql::Param;
use crate::store::call::{Texts, Values};

/// Data from here on stay in the buffer they were read into; shorter ones are copied, so that a
/// record does not keep the whole buffer alive.
const KEEP_IN_PLACE: usize = 8 << 10;
/// Times further away than this are as good as for ever, and PostgreSQL can still reckon with them.
const FAR: Duration = Duration::from_secs(1_000 * 366 * 86_400);
/// The driver reads PostgreSQL's infinity as a time that is still further away. The cures of times have
/// the same number of seconds.
const INFINITY: Duration = Duration::from_secs(100_000 * 366 * 86_400);

/// A parameter's value. `Debug` is redacted: drivers log parameters.
pub(super) enum Arg<'a> {
    Null,
    Bytes(&'a [u8]),
    Int(i64),
    Key(&'a RowKey),
    Keys(&'a [RowKey]),
    Texts(Texts<'a>),
}

impl fmt::Debug for Arg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// The type that a parameter is declared with.
pub(super) fn type_of(param: Param, binary: bool) -> Type {
    match param {
        Param::Data | Param::GuardData if binary => Type::BYTEA,
        Param::IdleMicros | Param::LifetimeMicros | Param::ExpiryMicros | Param::Limit => {
            Type::INT8
        }
        Param::Datas | Param::Guards if binary => Type::BYTEA_ARRAY,
        Param::Keys | Param::Ids | Param::NewIds | Param::Datas | Param::Guards | Param::Users => {
            Type::TEXT_ARRAY
        }
        _ => Type::TEXT,
    }
}

/// What a parameter stands for in this call.
pub(super) fn arg<'a>(param: Param, values: &Values<'a>) -> Arg<'a> {
    let bytes = |bytes: Option<&'a [u8]>| bytes.map_or(Arg::Null, Arg::Bytes);
    let key = |key: Option<&'a RowKey>| key.map_or(Arg::Null, Arg::Key);
    let micros = |time: Option<Duration>| {
        let micros = |time: Duration| i64::try_from(time.min(FAR).as_micros()).unwrap_or(i64::MAX);
        time.map_or(Arg::Null, |time| Arg::Int(micros(time)))
    };
    match param {
        Param::Id => bytes(values.id),
        Param::Legacy => bytes(values.legacy),
        Param::NewId => bytes(values.new_id),
        Param::StoredId => bytes(values.stored_id),
        Param::Data => bytes(values.data),
        Param::GuardData => bytes(values.guard),
        Param::User => bytes(values.user),
        Param::IdleMicros => micros(values.timeouts.idle),
        Param::LifetimeMicros => micros(values.timeouts.lifetime),
        Param::ExpiryMicros => micros(values.expires_in),
        Param::After => key(values.after),
        Param::Key => key(values.keys.first()),
        Param::Keys => Arg::Keys(values.keys),
        Param::Ids => Arg::Texts(values.ids),
        Param::NewIds => Arg::Texts(values.new_ids),
        Param::Datas => Arg::Texts(values.datas),
        Param::Guards => Arg::Texts(values.guards),
        Param::Users => Arg::Texts(values.users),
        Param::Limit => Arg::Int(i64::from(values.limit)),
        Param::Now | Param::IdleSince | Param::BornSince | Param::ExpiresAt => {
            unreachable!("the files of sql/postgres have no such parameter")
        }
    }
}

impl ToSql for Arg<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Int(number) => return number.to_sql(kind, out),
            Self::Key(key) => return key_text(key).to_sql(kind, out),
            Self::Keys(keys) => {
                let texts: Vec<String> = keys.iter().map(key_text).collect();
                return texts.to_sql(kind, out);
            }
            Self::Texts(texts) => write_array(texts, kind, out)?,
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        // Each parameter is sent with the type that `type_of` declares.
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// An array of one dimension in its binary form.
fn write_array(
    texts: &[Option<&[u8]>],
    kind: &Type,
    out: &mut BytesMut,
) -> Result<(), Box<dyn StdError + Sync + Send>> {
    let Kind::Array(member) = kind.kind() else { return Err("not an array".into()) };
    let bytes: usize = texts.iter().map(|text| 4 + text.map_or(0, <[u8]>::len)).sum();
    out.reserve(20 + bytes);
    let has_nulls = texts.iter().any(Option::is_none);
    for head in [1, i32::from(has_nulls)] {
        out.put_i32(head);
    }
    out.put_u32(member.oid());
    out.put_i32(i32::try_from(texts.len())?);
    out.put_i32(1);
    for text in texts {
        match text {
            Some(text) => {
                out.put_i32(i32::try_from(text.len())?);
                out.put_slice(text);
            }
            None => out.put_i32(-1),
        }
    }
    Ok(())
}

fn key_text(key: &RowKey) -> String {
    match key {
        RowKey::Int(key) => key.to_string(),
        RowKey::Text(key) => key.to_string(),
    }
}

/// A column's bytes as they came: text and bytea have no other binary form.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(kind: &Type) -> bool {
        [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::BYTEA].contains(kind)
    }
}

/// A row's data column where the driver read it.
struct InPlace {
    row: tokio_postgres::Row,
    column: usize,
}

impl AsRef<[u8]> for InPlace {
    fn as_ref(&self) -> &[u8] {
        // It was read once before this was made.
        self.row.try_get::<_, Raw<'_>>(self.column).map_or(&[], |raw| raw.0)
    }
}

/// Reads `find`'s columns: id, data, created_at, updated_at, the clock. `None` for a row whose id
/// has no shape of ours.
pub(super) fn record(row: tokio_postgres::Row) -> Result<Option<Record>, Fault> {
    let Some(id) = StoredId::parse(row.try_get::<_, Raw<'_>>(0)?.0) else {
        return Ok(None);
    };
    Ok(Some(Record {
        id,
        created_at: time(&row, 2),
        updated_at: time(&row, 3),
        read_at: time(&row, 4),
        data: data(row, 1)?,
        legacy_twin: false,
    }))
}

/// Reads `find_many`'s columns: those of `find`, and whether the row is past no timeout; NULL where
/// a time that it needs is missing.
pub(super) fn found(row: tokio_postgres::Row) -> Result<Option<(Record, Option<bool>)>, Fault> {
    let is_alive = row.try_get(5)?;
    Ok(record(row)?.map(|record| (record, is_alive)))
}

/// Reads the id that a batch's statement answers with.
pub(super) fn id(row: &tokio_postgres::Row) -> Result<Option<StoredId>, Fault> {
    Ok(StoredId::parse(row.try_get::<_, Raw<'_>>(0)?.0))
}

/// Reads the number that a batch's statement answers with.
pub(super) fn number(row: &tokio_postgres::Row) -> Result<usize, Fault> {
    Ok(usize::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0))
}

/// Reads `scan`'s columns: key, id, size, data, created_at, updated_at, user.
pub(super) fn row(row: tokio_postgres::Row) -> Result<Row, Fault> {
    let key: Option<&str> = row.try_get(0)?;
    let key = key.ok_or_else(|| {
        Error::new(error::Kind::Schema, "reading a row", "its key is NULL")
            .advice("name a primary key")
    })?;
    let key = match key.parse::<i64>() {
        Ok(number) if number.to_string() == key => RowKey::Int(number),
        _ => RowKey::Text(key.into()),
    };
    let stored_id: Option<Raw<'_>> = row.try_get(1)?;
    let size: Option<i32> = row.try_get(2)?;
    let owner = Owner::from_stored(row.try_get::<_, Option<Raw<'_>>>(6)?.map(|raw| raw.0));
    Ok(Row {
        key,
        stored_id: String::from_utf8_lossy(stored_id.map_or(&[], |raw| raw.0)).into(),
        size: size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
        created_at: time(&row, 4),
        updated_at: time(&row, 5),
        owner,
        data: data(row, 3)?,
    })
}

fn data(row: tokio_postgres::Row, column: usize) -> Result<Option<Bytes>, Fault> {
    let Some(Raw(bytes)) = row.try_get::<_, Option<Raw<'_>>>(column)? else {
        return Ok(None);
    };
    if bytes.len() < KEEP_IN_PLACE {
        return Ok(Some(Bytes::copy_from_slice(bytes)));
    }
    Ok(Some(Bytes::from_owner(InPlace { row, column })))
}

/// A time that cannot be read (infinity, a column of another type) is left out: it must not make a
/// session unreadable.
fn time(row: &tokio_postgres::Row, column: usize) -> Option<SystemTime> {
    let time: SystemTime = row.try_get(column).ok().flatten()?;
    let (Ok(away) | Err(away)) =
        time.duration_since(SystemTime::UNIX_EPOCH).map_err(|before| before.duration());
    (away < INFINITY).then_some(time)
}
