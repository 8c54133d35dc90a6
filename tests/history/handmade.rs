//! The checker proved by hand: each way to break the contract is refused, with its reason, and what an
//! unknown outcome allows is accepted.

use std::time::Duration;

use super::checker::{Refusal, check, is_linearizable};
use super::history::{Answer, Data, Event, Id, Op, Rule, Time, Write};
use super::model::Model;

use Answer::{Conflict, Done, Duplicate, Failed, Gone, Merged, Unknown};

const FOREVER: Model = Model { idle: None };
const SECOND: Model = Model { idle: Some(Duration::from_secs(1)) };
const SECONDS: Time = 1_000_000_000;

type Pairs<'a> = &'a [(&'static str, u64)];

fn event(begun: Time, ended: Time, op: Op, answer: Answer) -> Event {
    let ended = if answer == Unknown { Time::MAX } else { ended };
    Event { client: 0, begun, ended, op, answer }
}

/// Session s with a=v1, from the beginning.
fn create() -> Event {
    event(0, 1, Op::Create { id: 0, set: ("a", 1) }, Done)
}

fn find(begun: Time, ended: Time, id: Id, found: Pairs<'_>) -> Event {
    let found = (!found.is_empty()).then(|| found.iter().copied().collect());
    event(begun, ended, Op::Find { id, timed: true }, Answer::Found(found))
}

fn write(rule: Rule, base: Pairs<'_>, set: (&'static str, u64)) -> Op {
    Op::Write(Write { id: 0, to: None, set: Some(set), rule, base: base.iter().copied().collect() })
}

fn renew(id: Id, to: Id) -> Op {
    Op::Write(Write { id, to: Some(to), set: None, rule: Rule::Reject, base: Data::new() })
}

fn touch() -> Op {
    Op::Write(Write { id: 0, to: None, set: None, rule: Rule::Reject, base: Data::new() })
}

const DESTROY: Op = Op::Destroy { id: 0 };
const DESTROYED: Answer = Answer::Destroyed(Some(true));
const A1: Pairs<'static> = &[("a", 1)];
const A2: Pairs<'static> = &[("a", 2)];
const A1_B2: Pairs<'static> = &[("a", 1), ("b", 2)];

/// By the search alone too, and by the reason's words.
fn refused(history: &[Event], reason: &str) -> Refusal {
    refused_by(FOREVER, history, reason)
}

fn refused_by(model: Model, history: &[Event], reason: &str) -> Refusal {
    assert!(!is_linearizable(history, model), "some order explains: {reason}");
    let refusal = check(history, model).unwrap_err();
    assert!(refusal.reason.contains(reason), "{refusal}");
    refusal
}

fn accepted(history: &[Event]) {
    accepted_by(FOREVER, history);
}

fn accepted_by(model: Model, history: &[Event]) {
    if let Err(refusal) = check(history, model) {
        panic!("{refusal}");
    }
}

#[test]
fn a_stale_read_is_refused() {
    let saved = event(2, 3, write(Rule::Overwrite, A1, ("a", 2)), Done);
    let refusal = refused(&[create(), saved.clone(), find(4, 5, 0, A1)], "no order");
    assert_eq!(refusal.events.len(), 3);
    // At the same time either may come first.
    accepted(&[create(), saved.clone(), find(2, 5, 0, A1)]);
    accepted(&[create(), saved.clone(), find(2, 5, 0, A2)]);
    // Who has seen the new one sees no old one any more, whoever is told first.
    let slow = Event { ended: 20, ..saved };
    refused(&[create(), slow.clone(), find(4, 5, 0, A2), find(6, 7, 0, A1)], "no order");
    accepted(&[create(), slow, find(4, 5, 0, A1), find(6, 7, 0, A2)]);
}

#[test]
fn a_lost_update_is_refused() {
    for rule in [Rule::Reject, Rule::Merge] {
        let first = event(2, 3, write(rule, A1, ("a", 2)), Done);
        let second = event(2, 4, write(rule, A1, ("b", 3)), Done);
        let refusal = refused(&[create(), first, second], "an update was lost");
        assert_eq!(refusal.events.len(), 2);
    }
    let first = event(2, 3, write(Rule::Reject, A1, ("a", 2)), Done);
    let second = event(2, 4, write(Rule::Reject, A1, ("b", 3)), Conflict);
    accepted(&[create(), first.clone(), second.clone(), find(5, 6, 0, A2)]);
    refused(&[create(), second], "no order");
    // It has read what is there.
    let third = event(4, 5, write(Rule::Reject, A2, ("b", 3)), Conflict);
    refused(&[create(), first, third], "no order");
}

#[test]
fn the_last_write_wins_as_a_whole() {
    let first = event(2, 3, write(Rule::Overwrite, A1, ("a", 2)), Done);
    let second = event(4, 5, write(Rule::Overwrite, A1, ("b", 3)), Done);
    let history = [create(), first, second];
    let then = |found| [&history[..], &[find(6, 7, 0, found)]].concat();
    accepted(&then(&[("a", 1), ("b", 3)]));
    refused(&then(&[("a", 2), ("b", 3)]), "no order");
    refused(&then(A2), "no order");
}

#[test]
fn a_session_that_is_revived_is_refused() {
    let destroyed = event(2, 3, DESTROY, DESTROYED);
    let late = event(2, 9, write(Rule::Overwrite, A1, ("b", 2)), Done);
    refused(&[create(), destroyed.clone(), find(4, 5, 0, A1)], "was there again");
    refused(
        &[create(), destroyed.clone(), late.clone(), find(10, 11, 0, A1_B2)],
        "was there again",
    );
    accepted(&[create(), destroyed.clone(), late.clone(), find(10, 11, 0, &[])]);
    let gone = Event { answer: Gone, ..late };
    accepted(&[create(), destroyed.clone(), gone.clone()]);
    refused(&[create(), gone], "no order");
    // Once it was missed it does not come back.
    refused(&[create(), find(2, 3, 0, &[]), find(4, 5, 0, A1)], "was there again");
    let again = event(4, 5, DESTROY, DESTROYED);
    refused(&[create(), destroyed.clone(), again.clone()], "no order");
    accepted(&[create(), destroyed, Event { answer: Answer::Destroyed(Some(false)), ..again }]);
}

#[test]
fn what_is_not_yet_or_never_written_is_not_read() {
    refused(&[create(), find(2, 3, 0, A1_B2)], "nobody wrote");
    let later = event(4, 5, write(Rule::Merge, A1, ("b", 2)), Done);
    refused(&[create(), find(2, 3, 0, A1_B2), later.clone()], "from the future");
    accepted(&[create(), find(2, 4, 0, A1_B2), later]);
    let created = event(2, 3, Op::Create { id: 0, set: ("a", 1) }, Done);
    refused(&[find(0, 1, 0, A1), created], "from the future");
}

#[test]
fn a_failed_write_that_was_seen_is_refused() {
    for answer in [Failed, Gone, Conflict] {
        let failed = event(2, 3, write(Rule::Reject, A1, ("b", 2)), answer);
        refused(&[create(), failed, find(4, 5, 0, A1_B2)], "told not to be applied");
    }
    let failed = event(2, 3, write(Rule::Reject, A1, ("b", 2)), Failed);
    accepted(&[create(), failed, find(4, 5, 0, A1)]);
}

#[test]
fn a_lost_key_is_refused() {
    let first = event(2, 9, write(Rule::Merge, A1, ("b", 2)), Done);
    let second = event(2, 9, write(Rule::Merge, A1, ("c", 3)), Merged);
    let history = [create(), first.clone(), second];
    let then = |found| [&history[..], &[find(10, 11, 0, found)]].concat();
    accepted(&then(&[("a", 1), ("b", 2), ("c", 3)]));
    refused(&then(&[("a", 1), ("c", 3)]), "a key was lost");
    let same = event(10, 11, write(Rule::Merge, A1, ("b", 4)), Merged);
    refused(&[create(), first.clone(), same.clone(), find(12, 13, 0, A1_B2)], "was set back");
    accepted(&[create(), first.clone(), same, find(12, 13, 0, &[("a", 1), ("b", 4)])]);
    // Nothing was there to be merged with.
    refused(&[create(), Event { answer: Merged, ..first }], "no order");
}

#[test]
fn an_old_id_that_is_good_is_refused() {
    let renewed = event(2, 3, renew(0, 1), Done);
    accepted(&[create(), renewed.clone(), find(4, 5, 1, A1), find(6, 7, 0, &[])]);
    refused(&[create(), renewed.clone(), find(4, 5, 0, A1)], "old id was good");
    let late = event(4, 5, write(Rule::Overwrite, A1, ("b", 2)), Done);
    refused(&[create(), renewed.clone(), late], "old id was good");
    refused(&[create(), renewed.clone(), find(4, 5, 1, &[])], "no order");
    // A logout under the old id met nothing.
    let destroyed = event(4, 5, DESTROY, Answer::Destroyed(None));
    accepted(&[create(), renewed.clone(), destroyed.clone(), find(6, 7, 1, A1)]);
    // Where that came first, nothing was renewed.
    let gone = Event { begun: 6, ended: 7, answer: Gone, ..renewed.clone() };
    accepted(&[create(), destroyed.clone(), gone, find(8, 9, 1, &[])]);
    let done = Event { begun: 6, ended: 7, ..renewed };
    refused(&[create(), destroyed, done, find(8, 9, 1, A1)], "was there again");
    // One row is renewed once.
    let twice = [event(2, 4, renew(0, 1), Done), event(2, 4, renew(0, 2), Done)];
    refused(&[&[create()][..], &twice].concat(), "no order");
}

#[test]
fn an_unknown_outcome_may_come_late_or_never() {
    let saved = event(2, 3, write(Rule::Merge, A1, ("b", 2)), Unknown);
    let history = [create(), saved];
    let then = |finds: &[Event]| [&history[..], finds].concat();
    accepted(&then(&[]));
    accepted(&then(&[find(4, 5, 0, A1), find(6, 7, 0, A1_B2)]));
    accepted(&then(&[find(4, 5, 0, A1), find(6, 7, 0, A1)]));
    // But once, and not undone.
    refused(&then(&[find(4, 5, 0, A1_B2), find(6, 7, 0, A1)]), "no order");
    refused(&then(&[find(0, 1, 0, A1_B2)]), "from the future");

    let destroyed = event(2, 3, DESTROY, Unknown);
    accepted(&[create(), destroyed.clone(), find(4, 5, 0, A1), find(6, 7, 0, &[])]);
    refused(&[create(), destroyed, find(4, 5, 0, &[]), find(6, 7, 0, A1)], "was there again");

    let renewed = event(2, 3, renew(0, 1), Unknown);
    accepted(&[create(), renewed.clone(), find(4, 5, 0, A1), find(6, 7, 1, A1)]);
    accepted(&[create(), renewed.clone(), find(4, 5, 1, &[]), find(6, 7, 0, A1)]);
    refused(&[create(), renewed.clone(), find(4, 5, 1, A1), find(6, 7, 0, A1)], "no order");
    refused(&[create(), renewed, find(4, 5, 0, &[]), find(6, 7, 1, &[])], "no order");

    let guarded = event(2, 3, write(Rule::Reject, A1, ("b", 2)), Unknown);
    let other = event(4, 5, write(Rule::Reject, A1, ("c", 3)), Done);
    accepted(&[create(), guarded.clone(), other.clone(), find(6, 7, 0, &[("a", 1), ("c", 3)])]);
    refused(&[create(), guarded, other, find(6, 7, 0, A1_B2)], "a key was lost");
}

#[test]
fn a_creation_of_unknown_outcome_may_be_tried_again() {
    let create =
        |begun, answer| event(begun, begun + 1, Op::Create { id: 0, set: ("a", 1) }, answer);
    accepted(&[create(0, Unknown), create(2, Duplicate), find(4, 5, 0, A1)]);
    accepted(&[create(0, Unknown), find(2, 3, 0, &[]), find(4, 5, 0, A1)]);
    accepted(&[create(0, Unknown), create(2, Done), find(4, 5, 0, A1)]);
    refused(&[create(0, Failed), create(2, Duplicate)], "no order");
    refused(&[create(0, Done), create(2, Done)], "no order");
}

#[test]
fn what_has_expired_is_gone() {
    let at = |tenths: u64| tenths * SECONDS / 10;
    let read = |tenths, found| find(at(tenths), at(tenths) + 1, 0, found);
    let accepted = |history: &[Event]| accepted_by(SECOND, history);
    accepted(&[create(), read(9, A1), read(12, &[]), read(30, &[])]);
    refused_by(SECOND, &[create(), read(20, A1)], "no order");
    refused_by(SECOND, &[create(), read(5, &[])], "no order");
    refused_by(SECOND, &[create(), read(10, &[]), read(11, A1)], "was there again");
    // A use keeps it.
    let touched = event(at(8), at(8) + 1, touch(), Done);
    accepted(&[create(), touched.clone(), read(17, A1), read(20, &[])]);
    refused_by(SECOND, &[create(), touched.clone(), read(12, &[])], "no order");
    let unknown = Event { ended: Time::MAX, answer: Unknown, ..touched.clone() };
    accepted(&[create(), unknown.clone(), read(17, A1)]);
    accepted(&[create(), unknown, read(12, &[])]);
    // What has expired is not brought back, and a logout still meets its row.
    let late = Event { begun: at(30), ended: at(31), ..touched };
    refused_by(SECOND, &[create(), late.clone()], "no order");
    let destroyed = event(at(32), at(33), DESTROY, DESTROYED);
    accepted(&[create(), Event { answer: Gone, ..late }, read(31, &[]), destroyed, read(34, &[])]);
}

/// No loss of a row is excused as its end.
#[test]
fn what_has_expired_is_a_row_all_the_same() {
    let look = |tenths: u64, found: Pairs<'_>| {
        let at = tenths * SECONDS / 10;
        let found = (!found.is_empty()).then(|| found.iter().copied().collect());
        event(at, at + 1, Op::Find { id: 0, timed: false }, Answer::Found(found))
    };
    let missed = find(2 * SECONDS, 2 * SECONDS + 1, 0, &[]);
    accepted_by(SECOND, &[create(), missed.clone(), look(30, A1)]);
    refused_by(SECOND, &[create(), look(30, &[])], "no order");
    refused_by(SECOND, &[create(), missed.clone(), look(30, &[])], "no order");
    refused_by(SECOND, &[create(), missed, look(30, A2)], "nobody wrote");
    let destroyed = event(2 * SECONDS, 2 * SECONDS + 1, DESTROY, DESTROYED);
    accepted_by(SECOND, &[create(), destroyed.clone(), look(30, &[])]);
    refused_by(SECOND, &[create(), destroyed, look(30, A1)], "was there again");
    refused_by(SECOND, &[create(), look(5, &[]), look(30, A1)], "was there again");
}

#[test]
fn a_reset_begins_anew() {
    let reset =
        Write { id: 0, to: Some(1), set: Some(("b", 2)), rule: Rule::Reset, base: Data::new() };
    let reset = event(3 * SECONDS, 4 * SECONDS, Op::Write(reset), Done);
    let history = [create(), reset];
    let then =
        |id, found| [&history[..], &[find(4 * SECONDS + 1, 4 * SECONDS + 2, id, found)]].concat();
    // One that has expired too.
    accepted_by(SECOND, &then(1, &[("b", 2)]));
    refused_by(SECOND, &then(1, A1_B2), "no order");
    refused_by(SECOND, &then(0, A1), "old id was good");
    let gone = Event { answer: Gone, ..history[1].clone() };
    refused_by(SECOND, &[create(), gone], "no order");
}

/// What is printed are the operations that matter, without ids and data.
#[test]
fn the_shortest_history_is_shown() {
    let saved = event(2_000_000, 3_500_000, write(Rule::Overwrite, A1, ("a", 2)), Done);
    let reads = |range: std::ops::Range<u64>, found| {
        range.map(move |n| find(n * 1_000_000, n * 1_000_000 + 1, 0, found))
    };
    let history: Vec<_> =
        [create(), saved].into_iter().chain(reads(4..20, A2)).chain(reads(20..23, A1)).collect();
    let text = refused(&history, "no order").to_string();
    let wanted = "no order of these operations explains their answers:
       0.000 ..      0.000  client 0  create id0 a=v1 → done
       2.000 ..      3.500  client 0  save id0 a=v2 over {a=v1}, overwriting → done
      20.000 ..     20.000  client 0  find id0 → {a=v1}
";
    assert_eq!(text, wanted);
}
