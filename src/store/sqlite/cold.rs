//! Finds for cold disks: on blocking threads, through a lane, so that what meets shares a thread and
//! a read transaction.

use std::sync::Arc;

use tokio::time::Instant;

use super::SYSTEM;
use super::connect::{Connection, Shared};
use super::operations::{self, Finder};
use super::readers::Readers;
use crate::error::Result;
use crate::observe;
use crate::record::{Lookup, Record};
use crate::store::lane::{Failed, Lane, Permits, Settings, Work};

/// Finds in a batch, which wait for the disk one after the other.
const COUNT: usize = 16;

pub(super) fn lane(shared: &Shared, readers: Arc<Readers>) -> Lane<Cold> {
    let settings = Settings {
        // A find runs on a thread of its own, whether its caller is polled or not.
        permits: Permits { count: readers.count(), callers: readers.count() },
        alone: Permits::NONE,
        queue: shared.options.queue,
        count: COUNT,
        bytes: usize::MAX,
        deadline: shared.options.deadline,
    };
    Lane::new(Cold(readers), settings)
}

/// One find, on a blocking thread.
pub(super) async fn find(
    readers: &Arc<Readers>,
    lookup: &Lookup,
    until: std::time::Instant,
) -> Result<Option<Record>> {
    let lookup = lookup.clone();
    let find = move |connection: &Connection| operations::find(connection, &lookup);
    readers.read_blocking(operations::FINDING, until, find).await
}

pub(super) struct Cold(Arc<Readers>);

impl Work for Cold {
    type Ask = Lookup;
    type Answer = Option<Record>;
    type Ready = ();
    const WRITES: bool = false;

    fn doing(_: &Lookup) -> &'static str {
        operations::FINDING
    }

    async fn one(&self, lookup: &Lookup, until: Instant) -> Result<Option<Record>> {
        find(&self.0, lookup, until.into_std()).await
    }

    async fn ready(&self, _: Instant) -> Result<()> {
        Ok(())
    }

    async fn many(
        &self,
        (): (),
        lookups: &[Lookup],
        until: Instant,
    ) -> Result<Vec<Option<Option<Record>>>, Failed> {
        observe::batch(SYSTEM, "find", lookups.len());
        let lookups = lookups.to_vec();
        let find = move |connection: &Connection| {
            connection.read_together(|raw, statements| {
                let mut finder = Finder::new(raw, statements);
                lookups.iter().map(|lookup| finder.find(lookup).map(Some)).collect()
            })
        };
        let found = self.0.read_blocking(operations::FINDING, until.into_std(), find).await;
        found.map_err(|_| Failed::Undone)
    }
}
