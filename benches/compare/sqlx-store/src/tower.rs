//! A store of tower-sessions: its records are decoded and encoded by itself, its table is its own,
//! and it knows the public id without hashing.

use bench_kit::{Args, Data, Result, Rival};
use time::{Duration, OffsetDateTime};
use tower_sessions_core::session::{Id, Record};
use tower_sessions_core::session_store::SessionStore;

const KEY: &str = "t";

pub(crate) struct Tower<S>(S);

/// How a store is opened for a rival.
pub(crate) trait Open: SessionStore + Sized {
    /// Opens it, with its table if [`Args::create`] says so.
    async fn open(args: &Args) -> Result<Self>;
}

impl<S: Open> Rival for Tower<S> {
    async fn connect(args: &Args) -> Result<Self> {
        Ok(Self(S::open(args).await?))
    }

    async fn find(&self, id: &str, _: usize) -> Result<usize> {
        let record = self.0.load(&parsed(id)?).await?.ok_or("no session")?;
        let text = record.data.get(KEY).and_then(|value| value.as_str()).ok_or("no value")?;
        Ok(text.len())
    }

    async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
        Ok(self.0.save(&record(id, data)?).await?)
    }

    async fn insert(&self, id: &str, data: &Data) -> Result<()> {
        Ok(self.0.create(&mut record(id, data)?).await?)
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        Ok(self.0.delete(&parsed(id)?).await?)
    }
}

fn parsed(id: &str) -> Result<Id> {
    Ok(Id(u128::from_str_radix(id, 16)? as i128))
}

fn record(id: &str, data: &Data) -> Result<Record> {
    let data = [(KEY.to_owned(), data.filler().into())].into_iter().collect();
    Ok(Record {
        id: parsed(id)?,
        data,
        expiry_date: OffsetDateTime::now_utc() + Duration::days(14),
    })
}
