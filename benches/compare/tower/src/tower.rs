//! A store of tower-sessions, by the trait that its middleware uses. Sessions are in its own table,
//! without times or their index.

use bench_kit::{Args, Data, Result, Rival};
use time::{Duration, OffsetDateTime};
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};

/// How the store is opened.
pub(crate) trait Open: SessionStore + Sized {
    /// Opens it, with its table if [`Args::create`] says so.
    async fn open(args: &Args) -> Result<Self>;
}

pub(crate) struct Tower<S>(S);

impl<S: Open> Rival for Tower<S> {
    async fn connect(args: &Args) -> Result<Self> {
        Ok(Self(S::open(args).await?))
    }

    async fn find(&self, id: &str, _: usize) -> Result<usize> {
        let record = self.0.load(&parsed(id)?).await?.ok_or("no row")?;
        Ok(record.data["t"].as_str().map_or(0, str::len))
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

fn record(id: &str, data: &Data) -> Result<Record> {
    let data = [("t".to_owned(), data.filler().into())].into();
    Ok(Record { id: parsed(id)?, data, expiry_date: OffsetDateTime::now_utc() + Duration::DAY })
}

fn parsed(id: &str) -> Result<Id> {
    Ok(Id(u128::from_str_radix(id, 16)?.cast_signed()))
}
