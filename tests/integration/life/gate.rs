//! A store whose every operation waits to be let through, one at a time: so a schedule decides in
//! which order the operations of several requests meet, down to the retries within a commit.

use std::sync::Arc;

use sqlbypass::{Commit, Lookup, Record, Result, Save, Saved, Store, StoredId, Timeouts};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a request does next, or has done.
pub(crate) enum Event {
    /// It waits to be let through.
    Waits,
    Found {
        id: String,
        there: bool,
    },
    Wrote {
        save: Box<Save>,
        saved: Saved,
    },
    Destroyed {
        id: String,
        there: bool,
    },
    Ended(Commit),
}

/// One request's way to the store.
#[derive(Clone)]
pub(crate) struct Gated<S> {
    store: S,
    permits: Arc<Semaphore>,
    events: UnboundedSender<Event>,
}

/// The schedule's side of it.
pub(crate) struct Gate {
    permits: Arc<Semaphore>,
    events: UnboundedReceiver<Event>,
}

impl<S> Gated<S> {
    pub(crate) fn new(store: S) -> (Self, Gate) {
        let (sender, events) = unbounded_channel();
        let permits = Arc::new(Semaphore::new(0));
        let gate = Gate { permits: Arc::clone(&permits), events };
        (Self { store, permits, events: sender }, gate)
    }

    pub(crate) fn tell(&self, event: Event) {
        self.events.send(event).unwrap();
    }

    async fn pass(&self) {
        self.tell(Event::Waits);
        self.permits.acquire().await.unwrap().forget();
    }
}

impl Gate {
    pub(crate) fn open(&self) {
        self.permits.add_permits(1);
    }

    pub(crate) async fn next(&mut self) -> Event {
        self.events.recv().await.expect("the request goes on")
    }
}

impl<S: Store> Store for Gated<S> {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        self.pass().await;
        let found = self.store.find(lookup).await;
        let (id, there) = (lookup.private.as_str().to_owned(), matches!(found, Ok(Some(_))));
        self.tell(Event::Found { id, there });
        found
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        self.pass().await;
        let saved = self.store.save(save).await?;
        self.tell(Event::Wrote { save: Box::new(save.clone()), saved });
        Ok(saved)
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        self.pass().await;
        let there = self.store.destroy(lookup).await?;
        self.tell(Event::Destroyed { id: lookup.private.as_str().to_owned(), there });
        Ok(there)
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        self.pass().await;
        self.store.touch(id, timeouts).await
    }
}

tokio::task_local! {
    /// The way of the request that runs in this task.
    pub(crate) static WAY: Gated<()>;
}

/// The store of a manager that requests share: each goes its own way to it, if it has one.
#[derive(Clone)]
pub(crate) struct Ways<S>(pub(crate) S);

impl<S: Store + Clone> Ways<S> {
    fn way(&self) -> Option<Gated<S>> {
        let gated = |way: &Gated<()>| Gated {
            store: self.0.clone(),
            permits: Arc::clone(&way.permits),
            events: way.events.clone(),
        };
        WAY.try_with(gated).ok()
    }
}

impl<S: Store + Clone> Store for Ways<S> {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        match self.way() {
            Some(way) => way.find(lookup).await,
            None => self.0.find(lookup).await,
        }
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        match self.way() {
            Some(way) => way.save(save).await,
            None => self.0.save(save).await,
        }
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        match self.way() {
            Some(way) => way.destroy(lookup).await,
            None => self.0.destroy(lookup).await,
        }
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        match self.way() {
            Some(way) => way.touch(id, timeouts).await,
            None => self.0.touch(id, timeouts).await,
        }
    }
}
