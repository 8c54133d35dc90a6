//! Seeded interleavings: a few requests and a Rails app meet in one session, one statement at a time
//! in an order that the seed decides, and after each the table holds what the model says.
//!
//! `SQLBYPASS_SEEDS` is how many there are on each database; `SQLBYPASS_SEED` runs one alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use sqlbypass::{
    CookieChange, Insert, Json, Late, Maintenance, ManagerOptions, Merges, Outcome, Policy,
    PostgresStore, Save, Saved, Scan, SessionId, SessionManager, Table,
};
use tokio::task::JoinHandle;

use super::everywhere;
use super::gate::{Event, Gate, Gated};
use super::model::{CART, COUNTER, Fate, Row, SEAT, Step, Wanted};
use super::place::Place;
use super::rails::Rails;
use crate::random::Random;

const SEEDS: u64 = 40;
const TURNS: usize = 40;
const AT_ONCE: usize = 4;

everywhere! { requests_meet_as_the_model_says }

async fn requests_meet_as_the_model_says(place: &Place) {
    seeds(place.open().await, place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_meet_as_the_model_says_on_postgres_without_lanes() {
    let Some(place) = Place::postgres().await else { return };
    let builder = PostgresStore::url(&place.url).unwrap().lanes(false);
    let store = builder.table(Table::new(&*place.table).unwrap()).open().await.unwrap();
    seeds(store, &place).await;
}

async fn seeds<S: Maintenance + Clone>(store: S, place: &Place) {
    let number = |name: &str| {
        std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number of a seed"))
    };
    let seeds = match number("SQLBYPASS_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SQLBYPASS_SEEDS").unwrap_or(SEEDS),
    };
    let (mut rails, mut tally) = (place.rails().await, Tally::default());
    println!("seeds {seeds:?} on {}", place.url.split(':').next().unwrap());
    let alone = seeds.end - seeds.start == 1;
    for seed in seeds {
        let _told = Told(seed);
        Run::begin(&store, &mut rails, seed, &mut tally).await.finish().await;
    }
    println!("{tally:?}");
    // Whatever can happen has happened.
    let Tally { merged, gone, conflicts, begun, rails_wrote, rails_erased } = tally;
    let counts = [merged, gone, conflicts, begun, rails_wrote, rails_erased];
    assert!(alone || counts.iter().all(|count| *count > 0), "not all was tried: {counts:?}");
}

/// Says which seed failed.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("it failed with SQLBYPASS_SEED={}", self.0);
        }
    }
}

/// What happened, over all seeds.
#[derive(Debug, Default)]
struct Tally {
    merged: usize,
    gone: usize,
    conflicts: usize,
    /// New sessions of late requests.
    begun: usize,
    rails_wrote: usize,
    /// Keys of ours, and of Rails' other requests, that an UPDATE of Rails' whole row has erased or
    /// set back: nothing of ours can keep it from that.
    rails_erased: usize,
}

struct Request {
    steps: Vec<Step>,
    gate: Gate,
    task: JoinHandle<()>,
    /// The row at the first find; `None` before, and where there was none.
    base: Option<Option<Row>>,
    applied: usize,
    /// The row was gone when it was to be written.
    missed: bool,
}

struct Run<'a, S> {
    store: &'a S,
    rails: &'a mut Rails,
    tally: &'a mut Tally,
    random: Random,
    policy: Policy,
    late: Late,
    /// What the table holds, by stored id.
    rows: BTreeMap<String, Row>,
    /// Ids that have ended.
    dead: BTreeSet<String>,
    /// What browsers hold, the last one last.
    cookies: Vec<SessionId>,
    running: Vec<Request>,
    begun: usize,
    /// What the Rails app has read and not yet written.
    read: Option<(String, Row)>,
    rails_keys: usize,
}

impl<'a, S: Maintenance + Clone> Run<'a, S> {
    async fn begin(store: &'a S, rails: &'a mut Rails, seed: u64, tally: &'a mut Tally) -> Self {
        let mut random = Random(seed);
        let policies =
            [Policy::Merge, Policy::Merge, Policy::Merge, Policy::LastWriteWins, Policy::Reject];
        let policy = policies[random.below(policies.len())];
        let late = [Late::Drop, Late::Refuse, Late::Begin, Late::Begin][random.below(4)];
        store.clear().await.unwrap();
        let id = SessionId::generate().unwrap();
        let row: Row =
            [(COUNTER, json!(5)), (CART, json!([1, 2])), ("a", json!(0)), ("user", json!(7))]
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect();
        let insert = Insert::new(id.private(), text(&row));
        assert_eq!(store.save(&Save::Insert(insert)).await.unwrap(), Saved::Applied);
        let rows = [(id.private().as_str().to_owned(), row)].into_iter().collect();
        let (dead, running, cookies) = (BTreeSet::new(), Vec::new(), vec![id]);
        let (begun, read, rails_keys) = (0, None, 0);
        Self {
            store,
            rails,
            tally,
            random,
            policy,
            late,
            rows,
            dead,
            cookies,
            running,
            begun,
            read,
            rails_keys,
        }
    }

    async fn finish(mut self) {
        for _ in 0..TURNS {
            match self.random.below(8) {
                0 | 1 if self.running.len() < AT_ONCE => self.start().await,
                2 | 3 => self.rails_turn().await,
                _ if !self.running.is_empty() => self.turn().await,
                _ => self.start().await,
            }
            self.compare().await;
        }
        while !self.running.is_empty() {
            self.turn().await;
            self.compare().await;
        }
    }

    /// A request that bears one of the browsers' ids; mostly the last one.
    async fn start(&mut self) {
        let latest = self.cookies.len() - 1;
        let at = if self.random.below(4) > 0 { latest } else { self.random.below(latest + 1) };
        let cookie = Some(self.cookies[at].clone()).filter(|_| self.random.below(20) > 0);
        let count = 1 + self.random.below(4);
        let steps: Vec<Step> = (0..count).map(|_| self.step()).collect();
        let (store, mut gate) = Gated::new(self.store.clone());
        let options = ManagerOptions {
            policy: self.policy,
            late: self.late,
            merges: Merges::new().counter(COUNTER).list(CART).key(SEAT, |_, _, _| None),
            deadline: Duration::from_secs(600),
            ..ManagerOptions::default()
        };
        let manager = SessionManager::with_options(store.clone(), Json, options);
        let (session, script) = (manager.session(cookie), steps.clone());
        let task = tokio::spawn(async move {
            for step in &script {
                step.run(&session).await;
            }
            let commit = session.commit().await.unwrap();
            store.tell(Event::Ended(commit));
        });
        self.begun += 1;
        let first = gate.next().await;
        let mut request = Request { steps, gate, task, base: None, applied: 0, missed: false };
        match first {
            Event::Waits => self.running.push(request),
            Event::Ended(commit) => self.ended(&mut request, commit).await,
            _ => panic!("nobody has let it through"),
        }
    }

    fn step(&mut self) -> Step {
        let (key, value) = (["a", "b", "user", SEAT][self.random.below(4)], self.random.below(3));
        match self.random.below(40) {
            0..=4 => Step::Read,
            5..=11 => Step::Set(format!("k{}", self.begun + 1), self.random.next() >> 12),
            12..=18 => Step::Set(key.into(), value as u64),
            19 | 20 => Step::Remove(key.into()),
            21..=26 => Step::Count,
            27..=32 => Step::Push(self.random.below(6) as u64),
            33 => Step::Clear,
            34 | 35 => Step::Renew,
            36 => Step::Rotate,
            37 => Step::Reset,
            38 => Step::Destroy,
            _ => Step::Set("b".into(), 9),
        }
    }

    /// Lets one request through to its next statement.
    async fn turn(&mut self) {
        let at = self.random.below(self.running.len());
        let mut request = self.running.swap_remove(at);
        request.gate.open();
        loop {
            match request.gate.next().await {
                Event::Waits => {
                    self.running.push(request);
                    return;
                }
                Event::Found { id, there } => {
                    let row = self.rows.get(&id).cloned();
                    assert_eq!(there, row.is_some());
                    request.base.get_or_insert(row);
                }
                Event::Wrote { save, saved } => self.wrote(&mut request, &save, saved),
                Event::Destroyed { id, there } => {
                    assert_eq!(there, self.rows.remove(&id).is_some());
                    self.dead.insert(id);
                }
                Event::Ended(commit) => {
                    self.ended(&mut request, commit).await;
                    return;
                }
            }
        }
    }

    fn wrote(&mut self, request: &mut Request, save: &Save, saved: Saved) {
        let base = request.base.clone().flatten();
        let wanted = Wanted::of(&request.steps, base.as_ref());
        match (save, saved) {
            (Save::Insert(insert), Saved::Applied) => {
                let row = match &base {
                    Some(base) if !matches!(wanted.fate, Fate::Reset | Fate::Destroy) => {
                        self.tally.begun += 1;
                        wanted.begun(self.late, base).expect("it had to be refused")
                    }
                    _ => wanted.sets(),
                };
                self.put(insert.id.as_str(), row);
                request.applied += 1;
            }
            (Save::Update(update), Saved::Applied) => {
                let old = update.id.as_str();
                let before = self.rows.remove(old).expect("a row to update");
                let base = base.expect("a row that was read");
                let after = wanted.written(self.policy, &base, &before).expect("no conflict");
                if self.policy != Policy::LastWriteWins && !wanted.cleared {
                    let untouched =
                        before.iter().filter(|(key, _)| !wanted.keys.contains_key(*key));
                    for (key, value) in untouched {
                        assert!(after.get(key) == Some(value), "a key of another was lost");
                    }
                }
                let new = update.new_id.as_ref().map(|id| id.as_str());
                if new.is_some() {
                    self.dead.insert(old.to_owned());
                }
                self.put(new.unwrap_or(old), after);
                request.applied += 1;
            }
            (Save::Update(update), Saved::Gone) => {
                assert!(!self.rows.contains_key(update.id.as_str()));
                request.missed = true;
            }
            (Save::Update(update), Saved::Conflict) => {
                assert!(self.rows.contains_key(update.id.as_str()));
            }
            (_, saved) => panic!("{saved:?}"),
        }
    }

    fn put(&mut self, id: &str, row: Row) {
        assert!(!self.dead.contains(id), "a session was revived");
        assert!(self.rows.insert(id.to_owned(), row).is_none());
    }

    /// What the request was told is what happened.
    async fn ended(&mut self, request: &mut Request, commit: sqlbypass::Commit) {
        (&mut request.task).await.unwrap();
        let base = request.base.take().flatten();
        let wanted = Wanted::of(&request.steps, base.as_ref());
        let applied = match commit.outcome {
            Outcome::Created | Outcome::Saved => 1,
            Outcome::Merged => {
                self.tally.merged += 1;
                request.applied.min(1)
            }
            Outcome::Unchanged => {
                let nothing = match &base {
                    Some(base) => {
                        // A session that is gone needs no other id.
                        let rotates = wanted.fate == Fate::Rotate && request.missed;
                        (wanted.fate == Fate::Keep || rotates) && !wanted.alters(base)
                    }
                    None => wanted.sets().is_empty(),
                };
                assert!(nothing, "a change was dropped silently");
                0
            }
            Outcome::Gone => {
                let base = base.expect("a row that was read");
                assert!(wanted.begun(self.late, &base).is_none(), "it could have begun anew");
                self.tally.gone += 1;
                0
            }
            Outcome::Conflict => {
                let refuses = self.policy == Policy::Merge && wanted.keys.contains_key(SEAT);
                assert!(refuses || self.policy == Policy::Reject);
                self.tally.conflicts += 1;
                0
            }
            Outcome::Destroyed => {
                assert_eq!(wanted.fate, Fate::Destroy);
                0
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(request.applied, applied, "{:?}", commit.outcome);
        if let CookieChange::Set(id) = commit.cookie {
            self.cookies.push(id);
        }
    }

    /// The Rails app reads a row, writes the row that it has read with a key of its own, or signs
    /// out.
    async fn rails_turn(&mut self) {
        // In the order of the cookies, which the seed decides; the ids themselves are random.
        let stored = self.cookies.iter().map(|id| id.private().as_str().to_owned());
        let stored: Vec<String> = stored.filter(|id| self.rows.contains_key(id)).collect();
        if stored.is_empty() {
            return;
        }
        let id = stored[self.random.below(stored.len())].clone();
        match (self.random.below(12), self.read.take()) {
            (0, _) => {
                assert!(self.rails.destroy(&id).await);
                self.rows.remove(&id);
                self.dead.insert(id);
            }
            (_, None) => {
                let row = parsed(&self.rails.read(&id).await.unwrap());
                assert!(self.rows[&id] == row);
                self.read = Some((id, row));
            }
            (_, Some((id, mut row))) => {
                self.rails_keys += 1;
                row.insert(format!("rails{}", self.rails_keys), json!(self.rails_keys));
                let there = self.rails.write(&id, &text(&row)).await;
                assert_eq!(there, self.rows.contains_key(&id));
                if let Some(before) = self.rows.get_mut(&id) {
                    let erased = before.iter().filter(|(key, value)| row.get(*key) != Some(value));
                    self.tally.rails_erased += erased.count();
                    self.tally.rails_wrote += 1;
                    *before = row;
                }
            }
        }
    }

    /// The table holds what the model says, and nothing that has ended.
    async fn compare(&self) {
        let scan = Scan { with_data: true, ..Scan::new(1_000) };
        let rows = self.store.scan(&scan).await.unwrap();
        let rows: BTreeMap<String, Row> = rows
            .into_iter()
            .map(|row| {
                let data = String::from_utf8(row.data.unwrap().to_vec()).unwrap();
                (row.stored_id.into(), parsed(&data))
            })
            .collect();
        assert!(rows.keys().all(|id| !self.dead.contains(id)), "a session was revived");
        let data = |rows: &BTreeMap<String, Row>| rows.values().cloned().collect::<Vec<_>>();
        // Ids stay out of the message, as everywhere.
        assert!(rows == self.rows, "{:?} instead of {:?}", data(&rows), data(&self.rows));
    }
}

fn text(row: &Row) -> String {
    json!({ "value": row }).to_string()
}

fn parsed(data: &str) -> Row {
    let mut document: Value = serde_json::from_str(data).unwrap();
    serde_json::from_value(document["value"].take()).unwrap()
}
