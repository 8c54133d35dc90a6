//! Trimming as a background task of a service.

use std::convert::Infallible;
use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use super::trim::{TrimOptions, TrimReport, trim};
use crate::error::Result;
use crate::store::Maintenance;

/// The first trim comes within this time of the start, so that a service that is restarted daily
/// trims too.
const SOON: Duration = Duration::from_secs(600);

/// Trims again and again beside a service, at times that differ from host to host.
///
/// A table in which most of the first ids do not look like sessions' is left as it is, and the trim ends
/// with an error; where an application's own ids look otherwise, [`TrimOptions::any_shape`] says so.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
/// use sqlbypass::SqliteStore;
/// use sqlbypass::admin::Trimmer;
///
/// let store = SqliteStore::builder(":memory:").create(true).open().await?;
/// let trimmer = Trimmer::new(store).every(Duration::from_secs(3_600)).on_end(|result| {
///     if let Err(error) = result {
///         eprintln!("{error}");
///     }
/// });
/// let task = tokio::spawn(trimmer.run());
/// // When the service ends:
/// task.abort();
/// # Ok::<(), sqlbypass::Error>(())
/// # }).unwrap();
/// ```
pub struct Trimmer<S> {
    store: S,
    options: TrimOptions,
    every: Duration,
    on_end: Box<dyn Fn(Result<TrimReport>) + Send + Sync>,
}

impl<S: Maintenance> Trimmer<S> {
    /// Trims once a day what is older than 30 days, in a quarter of the time at most and 20 rows at a
    /// time: as many as those who write to SQLite may have to wait for. Elsewhere 50 are faster.
    pub fn new(store: S) -> Self {
        let mut options = TrimOptions::default();
        (options.pace.batch, options.pace.share) = (20, 25);
        Self { store, options, every: Duration::from_secs(86_400), on_end: Box::new(drop) }
    }

    /// What to trim, and how.
    #[must_use]
    pub fn options(mut self, options: TrimOptions) -> Self {
        self.options = options;
        self
    }

    /// The time between the end of one trim and the next, give or take a tenth.
    #[must_use]
    pub fn every(mut self, time: Duration) -> Self {
        self.every = time;
        self
    }

    /// Is told how each trim ended. A failed one is tried again when the next is due.
    #[must_use]
    pub fn on_end(mut self, told: impl Fn(Result<TrimReport>) + Send + Sync + 'static) -> Self {
        self.on_end = Box::new(told);
        self
    }

    /// The task; it ends when it is dropped or aborted, which is safe at any time.
    pub async fn run(self) -> Infallible {
        tokio::time::sleep(SOON.min(self.every).mul_f64(chance())).await;
        loop {
            let result = trim(&self.store, &self.options, |_| ControlFlow::Continue(())).await;
            (self.on_end)(result);
            tokio::time::sleep(self.every.mul_f64(0.9 + chance() / 5.0)).await;
        }
    }
}

impl<S> fmt::Debug for Trimmer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trimmer")
            .field("options", &self.options)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

/// A number from 0 to 1 by the system's generator; the middle where it has none to give.
fn chance() -> f64 {
    let mut bytes = [0x7F, 0xFF, 0xFF, 0xFF];
    // What stands in the bytes already is a number as good as any.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}
