//! The clock: tasks that operate until the time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::rows::{Data, id, other_id, row};
use crate::{Args, Failure, Operation, Result, Rival};

/// Tasks that fill and clean.
const HELPERS: usize = 64;

/// What a rival answers.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// Operations a second, all tasks together.
    pub ops_per_second: f64,
    /// Half of the operations took no longer, in microseconds.
    pub p50_us: u64,
    /// 99 in 100 took no longer, in microseconds.
    pub p99_us: u64,
}

pub async fn measure<R: Rival>(rival: Arc<R>, args: &Args) -> Result<Answer> {
    if args.operation == Operation::Fill {
        let payload = args.payload;
        each(rival, args.rows, move |rival, n| async move {
            rival.insert(&id(n), &Data::new(n, payload)).await
        })
        .await?;
        return Ok(Answer::default());
    }
    let work = Arc::new(Work::new(args));
    // Inserts are few beforehand: they have to go again.
    let warm_up =
        if args.operation == Operation::Insert { args.warm_up / 3.0 } else { args.warm_up };
    together(&rival, &work, args, Duration::from_secs_f64(warm_up)).await?;
    let begun = Instant::now();
    let times = together(&rival, &work, args, Duration::from_secs_f64(args.seconds)).await?;
    let seconds = begun.elapsed().as_secs_f64();
    if args.operation == Operation::Insert {
        let (seed, inserted) = (work.seed, work.next.load(Ordering::Relaxed));
        each(
            rival,
            inserted,
            move |rival, n| async move { rival.destroy(&other_id(seed, n)).await },
        )
        .await?;
    }
    Ok(Answer {
        ops_per_second: times.len() as f64 / seconds,
        p50_us: times.value_at_quantile(0.5) / 1_000,
        p99_us: times.value_at_quantile(0.99) / 1_000,
    })
}

/// Where the tasks are in the order of operations.
struct Work {
    operation: Operation,
    rows: usize,
    payload: usize,
    /// Another in each process.
    seed: u64,
    next: AtomicUsize,
}

impl Work {
    fn new(args: &Args) -> Self {
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            operation: args.operation,
            rows: args.rows,
            payload: args.payload,
            seed: clock.as_nanos() as u64,
            next: AtomicUsize::new(0),
        }
    }

    async fn operate<R: Rival>(&self, rival: &R) -> Result<()> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        // Each process writes what no other has written.
        let data = Data::new((self.seed as usize / 1_000 + n) % 100_000_000, self.payload);
        // Runs do not all begin with the same rows.
        let at = row(n.wrapping_add(self.seed as usize % self.rows), self.rows);
        match self.operation {
            Operation::Insert => rival.insert(&other_id(self.seed, n), &data).await,
            Operation::Save => rival.save(&id(at), at, &data).await,
            Operation::Mix if n.is_multiple_of(10) => rival.save(&id(at), at, &data).await,
            Operation::Find | Operation::Mix | Operation::Fill => {
                let size = rival.find(&id(at), at).await?;
                // Rivals that encode by themselves come near to it.
                if size.abs_diff(self.payload) > self.payload / 10 {
                    return Err(format!("row {at} has {size} bytes of data").into());
                }
                Ok(())
            }
        }
    }
}

/// All tasks until the time is over; how long each operation took, in nanoseconds.
async fn together<R: Rival>(
    rival: &Arc<R>,
    work: &Arc<Work>,
    args: &Args,
    time: Duration,
) -> Result<Histogram<u64>> {
    let until = Instant::now() + time;
    let tasks = if R::SERIAL { 1 } else { args.concurrency };
    let task = |_| {
        let (rival, work) = (Arc::clone(rival), Arc::clone(work));
        tokio::spawn(async move {
            let mut times = Histogram::<u64>::new(3)?;
            let mut now = Instant::now();
            while now < until {
                work.operate(&*rival).await?;
                let end = Instant::now();
                times.record((end - now).as_nanos() as u64)?;
                now = end;
            }
            Ok::<_, Failure>(times)
        })
    };
    let handles: Vec<_> = (0..tasks).map(task).collect();
    let mut all = Histogram::<u64>::new(3)?;
    for handle in handles {
        all.add(handle.await??)?;
    }
    Ok(all)
}

/// Something for each number, by many tasks.
async fn each<R: Rival, F>(
    rival: Arc<R>,
    count: usize,
    operate: impl Fn(Arc<R>, usize) -> F + Copy + Send + Sync + 'static,
) -> Result<()>
where
    F: Future<Output = Result<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let task = |_| {
        let (rival, next) = (Arc::clone(&rival), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Ok::<_, Failure>(());
                }
                operate(Arc::clone(&rival), n).await?;
            }
        })
    };
    let handles: Vec<_> = (0..HELPERS).map(task).collect();
    for handle in handles {
        handle.await??;
    }
    Ok(())
}
