//! The task that owns a permit and sends batches as long as there is something to send.

use tokio::time::Instant;

use super::core::{Batch, Keys, Permit};
use super::{Failed, Lane, Reply, Work, queued_for_too_long, unknown};
use crate::error::Result;

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
            let until = Instant::now() + self.lane.0.settings.deadline;
            let ready = self.lane.0.work.ready(until).await;
            let batch = self.lane.lock().gather(Instant::now().into_std());
            self.send(permit, ready, batch).await;
            if !self.lane.lock().go_on(permit) {
                self.permit = None;
            }
        }
    }

    async fn send(&self, permit: Permit, ready: Result<W::Ready>, batch: Batch<W::Ask, Reply<W>>) {
        for (ask, reply) in batch.late {
            let _ = reply.send(Err(queued_for_too_long(W::doing(&ask))));
        }
        let under_way = UnderWay { lane: self.lane.clone(), keys: batch.keys };
        let (asks, replies) = (batch.asks, batch.replies);
        let until = batch.until.map_or_else(Instant::now, Instant::from_std);
        let work = &self.lane.0.work;
        if asks.len() < 2 {
            drop(ready);
            self.lane.lock().lend(permit);
            return alone(under_way, asks, replies, until).await;
        }
        let answers = match ready {
            Ok(ready) => work.many(ready, &asks, until).await,
            Err(_) => Err(Failed::Undone),
        };
        match answers {
            Ok(answers) => settle(under_way, asks, replies, answers, until),
            Err(Failed::Undone) => {
                let none = asks.iter().map(|_| None).collect();
                settle(under_way, asks, replies, none, until);
            }
            Err(Failed::Unknown) => {
                under_way.end();
                for (at, reply) in replies {
                    let _ = reply.send(Err(unknown(W::doing(&asks[at]))));
                }
            }
        }
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

/// What a batch has no answer for.
struct Single<W: Work> {
    ask: W::Ask,
    keys: Keys,
    replies: Vec<(usize, Reply<W>)>,
}

/// Hands out the answers of a batch, and asks singly what has none.
fn settle<W: Work>(
    mut under_way: UnderWay<W>,
    asks: Vec<W::Ask>,
    replies: Vec<(usize, Reply<W>)>,
    answers: Vec<Option<W::Answer>>,
    until: Instant,
) {
    let keys = std::mem::take(&mut under_way.keys);
    let lane = under_way.lane.clone();
    let mut singles: Vec<Option<Single<W>>> = Vec::new();
    for ((ask, keys), answer) in asks.into_iter().zip(keys).zip(&answers) {
        if answer.is_some() {
            under_way.keys.push(keys);
        }
        singles.push(answer.is_none().then(|| Single { ask, keys, replies: Vec::new() }));
    }
    // Before the answers: who has one may come again on the same id at once.
    under_way.end();
    for (at, reply) in replies {
        match (&answers[at], &mut singles[at]) {
            (Some(answer), _) => drop(reply.send(Ok(answer.clone()))),
            (None, Some(single)) => single.replies.push((0, reply)),
            (None, None) => {}
        }
    }
    for Single { ask, keys, replies } in singles.into_iter().flatten() {
        let under_way = UnderWay { lane: lane.clone(), keys: vec![keys] };
        tokio::spawn(alone(under_way, vec![ask], replies, until));
    }
}

/// Runs one operation as if there were no lanes.
async fn alone<W: Work>(
    under_way: UnderWay<W>,
    asks: Vec<W::Ask>,
    replies: Vec<(usize, Reply<W>)>,
    until: Instant,
) {
    let is_wanted = replies.iter().any(|(_, reply)| !reply.is_closed());
    let Some(ask) = asks.first().filter(|_| is_wanted) else { return under_way.end() };
    let result = under_way.lane.0.work.one(ask, until).await;
    under_way.end();
    for (_, reply) in replies {
        let _ = reply.send(match &result {
            Ok(answer) => Ok(answer.clone()),
            Err(error) => Err(error.twin()),
        });
    }
}
