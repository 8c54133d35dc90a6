//! What a request asks of its session, and what has to come of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlbypass::{Late, Policy, Session};

/// The keys and values of a row.
pub(crate) type Row = BTreeMap<String, Value>;

/// Counted by each request: its merge adds up.
pub(crate) const COUNTER: &str = "visits";
/// Filled by each request: its merge keeps what each added.
pub(crate) const CART: &str = "cart";
/// Taken by one request alone: its merge refuses.
pub(crate) const SEAT: &str = "seat";

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Read,
    Set(String, u64),
    Remove(String),
    Count,
    Push(u64),
    Clear,
    Renew,
    Rotate,
    Reset,
    Destroy,
}

/// What becomes of the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Rotate,
    Renew,
    Reset,
    Destroy,
}

/// What the steps come to, read on a row or on none.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) fate: Fate,
    pub(crate) cleared: bool,
    pub(crate) keys: BTreeMap<String, Option<Value>>,
    /// A value of the row was changed in place.
    pub(crate) edits: bool,
}

impl Step {
    pub(crate) async fn run(&self, session: &Session) {
        match self {
            Self::Read => drop(session.to_map().await.unwrap()),
            Self::Set(key, value) => session.insert(key.as_str(), value).unwrap(),
            Self::Remove(key) => session.remove(key.as_str()).unwrap(),
            Self::Count => {
                let count: u64 = session.get(COUNTER).await.unwrap().unwrap_or(0);
                session.insert(COUNTER, count + 1).unwrap();
            }
            Self::Push(item) => {
                let push = |cart: &mut sqlbypass::Value| {
                    let mut items = cart.as_array().unwrap_or_default().to_vec();
                    items.push((*item).into());
                    *cart = sqlbypass::Value::Array(items);
                };
                session.update(CART, push).await.unwrap();
            }
            Self::Clear => session.clear().unwrap(),
            Self::Renew => session.renew().unwrap(),
            Self::Rotate => session.rotate().unwrap(),
            Self::Reset => session.reset().unwrap(),
            Self::Destroy => session.destroy().unwrap(),
        }
    }
}

impl Wanted {
    pub(crate) fn of(steps: &[Step], base: Option<&Row>) -> Self {
        let (fate, keys) = (Fate::Keep, BTreeMap::new());
        let mut wanted = Self { fate, cleared: false, keys, edits: false };
        for step in steps {
            wanted.take(step, base);
        }
        wanted
    }

    fn take(&mut self, step: &Step, base: Option<&Row>) {
        match step {
            Step::Read => {}
            Step::Set(key, value) => drop(self.keys.insert(key.clone(), Some(json!(value)))),
            Step::Remove(key) => drop(self.keys.insert(key.clone(), None)),
            Step::Count => {
                let count = self.value(COUNTER, base).and_then(|count| count.as_u64());
                self.keys.insert(COUNTER.into(), Some(json!(count.unwrap_or(0) + 1)));
            }
            Step::Push(item) => {
                let untouched = !self.cleared && !self.keys.contains_key(CART);
                self.edits |= untouched && base.is_some_and(|row| row.contains_key(CART));
                let cart = self.value(CART, base).and_then(|cart| cart.as_array().cloned());
                let mut cart = cart.unwrap_or_default();
                cart.push(json!(item));
                self.keys.insert(CART.into(), Some(Value::Array(cart)));
            }
            Step::Rotate if self.fate == Fate::Keep => self.fate = Fate::Rotate,
            Step::Renew if matches!(self.fate, Fate::Keep | Fate::Rotate) => {
                self.fate = Fate::Renew
            }
            Step::Renew | Step::Rotate => {}
            Step::Clear | Step::Reset | Step::Destroy => {
                (self.cleared, self.edits) = (true, false);
                self.keys.clear();
                match step {
                    Step::Reset => self.fate = Fate::Reset,
                    Step::Destroy => self.fate = Fate::Destroy,
                    _ => {}
                }
            }
        }
    }

    fn value(&self, key: &str, base: Option<&Row>) -> Option<Value> {
        match self.keys.get(key) {
            Some(value) => value.clone(),
            None if self.cleared => None,
            None => base?.get(key).cloned(),
        }
    }

    /// The keys that are set, as a row that begins with this request.
    pub(crate) fn sets(&self) -> Row {
        self.keys.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect()
    }

    /// Whether it changes anything of the row that was read.
    pub(crate) fn alters(&self, base: &Row) -> bool {
        let differs = |(key, value): (&String, &Option<Value>)| base.get(key) != value.as_ref();
        if self.cleared { self.sets() != *base } else { self.keys.iter().any(differs) }
    }

    /// What a new session may hold of it after the end of the one that was read; `None` if it has to
    /// be refused.
    pub(crate) fn begun(&self, late: Late, base: &Row) -> Option<Row> {
        let mut own = self.sets();
        own.retain(|key, value| base.get(key) != Some(value));
        (late == Late::Begin && !self.edits && !own.is_empty()).then_some(own)
    }

    /// The row after this request, which read `base`, where `theirs` is there now; `None` for a
    /// conflict.
    pub(crate) fn written(&self, policy: Policy, base: &Row, theirs: &Row) -> Option<Row> {
        if self.fate != Fate::Reset && !self.alters(base) {
            return Some(theirs.clone());
        }
        if self.cleared {
            return Some(self.sets());
        }
        let blind = policy == Policy::LastWriteWins;
        let mut row = if blind { base.clone() } else { theirs.clone() };
        for (key, ours) in &self.keys {
            let (read, found) = (base.get(key), theirs.get(key));
            if read == ours.as_ref() {
                continue;
            }
            let merges = policy == Policy::Merge && read != found;
            let merged = match key.as_str() {
                SEAT if merges => return None,
                COUNTER if merges => {
                    let count = |value: Option<&Value>| value.map_or(0, |n| n.as_i64().unwrap());
                    Some(json!(count(found) + count(ours.as_ref()) - count(read)))
                }
                CART if merges => Some(cart(read, found, ours.as_ref())),
                _ => ours.clone(),
            };
            match merged {
                Some(value) => drop(row.insert(key.clone(), value)),
                None => drop(row.remove(key)),
            }
        }
        Some(row)
    }
}

/// Theirs without what we took out, and with what we put in.
fn cart(read: Option<&Value>, found: Option<&Value>, ours: Option<&Value>) -> Value {
    let items = |cart: Option<&Value>| -> Vec<Value> {
        cart.map_or_else(Vec::new, |cart| cart.as_array().unwrap().clone())
    };
    let without = |mut items: Vec<Value>, taken: &[Value]| {
        for item in taken {
            if let Some(at) = items.iter().position(|known| known == item) {
                items.remove(at);
            }
        }
        items
    };
    let (read, found, ours) = (items(read), items(found), items(ours));
    let mut cart = without(found, &without(read.clone(), &ours));
    cart.extend(without(ours, &read));
    Value::Array(cart)
}
