//! Batches on one connection: many operations of one class as one statement.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::connection::{Connection, Fault};
use super::operations::{Find, Operation, Write};
use super::rows;
use crate::id::StoredId;
use crate::record::{Guard, Insert, Lookup, Record, Save, Saved, Update};
use crate::store::call::{Call, Values};
use crate::store::lane::Change;
use crate::store::statements::Name;

/// Lookups with the same timeouts.
pub(super) struct FindMany<'a>(pub(super) &'a [Lookup]);

impl Operation for FindMany<'_> {
    type Output = Vec<Option<Option<Record>>>;
    const DOING: &'static str = Find::DOING;

    async fn run(&self, connection: &mut Connection<'_>) -> Result<Self::Output, Fault> {
        let Some(first) = self.0.first() else { return Ok(Vec::new()) };
        let ids = ids(self.0);
        let statements = Arc::clone(&connection.statements);
        let call = Call::find_many(&statements, &ids, first.timeouts)?;
        let mut found = HashMap::with_capacity(ids.len());
        let each = |row| {
            if let Some((record, is_alive)) = rows::found(row)? {
                found.insert(record.id, (record, is_alive));
            }
            Ok(())
        };
        connection.rows(&call, each).await?;
        Ok(self.0.iter().map(|lookup| Some(answer(lookup, &found))).collect())
    }
}

/// A row and whether it is past no timeout, by its id.
type Found = HashMap<StoredId, (Record, Option<bool>)>;

/// As `find` has it: with two rows the private one is the session, and a raw row does not take the
/// place of a private one that is past a timeout.
fn answer(lookup: &Lookup, found: &Found) -> Option<Record> {
    let alive = |id: StoredId| found.get(&id).filter(|(_, is_alive)| *is_alive == Some(true));
    let private = found.get(&lookup.private.into());
    if private.is_some_and(|(_, is_alive)| *is_alive == Some(false)) {
        return None;
    }
    let raw = lookup.legacy.and_then(|id| alive(id.into())).map(|(record, _)| record);
    let Some((record, _)) = alive(lookup.private.into()) else { return raw.cloned() };
    Some(Record { legacy_twin: raw.is_some(), ..record.clone() })
}

fn ids(lookups: &[Lookup]) -> Vec<Option<&[u8]>> {
    let mut ids = Vec::with_capacity(2 * lookups.len());
    for lookup in lookups {
        ids.push(Some(lookup.private.as_bytes()));
        ids.extend(lookup.legacy.as_ref().map(|id| Some(id.as_bytes())));
    }
    ids
}

/// Changes of one class on different ids. No answer for what has to be asked singly: a change that
/// is refused by itself, or one with a guard that was not applied.
pub(super) struct ChangeMany<'a>(pub(super) &'a [Change]);

impl Operation for ChangeMany<'_> {
    type Output = Vec<Option<Saved>>;
    const DOING: &'static str = Write::DOING;

    async fn run(&self, connection: &mut Connection<'_>) -> Result<Self::Output, Fault> {
        let (mut inserts, mut updates, mut destroys) = (Vec::new(), Vec::new(), Vec::new());
        for (at, change) in self.0.iter().enumerate() {
            match change {
                Change::Save(Save::Insert(insert)) => inserts.push((at, insert)),
                Change::Save(Save::Update(update)) => updates.push((at, Cow::Borrowed(update))),
                Change::Touch(id, timeouts) => {
                    updates.push((at, Cow::Owned(Change::touch(*id, *timeouts))));
                }
                Change::Destroy(lookup) => destroys.push(lookup),
            }
        }
        let mut answers = vec![None; self.0.len()];
        if !inserts.is_empty() {
            insert_many(connection, &mut inserts, &mut answers).await?;
        } else if !updates.is_empty() {
            update_many(connection, &mut updates, &mut answers).await?;
        } else if !destroys.is_empty() {
            destroy_many(connection, &destroys, &mut answers).await?;
        }
        Ok(answers)
    }
}

async fn insert_many(
    connection: &Connection<'_>,
    inserts: &mut [(usize, &Insert)],
    answers: &mut [Option<Saved>],
) -> Result<(), Fault> {
    // Always in this order, so that two batches do not wait for each other.
    inserts.sort_unstable_by_key(|(_, insert)| insert.id);
    let fit = |insert| Call::insert(&connection.statements, insert).is_ok();
    let sent: Vec<_> = inserts.iter().filter(|(_, insert)| fit(insert)).collect();
    let Some((_, first)) = sent.first() else { return Ok(()) };
    let ids: Vec<_> = sent.iter().map(|(_, insert)| Some(insert.id.as_bytes())).collect();
    let datas: Vec<_> = sent.iter().map(|(_, insert)| Some(&insert.data[..])).collect();
    let call = Call::insert_many(&ids, &datas, first.expires_in);
    let written = written(connection, &call).await?;
    for (at, insert) in sent {
        let is_new = written.contains(&insert.id.into());
        answers[*at] = Some(if is_new { Saved::Applied } else { Saved::Duplicate });
    }
    Ok(())
}

async fn update_many(
    connection: &Connection<'_>,
    updates: &mut [(usize, Cow<'_, Update>)],
    answers: &mut [Option<Saved>],
) -> Result<(), Fault> {
    updates.sort_unstable_by(|(_, a), (_, b)| a.id.as_bytes().cmp(b.id.as_bytes()));
    let mut sent = Vec::with_capacity(updates.len());
    for (at, update) in &*updates {
        match Call::update(&connection.statements, update) {
            Ok(call) if call.name == Name::Update => sent.push((*at, call)),
            _ => {}
        }
    }
    let Some((_, first)) = sent.first() else { return Ok(()) };
    let column = |value: for<'v> fn(&Values<'v>) -> Option<&'v [u8]>| -> Vec<_> {
        sent.iter().map(|(_, call)| value(&call.values)).collect()
    };
    let (ids, new_ids) = (column(|values| values.id), column(|values| values.new_id));
    let (datas, guards) = (column(|values| values.data), column(|values| values.guard));
    let batch = Values {
        ids: &ids,
        new_ids: &new_ids,
        datas: &datas,
        guards: &guards,
        ..Values::default()
    };
    let call = first.update_many(batch);
    let is_guarded = updates.iter().any(|(_, update)| matches!(update.guard, Guard::Data(_)));
    let mut applied = vec![false; sent.len()];
    let each = |row| {
        let number = rows::number(&row)?;
        if let Some(applied) = number.checked_sub(1).and_then(|at| applied.get_mut(at)) {
            *applied = true;
        }
        Ok(())
    };
    connection.execute_returning(&call, each).await?;
    for ((at, _), is_applied) in sent.iter().zip(applied) {
        answers[*at] = match is_applied {
            true => Some(Saved::Applied),
            false => (!is_guarded).then_some(Saved::Gone),
        };
    }
    Ok(())
}

async fn destroy_many(
    connection: &Connection<'_>,
    lookups: &[&Lookup],
    answers: &mut [Option<Saved>],
) -> Result<(), Fault> {
    let lookups: Vec<Lookup> = lookups.iter().map(|lookup| (*lookup).clone()).collect();
    let mut ids = ids(&lookups);
    ids.sort_unstable();
    let written = written(connection, &Call::destroy_many(&ids)).await?;
    for (lookup, answer) in lookups.iter().zip(answers) {
        let raw = lookup.legacy.is_some_and(|id| written.contains(&id.into()));
        let met = raw || written.contains(&lookup.private.into());
        *answer = Some(if met { Saved::Applied } else { Saved::Gone });
    }
    Ok(())
}

/// The ids of the rows that a batch wrote.
async fn written(connection: &Connection<'_>, call: &Call<'_>) -> Result<HashSet<StoredId>, Fault> {
    let mut ids = HashSet::new();
    let each = |row| {
        ids.extend(rows::id(&row)?);
        Ok(())
    };
    connection.execute_returning(call, each).await?;
    Ok(ids)
}
