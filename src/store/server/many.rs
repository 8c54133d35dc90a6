//! Batches on one connection: many operations of one class.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Connection;
use super::operations::{Find, Operation, Write};
use crate::id::StoredId;
use crate::record::{Insert, Lookup, Record, Save, Saved, Timeouts, Update};
use crate::store::call::Call;
use crate::store::lane::Change;

/// Lookups with the same timeouts.
pub(in crate::store) struct FindMany<'a>(pub(in crate::store) &'a [Lookup]);

impl Operation for FindMany<'_> {
    type Output = Vec<Option<Option<Record>>>;
    const DOING: &'static str = Find::DOING;

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Self::Output, C::Fault> {
        let Some(first) = self.0.first() else { return Ok(Vec::new()) };
        let mut found = Found::with_capacity(self.0.len());
        let private: Vec<_> = self.0.iter().map(|lookup| Some(lookup.private.as_bytes())).collect();
        look(connection, &private, first.timeouts, &mut found).await?;
        // A search for a raw id costs the server as much as one that finds a row, and next to no
        // session has one. Who was not found is looked for under both ids in one statement: between
        // two, a raw row may become private.
        let is_missing =
            |id: StoredId| found.get(&id).is_none_or(|(_, is_alive)| is_alive.is_none());
        let raw = self.0.iter().filter(|lookup| lookup.legacy.is_some());
        let rest: Vec<_> = raw.filter(|lookup| is_missing(lookup.private.into())).collect();
        if !rest.is_empty() {
            look(connection, &ids(rest.into_iter()), first.timeouts, &mut found).await?;
        }
        Ok(self.0.iter().map(|lookup| Some(answer(lookup, &found))).collect())
    }
}

/// Finds what is stored under these ids.
async fn look<C: Connection>(
    connection: &mut C,
    ids: &[Option<&[u8]>],
    timeouts: Timeouts,
    found: &mut Found,
) -> Result<(), C::Fault> {
    let call = Call::find_many(connection.statements(), ids, timeouts)?;
    let each = |record: Record, is_alive| {
        found.insert(record.id, (record, is_alive));
    };
    connection.found(&call, each).await
}

/// A row and whether it is past no timeout, by its id.
type Found = HashMap<StoredId, (Record, Option<bool>)>;

/// As `find` has it: with two rows the private one is the session, and a raw row does not take the
/// place of a private one that is past a timeout. Beside a private row nobody has looked for a raw one:
/// there may be one.
fn answer(lookup: &Lookup, found: &Found) -> Option<Record> {
    match found.get(&lookup.private.into()) {
        Some((record, Some(true))) => {
            Some(Record { legacy_twin: lookup.legacy.is_some(), ..record.clone() })
        }
        Some((_, Some(false))) => None,
        Some((_, None)) | None => match found.get(&lookup.legacy?.into())? {
            (record, Some(true)) => Some(record.clone()),
            _ => None,
        },
    }
}

/// The ids of these lookups, private and raw.
pub(super) fn ids<'a>(lookups: impl Iterator<Item = &'a Lookup>) -> Vec<Option<&'a [u8]>> {
    let mut ids = Vec::new();
    for lookup in lookups {
        ids.push(Some(lookup.private.as_bytes()));
        ids.extend(lookup.legacy.as_ref().map(|id| Some(id.as_bytes())));
    }
    ids
}

/// Changes of one class on different ids.
pub(in crate::store) struct ChangeMany<'a>(pub(in crate::store) &'a [Change]);

impl Operation for ChangeMany<'_> {
    type Output = Vec<Option<Saved>>;
    const DOING: &'static str = Write::DOING;

    async fn run<C: Connection>(&self, connection: &mut C) -> Result<Self::Output, C::Fault> {
        connection.change_many(self.0).await
    }
}

/// The changes of a batch with their places in it, in the order of their ids, so that two batches do
/// not wait for each other. A batch has one class, so all but one are empty.
#[derive(Default)]
pub(in crate::store) struct Sorted<'a> {
    pub(in crate::store) inserts: Vec<(usize, &'a Insert)>,
    pub(in crate::store) updates: Vec<(usize, Cow<'a, Update>)>,
    pub(in crate::store) destroys: Vec<(usize, &'a Lookup)>,
}

impl<'a> Sorted<'a> {
    pub(in crate::store) fn new(changes: &'a [Change]) -> Self {
        let mut sorted = Self::default();
        for (at, change) in changes.iter().enumerate() {
            match change {
                Change::Save(Save::Insert(insert)) => sorted.inserts.push((at, insert)),
                Change::Save(Save::Update(update)) => {
                    sorted.updates.push((at, Cow::Borrowed(update)));
                }
                Change::Touch(id, timeouts) => {
                    sorted.updates.push((at, Cow::Owned(Change::touch(*id, *timeouts))));
                }
                Change::Destroy(lookup) => sorted.destroys.push((at, lookup)),
            }
        }
        sorted.inserts.sort_unstable_by_key(|(_, insert)| insert.id);
        sorted.updates.sort_unstable_by(|(_, a), (_, b)| a.id.as_bytes().cmp(b.id.as_bytes()));
        sorted.destroys.sort_unstable_by_key(|(_, lookup)| lookup.private);
        sorted
    }

    /// The ids of its destroys, private and raw.
    #[cfg(feature = "postgres")] // Others destroy one by one.
    pub(in crate::store) fn destroyed(&self) -> Vec<Option<&'a [u8]>> {
        ids(self.destroys.iter().map(|(_, lookup)| *lookup))
    }
}
