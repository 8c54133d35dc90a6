//! What the operator of a sessions table does: make, trim, clear, upgrade, convert, look, end
//! the sessions of a user.
//!
//! Each task is a function that goes over the table in short batches by primary key, beside live
//! traffic, and answers with a report. It calls the [`Watch`] that it is given between two batches;
//! that one may show the progress, and stop the task. Dropping the future stops it as well. A task that was
//! stopped or killed can be run again: what is done is not done twice.
//!
//! Tasks that delete or change rows first look at the ids of some: a table in which most do not look like
//! sessions' is left as it is, unless the options say `any_shape`.
//!
//! The command line (`sqlbypass trim`, …) is made of these functions.
//!
//! # Examples
//!
//! ```
//! # #[cfg(feature = "sqlite")]
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use std::ops::ControlFlow;
//! use std::time::Duration;
//! use sqlbypass::SqliteStore;
//! use sqlbypass::admin::{TrimOptions, trim};
//!
//! let store = SqliteStore::builder(":memory:").create(true).open().await?;
//! let options =
//!     TrimOptions { older_than: Duration::from_secs(14 * 86_400), ..TrimOptions::default() };
//! let report = trim(&store, &options, |_| ControlFlow::Continue(())).await?;
//! assert_eq!(report.deleted, 0);
//! # Ok::<(), sqlbypass::Error>(())
//! # }).unwrap();
//! ```

mod backfill;
#[cfg(feature = "cli")]
mod bench;
mod clear;
mod clock;
mod convert;
mod doctor;
#[cfg(feature = "encryption")]
mod encrypt;
mod list;
mod managed;
mod mask;
mod shape;
mod show;
mod stats;
mod trim;
mod trimmer;
mod upgrade;
mod users;
mod walk;

pub use backfill::{BackfillOptions, BackfillReport, backfill};
#[cfg(feature = "cli")]
pub use bench::{BenchLine, BenchOptions, BenchProgress, BenchReport, Latency, Load, bench};
pub use clear::{ClearOptions, ClearReport, clear};
pub use convert::{ConvertOptions, ConvertReport, Refusal, Target, convert, convert_into};
pub use doctor::{DoctorOptions, Finding, Severity, doctor};
#[cfg(feature = "encryption")]
pub use encrypt::{EncryptOptions, encrypt, encrypt_into};
pub use list::{ListOptions, Listed, SessionList, list};
pub use show::{Shown, Which, show};
pub use stats::{Stats, StatsOptions, stats};
pub use trim::{By, TrimOptions, TrimReport, days, trim};
pub use trimmer::Trimmer;
pub use upgrade::{UpgradeOptions, UpgradeReport, upgrade};
pub use users::{Revoke, RevokeReport, UserList, UserOptions, UserSession, revoke, sessions_of};
pub use walk::{Ended, Pace, Progress, RowName, Watch};
