//! Changes on one connection: many of one class as one statement.

use std::collections::HashSet;

use super::connection::{Connection, Fault};
use super::rows;
use crate::id::StoredId;
use crate::record::{Guard, Saved};
use crate::store::call::{Call, Values};
use crate::store::lane::Change;
use crate::store::server::Sorted;
use crate::store::statements::Name;

type Answers = [Option<Saved>];

/// No answer for a change that is refused by itself, or one with a guard that was not applied.
pub(super) async fn change(
    connection: &Connection<'_>,
    changes: &[Change],
) -> Result<Vec<Option<Saved>>, Fault> {
    let sorted = Sorted::new(changes);
    let mut answers = vec![None; changes.len()];
    if !sorted.inserts.is_empty() {
        insert(connection, &sorted, &mut answers).await?;
    } else if !sorted.updates.is_empty() {
        update(connection, &sorted, &mut answers).await?;
    } else if !sorted.destroys.is_empty() {
        destroy(connection, &sorted, &mut answers).await?;
    }
    Ok(answers)
}

async fn insert(
    connection: &Connection<'_>,
    sorted: &Sorted<'_>,
    answers: &mut Answers,
) -> Result<(), Fault> {
    let fit = |insert| Call::insert(&connection.statements, insert).is_ok();
    let sent: Vec<_> = sorted.inserts.iter().filter(|(_, insert)| fit(insert)).collect();
    let Some((_, first)) = sent.first() else { return Ok(()) };
    let ids: Vec<_> = sent.iter().map(|(_, insert)| Some(insert.id.as_bytes())).collect();
    let datas: Vec<_> = sent.iter().map(|(_, insert)| Some(&insert.data[..])).collect();
    let users: Vec<_> = sent.iter().map(|(_, insert)| insert.owner.stored()).collect();
    let call = Call::insert_many(&ids, &datas, &users, first.expires_in);
    let written = written(connection, &call).await?;
    for (at, insert) in sent {
        let is_new = written.contains(&insert.id.into());
        answers[*at] = Some(if is_new { Saved::Applied } else { Saved::Duplicate });
    }
    Ok(())
}

async fn update(
    connection: &Connection<'_>,
    Sorted { updates, .. }: &Sorted<'_>,
    answers: &mut Answers,
) -> Result<(), Fault> {
    let mut sent = Vec::with_capacity(updates.len());
    for (at, update) in updates {
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
    let users = column(|values| values.user);
    let batch = Values {
        ids: &ids,
        new_ids: &new_ids,
        datas: &datas,
        guards: &guards,
        users: &users,
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

async fn destroy(
    connection: &Connection<'_>,
    sorted: &Sorted<'_>,
    answers: &mut Answers,
) -> Result<(), Fault> {
    let ids = sorted.destroyed();
    let written = written(connection, &Call::destroy_many(&ids)).await?;
    for (at, lookup) in &sorted.destroys {
        let raw = lookup.legacy.is_some_and(|id| written.contains(&id.into()));
        let met = raw || written.contains(&lookup.private.into());
        answers[*at] = Some(if met { Saved::Applied } else { Saved::Gone });
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
