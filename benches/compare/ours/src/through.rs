//! A store by its contract, as the manager uses it: a lookup has the legacy id, a save the guard.

use std::sync::{Arc, Mutex};

use bench_kit::{Args, Data, Operation, Result, Rival};
use bytes::Bytes;
use sqlbypass::{Guard, Insert, Lookup, Save, Saved, SessionId, Store, Update};

/// A store, and what it has last read of each row: what a request would have read before it saves.
pub(crate) struct Through<S> {
    store: S,
    read: Vec<Mutex<Bytes>>,
}

/// How a store is opened for a rival.
pub(crate) trait Open: Store + Sized {
    /// Opens it, with its table if [`Args::create`] says so.
    async fn open(args: &Args) -> Result<Self>;
}

impl<S: Open> Rival for Through<S> {
    async fn connect(args: &Args) -> Result<Self> {
        let store = S::open(args).await?;
        let guarded = matches!(args.operation, Operation::Save | Operation::Mix);
        let rows = if guarded { args.rows } else { 0 };
        let rival = Arc::new(Self { store, read: (0..rows).map(|_| Mutex::default()).collect() });
        rival.clone().read_all().await?;
        Arc::into_inner(rival).ok_or_else(|| "a task is still reading".into())
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
        let (id, data) = (parsed(id)?.private(), data.json().into());
        match self.store.save(&Save::Insert(Insert { id, data, expires_in: None })).await? {
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
    async fn read_all(self: Arc<Self>) -> Result<()> {
        const TASKS: usize = 16;
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let this = Arc::clone(&self);
                tokio::spawn(async move {
                    for n in (task..this.read.len()).step_by(TASKS) {
                        this.read(&parsed(&bench_kit::id(n))?, n).await?;
                    }
                    Ok::<(), bench_kit::Failure>(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
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
