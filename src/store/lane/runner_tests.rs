//! A runner waits for its connection, starts what its end lets through, and leaves its permit behind.

use tokio::sync::Semaphore;

use super::late::Op;
use super::*;

/// Batches wait for one of its connections; a single operation takes a while.
struct Slow {
    connections: Semaphore,
    /// How batches end; not at all where it is none.
    end: Option<Result<(), Failed>>,
    /// What went out in batches.
    sent: Mutex<Vec<Vec<u64>>>,
}

struct Slowly(Arc<Slow>);

impl Work for Slowly {
    type Ask = Op;
    type Answer = u64;
    type Ready = ();
    const WRITES: bool = true;

    fn doing(_: &Op) -> &'static str {
        "testing"
    }

    async fn one(&self, op: &Op, _: Instant) -> Result<u64> {
        tokio::time::sleep(SINGLE).await;
        Ok(op.0)
    }

    async fn ready(&self, until: Instant) -> Result<()> {
        let late = |_| Error::timeout("testing", "no connection became free");
        timeout_at(until, self.0.connections.acquire()).await.map_err(late)?.unwrap().forget();
        Ok(())
    }

    async fn many(&self, (): (), ops: &[Op], _: Instant) -> Result<Vec<Option<u64>>, Failed> {
        self.0.sent.lock().unwrap().push(ops.iter().map(|op| op.0).collect());
        let Some(end) = self.0.end else { return std::future::pending().await };
        end.map(|()| ops.iter().map(|op| Some(op.0)).collect())
    }
}

const DEADLINE: Duration = Duration::from_secs(1);
const SINGLE: Duration = Duration::from_millis(5);

fn lane(connections: usize, end: Option<Result<(), Failed>>) -> (Lane<Slowly>, Arc<Slow>) {
    let connections = Semaphore::new(connections);
    let slow = Arc::new(Slow { connections, end, sent: Mutex::default() });
    let one = Permits { count: 1, callers: 1 };
    let settings =
        Settings { permits: one, alone: one, queue: 8, count: 8, bytes: 8, deadline: DEADLINE };
    (Lane::new(Slowly(Arc::clone(&slow)), settings), slow)
}

/// The answer, and whether the caller's own task had it.
async fn call(lane: Lane<Slowly>, op: u64) -> Result<(u64, bool)> {
    let mut is_own = false;
    let one = async || {
        is_own = true;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(op)
    };
    let answer = lane.run(Way::Together, || Op(op).keys(), || Op(op), one).await?;
    Ok((answer, is_own))
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_its_connection() {
    let (lane, slow) = lane(0, Some(Ok(())));
    let calls = [0, 1, 2].map(|op| tokio::spawn(call(lane.clone(), op)));
    tokio::time::sleep(DEADLINE / 2).await;
    slow.connections.add_permits(1);
    for (op, answer) in calls.into_iter().enumerate() {
        assert_eq!(answer.await.unwrap().unwrap(), (op as u64, op == 0));
    }
    assert_eq!(*slow.sent.lock().unwrap(), [[1, 2]]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_single_goes_out_when_that_ends() {
    let (lane, slow) = lane(2, Some(Err(Failed::Undone)));
    let begun = Instant::now();
    // The holder, a batch that fails, and one that waits for the first of it by itself.
    let calls = [0, 1, 2, 1].map(|op| tokio::spawn(call(lane.clone(), op)));
    for answer in calls {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(*slow.sent.lock().unwrap(), [[1, 2]]);
    let took = begun.elapsed();
    assert!(took >= 2 * SINGLE && took < PATIENCE, "{took:?}");
}

/// Whether it waits for a connection or for the answers of a batch.
#[test]
fn a_runner_whose_runtime_ends_leaves_its_permit_and_its_ids() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    for connections in [0, 1] {
        let (lane, slow) = lane(connections, None);
        let first = runtime();
        let calls = [0, 1, 2].map(|op| first.spawn(call(lane.clone(), op)));
        first.block_on(async { tokio::time::sleep(DEADLINE / 2).await });
        assert!(calls[0].is_finished() && !calls[1].is_finished());
        drop(first);
        assert_eq!(slow.sent.lock().unwrap().len(), connections);
        for op in [1, 2, 3] {
            assert_eq!(runtime().block_on(call(lane.clone(), op)).unwrap(), (op, true));
        }
    }
}
