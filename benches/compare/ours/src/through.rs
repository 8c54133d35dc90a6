//! A store by its contract, as the manager uses it: a lookup has the legacy id, a save the guard.

use std::collections::HashMap;
use std::sync::Mutex;

use bench_kit::{Args, Data, Operation, Result, Rival};
use bytes::Bytes;
use sqlbypass::{Filter, Guard, Insert, Lookup, Maintenance, Save, Saved, Scan, SessionId, Update};

/// A store, and what it has last read of each row: what a request would have read before it saves.
pub(crate) struct Through<S> {
    store: S,
    read: Vec<Mutex<Bytes>>,
}

/// How a store is opened for a rival.
pub(crate) trait Open: Maintenance + Sized {
    /// Opens it, with its table if [`Args::create`] says so.
    async fn open(args: &Args) -> Result<Self>;
}

impl<S: Open> Rival for Through<S> {
    async fn connect(args: &Args) -> Result<Self> {
        let store = S::open(args).await?;
        let guarded = matches!(args.operation, Operation::Save | Operation::Mix);
        let rows = if guarded { args.rows } else { 0 };
        let rival = Self { store, read: (0..rows).map(|_| Mutex::default()).collect() };
        rival.read_all().await?;
        Ok(rival)
    }

    async fn find(&self, id: &str, _: usize) -> Result<usize> {
        let record = self.store.find(&Lookup::with_legacy(&parsed(id)?)).await?;
        Ok(record.and_then(|record| record.data).ok_or("no row")?.len())
    }

    async fn save(&self, id: &str, n: usize, data: &Data) -> Result<()> {
        let data = Bytes::from(data.json());
        let id = parsed(id)?;
        loop {
            let read = self.read[n].lock().expect("a row").clone();
            let mut update = Update::new(id.private().into()).data(data.clone());
            update.guard = Guard::Data(Some(read));
            match self.store.save(&Save::Update(update)).await? {
                Saved::Applied => break,
                // Another task was faster: read again and save again, as the manager does.
                Saved::Conflict => self.read(&id, n).await?,
                other => return Err(format!("a save was {other:?}").into()),
            }
        }
        *self.read[n].lock().expect("a row") = data;
        Ok(())
    }

    async fn insert(&self, id: &str, data: &Data) -> Result<()> {
        let (id, data) = (parsed(id)?.private(), data.json());
        match self.store.save(&Save::Insert(Insert::new(id, data))).await? {
            Saved::Applied => Ok(()),
            other => Err(format!("an insert was {other:?}").into()),
        }
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        let there = self.store.destroy(&Lookup::new(&parsed(id)?)).await?;
        if there { Ok(()) } else { Err("no row to destroy".into()) }
    }
}

impl<S: Open> Through<S> {
    async fn read_all(&self) -> Result<()> {
        let count = self.read.len();
        let numbers: HashMap<String, usize> =
            (0..count).map(|n| (bench_kit::private_id(&bench_kit::id(n)), n)).collect();
        let filter = Filter::default();
        let mut scan = Scan { filter, with_data: true, ..Scan::new(500) };
        let mut found = 0;
        while found < count {
            let rows = self.store.scan(&scan).await?;
            scan.after = Some(rows.last().ok_or("rows are missing")?.key.clone());
            for row in rows {
                let Some(n) = numbers.get(&*row.stored_id) else { continue };
                *self.read[*n].lock().expect("a row") = row.data.ok_or("a row without data")?;
                found += 1;
            }
        }
        Ok(())
    }

    async fn read(&self, id: &SessionId, n: usize) -> Result<()> {
        let record = self.store.find(&Lookup::with_legacy(id)).await?;
        let data = record.and_then(|record| record.data).ok_or("no row")?;
        *self.read[n].lock().expect("a row") = data;
        Ok(())
    }
}

fn parsed(id: &str) -> Result<SessionId> {
    SessionId::parse(id.as_bytes()).ok_or_else(|| "not an id".into())
}
