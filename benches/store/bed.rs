//! What all databases are measured with: the rows, the operations, the tasks.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sqlbypass::{Insert, Lookup, Save, Saved, SessionId, Store, StoredId, Update};
use tokio::runtime::Runtime;

/// Name, bytes of data, and rows in the table: about 60 MB at each size, all in the page cache.
pub(crate) const SIZES: [(&str, usize, usize); 3] =
    [("600b", 600, 100_000), ("4kb", 4_096, 15_000), ("32kb", 32_768, 2_000)];
pub(crate) const OPERATIONS: [Operation; 4] =
    [Operation::Find, Operation::Save, Operation::Insert, Operation::Mix];

/// Concurrent tasks, and the connections that they and a server's floor share.
pub(crate) const TASKS: [(usize, usize); 4] = [(1, 1), (16, 8), (64, 8), (256, 8)];

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Operation {
    Find,
    Save,
    Insert,
    /// Nine finds, one save.
    Mix,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Find => "find",
            Self::Save => "save",
            Self::Insert => "insert",
            Self::Mix => "mix",
        }
    }

    /// The operation of step `n`.
    pub(crate) fn at(self, n: usize) -> Self {
        match self {
            Self::Mix if n.is_multiple_of(10) => Self::Save,
            Self::Mix => Self::Find,
            other => other,
        }
    }
}

pub(crate) struct Bed {
    pub(crate) ids: Vec<SessionId>,
    size: usize,
    next: AtomicUsize,
}

impl Bed {
    pub(crate) fn new(size: usize, rows: usize) -> Self {
        let id = |_| SessionId::generate().expect("randomness");
        Self { ids: (0..rows).map(id).collect(), size, next: AtomicUsize::new(0) }
    }

    /// Steps through the ids in an order that is the same in every run and jumps about.
    pub(crate) fn id(&self) -> (usize, &SessionId) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        (n, &self.ids[n.wrapping_mul(7_919) % self.ids.len()])
    }

    pub(crate) fn data(&self, n: usize) -> Bytes {
        let text = format!("{{\"value\":{{\"n\":{n},\"t\":\"");
        let mut data = text.into_bytes();
        data.resize(self.size.saturating_sub(3), b'x');
        data.extend_from_slice(b"\"}}");
        data.into()
    }
}

/// One of those that are compared, with the index of its tasks and connections in [`TASKS`].
#[derive(Clone, Copy)]
pub(crate) enum Which {
    Floor(usize),
    Driver(usize),
    /// The driver's clients shared by all tasks, without a pool.
    Shared(usize),
    Ours(usize),
    /// Ours with what meets going out together.
    Lanes(usize),
}

impl Which {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Floor(index) => format!("floor-of-c{}", TASKS[index].0),
            Self::Driver(index) => format!("driver-c{}", TASKS[index].0),
            Self::Shared(index) => format!("shared-c{}", TASKS[index].0),
            Self::Ours(index) => format!("c{}", TASKS[index].0),
            Self::Lanes(index) => format!("lanes-c{}", TASKS[index].0),
        }
    }
}

/// A table on a server, and all that are compared on it.
pub(crate) trait Compared {
    /// Those that can do the operation.
    fn subjects(&self, operation: Operation) -> Vec<Which>;

    /// The time for so many operations.
    fn time(&self, runtime: &Runtime, which: Which, operation: Operation, n: u64) -> Duration;
}

/// What is measured: our stores, and others beside them.
pub(crate) trait Subject: Clone + Send + 'static {
    fn operate(&self, bed: &Bed, operation: Operation) -> impl Future<Output = ()> + Send;
}

impl<S: Store + Clone + 'static> Subject for S {
    async fn operate(&self, bed: &Bed, operation: Operation) {
        let (n, id) = bed.id();
        match operation.at(n) {
            Operation::Find | Operation::Mix => {
                let found = self.find(&Lookup::with_legacy(id)).await.expect("a find");
                assert!(black_box(found).is_some());
            }
            Operation::Save => {
                let update = Update::new(StoredId::from(id.private())).data(bed.data(n));
                let saved = self.save(&Save::Update(update)).await.expect("a save");
                assert_eq!(saved, Saved::Applied);
            }
            Operation::Insert => {
                let id = SessionId::generate().expect("randomness").private();
                let insert = Insert::new(id, bed.data(n));
                let saved = self.save(&Save::Insert(insert)).await.expect("an insert");
                assert_eq!(saved, Saved::Applied);
            }
        }
    }
}

/// How long operations took: counts of times by their logarithm, a sixteenth of a doubling exact.
pub(crate) struct Times([u64; Self::SIZE]);

/// Of all operations since they were last taken.
static TIMES: Mutex<Times> = Mutex::new(Times::NONE);

#[allow(dead_code)] // Criterion tells times of its own.
impl Times {
    const SIZE: usize = 64 * 16;
    const NONE: Self = Self([0; Self::SIZE]);

    /// Those since the last call.
    pub(crate) fn take() -> Self {
        std::mem::replace(&mut *TIMES.lock().expect("the times"), Self::NONE)
    }

    /// The time that this share of the operations did not exceed; `None` if none was noted.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (self.0.iter().sum::<u64>() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let at = self.0.iter().position(|count| {
            seen += count;
            *count > 0 && seen >= wanted
        })?;
        Some(Duration::from_nanos((16 + at as u64 % 16) << (at / 16)))
    }

    fn note(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(16);
        let doublings = nanos.ilog2() - 4;
        self.0[doublings as usize * 16 + (nanos >> doublings) as usize % 16] += 1;
    }

    fn keep(&self) {
        let mut all = TIMES.lock().expect("the times");
        for (all, count) in all.0.iter_mut().zip(&self.0) {
            *all += count;
        }
    }
}

/// Time for `iterations` operations one after the other on this thread.
pub(crate) fn in_a_loop(iterations: u64, mut operate: impl FnMut()) -> Duration {
    let (begun, mut times) = (Instant::now(), Times::NONE);
    let mut before = begun;
    for _ in 0..iterations {
        operate();
        let now = Instant::now();
        times.note(now - before);
        before = now;
    }
    times.keep();
    before - begun
}

/// Whether a task waits for its turn in the executor's queue before each operation, as requests to a
/// service do. One that never waits for anything else keeps its turn to the end.
pub(crate) static TURNS: AtomicBool = AtomicBool::new(false);

/// Time for `iterations` operations by `tasks` concurrent tasks.
pub(crate) fn concurrently(
    runtime: &Runtime,
    subject: &impl Subject,
    bed: &Arc<Bed>,
    operation: Operation,
    tasks: usize,
    iterations: u64,
) -> Duration {
    runtime.block_on(async {
        let turns = TURNS.load(Ordering::Relaxed);
        let left = Arc::new(AtomicUsize::new(usize::try_from(iterations).expect("a count")));
        let begun = Instant::now();
        let handles: Vec<_> = (0..tasks)
            .map(|_| {
                let (subject, bed, left) = (subject.clone(), Arc::clone(bed), Arc::clone(&left));
                tokio::spawn(async move {
                    let (mut before, mut times) = (Instant::now(), Times::NONE);
                    while left
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                        .is_ok()
                    {
                        if turns {
                            tokio::task::yield_now().await;
                        }
                        subject.operate(&bed, operation).await;
                        let now = Instant::now();
                        times.note(now - before);
                        before = now;
                    }
                    times.keep();
                })
            })
            .collect();
        for handle in handles {
            handle.await.expect("a task");
        }
        begun.elapsed()
    })
}
