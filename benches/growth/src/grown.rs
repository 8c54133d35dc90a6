//! A store over a table that was filled by the database itself.

use std::sync::Mutex;

use bench_kit::{Args, Data, Operation, Result, Rival};
use bytes::Bytes;
use md5::{Digest as _, Md5};
use sqlbypass::{AnyStore, Guard, Lookup, Save, Saved, SessionId, Store, Update};

/// Saves go to so many rows at most, spread evenly over the table: what they hold is read first, as a
/// request would have read it.
pub(crate) const SAVED: usize = 100_000;

pub(crate) struct Grown {
    store: AnyStore,
    rows: usize,
    read: Vec<Mutex<Bytes>>,
}

/// The public id of row `n`, which databases can tell themselves: `MD5(n)`.
pub(crate) fn id(n: usize) -> Result<SessionId> {
    let digest = Md5::digest(n.to_string());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    SessionId::parse(hex.as_bytes()).ok_or_else(|| "not an id".into())
}

/// The data of row `n`: what `place.rs` has the databases write.
pub(crate) fn data(n: usize, fill: usize) -> String {
    format!("{{\"value\":{{\"n\":{n},\"t\":\"{}\"}}}}", "x".repeat(fill))
}

impl Grown {
    pub(crate) async fn open(turn: &Args, rows: usize) -> Result<Self> {
        let store = AnyStore::url(&turn.url)?.open().await?;
        let saved = if turn.operation == Operation::Save { turn.rows } else { 0 };
        let mut read = Vec::with_capacity(saved);
        let grown = Self { store, rows, read: Vec::new() };
        for n in 0..saved {
            read.push(Mutex::new(grown.data(n * (rows / saved)).await?));
        }
        Ok(Self { read, ..grown })
    }

    async fn data(&self, n: usize) -> Result<Bytes> {
        let record = self.store.find(&Lookup::with_legacy(&id(n)?)).await?;
        Ok(record.and_then(|record| record.data).ok_or("no row")?)
    }
}

impl Rival for Grown {
    async fn connect(args: &Args) -> Result<Self> {
        Self::open(args, args.rows).await
    }

    async fn find(&self, _: &str, n: usize) -> Result<usize> {
        Ok(self.data(n).await?.len())
    }

    async fn save(&self, _: &str, n: usize, data: &Data) -> Result<()> {
        let row = n * (self.rows / self.read.len());
        let data = Bytes::from(data.json());
        loop {
            let read = self.read[n].lock().expect("a row").clone();
            let mut update = Update::new(id(row)?.private().into()).data(data.clone());
            update.guard = Guard::Data(Some(read));
            match self.store.save(&Save::Update(update)).await? {
                Saved::Applied => break,
                // Another task was faster.
                Saved::Conflict => *self.read[n].lock().expect("a row") = self.data(row).await?,
                other => return Err(format!("a save was {other:?}").into()),
            }
        }
        *self.read[n].lock().expect("a row") = data;
        Ok(())
    }

    async fn insert(&self, _: &str, _: &Data) -> Result<()> {
        Err("the database fills the table itself".into())
    }

    async fn destroy(&self, _: &str) -> Result<()> {
        Err("rows stay".into())
    }
}
