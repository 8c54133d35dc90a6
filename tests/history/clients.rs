//! Clients: requests through a manager, and operations of the store itself, on the same sessions.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sqlbypass::{
    Commit, CookieChange, Insert, Json, Lookup, ManagerOptions, Outcome, Policy, Record, Result,
    Save, Saved, Session, SessionId, SessionManager, Store, Timeouts, Update,
};

use super::book::{Book, Entry, Shared, Told};
use super::history::{Answer, Data, Id, Op, Rule, Write};
use super::random::Random;

const KEYS: [&str; 3] = ["a", "b", "c"];

pub(crate) struct Client<S> {
    number: usize,
    random: Random,
    book: Arc<Book>,
    store: S,
    manager: SessionManager<S>,
    timeouts: Timeouts,
}

/// What is asked of a session under one of its ids.
struct Place<'e> {
    entry: &'e Shared,
    id: Id,
    public: SessionId,
}

impl<S: Store + Clone> Client<S> {
    pub(crate) fn new(
        number: usize,
        seed: u64,
        book: Arc<Book>,
        store: S,
        options: ManagerOptions,
    ) -> Self {
        let timeouts = options.timeouts;
        let manager = SessionManager::with_options(store.clone(), Json, options);
        Self { number, random: Random(seed), book, store, manager, timeouts }
    }

    /// Does something to some session.
    pub(crate) async fn turn(&mut self) {
        let chosen = self.book.choose(&mut self.random);
        let Some(entry) = &chosen else { return self.create().await };
        let known = entry.lock().unwrap().id(&mut self.random);
        let Some((id, public)) = known else { return };
        let place = Place { entry, id, public };
        match self.random.below(100) {
            0..12 => drop(self.find(&place, true).await),
            12..25 => drop(self.find(&place, false).await),
            25..65 => self.request(&place).await,
            65..85 => self.change(&place).await,
            85..90 => self.touch(&place).await,
            90..97 => self.rekey(&place).await,
            _ => self.destroy(&place).await,
        }
    }

    /// What is found under each of a session's ids, with or without its timeout; false where there was
    /// no answer.
    pub(crate) async fn look(&mut self, entry: &Shared, timed: bool) -> bool {
        let ids = entry.lock().unwrap().ids.clone();
        for (id, public) in ids.into_iter().enumerate() {
            let Some(public) = public else { continue };
            if self.find(&Place { entry, id, public }, timed).await.is_err() {
                return false;
            }
        }
        true
    }

    /// A new session: by a manager, or by a store, which knows the id before the row is there.
    async fn create(&mut self) {
        if self.random.percent(50) {
            let (set, patience) = (self.set(), self.patience());
            let session = self.manager.session(None);
            session.insert(set.0, set.1).unwrap();
            let told = Told::by(&self.book, patience, session.commit()).await;
            if let Ok(commit) = &told.answer {
                self.created(&told, commit, set);
            }
            return;
        }
        let id = SessionId::generate().unwrap();
        let entry = Entry { ids: vec![Some(id.clone())], history: Vec::new() };
        let entry = Arc::new(Mutex::new(entry));
        let patience = self.patience();
        // Told nothing, it tries again.
        if self.insert(&entry, &id, patience).await == Answer::Unknown {
            self.insert(&entry, &id, None).await;
        }
        self.book.add(entry);
    }

    async fn insert(
        &mut self,
        entry: &Shared,
        id: &SessionId,
        patience: Option<Duration>,
    ) -> Answer {
        let set = self.set();
        let save = Save::Insert(Insert::new(id.private(), encoded(&Data::from([set]))));
        let told = Told::by(&self.book, patience, self.store.save(&save)).await;
        let answer = told.answer(saved);
        told.note(entry, self.number, Op::Create { id: 0, set }, answer.clone());
        answer
    }

    /// Of a session that is told to be a new one.
    fn created(&self, told: &Told<Commit>, commit: &Commit, set: (&'static str, u64)) {
        let CookieChange::Set(id) = &commit.cookie else { panic!("a new session without an id") };
        let entry = Entry { ids: vec![Some(id.clone())], history: Vec::new() };
        let entry = Arc::new(Mutex::new(entry));
        told.note(&entry, self.number, Op::Create { id: 0, set }, Answer::Done);
        self.book.add(entry);
    }

    async fn find(
        &mut self,
        place: &Place<'_>,
        timed: bool,
    ) -> std::result::Result<Option<Record>, Answer> {
        let lookup = if timed { self.lookup(&place.public) } else { Lookup::new(&place.public) };
        let patience = self.patience();
        let told = Told::by(&self.book, patience, self.store.find(&lookup)).await;
        let found =
            told.answer(|record| Answer::Found(record.as_ref().map(|record| decoded(record))));
        told.note(place.entry, self.number, Op::Find { id: place.id, timed }, found);
        told.answer
    }

    /// A request: it reads the session, thinks, and commits.
    async fn request(&mut self, place: &Place<'_>) {
        let session = self.manager.session(Some(place.public.clone()));
        let patience = self.patience();
        let told = Told::by(&self.book, patience, read(&session)).await;
        let op = Op::Find { id: place.id, timed: true };
        told.note(place.entry, self.number, op, told.answer(|data| Answer::Found(data.clone())));
        let Ok(Some(base)) = told.answer else { return };
        if self.random.percent(30) {
            tokio::time::sleep(Duration::from_micros(self.random.next() % 5_000)).await;
        }
        let wish = self.random.below(100);
        if wish < 5 {
            session.destroy().unwrap();
            let patience = self.patience();
            let told = Told::by(&self.book, patience, session.commit()).await;
            let op = Op::Destroy { id: place.id };
            return told.note(
                place.entry,
                self.number,
                op,
                told.answer(|_| Answer::Destroyed(None)),
            );
        }
        let mut write = Write { id: place.id, to: None, set: None, rule: self.rule(), base };
        match wish {
            5..10 => {
                session.reset().unwrap();
                (write.rule, write.base) = (Rule::Reset, Data::new());
            }
            10..25 => session.renew().unwrap(),
            _ => {}
        }
        if !(10..17).contains(&wish) {
            let (key, value) = self.set();
            session.insert(key, value).unwrap();
            write.set = Some((key, value));
        }
        if wish < 25 {
            write.to = Some(place.entry.lock().unwrap().next_id());
        }
        self.commit(place, &session, write).await;
    }

    async fn commit(&mut self, place: &Place<'_>, session: &Session, write: Write) {
        let patience = self.patience();
        let told = Told::by(&self.book, patience, session.commit()).await;
        let answer = told.answer(|commit| match commit.outcome {
            Outcome::Saved => Answer::Done,
            Outcome::Merged => Answer::Merged,
            // A reset that finds no row begins another session.
            Outcome::Gone | Outcome::Created => Answer::Gone,
            Outcome::Conflict => Answer::Conflict,
            other => panic!("a commit that changes something answered {other:?}"),
        });
        let (to, set) = (write.to, write.set);
        told.note(place.entry, self.number, Op::Write(write), answer);
        match (&told.answer, to) {
            (Ok(commit), _) if commit.outcome == Outcome::Created => {
                self.created(&told, commit, set.unwrap());
            }
            (Ok(Commit { cookie: CookieChange::Set(id), .. }), Some(to)) => {
                place.entry.lock().unwrap().ids[to] = Some(id.clone());
            }
            _ => {}
        }
    }

    /// A save of the store's own, and sometimes a renewal with it.
    async fn change(&mut self, place: &Place<'_>) {
        let Ok(Some(record)) = self.find(place, true).await else { return };
        let (base, set) = (decoded(&record), self.set());
        let mut data = base.clone();
        data.extend([set]);
        let mut update = Update::new(record.id).data(encoded(&data));
        let rule = match self.rule() {
            Rule::Overwrite => Rule::Overwrite,
            _ => Rule::Reject,
        };
        if rule == Rule::Reject {
            update = update.guarded_by(&record);
        }
        let to = self.random.percent(10).then(|| place.entry.lock().unwrap().next_id());
        let write = Write { id: place.id, to, set: Some(set), rule, base };
        self.update(place, update, write).await;
    }

    /// A renewal alone.
    async fn rekey(&mut self, place: &Place<'_>) {
        let to = Some(place.entry.lock().unwrap().next_id());
        let write = Write { id: place.id, to, set: None, rule: Rule::Overwrite, base: Data::new() };
        self.update(place, Update::new(place.public.private().into()), write).await;
    }

    async fn update(&mut self, place: &Place<'_>, mut update: Update, write: Write) {
        update.timeouts = self.timeouts;
        let renewed = write.to.map(|to| (to, SessionId::generate().unwrap()));
        update.new_id = renewed.as_ref().map(|(_, id)| id.private());
        let (save, patience) = (Save::Update(update), self.patience());
        let told = Told::by(&self.book, patience, self.store.save(&save)).await;
        told.note(place.entry, self.number, Op::Write(write), told.answer(saved));
        // It is asked for whatever became of the renewal.
        if let Some((to, id)) = renewed {
            place.entry.lock().unwrap().ids[to] = Some(id);
        }
    }

    async fn touch(&mut self, place: &Place<'_>) {
        let (stored, patience) = (place.public.private().into(), self.patience());
        let touch = self.store.touch(&stored, self.timeouts);
        let told = Told::by(&self.book, patience, touch).await;
        let (id, rule, base) = (place.id, Rule::Overwrite, Data::new());
        let op = Op::Write(Write { id, to: None, set: None, rule, base });
        let answer = told.answer(|was| if *was { Answer::Done } else { Answer::Gone });
        told.note(place.entry, self.number, op, answer);
    }

    async fn destroy(&mut self, place: &Place<'_>) {
        let (lookup, patience) = (self.lookup(&place.public), self.patience());
        let told = Told::by(&self.book, patience, self.store.destroy(&lookup)).await;
        let answer = told.answer(|was| Answer::Destroyed(Some(*was)));
        told.note(place.entry, self.number, Op::Destroy { id: place.id }, answer);
    }

    /// How the policy writes.
    fn rule(&self) -> Rule {
        match self.manager.options().policy {
            Policy::Merge => Rule::Merge,
            Policy::Reject => Rule::Reject,
            Policy::LastWriteWins => Rule::Overwrite,
        }
    }

    /// Now and then a client goes away before it is answered.
    fn patience(&mut self) -> Option<Duration> {
        self.random.percent(4).then(|| Duration::from_micros(self.random.next() % 3_000))
    }

    fn set(&mut self) -> (&'static str, u64) {
        (self.random.one_of(&KEYS), self.book.value())
    }

    fn lookup(&self, id: &SessionId) -> Lookup {
        Lookup::new(id).timeouts(self.timeouts)
    }
}

/// What the session holds, if there is one.
async fn read(session: &Session) -> Result<Option<Data>> {
    let mut data = Data::new();
    for key in KEYS {
        if let Some(value) = session.get(key).await? {
            data.insert(key, value);
        }
    }
    Ok(session.id().await?.map(|_| data))
}

fn saved(saved: &Saved) -> Answer {
    match saved {
        Saved::Applied => Answer::Done,
        Saved::Gone => Answer::Gone,
        Saved::Conflict => Answer::Conflict,
        Saved::Duplicate => Answer::Duplicate,
    }
}

/// As the manager's codec writes it.
fn encoded(data: &Data) -> String {
    json!({ "value": data }).to_string()
}

fn decoded(record: &Record) -> Data {
    let text: Value = serde_json::from_slice(record.data.as_ref().unwrap()).unwrap();
    let pairs = text["value"].as_object().unwrap().iter();
    let known = |name: &str| KEYS.into_iter().find(|key| *key == name).expect("a key of ours");
    pairs.map(|(key, value)| (known(key), value.as_u64().unwrap())).collect()
}
