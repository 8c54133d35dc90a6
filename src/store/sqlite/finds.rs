//! Finds that meet share a read transaction, and with it the locks that each would take and give
//! back: they cost more than the find.
//!
//! A find on the caller's thread never has to wait for a permit, so a full lane cannot tell that
//! finds meet. Instead one now and then waits for its turn in the executor's queue, in a task of its
//! own: when others have joined it by then, the next ones do the same; when none has, finds go
//! directly for a while, the longer the more often it was in vain.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Instant;

use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use super::SYSTEM;
use super::connect::Connection;
use super::operations::Finder;
use super::readers::{DIRECT_WAIT, Readers, lock, place};
use crate::observe;
use crate::record::{Lookup, Record};

/// Finds in a transaction, and about the bytes that they read: the executor's thread is not kept
/// for longer than a few direct finds would keep it.
const COUNT: usize = 16;
const BYTES: usize = 64 << 10;
/// From so many on they are faster together.
const WORTH: usize = 3;
/// Finds that go directly after one has waited in vain, and the most after many have.
const FEW: u32 = 16;
const MANY: u32 = 1_024;
/// Finds that may wait in a place; further ones go directly.
const QUEUE: usize = 4_096;

/// Where finds meet: a place for each reader, so that threads rarely do.
pub(super) struct Finds {
    readers: Arc<Readers>,
    places: Box<[Mutex<Place>]>,
}

#[derive(Default)]
struct Place {
    waiting: VecDeque<Waiting>,
    /// The runtime of the task that was started last. A task of another runtime may be one that
    /// nobody drives.
    runner: Option<Id>,
    /// So many go directly before one waits again.
    direct: u32,
    in_vain: u32,
}

struct Waiting {
    lookup: Lookup,
    reply: oneshot::Sender<Option<Record>>,
}

impl Finds {
    pub(super) fn new(readers: Arc<Readers>) -> Self {
        let place = || Place { direct: FEW, in_vain: FEW, ..Place::default() };
        let places = (0..readers.count()).map(|_| Mutex::new(place())).collect();
        Self { readers, places }
    }

    /// The answer of a shared transaction. `None`: the find is to go by itself, since nobody is
    /// there to share with or the transaction failed.
    pub(super) async fn join(self: &Arc<Self>, lookup: &Lookup) -> Option<Option<Record>> {
        self.enter(lookup)?.await.ok()
    }

    fn enter(self: &Arc<Self>, lookup: &Lookup) -> Option<oneshot::Receiver<Option<Record>>> {
        let at = place(self.places.len());
        let mut place = lock(&self.places[at]);
        if place.direct > 0 {
            place.direct -= 1;
            return None;
        }
        if place.waiting.len() >= QUEUE {
            return None;
        }
        let runtime = Handle::try_current().ok()?;
        let (reply, answer) = oneshot::channel();
        place.waiting.push_back(Waiting { lookup: lookup.clone(), reply });
        if place.runner == Some(runtime.id()) {
            return Some(answer);
        }
        place.runner = Some(runtime.id());
        drop(place);
        let runner = Runner { finds: Arc::clone(self), at, runtime: runtime.id() };
        runtime.spawn(runner.run());
        Some(answer)
    }

    /// What waits in a place, up to a batch; whether it is worth it is noted for the next ones.
    fn gather(&self, at: usize) -> VecDeque<Waiting> {
        let mut place = lock(&self.places[at]);
        let waiting = place.waiting.len();
        if waiting >= WORTH {
            place.in_vain = FEW;
        } else if waiting > 0 {
            place.direct = place.in_vain;
            place.in_vain = (place.in_vain * 2).min(MANY);
        }
        place.waiting.drain(..waiting.min(COUNT)).collect()
    }
}

/// The task that answers what waits in a place, until nothing does.
struct Runner {
    finds: Arc<Finds>,
    at: usize,
    runtime: Id,
}

impl Runner {
    async fn run(self) {
        let mut batch = VecDeque::new();
        loop {
            others_first().await;
            if batch.is_empty() {
                batch = self.finds.gather(self.at);
            }
            if batch.is_empty() && self.is_done() {
                return;
            }
            let until = Instant::now() + DIRECT_WAIT;
            let answered = self.finds.readers.try_run(until, |reader| answer(reader, &mut batch));
            if answered != Some(true) {
                // Each goes by itself, and is told what is wrong.
                batch.clear();
            }
        }
    }

    /// Whether nothing waits; the next one that does starts a task then.
    fn is_done(&self) -> bool {
        let mut place = lock(&self.finds.places[self.at]);
        if !place.waiting.is_empty() {
            return false;
        }
        if place.runner == Some(self.runtime) {
            place.runner = None;
        }
        true
    }
}

impl Drop for Runner {
    /// A runtime that is shut down drops its tasks: nobody waits for this one then.
    fn drop(&mut self) {
        let mut place = lock(&self.finds.places[self.at]);
        if place.runner == Some(self.runtime) {
            place.runner = None;
        }
        place.waiting.clear();
    }
}

/// Answers the first ones of a batch in one read transaction, begun after all of them were asked;
/// false if that failed.
fn answer(reader: &Connection, batch: &mut VecDeque<Waiting>) -> bool {
    let (mut bytes, before) = (0, batch.len());
    let done = reader.read_together(|raw, statements| {
        let mut finder = Finder::new(raw, statements);
        while bytes < BYTES
            && let Some(Waiting { lookup, reply }) = batch.pop_front()
        {
            if reply.is_closed() {
                continue;
            }
            let found = finder.find(&lookup)?;
            let data = found.as_ref().and_then(|record| record.data.as_ref());
            bytes += data.map_or(0, |data| data.len());
            // A caller that has left takes no answer.
            let _ = reply.send(found);
        }
        Ok(())
    });
    observe::batch(SYSTEM, "find", before - batch.len());
    done.is_ok()
}

/// Ends when the tasks that are ready now have had their turns.
async fn others_first() {
    let mut is_next = false;
    poll_fn(|context| {
        if is_next {
            return Poll::Ready(());
        }
        is_next = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
