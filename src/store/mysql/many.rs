//! Changes on one connection: many of one class in one transaction.

use std::sync::Arc;

use super::connection::{Connection, Fault};
use super::transaction::Met;
use crate::record::{Guard, Saved, Update};
use crate::store::call::Call;
use crate::store::lane::Change;
use crate::store::server::{Connection as _, Sorted};
use crate::store::statements::{Name, Statements};

/// A change of a batch.
struct Part<'a> {
    at: usize,
    call: Call<'a>,
    /// What it means that no row was met; `None` where its own statement has to tell.
    missed: Option<Saved>,
}

/// No answer for a change that is refused by itself, or one with a guard that was not applied.
pub(super) async fn change(
    connection: &mut Connection<'_>,
    changes: &[Change],
) -> Result<Vec<Option<Saved>>, Fault> {
    let statements = Arc::clone(connection.statements());
    let sorted = Sorted::new(changes);
    let parts = parts(&statements, &sorted);
    let calls: Vec<_> = parts.iter().map(|part| part.call).collect();
    let mut answers = vec![None; changes.len()];
    if parts.is_empty() {
        return Ok(answers);
    }
    let met = connection.transaction(&calls).await?;
    for (part, met) in parts.into_iter().zip(met) {
        answers[part.at] = match met {
            Met::Row => Some(Saved::Applied),
            Met::Nothing => part.missed,
            Met::Taken => Some(Saved::Duplicate),
        };
    }
    Ok(answers)
}

/// What can be sent of a batch.
fn parts<'a>(statements: &Statements, sorted: &'a Sorted<'_>) -> Vec<Part<'a>> {
    let inserts = sorted.inserts.iter().filter_map(|(at, insert)| {
        let call = Call::insert(statements, insert).ok()?;
        Some(Part { at: *at, call, missed: None })
    });
    let updates = sorted.updates.iter().filter_map(|(at, update)| {
        let call = Call::update(statements, update).ok()?;
        let missed = is_free(update).then_some(Saved::Gone);
        (call.name == Name::Update).then_some(Part { at: *at, call, missed })
    });
    let destroys = sorted.destroys.iter().map(|(at, lookup)| {
        let missed = Some(Saved::Gone);
        Part { at: *at, call: Call::destroy(lookup), missed }
    });
    inserts.chain(updates).chain(destroys).collect()
}

/// It has no guard, so that a row that is not met is not there.
fn is_free(update: &Update) -> bool {
    matches!(update.guard, Guard::Off)
}
