//! Rounds of operations that meet, as bytes say; what each was told becomes a history.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use serde_json::json;
use sqlbypass::rusqlite::types::Value as Cell;
use sqlbypass::{
    Commit, CookieChange, Error, Insert, Json, Lookup, ManagerOptions, Outcome, Policy, Record,
    Result, Save, Saved, Session, SessionId, SessionManager, SqliteStore, Store, Update,
};
use tokio::task::{JoinSet, yield_now};

use super::history::{Answer, Data, Event, Id, Op, Rule, Time, Write};
use super::rows::Rows;

/// What waits longer for the lock is told so.
pub(super) const DEADLINE: Duration = Duration::from_millis(100);
const KEYS: [&str; 3] = ["a", "b", "c"];
const POLICIES: [Policy; 3] = [Policy::Merge, Policy::Reject, Policy::LastWriteWins];
/// The checker takes 128 operations, and searches long where many are of unknown outcome.
const MOST: usize = 90;
const MOST_UNKNOWN: usize = 5;
/// Requests that are open at once.
const REQUESTS: usize = 4;
/// Whoever writes past the store.
const OTHERS: usize = 99;

pub(super) struct Run<'d> {
    script: &'d [u8],
    store: SqliteStore,
    manager: SessionManager<SqliteStore>,
    rows: &'d Rows,
    clock: Arc<AtomicU64>,
    value: u64,
    dropped: usize,
    sessions: Vec<Known>,
    requests: [Option<Request>; REQUESTS],
}

/// A session: its ids as far as they are known, what happened to it, and what was last found.
#[derive(Default)]
struct Known {
    ids: Vec<Option<SessionId>>,
    history: Vec<Event>,
    record: Option<Record>,
    /// It began as a row of gem 1.x, whose id changes when it is first saved.
    legacy: bool,
}

/// A request between its read and its commit.
struct Request {
    session: Session,
    of: usize,
    id: Id,
    base: Data,
}

/// An operation under way, and what has to be known to understand its answer.
struct Asked {
    of: usize,
    op: Op,
    /// Where a request that is read has its place.
    slot: Option<(usize, Session)>,
    polls: Option<u8>,
    work: Work,
}

type Work = Pin<Box<dyn Future<Output = Told> + Send>>;

enum Told {
    Found(Result<Option<Record>>),
    Read(Result<Option<Data>>),
    Saved(Result<Saved>),
    Met(Result<bool>),
    Committed(Result<Commit>),
    /// It was dropped: before it was first polled, or later.
    Dropped {
        begun: bool,
    },
}

impl<'d> Run<'d> {
    pub(super) fn new(script: &'d [u8], store: SqliteStore, rows: &'d Rows) -> Self {
        let (first, script) = script.split_first().unwrap_or((&0, &[]));
        let policy = POLICIES[usize::from(*first) % POLICIES.len()];
        let options = ManagerOptions { policy, ..ManagerOptions::default() };
        let manager = SessionManager::with_options(store.clone(), Json, options);
        // Where two requests overwrite one, the later finds it moved, and keeps what the other wrote.
        let legacy = first & 0x80 != 0 && policy != Policy::LastWriteWins;
        let known =
            |legacy| Known { ids: vec![Some(fixed_id(legacy))], legacy, ..Known::default() };
        let sessions = vec![known(false), known(true)];
        let mut run = Self {
            script,
            store,
            manager,
            rows,
            clock: Arc::default(),
            value: 0,
            dropped: 0,
            sessions,
            requests: Default::default(),
        };
        if legacy {
            run.begin_as_gem_1();
        }
        run
    }

    /// The histories of all sessions.
    pub(super) async fn histories(mut self) -> Vec<Vec<Event>> {
        while !self.script.is_empty()
            && self.sessions.iter().all(|known| known.history.len() < MOST)
        {
            match self.byte() {
                0..200 => self.round().await,
                200..245 => self.others(),
                _ => self.spoil().await,
            }
        }
        self.look().await;
        self.sessions.into_iter().map(|known| known.history).collect()
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.script.split_first().unwrap_or((&0, &[]));
        self.script = rest;
        *first
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    fn now(&self) -> Time {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn set(&mut self) -> (&'static str, u64) {
        self.value += 1;
        (KEYS[self.below(KEYS.len())], self.value)
    }

    /// Up to four operations at once, beside somebody who may hold the lock for a while.
    async fn round(&mut self) {
        let plan = self.byte();
        let asked: Vec<Asked> = (0..1 + plan % 4).filter_map(|_| self.ask()).collect();
        let held = (plan & 0x30 == 0x30).then_some(plan >> 6);
        if held.is_some() {
            self.rows.lock();
        }
        let mut tasks = JoinSet::new();
        let mut expected = BTreeMap::new();
        for (number, Asked { of, op, slot, polls, work }) in asked.into_iter().enumerate() {
            let clock = Arc::clone(&self.clock);
            expected.insert(number, (of, op, slot));
            tasks.spawn(async move {
                let now = || clock.fetch_add(1, Ordering::Relaxed);
                let begun = now();
                let told = Patient { work: Some(work), left: polls, begun: false }.await;
                (number, begun, told, now())
            });
        }
        if let Some(yields) = held {
            for _ in 0..4 << yields {
                yield_now().await;
            }
            self.rows.unlock();
        }
        while let Some(task) = tasks.join_next().await {
            let (number, begun, told, ended) =
                task.unwrap_or_else(|fault| match fault.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(fault) => panic!("{fault}"),
                });
            let (of, op, slot) = expected.remove(&number).expect("it was asked once");
            self.told(number, of, op, slot, (begun, ended), told);
        }
    }

    /// The next operation, if there is what it is about.
    fn ask(&mut self) -> Option<Asked> {
        let kind = self.byte();
        let polls = match self.byte() {
            polls @ 0..4 if self.dropped < MOST_UNKNOWN => {
                self.dropped += 1;
                Some(polls)
            }
            _ => None,
        };
        let (of, op, slot, work) = match kind % 12 {
            0..5 => self.ask_store(kind)?,
            5..8 => self.open()?,
            kind => self.commit(kind)?,
        };
        Some(Asked { of, op, slot, polls, work })
    }

    /// A session and one of its ids.
    fn choose(&mut self) -> Option<(usize, Id, SessionId)> {
        let byte = usize::from(self.byte());
        let of = byte % self.sessions.len();
        let ids = &self.sessions[of].ids;
        // Mostly the last one.
        let id = ids.len() - 1 - (byte >> 6).min(ids.len() - 1);
        let public = ids[id].clone()?;
        Some((of, id, public))
    }

    fn ask_store(&mut self, kind: u8) -> Option<Question> {
        let (of, id, public) = self.choose()?;
        let (store, lookup) = (self.store.clone(), Lookup::with_legacy(&public));
        let known = &self.sessions[of];
        // Which id the row has is the manager's matter.
        let (kind, legacy) = (kind / 12 % 5, known.legacy);
        let work: (Op, Work) = match kind {
            0 if !legacy => {
                let set = self.set();
                let data = encoded(&Data::from([set]));
                let save = Save::Insert(Insert::new(public.private(), data));
                (
                    Op::Create { id, set },
                    Box::pin(async move { Told::Saved(store.save(&save).await) }),
                )
            }
            1 | 2 if !legacy => {
                let record =
                    known.record.clone().filter(|row| row.id == public.private().into())?;
                let (base, set) = (decoded(record.data.as_deref()), self.set());
                let mut data = base.clone();
                data.extend([set]);
                let mut update = Update::new(record.id).data(encoded(&data));
                let rule = if kind == 1 { Rule::Reject } else { Rule::Overwrite };
                if rule == Rule::Reject {
                    update = update.guarded_by(&record);
                }
                let to = (self.below(4) == 0).then(|| self.new_id(of, true));
                update.new_id =
                    to.and_then(|to| Some(self.sessions[of].ids[to].as_ref()?.private()));
                let write = Write { id, to, set: Some(set), rule, base };
                let save = Save::Update(update);
                (Op::Write(write), Box::pin(async move { Told::Saved(store.save(&save).await) }))
            }
            3 if !legacy => {
                let write =
                    Write { id, to: None, set: None, rule: Rule::Overwrite, base: Data::new() };
                let stored = public.private().into();
                let work = async move { Told::Met(store.touch(&stored, lookup.timeouts).await) };
                (Op::Write(write), Box::pin(work))
            }
            4 => {
                let work = async move { Told::Met(store.destroy(&lookup).await) };
                (Op::Destroy { id }, Box::pin(work))
            }
            _ => {
                let work = async move { Told::Found(store.find(&lookup).await) };
                (Op::Find { id, timed: true }, Box::pin(work))
            }
        };
        Some((of, work.0, None, work.1))
    }

    /// A request, which reads its session.
    fn open(&mut self) -> Option<Question> {
        let (of, id, public) = self.choose()?;
        let slot = self.below(REQUESTS);
        let session = self.manager.session(Some(public));
        let read = session.clone();
        let work = Box::pin(async move { Told::Read(read_all(&read).await) });
        Some((of, Op::Find { id, timed: true }, Some((slot, session)), work))
    }

    /// A request's end.
    fn commit(&mut self, kind: u8) -> Option<Question> {
        let slot = self.below(REQUESTS);
        let Request { session, of, id, base } = self.requests[slot].take()?;
        let work = session.clone();
        let work = Box::pin(async move { Told::Committed(work.commit().await) });
        let rule = match self.manager.options().policy {
            Policy::Merge => Rule::Merge,
            Policy::Reject => Rule::Reject,
            Policy::LastWriteWins => Rule::Overwrite,
        };
        let mut write = Write { id, to: None, set: None, rule, base };
        let wish = self.byte();
        match kind {
            8 if wish < 100 => {
                session.destroy().expect("it is open");
                return Some((of, Op::Destroy { id }, None, work));
            }
            8 => {
                session.reset().expect("it is open");
                (write.rule, write.base) = (Rule::Reset, Data::new());
            }
            9 => session.renew().expect("it is open"),
            _ => {}
        }
        if kind != 9 || wish & 1 == 0 {
            let (key, value) = self.set();
            session.insert(key, value).expect("it is open");
            write.set = Some((key, value));
        }
        if kind < 10 {
            write.to = Some(self.new_id(of, false));
        }
        Some((of, Op::Write(write), None, work))
    }

    /// The number of a session's next id, which is known beforehand or told later.
    fn new_id(&mut self, of: usize, is_known: bool) -> Id {
        let id = is_known.then(|| SessionId::generate().expect("there is randomness"));
        self.sessions[of].ids.push(id);
        self.sessions[of].ids.len() - 1
    }

    /// Writes down what an operation was told.
    fn told(
        &mut self,
        client: usize,
        of: usize,
        op: Op,
        slot: Option<(usize, Session)>,
        (begun, ended): (Time, Time),
        told: Told,
    ) {
        let answer = match &told {
            Told::Found(Ok(record)) => {
                self.sessions[of].record = record.clone();
                Answer::Found(record.as_ref().map(|record| decoded(record.data.as_deref())))
            }
            Told::Read(Ok(data)) => {
                if let (Some(base), Some((slot, session))) = (data.clone(), slot) {
                    self.requests[slot] = Some(Request { session, of, id: op_id(&op), base });
                }
                Answer::Found(data.clone())
            }
            Told::Saved(Ok(saved)) => answer_of(*saved),
            Told::Met(Ok(met)) => match (&op, met) {
                (Op::Destroy { .. }, met) => Answer::Destroyed(Some(*met)),
                (_, true) => Answer::Done,
                (_, false) => Answer::Gone,
            },
            Told::Committed(Ok(commit)) => self.committed(client, of, &op, (begun, ended), commit),
            Told::Found(Err(error))
            | Told::Read(Err(error))
            | Told::Saved(Err(error))
            | Told::Met(Err(error))
            | Told::Committed(Err(error)) => failed(error),
            Told::Dropped { begun: true } => Answer::Unknown,
            Told::Dropped { begun: false } => Answer::Failed,
        };
        if matches!(op, Op::Find { .. }) && !matches!(answer, Answer::Found(_)) {
            return; // Nobody was told anything.
        }
        let ended = if answer == Answer::Unknown { Time::MAX } else { ended };
        self.sessions[of].history.push(Event { client, begun, ended, op, answer });
    }

    fn committed(
        &mut self,
        client: usize,
        of: usize,
        op: &Op,
        (begun, ended): (Time, Time),
        commit: &Commit,
    ) -> Answer {
        let Op::Write(write) = op else {
            assert_eq!(commit.outcome, Outcome::Destroyed);
            return Answer::Destroyed(None);
        };
        match (&commit.cookie, commit.outcome, write.to) {
            (CookieChange::Set(id), Outcome::Created, _) => {
                // A reset that has found no row has begun another session.
                assert_eq!(write.rule, Rule::Reset);
                let op = Op::Create { id: 0, set: write.set.expect("a reset sets a key") };
                let history = vec![Event { client, begun, ended, op, answer: Answer::Done }];
                let ids = vec![Some(id.clone())];
                self.sessions.push(Known { ids, history, ..Known::default() });
            }
            (CookieChange::Set(id), _, Some(to)) => self.sessions[of].ids[to] = Some(id.clone()),
            (CookieChange::Set(_), ..) => panic!("a new id that nobody has asked for"),
            _ => {}
        }
        match commit.outcome {
            Outcome::Saved => Answer::Done,
            Outcome::Merged => Answer::Merged,
            Outcome::Gone | Outcome::Created => Answer::Gone,
            Outcome::Conflict => Answer::Conflict,
            other => panic!("a commit that changes something answered {other:?}"),
        }
    }

    /// The second session is one that gem 1.x has left.
    fn begin_as_gem_1(&mut self) {
        let set = self.set();
        let id = fixed_id(true);
        assert!(self.rows.insert(id.as_str(), &encoded(&Data::from([set]))));
        self.note(1, Op::Create { id: 0, set }, Answer::Done);
    }

    fn note(&mut self, of: usize, op: Op, answer: Answer) {
        let (begun, ended) = (self.now(), self.now());
        self.sessions[of].history.push(Event { client: OTHERS, begun, ended, op, answer });
    }

    /// Somebody else changes or deletes a row.
    fn others(&mut self) {
        let wish = self.byte();
        let Some((of, id, public)) = self.choose() else { return };
        let stored = [public.as_str().to_owned(), public.private().as_str().to_owned()];
        let stored = stored.iter().find(|id| self.rows.data(id).is_some());
        if wish < 80 {
            let was_there = stored.is_some_and(|id| self.rows.delete(id));
            return self.note(of, Op::Destroy { id }, Answer::Destroyed(Some(was_there)));
        }
        let Some(stored) = stored else { return };
        // What is on its way may come between the read and the write, as with Rails.
        let base = decoded(self.rows.data(stored).as_deref().map(str::as_bytes));
        let (mut data, set) = (base.clone(), self.set());
        data.extend([set]);
        let answer =
            if self.rows.write(stored, &encoded(&data)) { Answer::Done } else { Answer::Gone };
        let write = Write { id, to: None, set: Some(set), rule: Rule::Overwrite, base };
        self.note(of, Op::Write(write), answer);
    }

    /// What nobody should have put into a column is an error or is passed over; and then it is as it
    /// was.
    async fn spoil(&mut self) {
        let (wish, text) = (self.byte(), self.script.to_vec());
        let Some((_, _, public)) = self.choose() else { return };
        let private = public.private();
        let column = ["data", "created_at", "updated_at"][usize::from(wish) % 3];
        let cell = match wish / 3 % 5 {
            0 => Cell::Text(String::from_utf8_lossy(&text).into_owned()),
            1 => Cell::Blob(text),
            2 => Cell::Integer(i64::from_le_bytes(std::array::from_fn(|_| self.byte()))),
            3 => Cell::Real(f64::from_le_bytes(std::array::from_fn(|_| self.byte()))),
            _ if column == "data" => Cell::Null,
            _ => Cell::Text(String::new()),
        };
        // A NaN is NULL to SQLite, which the columns of times do not take.
        let cell =
            if matches!(cell, Cell::Real(real) if real.is_nan()) { Cell::Real(0.5) } else { cell };
        self.rows.lock();
        let before = self.rows.spoil(private.as_str(), column, &cell);
        self.rows.unlock();
        let Some(before) = before else { return };
        let session = self.manager.session(Some(public));
        if let Err(error) = session.to_map().await {
            assert!(error.is_decode() || column != "data" || error.is_timeout(), "{error}");
            assert!(!error.to_string().contains(private.as_str()));
        }
        let _ = session.info().await;
        self.rows.spoil(private.as_str(), column, &before);
    }

    /// What is left in the end, under each id; and there is nothing else.
    async fn look(&mut self) {
        assert!(!self.rows.is_locked());
        // The writer is in order: it has now done what was dropped.
        let stored = fixed_id(false).private().into();
        let _ = self.store.touch(&stored, Default::default()).await;
        let (mut found, mut may_be) = (0, 0);
        for of in 0..self.sessions.len() {
            for (id, public) in self.sessions[of].ids.clone().into_iter().enumerate() {
                let Some(public) = public else {
                    may_be += 1;
                    continue;
                };
                let (begun, record) =
                    (self.now(), self.store.find(&Lookup::with_legacy(&public)).await);
                found += usize::from(matches!(record, Ok(Some(_))));
                may_be += usize::from(record.is_err());
                self.told(
                    OTHERS,
                    of,
                    Op::Find { id, timed: true },
                    None,
                    (begun, self.now()),
                    Told::Found(record),
                );
            }
        }
        let rows = self.rows.count();
        assert!(
            (found..=found + may_be + self.dropped).contains(&rows),
            "{rows} rows, {found} found"
        );
    }
}

type Question = (usize, Op, Option<(usize, Session)>, Work);

/// Polls so often and no more.
struct Patient {
    work: Option<Work>,
    left: Option<u8>,
    begun: bool,
}

impl Future for Patient {
    type Output = Told;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Told> {
        let this = &mut *self;
        if let (Some(work), false) = (&mut this.work, this.left == Some(0)) {
            this.begun = true;
            this.left = this.left.map(|left| left - 1);
            if let Poll::Ready(told) = work.as_mut().poll(cx) {
                return Poll::Ready(told);
            }
            if this.left != Some(0) {
                return Poll::Pending;
            }
        }
        this.work = None;
        Poll::Ready(Told::Dropped { begun: this.begun })
    }
}

/// The ids of the first two sessions: the same in each run.
fn fixed_id(legacy: bool) -> SessionId {
    let text = if legacy { "1e9ac1" } else { "f1e51d" };
    SessionId::parse(format!("{text:0>32}").as_bytes()).expect("it is an id")
}

fn op_id(op: &Op) -> Id {
    match op {
        Op::Create { id, .. } | Op::Find { id, .. } | Op::Destroy { id } => *id,
        Op::Write(write) => write.id,
    }
}

async fn read_all(session: &Session) -> Result<Option<Data>> {
    let mut data = Data::new();
    for key in KEYS {
        if let Some(value) = session.get(key).await? {
            data.insert(key, value);
        }
    }
    Ok(session.id().await?.map(|_| data))
}

fn answer_of(saved: Saved) -> Answer {
    match saved {
        Saved::Applied => Answer::Done,
        Saved::Gone => Answer::Gone,
        Saved::Conflict => Answer::Conflict,
        Saved::Duplicate => Answer::Duplicate,
    }
}

/// A lock that is held for too long is the only fault here.
fn failed(error: &Error) -> Answer {
    if error.is_unknown_outcome() {
        return Answer::Unknown;
    }
    assert!(error.is_timeout() || error.is_unavailable() || error.is_conflict(), "{error}");
    Answer::Failed
}

/// As the manager's codec writes it.
fn encoded(data: &Data) -> String {
    json!({ "value": data }).to_string()
}

fn decoded(data: Option<&[u8]>) -> Data {
    let text: serde_json::Value =
        serde_json::from_slice(data.expect("it is not NULL")).expect("JSON");
    let pairs = text["value"].as_object().expect("a map").iter();
    let known = |name: &str| KEYS.into_iter().find(|key| *key == name).expect("a key of ours");
    pairs.map(|(key, value)| (known(key), value.as_u64().expect("a number"))).collect()
}
