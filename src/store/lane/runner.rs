//! The task that owns a permit and sends batches as long as there is something to send.

use std::pin::pin;

use tokio::time::Instant;

use super::core::{Batch, Keys, Permit};
use super::{Failed, Lane, Reply, Way, Work, queued_for_too_long, unknown};

pub(super) struct Runner<W: Work> {
    lane: Lane<W>,
    /// Until it is given back.
    permit: Option<Permit>,
}

impl<W: Work> Runner<W> {
    pub(super) fn new(lane: Lane<W>, permit: Permit) -> Self {
        Self { lane, permit: Some(permit) }
    }

    pub(super) async fn run(mut self) {
        while let Some(permit) = self.permit {
            match permit.way {
                Way::Together => self.send_together(permit).await,
                Way::Alone => self.send_alone(permit, self.gather(permit)).await,
            }
            if !self.lane.lock().go_on(permit) {
                self.permit = None;
            }
        }
    }

    /// A batch is chosen when there is a connection: until then it can grow, and callers can leave.
    async fn send_together(&self, permit: Permit) {
        let until = Instant::now() + self.lane.0.settings.deadline;
        let ready = self.lane.0.work.ready(until).await;
        let batch = self.gather(permit);
        if batch.asks.len() < 2 {
            drop(ready);
            return self.send_alone(permit, batch).await;
        }
        let Batch { asks, replies, untils, .. } = batch;
        let under_way = UnderWay { lane: self.lane.clone(), keys: batch.keys };
        let until = untils.iter().max().map_or(until, |until| Instant::from_std(*until));
        let answers = match ready {
            Ok(ready) => self.lane.0.work.many(ready, &asks, until).await,
            Err(_) => Err(Failed::Undone),
        };
        match answers {
            Ok(answers) => settle(under_way, asks, untils, replies, answers),
            Err(Failed::Undone) => {
                let none = asks.iter().map(|_| None).collect();
                settle(under_way, asks, untils, replies, none);
            }
            Err(Failed::Unknown) => {
                under_way.end();
                for (at, reply) in replies {
                    let _ = reply.send(Err(unknown(W::doing(&asks[at]))));
                }
            }
        }
    }

    async fn send_alone(&self, permit: Permit, batch: Batch<W::Ask, Reply<W>>) {
        let under_way = UnderWay { lane: self.lane.clone(), keys: batch.keys };
        let ask = batch.asks.into_iter().zip(batch.untils).next();
        // Without an operation all that there was came too late.
        let Some((ask, until)) = ask else { return under_way.end() };
        self.lane.lock().lend(permit);
        let replies = batch.replies.into_iter().map(|(_, reply)| reply).collect();
        Single { ask, until, under_way, replies }.run().await;
    }

    /// Takes what is next out of the queue; what is late has its answer already.
    fn gather(&self, permit: Permit) -> Batch<W::Ask, Reply<W>> {
        let mut batch = self.lane.lock().gather(permit.way, Instant::now().into_std());
        for (ask, reply) in batch.late.drain(..) {
            let _ = reply.send(Err(queued_for_too_long(W::doing(&ask))));
        }
        batch
    }
}

impl<W: Work> Drop for Runner<W> {
    /// A runner that is dropped before its end starts no other: its runtime is shutting down.
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.lane.lock().release(permit);
        }
    }
}

/// Operations whose ids are kept from others until they have their answers.
struct UnderWay<W: Work> {
    lane: Lane<W>,
    keys: Vec<Keys>,
}

impl<W: Work> UnderWay<W> {
    fn end(mut self) {
        let keys = std::mem::take(&mut self.keys);
        self.lane.change(|core| keys.into_iter().for_each(|keys| core.done(keys)));
    }
}

impl<W: Work> Drop for UnderWay<W> {
    fn drop(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        if !keys.is_empty() {
            let mut core = self.lane.lock();
            keys.into_iter().for_each(|keys| core.done(keys));
        }
    }
}

/// Hands out the answers of a batch, and asks singly what has none.
fn settle<W: Work>(
    mut under_way: UnderWay<W>,
    asks: Vec<W::Ask>,
    untils: Vec<std::time::Instant>,
    replies: Vec<(usize, Reply<W>)>,
    answers: Vec<Option<W::Answer>>,
) {
    let keys = std::mem::take(&mut under_way.keys);
    let mut singles: Vec<Option<Single<W>>> = Vec::new();
    for (((ask, until), keys), answer) in asks.into_iter().zip(untils).zip(keys).zip(&answers) {
        if answer.is_some() {
            under_way.keys.push(keys);
            singles.push(None);
            continue;
        }
        let under_way = UnderWay { lane: under_way.lane.clone(), keys: vec![keys] };
        singles.push(Some(Single { ask, until, under_way, replies: Vec::new() }));
    }
    // Before the answers: who has one may come again on the same id at once.
    under_way.end();
    for (at, reply) in replies {
        match (&answers[at], &mut singles[at]) {
            (Some(answer), _) => drop(reply.send(Ok(answer.clone()))),
            (None, Some(single)) => single.replies.push(reply),
            (None, None) => {}
        }
    }
    for single in singles.into_iter().flatten() {
        tokio::spawn(single.run());
    }
}

/// An operation that is sent by itself.
struct Single<W: Work> {
    ask: W::Ask,
    /// Its own deadline, not that of its company.
    until: std::time::Instant,
    under_way: UnderWay<W>,
    replies: Vec<Reply<W>>,
}

impl<W: Work> Single<W> {
    /// Runs it as if there were no lanes: when nobody waits for it any more it ends where it is, as
    /// its caller's own task would, and is not sent if it was not.
    async fn run(mut self) {
        let lane = self.under_way.lane.clone();
        let one = pin!(lane.0.work.one(&self.ask, Instant::from_std(self.until)));
        let result = tokio::select! {
            biased;
            () = all_left::<W>(&mut self.replies) => None,
            result = one => Some(result),
        };
        self.under_way.end();
        let Some(result) = result else { return };
        for reply in self.replies {
            let _ = reply.send(match &result {
                Ok(answer) => Ok(answer.clone()),
                Err(error) => Err(error.twin()),
            });
        }
    }
}

async fn all_left<W: Work>(replies: &mut [Reply<W>]) {
    for reply in replies {
        reply.closed().await;
    }
}
