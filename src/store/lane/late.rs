//! Operations of a batch that failed go singly, and find no connection for a while.

use std::pin::Pin;

use super::*;

/// Its batches fail, and its connections are all in use until they are opened to others.
struct Busy {
    opened: tokio::sync::Semaphore,
    /// What was sent.
    sent: Mutex<Vec<u64>>,
}

struct Busily(Arc<Busy>);

#[derive(Clone)]
pub(super) struct Op(pub(super) u64);

impl Ask for Op {
    type Class = ();

    fn class(&self) -> Option<()> {
        Some(())
    }

    fn keys(&self) -> Keys {
        Keys::new(self.0, None)
    }

    fn bytes(&self) -> usize {
        1
    }

    fn same(&self, _: &Self) -> bool {
        false
    }
}

impl Work for Busily {
    type Ask = Op;
    type Answer = u64;
    type Ready = ();
    const WRITES: bool = true;

    fn doing(_: &Op) -> &'static str {
        "testing"
    }

    async fn one(&self, op: &Op, until: Instant) -> Result<u64> {
        let late = |_| Error::timeout("testing", "no connection became free");
        let _connection = timeout_at(until, self.0.opened.acquire()).await.map_err(late)?;
        self.0.sent.lock().unwrap().push(op.0);
        Ok(op.0)
    }

    async fn ready(&self, _: Instant) -> Result<()> {
        Ok(())
    }

    async fn many(&self, (): (), _: &[Op], _: Instant) -> Result<Vec<Option<u64>>, Failed> {
        Err(Failed::Undone)
    }
}

const DEADLINE: Duration = Duration::from_secs(1);

struct Test {
    lane: Lane<Busily>,
    busy: Arc<Busy>,
}

impl Test {
    fn new() -> Self {
        let opened = tokio::sync::Semaphore::new(0);
        let busy = Arc::new(Busy { opened, sent: Mutex::default() });
        let settings = settings();
        Self { lane: Lane::new(Busily(Arc::clone(&busy)), settings), busy }
    }

    /// Comes with an operation; its own task has it for `millis` if there is a permit.
    fn call(&self, op: u64, millis: u64) -> Pin<Box<impl Future<Output = Result<u64>> + use<>>> {
        let lane = self.lane.clone();
        Box::pin(async move {
            let one = async || {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(op)
            };
            run(&lane, op, one).await
        })
    }

    fn sent(&self) -> Vec<u64> {
        self.busy.sent.lock().unwrap().clone()
    }
}

async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn a_single_ends_by_its_own_deadline() {
    let test = Test::new();
    let holder = tokio::spawn(test.call(0, 15));
    pass(1).await;
    let early = tokio::spawn(test.call(1, 0));
    pass(10).await;
    let late = tokio::spawn(test.call(2, 0));
    holder.await.unwrap().unwrap();
    // The batch of both has failed. One deadline passes, and not the other.
    pass(985).await;
    assert!(!early.is_finished());
    pass(5).await;
    test.busy.opened.add_permits(1);
    let error = early.await.unwrap().unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(late.await.unwrap().unwrap(), 2);
    assert_eq!(test.sent(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_single_is_not_sent_when_its_caller_has_left() {
    let test = Test::new();
    let holder = tokio::spawn(test.call(0, 10));
    pass(1).await;
    let leaves = tokio::spawn(test.call(1, 0));
    let stays = tokio::spawn(test.call(2, 0));
    holder.await.unwrap().unwrap();
    pass(100).await;
    leaves.abort();
    pass(1).await;
    test.busy.opened.add_permits(1);
    assert_eq!(stays.await.unwrap().unwrap(), 2);
    assert_eq!(test.sent(), [2]);
    assert!(test.lane.lock().is_drained());
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_callers_own_tasks() {
    let test = Test::new();
    let begun = Instant::now();
    let holder = tokio::spawn(test.call(0, 300));
    pass(1).await;
    test.lane.close().await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    holder.await.unwrap().unwrap();
    // One that nobody polls is not waited for without end.
    let test = Test::new();
    let mut stuck = test.call(0, 300);
    let poll = std::future::poll_fn(|context| {
        assert!(stuck.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    });
    poll.await;
    let begun = Instant::now();
    test.lane.close().await;
    assert!(begun.elapsed() >= DEADLINE && begun.elapsed() < 2 * DEADLINE);
}

fn settings() -> Settings {
    let one = Permits { count: 1, callers: 1 };
    Settings { permits: one, alone: one, queue: 8, count: 8, bytes: 8, deadline: DEADLINE }
}

async fn run<F: Future<Output = Result<u64>>>(
    lane: &Lane<Busily>,
    op: u64,
    one: impl FnOnce() -> F,
) -> Result<u64> {
    lane.run(Way::Together, || Op(op).keys(), || Op(op), one).await
}
