//! Bench: what a database does with sessions, measured in a table of its own.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::walk::{ASK_EVERY, Ended};
use crate::error::{Error, Kind, Result};
use crate::id::SessionId;
use crate::record::{Guard, Insert, Lookup, Save, Saved, Update};
use crate::store::any::{AnyBuilder, AnyStore};
use crate::store::{Maintenance, Store};
use crate::table::{Layout, Table};

const DOING: &str = "measuring the database";
/// The table is this and some random digits: nobody's own is ever removed.
const TABLE: &str = "sqlbypass_bench_";
/// Rows that are inserted at once.
const CHUNK: usize = 500;
/// How often the round trip is taken.
const TRIPS: usize = 200;
/// Before each measurement: connections are opened, statements prepared.
const WARM_UP: Duration = Duration::from_millis(200);

/// What [`bench()`] is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BenchOptions {
    /// Rows of the table; 10,000 by default.
    pub rows: usize,
    /// Bytes of data in each; 600 by default.
    pub bytes: usize,
    /// Tasks at the same time, one measurement for each; 1, 16 and 64 by default.
    pub tasks: Vec<usize>,
    /// How long each is measured; 2 seconds by default.
    pub time: Duration,
    /// The layout of the table.
    pub layout: Layout,
    /// The schema that the table is made in; by default the connection's own.
    pub schema: Option<String>,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self {
            rows: 10_000,
            bytes: 600,
            tasks: vec![1, 16, 64],
            time: Duration::from_secs(2),
            layout: Layout::default(),
            schema: None,
        }
    }
}

/// What a measurement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Finds.
    Find,
    /// Saves, guarded by what was there before.
    Save,
    /// Nine finds, then a save.
    Mix,
}

/// How far [`bench()`] has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BenchProgress {
    /// The table is being filled.
    #[non_exhaustive]
    Filling {
        /// Rows that it has.
        rows: usize,
        /// Rows that it is to have.
        total: usize,
    },
    /// The table is full, and one measurement after the other is taken.
    #[non_exhaustive]
    Measuring {
        /// What is being measured.
        load: Load,
        /// By so many tasks at the same time.
        tasks: usize,
        /// Measurements that are taken.
        done: usize,
        /// Measurements that are to be taken.
        total: usize,
    },
}

/// How long operations took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50: Duration,
    /// 99 in 100 took no longer.
    pub p99: Duration,
    /// 999 in 1,000 took no longer.
    pub p999: Duration,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchLine {
    /// What was done.
    pub load: Load,
    /// By so many tasks at the same time.
    pub tasks: usize,
    /// Operations a second, all tasks together.
    pub per_second: f64,
    /// How long each took.
    pub latency: Latency,
}

/// What [`bench()`] found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BenchReport {
    /// The floor: the smallest statement there and back, one after another, on a table without rows.
    /// SQLite, which has no way to go, answers on a thread of its own.
    pub round_trip: Latency,
    /// In the order in which they were measured; fewer when it was stopped.
    pub lines: Vec<BenchLine>,
    /// Why it ended.
    pub ended: Ended,
}

/// Is told how far it has come, and may stop it.
type Watch<'a> = dyn FnMut(&BenchProgress) -> ControlFlow<()> + Send + 'a;
/// The same within a measurement.
type Asked<'a> = dyn FnMut() -> ControlFlow<()> + Send + 'a;

/// Measures finds, saves and nine finds to a save, by different numbers of tasks, in a table that it
/// makes for the purpose and removes, whatever happens but the process being killed. The table of
/// the settings is not touched.
///
/// The watch is told of rows while the table is filled, and ten times a second of the measurement that is
/// being taken. When it stops a measurement, what that one has found is not told.
///
/// # Errors
///
/// When the table cannot be made or an operation fails.
pub async fn bench(
    settings: AnyBuilder,
    options: &BenchOptions,
    mut watch: impl FnMut(&BenchProgress) -> ControlFlow<()> + Send,
) -> Result<BenchReport> {
    let store = settings.table(table(options)?).create(true).open().await?;
    let report = measure(&store, options, &mut watch).await;
    let removed = store.drop_table().await;
    store.close().await?;
    let report = report?;
    removed.map(|()| report)
}

/// A name that no table has.
fn table(options: &BenchOptions) -> Result<Table> {
    let random = SessionId::generate()?;
    let name = format!("{TABLE}{}", &random.as_str()[..12]);
    let name = match &options.schema {
        Some(schema) => format!("{schema}.{name}"),
        None => name,
    };
    Ok(Table::new(name)?.with_layout(options.layout))
}

async fn measure(
    store: &AnyStore,
    options: &BenchOptions,
    watch: &mut Watch<'_>,
) -> Result<BenchReport> {
    let round_trip = round_trip(store).await?;
    let mut report = BenchReport { round_trip, lines: Vec::new(), ended: Ended::Stopped };
    let total = options.rows.max(1);
    let mut ids = Vec::with_capacity(total);
    while ids.len() < total {
        fill(store, options.bytes, (total - ids.len()).min(CHUNK), &mut ids).await?;
        if watch(&BenchProgress::Filling { rows: ids.len(), total }).is_break() {
            return Ok(report);
        }
    }
    let versions = ids.iter().map(|_| AtomicU32::new(0)).collect();
    let (store, bytes, stopped) = (store.clone(), options.bytes, AtomicBool::new(false));
    let bed = Arc::new(Bed { store, ids, versions, bytes, stopped });
    let loads = [Load::Find, Load::Save, Load::Mix];
    let total = loads.len() * options.tasks.len();
    for load in loads {
        for tasks in &options.tasks {
            let (tasks, done) = ((*tasks).max(1), report.lines.len());
            let progress = BenchProgress::Measuring { load, tasks, done, total };
            let mut watch = || watch(&progress);
            match bed.line(load, tasks, options.time, &mut watch).await? {
                Some(line) => report.lines.push(line),
                None => return Ok(report),
            }
        }
    }
    Ok(BenchReport { ended: Ended::Done, ..report })
}

async fn round_trip(store: &AnyStore) -> Result<Latency> {
    let mut times = histogram()?;
    for _ in 0..TRIPS {
        let begun = Instant::now();
        store.count().await?;
        record(&mut times, begun.elapsed());
    }
    Ok(latency(&times))
}

async fn fill(
    store: &AnyStore,
    bytes: usize,
    count: usize,
    ids: &mut Vec<SessionId>,
) -> Result<()> {
    let mut inserts = Vec::with_capacity(count);
    for _ in 0..count {
        let id = SessionId::generate()?;
        let data = data(0, bytes);
        inserts.push(Save::Insert(Insert::new(id.private(), data)));
        ids.push(id);
    }
    let saved = store.save_all(&inserts).await?;
    match saved.iter().all(|saved| *saved == Saved::Applied) {
        true => Ok(()),
        false => Err(wrong("a row was not written")),
    }
}

/// A session in Rails' JSON, as long as asked for, that tells which write it was.
fn data(version: u32, bytes: usize) -> Bytes {
    let mut text = format!("{{\"value\":{{\"n\":\"{version:010}\",\"t\":\"");
    let fill = bytes.saturating_sub(text.len() + 3);
    text.extend(std::iter::repeat_n('x', fill));
    text.push_str("\"}}");
    text.into()
}

/// The table with its rows, as the tasks share it.
struct Bed {
    store: AnyStore,
    ids: Vec<SessionId>,
    /// Which write each row holds.
    versions: Vec<AtomicU32>,
    bytes: usize,
    /// Whether the watch has had enough.
    stopped: AtomicBool,
}

impl Bed {
    /// A measurement; `None` when it was stopped.
    async fn line(
        self: &Arc<Self>,
        load: Load,
        tasks: usize,
        time: Duration,
        watch: &mut Asked<'_>,
    ) -> Result<Option<BenchLine>> {
        self.together(load, tasks, WARM_UP.min(time), watch).await?;
        let begun = Instant::now();
        let times = self.together(load, tasks, time, watch).await?;
        let per_second = times.len() as f64 / begun.elapsed().as_secs_f64();
        let line = BenchLine { load, tasks, per_second, latency: latency(&times) };
        Ok((!self.is_stopped()).then_some(line))
    }

    /// All tasks until the time is over, or the watch has had enough.
    async fn together(
        self: &Arc<Self>,
        load: Load,
        tasks: usize,
        time: Duration,
        watch: &mut Asked<'_>,
    ) -> Result<Histogram<u32>> {
        let (until, next) = (Instant::now() + time, Arc::new(AtomicUsize::new(0)));
        let task = |_| {
            let (bed, next) = (Arc::clone(self), Arc::clone(&next));
            async move { bed.task(load, &next, until).await }
        };
        let mut running: JoinSet<_> = (0..tasks).map(task).collect();
        let mut all = histogram()?;
        let mut asking = tokio::time::interval(ASK_EVERY);
        loop {
            tokio::select! {
                ended = running.join_next() => {
                    let Some(times) = ended else { return Ok(all) };
                    let times = times.map_err(|_| wrong("a task has failed"))??;
                    all.add(times).map_err(|_| wrong("its times could not be added"))?;
                }
                _ = asking.tick() => {
                    if watch().is_break() {
                        self.stopped.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    async fn task(&self, load: Load, next: &AtomicUsize, until: Instant) -> Result<Histogram<u32>> {
        let mut times = histogram()?;
        let mut now = Instant::now();
        while now < until && !self.is_stopped() {
            let n = next.fetch_add(1, Ordering::Relaxed);
            // Every row comes once before any comes again, in an order that jumps about.
            let row = n.wrapping_mul(7_919) % self.ids.len();
            let saves = match load {
                Load::Find => false,
                Load::Save => true,
                Load::Mix => n.is_multiple_of(10),
            };
            if saves {
                self.save(row).await?
            } else {
                self.find(row).await?
            }
            let end = Instant::now();
            record(&mut times, end - now);
            now = end;
        }
        Ok(times)
    }

    async fn find(&self, row: usize) -> Result<()> {
        match self.store.find(&Lookup::with_legacy(&self.ids[row])).await? {
            Some(_) => Ok(()),
            None => Err(wrong("a row has gone")),
        }
    }

    async fn save(&self, row: usize) -> Result<()> {
        let stored = self.ids[row].private().into();
        loop {
            let version = self.versions[row].load(Ordering::Acquire);
            let next = version.wrapping_add(1);
            let mut update = Update::new(stored).data(data(next, self.bytes));
            update.guard = Guard::Data(Some(data(version, self.bytes)));
            match self.store.save(&Save::Update(update)).await? {
                Saved::Applied => {
                    self.versions[row].store(next, Ordering::Release);
                    return Ok(());
                }
                // Another task was faster, and is about to say so.
                Saved::Conflict => tokio::task::yield_now().await,
                Saved::Gone | Saved::Duplicate => return Err(wrong("a row has gone")),
            }
        }
    }
}

/// From a microsecond's tenth to ten minutes, in nanoseconds, to 1 %.
fn histogram() -> Result<Histogram<u32>> {
    Histogram::new_with_bounds(100, 600_000_000_000, 2)
        .map_err(|_| wrong("its times could not be kept"))
}

fn record(times: &mut Histogram<u32>, time: Duration) {
    times.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}

fn latency(times: &Histogram<u32>) -> Latency {
    let at = |quantile| Duration::from_nanos(times.value_at_quantile(quantile));
    Latency { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
}

fn wrong(problem: &'static str) -> Error {
    Error::new(Kind::Database, DOING, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_as_long_as_asked_for_and_tells_its_write() {
        for bytes in [64, 600, 32_768] {
            let (first, second) = (data(0, bytes), data(u32::MAX, bytes));
            assert_eq!((first.len(), second.len()), (bytes, bytes));
            assert_ne!(first, second);
            for text in [first, second] {
                assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
