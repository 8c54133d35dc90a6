//! The checker proved at length: histories of a simulated store, right or with a bug planted in it.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;

use super::checker::{RULES, check, is_linearizable};
use super::history::{Answer, Data, Event, Id, Op, Rule, Time, Write};
use super::model::Model;
use super::random::Random;

const FOREVER: Model = Model { idle: None };
const KEYS: [&str; 3] = ["a", "b", "c"];
const CLIENTS: usize = 4;
const OPERATIONS: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    /// Now and then a find answers what the row held before.
    StaleRead,
    NoGuard,
    /// A write brings back a row that is gone.
    Upsert,
    /// It is told as done, and takes effect later.
    DoneBeforeItIs,
    /// It is told as failed, and takes effect.
    FailedButDone,
    /// Its outcome is unknown, and it is told as done.
    UnknownAsDone,
    /// A renewal leaves the row under its old id too.
    OldIdLives,
    /// A merge writes what was read.
    MergeLosesKeys,
}

const BUGS: [Bug; 8] = [
    Bug::StaleRead,
    Bug::NoGuard,
    Bug::Upsert,
    Bug::DoneBeforeItIs,
    Bug::FailedButDone,
    Bug::UnknownAsDone,
    Bug::OldIdLives,
    Bug::MergeLosesKeys,
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn histories_of_a_right_store_are_accepted(seed in any::<u64>()) {
        let history = Simulation::run(seed, None);
        if let Err(refusal) = check(&history, FOREVER) {
            panic!("{refusal}");
        }
    }

    /// The rules say of no history more than the search says.
    #[test]
    fn what_a_rule_refuses_no_order_explains(seed in any::<u64>(), bug in 0..BUGS.len()) {
        let history = Simulation::run(seed, Some(BUGS[bug]));
        if RULES.iter().any(|rule| rule(&history).is_some()) {
            assert!(!is_linearizable(&history, FOREVER), "{}", check(&history, FOREVER).unwrap_err());
        }
    }
}

/// A bug does not show in every history, and in most it does.
#[test]
fn histories_of_wrong_stores_are_refused() {
    const SEEDS: u64 = 300;
    for bug in BUGS {
        let of = |seed: &u64| Simulation::run(*seed, Some(bug));
        let all = (0..SEEDS).filter(|seed| check(&of(seed), FOREVER).is_err()).count();
        let searched = (0..SEEDS).filter(|seed| !is_linearizable(&of(seed), FOREVER)).count();

        assert!(searched * 2 > SEEDS as usize, "{bug:?}: of {SEEDS} only {searched} were refused");
        assert!(all >= searched);
    }
}

/// A session's rows, what each held before, and the bug.
struct Table {
    rows: BTreeMap<Id, (Data, Data)>,
    bug: Option<Bug>,
    random: Random,
}

impl Table {
    fn apply(&mut self, op: &Op) -> Answer {
        match op {
            Op::Create { id, .. } if self.rows.contains_key(id) => Answer::Duplicate,
            Op::Create { id, set } => {
                self.rows.insert(*id, (Data::from([*set]), Data::from([*set])));
                Answer::Done
            }
            Op::Find { id, .. } => {
                let is_stale = self.bug == Some(Bug::StaleRead) && self.random.percent(50);
                let found = self.rows.get(id).map(|(now, was)| if is_stale { was } else { now });
                Answer::Found(found.cloned())
            }
            Op::Destroy { id } => Answer::Destroyed(Some(self.rows.remove(id).is_some())),
            Op::Write(write) => self.write(write),
        }
    }

    fn write(&mut self, write: &Write) -> Answer {
        let row = self.rows.get(&write.id).map(|(now, _)| now.clone());
        let revived = (self.bug == Some(Bug::Upsert)).then(|| write.base.clone());
        let Some(mut data) = row.or(revived) else { return Answer::Gone };
        let was = data.clone();
        let is_same = data == write.base || self.bug == Some(Bug::NoGuard);
        let mut answer = Answer::Done;
        if let Some((key, value)) = write.set {
            match write.rule {
                Rule::Reject if !is_same => return Answer::Conflict,
                Rule::Merge if !is_same && self.bug != Some(Bug::MergeLosesKeys) => {
                    answer = Answer::Merged;
                }
                _ => data = write.base.clone(),
            }
            data.insert(key, value);
        }
        if write.to.is_some() && self.bug != Some(Bug::OldIdLives) {
            self.rows.remove(&write.id);
        }
        self.rows.insert(write.to.unwrap_or(write.id), (data, was));
        answer
    }
}

/// What a client is about.
enum Stage {
    Idle,
    Asked { begun: Time, op: Op },
    Answered { begun: Time, op: Op, answer: Answer },
}

/// Clients whose operations begin, take effect and end in an order that the seed decides.
struct Simulation {
    random: Random,
    table: Table,
    rule: Rule,
    history: Vec<Event>,
    clients: Vec<(Stage, Data)>,
    /// Of unknown outcome, and not yet applied.
    late: Vec<Op>,
    now: Time,
    ids: Id,
}

impl Simulation {
    fn run(seed: u64, bug: Option<Bug>) -> Vec<Event> {
        let mut random = Random(seed);
        let rule = match bug {
            Some(Bug::MergeLosesKeys) => Rule::Merge,
            // Whoever overwrites needs no guard.
            Some(Bug::NoGuard) => Rule::Reject,
            _ => random.one_of(&[Rule::Merge, Rule::Reject, Rule::Overwrite]),
        };
        let table = Table { rows: BTreeMap::new(), bug, random: Random(random.next()) };
        let clients = (0..CLIENTS).map(|_| (Stage::Idle, Data::new())).collect();
        let (history, late) = (Vec::new(), Vec::new());
        let mut run = Self { random, table, rule, history, clients, late, now: 0, ids: 1 };
        let set = (KEYS[0], 0);
        let answer = run.table.apply(&Op::Create { id: 0, set });
        run.tell(0, 0, Op::Create { id: 0, set }, answer);
        while run.history.len() < OPERATIONS {
            run.turn();
        }
        // What is under way may have taken effect.
        for client in 0..CLIENTS {
            let stage = std::mem::replace(&mut run.clients[client].0, Stage::Idle);
            if let Stage::Asked { begun, op } | Stage::Answered { begun, op, .. } = stage {
                run.tell(client, begun, op, Answer::Unknown);
            }
        }
        run.history
    }

    fn turn(&mut self) {
        self.now += 1;
        if !self.late.is_empty() && self.random.percent(5) {
            let op = self.late.remove(self.random.below(self.late.len()));
            self.table.apply(&op);
        }
        let client = self.random.below(CLIENTS);
        let stage = std::mem::replace(&mut self.clients[client].0, Stage::Idle);
        let next = match stage {
            Stage::Idle => Stage::Asked { begun: self.now, op: self.choose(client) },
            Stage::Asked { begun, op } => {
                let answer = self.answer(&op);
                Stage::Answered { begun, op, answer }
            }
            Stage::Answered { begun, op, answer } => {
                if let Answer::Found(Some(data)) = &answer {
                    self.clients[client].1 = data.clone();
                }
                self.tell(client, begun, op, answer);
                Stage::Idle
            }
        };
        self.clients[client].0 = next;
    }

    fn choose(&mut self, client: usize) -> Op {
        let id = self.random.below(2).min(self.ids - 1);
        let id = self.ids - 1 - id;
        match self.random.below(40) {
            0 => Op::Destroy { id },
            1..20 => Op::Find { id, timed: true },
            kind => {
                let to = (kind < 23).then_some(self.ids);
                self.ids += usize::from(to.is_some());
                let key = self.random.one_of(&KEYS);
                let set = (kind > 21).then_some((key, self.now));
                let base = self.clients[client].1.clone();
                Op::Write(Write { id, to, set, rule: self.rule, base })
            }
        }
    }

    fn answer(&mut self, op: &Op) -> Answer {
        let changes = !matches!(op, Op::Find { .. });
        let bug = self.table.bug.filter(|_| changes && self.random.percent(20));
        match bug {
            Some(Bug::DoneBeforeItIs) => {
                self.late.push(op.clone());
                return told_as_done(op);
            }
            Some(Bug::UnknownAsDone) => return told_as_done(op),
            Some(Bug::FailedButDone) => {
                self.table.apply(op);
                return Answer::Failed;
            }
            _ => {}
        }
        match self.random.below(100) {
            0..5 => Answer::Failed,
            5..10 if changes => {
                self.late.push(op.clone());
                Answer::Unknown
            }
            10..15 if changes => {
                self.table.apply(op);
                Answer::Unknown
            }
            _ => self.table.apply(op),
        }
    }

    fn tell(&mut self, client: usize, begun: Time, op: Op, answer: Answer) {
        let ended = if answer == Answer::Unknown { Time::MAX } else { self.now };
        self.history.push(Event { client, begun, ended, op, answer });
    }
}

fn told_as_done(op: &Op) -> Answer {
    match op {
        Op::Destroy { .. } => Answer::Destroyed(None),
        _ => Answer::Done,
    }
}
