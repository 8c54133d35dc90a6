//! Whether a history keeps the contract.
//!
//! First by rules that need no search, each with its reason and its two or three witnesses: what was
//! read was written, by a write that was not told to have failed, and had begun before (1); once gone,
//! never seen (2); of two guarded writes over the same content one lost (3); under `Merge` no
//! acknowledged key is lost (4). Then in general: the history is linearizable if its operations can be
//! put in an order that the model allows and in which no operation comes after one that began when it
//! had ended already. That is Wing's and Gong's search, with Lowe's memory of what was tried: the set of
//! operations that are in order already, and the state that they lead to. An operation of unknown
//! outcome may stand anywhere after its beginning, or nowhere.

use std::collections::HashSet;
use std::fmt;

use super::history::{Answer, Event, Op, Rule, Time};
use super::model::{Model, State};

/// A history's operations are bits of a number.
pub(crate) const MOST: usize = u128::BITS as usize;

/// The contract is broken: why, and by which operations.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: &'static str,
    pub(crate) events: Vec<Event>,
}

/// The history of one session, or why it cannot be.
pub(crate) fn check(history: &[Event], model: Model) -> Result<(), Refusal> {
    for rule in RULES {
        if let Some(refusal) = rule(history) {
            return Err(refusal);
        }
    }
    if is_linearizable(history, model) {
        return Ok(());
    }
    let events = shortest(history, model);
    Err(Refusal { reason: "no order of these operations explains their answers", events })
}

type Check = fn(&[Event]) -> Option<Refusal>;

pub(crate) const RULES: [Check; 4] = [sources, once_gone, lost_updates, lost_keys];

/// 1. What was read was written.
fn sources(history: &[Event]) -> Option<Refusal> {
    history.iter().find_map(|find| {
        let Answer::Found(Some(data)) = &find.answer else { return None };
        data.iter().find_map(|(&key, &value)| {
            let Some(source) = history.iter().find(|event| event.sets() == Some((key, value)))
            else {
                return refuse("a value was read that nobody wrote", &[find]);
            };
            if source.answer == Answer::Failed || source.only_tells() {
                return refuse("a write was seen that was told not to be applied", &[source, find]);
            }
            find.before(source).then(|| refuse("read from the future", &[find, source]))?
        })
    })
}

/// 2. An id under which the row was destroyed, renewed, or not found any more finds it never again.
fn once_gone(history: &[Event]) -> Option<Refusal> {
    history.iter().find_map(|end| {
        let id = end.id();
        // An INSERT of unknown outcome may still come.
        let mut makers = history.iter().filter(|event| event.makes() == Some(id));
        let is_made = |maker: &Event| maker.is_done() && maker.before(end);
        let is_gone = match (&end.op, &end.answer) {
            (Op::Destroy { .. }, Answer::Destroyed(_))
            | (_, Answer::Gone | Answer::Found(None)) => true,
            (Op::Write(write), _) => write.to.is_some() && end.is_done(),
            _ => false,
        };
        // The row of one that has only expired is still there.
        let is_timed = !matches!(end.op, Op::Find { timed: false, .. });
        let is_missed = is_timed && matches!(end.answer, Answer::Gone | Answer::Found(None));
        if !is_gone || !makers.all(|maker| maker.answer == Answer::Failed || is_made(maker)) {
            return None;
        }
        let lives = |event: &&Event| {
            let is_met = event.is_done() || matches!(event.answer, Answer::Conflict);
            let is_found = matches!(event.answer, Answer::Found(Some(_)));
            let tells = !(is_missed && matches!(event.op, Op::Find { timed: false, .. }));
            event.id() == id && tells && (is_met || is_found)
        };
        let late = history.iter().filter(lives).find(|event| end.before(event))?;
        let reason = match &end.op {
            Op::Write(write) if write.to.is_some() => "an old id was good after the renewal",
            _ => "a session that had ended was there again",
        };
        refuse(reason, &[end, late])
    })
}

/// 3. Content is replaced once: of two guarded writes over the same one, one has lost.
fn lost_updates(history: &[Event]) -> Option<Refusal> {
    let over = |event: &Event| match &event.op {
        Op::Write(write) if event.answer == Answer::Done && write.set.is_some() => {
            matches!(write.rule, Rule::Merge | Rule::Reject).then(|| write.base.clone())
        }
        _ => None,
    };
    history.iter().enumerate().find_map(|(n, first)| {
        let base = over(first)?;
        let second = history[n + 1..].iter().find(|event| over(event).as_ref() == Some(&base))?;
        refuse("an update was lost: two replaced the same content", &[first, second])
    })
}

/// 4. A key whose write was acknowledged is found, or one that was written to the same key no earlier.
fn lost_keys(history: &[Event]) -> Option<Refusal> {
    let overwrites = |event: &Event| match &event.op {
        Op::Write(write) => match write.rule {
            Rule::Merge | Rule::Reject => false,
            Rule::Overwrite => write.set.is_some(),
            Rule::Reset => true,
        },
        _ => false,
    };
    if history.iter().any(overwrites) {
        return None;
    }
    history.iter().filter(|event| event.is_done()).find_map(|write| {
        let (key, value) = write.sets()?;
        history.iter().filter(|event| write.before(event)).find_map(|find| {
            let Answer::Found(Some(data)) = &find.answer else { return None };
            let Some(found) = data.get(key) else {
                return refuse("a key was lost", &[write, find]);
            };
            let source = history.iter().find(|event| event.sets() == Some((key, *found)))?;
            let is_older = *found != value && source.before(write);
            is_older.then(|| refuse("a key was set back", &[source, write, find]))?
        })
    })
}

fn refuse(reason: &'static str, events: &[&Event]) -> Option<Refusal> {
    Some(Refusal { reason, events: events.iter().copied().cloned().collect() })
}

/// Whether some order of the operations explains all answers.
pub(crate) fn is_linearizable(history: &[Event], model: Model) -> bool {
    let counts = |event: &&Event| {
        let tells_nothing = event.is_unknown() && matches!(event.op, Op::Find { .. });
        event.answer != Answer::Failed && !tells_nothing
    };
    let mut events: Vec<_> = history.iter().filter(counts).collect();
    assert!(events.len() <= MOST, "a history of {} operations", events.len());
    // What ended first is tried first, and what may never have happened last.
    events.sort_by_key(|event| event.ended);
    let known = events.iter().filter(|event| !event.is_unknown()).count();
    let all = if known == MOST { u128::MAX } else { (1 << known) - 1 };
    Search { events, all, model, tried: HashSet::new() }.goes_on(0, &State::new())
}

struct Search<'h> {
    events: Vec<&'h Event>,
    /// Those that have to be in the order.
    all: u128,
    model: Model,
    tried: HashSet<(u128, State)>,
}

impl Search<'_> {
    /// Whether the order goes on to the end from here.
    fn goes_on(&mut self, ordered: u128, state: &State) -> bool {
        if ordered & self.all == self.all {
            return true;
        }
        if !self.tried.insert((ordered, state.clone())) {
            return false;
        }
        let left = |n: &usize| ordered & (1 << n) == 0;
        let first_end =
            (0..self.events.len()).find(left).map_or(Time::MAX, |n| self.events[n].ended);
        for n in (0..self.events.len()).filter(left) {
            let event = self.events[n];
            if event.begun > first_end {
                continue;
            }
            if let Some(next) = self.model.step(state, event)
                && self.goes_on(ordered | 1 << n, &next)
            {
                return true;
            }
        }
        false
    }
}

/// The first operations that no order explains, without the answers that do not matter.
fn shortest(history: &[Event], model: Model) -> Vec<Event> {
    let mut ends: Vec<_> = history.iter().map(|event| event.ended).collect();
    ends.sort_unstable();
    let first = ends.partition_point(|end| is_linearizable(&until(history, *end), model));
    let mut events = until(history, ends.get(first).copied().unwrap_or(Time::MAX));
    events.sort_by_key(|event| event.begun);
    let mut n = 0;
    while n < events.len() {
        let event = events.remove(n);
        let matters = !event.only_tells() || is_linearizable(&events, model);
        if matters {
            events.insert(n, event);
            n += 1;
        }
    }
    events
}

/// What was known at a time.
fn until(history: &[Event], end: Time) -> Vec<Event> {
    let is_known = |event: &Event| event.ended <= end || event.answer == Answer::Failed;
    let begun = history.iter().filter(|event| event.begun <= end);
    let counts = begun.filter(|event| is_known(event) || !matches!(event.op, Op::Find { .. }));
    let known = counts.map(|event| match is_known(event) {
        true => event.clone(),
        false => Event { ended: Time::MAX, answer: Answer::Unknown, ..event.clone() },
    });
    known.collect()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.reason)?;
        self.events.iter().try_for_each(|event| writeln!(f, "  {event}"))
    }
}
