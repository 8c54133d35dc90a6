//! Rails' table.

use bench_kit::Result;
use chrono::NaiveDateTime;
use diesel::prelude::*;

diesel::table! {
    sessions (id) {
        id -> BigInt,
        session_id -> Text,
        data -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

/// A row as a find reads it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub(crate) struct Session {
    pub(crate) session_id: String,
    pub(crate) data: Option<String>,
    pub(crate) created_at: NaiveDateTime,
    pub(crate) updated_at: NaiveDateTime,
}

#[derive(Insertable)]
#[diesel(table_name = sessions)]
pub(crate) struct NewSession {
    pub(crate) session_id: String,
    pub(crate) data: String,
    pub(crate) created_at: NaiveDateTime,
    pub(crate) updated_at: NaiveDateTime,
}

impl NewSession {
    pub(crate) fn new(session_id: String, data: String) -> Self {
        let now = now();
        Self { session_id, data, created_at: now, updated_at: now }
    }
}

impl Session {
    pub(crate) fn size(self) -> Result<usize> {
        let Self { session_id, data, created_at, updated_at } = self;
        std::hint::black_box((session_id, created_at, updated_at));
        Ok(data.ok_or("no data")?.len())
    }
}

pub(crate) fn now() -> NaiveDateTime {
    chrono::Utc::now().naive_utc()
}

pub(crate) fn one(rows: usize) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(format!("{rows} rows").into()) }
}
