//! What happened in all sessions, and whether each of them keeps the contract.

use std::collections::BTreeMap;

use super::book::Shared;
use super::checker::check;
use super::history::{Answer, Op};
use super::model::Model;

/// How often each answer was given.
pub(crate) fn happened(sessions: &[Shared]) -> BTreeMap<&'static str, usize> {
    let mut happened = BTreeMap::new();
    for entry in sessions {
        for event in &entry.lock().unwrap().history {
            *happened.entry(kind(&event.op, &event.answer)).or_default() += 1;
        }
    }
    happened
}

/// The shortest of the histories that are refused, if any is.
pub(crate) fn verdict(sessions: &[Shared], model: Model) -> Result<(), String> {
    let refused = sessions.iter().enumerate().filter_map(|(number, entry)| {
        Some((number, check(&entry.lock().unwrap().history, model).err()?))
    });
    let mut refused: Vec<_> = refused.collect();
    refused.sort_by_key(|(_, refusal)| refusal.events.len());
    let Some((number, refusal)) = refused.first() else { return Ok(()) };
    Err(format!(
        "{} of {} sessions break the contract. The shortest is s{number}; times are \
         milliseconds.\n{refusal}",
        refused.len(),
        sessions.len()
    ))
}

fn kind(op: &Op, answer: &Answer) -> &'static str {
    match (op, answer) {
        (Op::Create { .. }, Answer::Done) => "created",
        (Op::Write(write), Answer::Done) if write.to.is_some() => "renewed",
        (Op::Write(write), Answer::Done) if write.set.is_none() => "touched",
        (_, Answer::Done) => "saved",
        (_, Answer::Merged) => "merged",
        (_, Answer::Found(Some(_))) => "found",
        (_, Answer::Found(None)) => "missed",
        (_, Answer::Destroyed(_)) => "destroyed",
        (_, Answer::Gone) => "gone",
        (_, Answer::Conflict) => "in conflict",
        (_, Answer::Duplicate) => "duplicate",
        (_, Answer::Failed) => "failed",
        (_, Answer::Unknown) => "unknown",
    }
}
