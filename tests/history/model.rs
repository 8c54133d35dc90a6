//! The contract as a machine: a session's rows, and what each operation may answer and leave behind.

use std::collections::BTreeMap;
use std::time::Duration;

use super::history::{Answer, Data, Event, Id, Op, Rule, Time, Write};

/// How far the database's clock may be from ours.
const SLACK: Time = 100_000_000;

/// The rows of one session, by id. There is more than one only where an INSERT of unknown outcome
/// takes effect after its row has moved on.
pub(crate) type State = BTreeMap<Id, Row>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    data: Data,
    /// Between which times it was last written or touched.
    used: (Time, Time),
    /// Somebody was told that it has expired, and so it has for everybody.
    expired: bool,
}

/// The contract, with this idle timeout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    pub(crate) idle: Option<Duration>,
}

impl Model {
    /// What the rows may be after an operation that was answered so; none where it cannot have been.
    /// An operation of unknown outcome is one that takes effect here.
    pub(crate) fn step(self, state: &State, event: &Event) -> Option<State> {
        match (&event.op, &event.answer) {
            (Op::Create { id, .. }, Answer::Duplicate) => {
                state.contains_key(id).then(|| state.clone())
            }
            (Op::Create { id, set }, Answer::Done | Answer::Unknown) => {
                let row = Row { data: Data::from([*set]), used: used(event), expired: false };
                (!state.contains_key(id)).then(|| with(state, *id, row))
            }
            (Op::Find { id, timed }, Answer::Found(found)) => {
                let model = if *timed { self } else { Self { idle: None } };
                model.find(state, *id, found.as_ref(), event)
            }
            (Op::Destroy { id }, Answer::Destroyed(was_there)) => {
                let is_told = was_there.is_none_or(|was| was == state.contains_key(id));
                is_told.then(|| without(state, *id))
            }
            (Op::Destroy { id }, Answer::Unknown) => {
                state.contains_key(id).then(|| without(state, *id))
            }
            (Op::Write(write), _) => self.write(state, write, event),
            _ => None,
        }
    }

    fn find(self, state: &State, id: Id, found: Option<&Data>, event: &Event) -> Option<State> {
        match (state.get(&id), found) {
            (Some(row), Some(data)) => {
                let is_told = self.idle.is_none() || self.may_live(row, event);
                (is_told && row.data == *data).then(|| state.clone())
            }
            (Some(row), None) => self.expires(state, id, row, event),
            (None, None) => Some(state.clone()),
            (None, Some(_)) => None,
        }
    }

    fn write(self, state: &State, write: &Write, event: &Event) -> Option<State> {
        let Some(row) = state.get(&write.id) else {
            return (event.answer == Answer::Gone).then(|| state.clone());
        };
        if event.answer == Answer::Gone && write.rule != Rule::Reset {
            return self.expires(state, write.id, row, event);
        }
        let is_reset = write.rule == Rule::Reset;
        let is_taken = write.to.is_some_and(|to| state.contains_key(&to));
        if !(is_reset || self.may_live(row, event))
            || is_taken != (event.answer == Answer::Duplicate)
        {
            return None;
        }
        let guarded = write.set.is_some() && matches!(write.rule, Rule::Merge | Rule::Reject);
        let is_same = row.data == write.base;
        let applies = match event.answer {
            Answer::Done => is_same || !guarded,
            Answer::Merged => !is_same && guarded && write.rule == Rule::Merge,
            Answer::Unknown => is_same || !guarded || write.rule == Rule::Merge,
            Answer::Conflict => {
                return (!is_same && guarded && write.rule == Rule::Reject).then(|| state.clone());
            }
            Answer::Duplicate => return Some(state.clone()),
            _ => false,
        };
        applies.then(|| written(state, row, write, event))
    }

    /// A row that was not found although it is there: it has expired, if it can have.
    fn expires(self, state: &State, id: Id, row: &Row, event: &Event) -> Option<State> {
        let idle = nanos(self.idle?);
        let can_have = event.ended >= row.used.0.saturating_add(idle).saturating_sub(SLACK);
        (row.expired || can_have).then(|| with(state, id, Row { expired: true, ..row.clone() }))
    }

    fn may_live(self, row: &Row, event: &Event) -> bool {
        let in_time = |idle| event.begun <= row.used.1.saturating_add(nanos(idle) + SLACK);
        !row.expired && self.idle.is_none_or(in_time)
    }
}

fn written(state: &State, row: &Row, write: &Write, event: &Event) -> State {
    let mut data = match (write.rule, write.set) {
        (Rule::Reset, _) => Data::new(),
        (Rule::Overwrite, Some(_)) => write.base.clone(),
        _ => row.data.clone(),
    };
    data.extend(write.set);
    let row = Row { data, used: used(event), expired: false };
    with(&without(state, write.id), write.to.unwrap_or(write.id), row)
}

fn used(event: &Event) -> (Time, Time) {
    (event.begun, event.ended)
}

fn with(state: &State, id: Id, row: Row) -> State {
    let mut state = state.clone();
    state.insert(id, row);
    state
}

fn without(state: &State, id: Id) -> State {
    let mut state = state.clone();
    state.remove(&id);
    state
}

fn nanos(time: Duration) -> Time {
    time.as_nanos() as Time
}
