//! The operator's commands: arguments in, the library's `admin` at work, a report out.

pub(crate) mod backfill;
pub(crate) mod bench;
mod chart;
pub(crate) mod clear;
pub(crate) mod convert;
pub(crate) mod create;
mod database;
pub(crate) mod doctor;
pub(crate) mod list;
pub(crate) mod output;
pub(crate) mod revoke;
pub(crate) mod show;
pub(crate) mod stats;
mod task;
mod time;
pub(crate) mod trim;
pub(crate) mod upgrade;
mod users;

pub(crate) use self::database::{Format, is_sqlite};
