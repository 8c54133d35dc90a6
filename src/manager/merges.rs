//! Three-way merges of single keys.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{Changes, Document};
use crate::error::Result;
use crate::value::{Value, ValueRef};

type Merge = dyn Fn(&Value, &Value, &Value) -> Option<Value> + Send + Sync;

/// How [`Policy::Merge`](crate::Policy::Merge) merges single top-level keys that this request and
/// somebody else have both changed since this request read them.
///
/// A merge gets three values: the one that was read (base), the one that is in the row now (theirs)
/// and the one that this request wants to write (ours), and makes one of them. `None` is a conflict:
/// nothing of the request is written ([`Outcome::Conflict`](crate::Outcome::Conflict), a 409 by the
/// middleware). It runs only when both have changed the key, and again when others win once more, so
/// it may have no effects beside its result. `Debug` shows how many keys there are.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use sqlbypass::{ManagerOptions, Merges};
///
/// let merges = Merges::new()
///     .counter("visits")
///     .list("cart")
///     // Pieces of each article: what this request added is added.
///     .typed("basket", |base: BTreeMap<String, i64>, mut theirs, ours: BTreeMap<String, i64>| {
///         for (article, pieces) in ours {
///             let before = base.get(&article).copied().unwrap_or(0);
///             *theirs.entry(article).or_insert(0) += pieces - before;
///         }
///         Some(theirs)
///     })
///     // Two requests must not choose a seat at once.
///     .key("seat", |_base, _theirs, _ours| None);
/// let options = ManagerOptions { merges, ..ManagerOptions::default() };
/// ```
#[derive(Clone, Default)]
pub struct Merges(Vec<(String, Arc<Merge>)>);

impl Merges {
    /// None: of a key that both changed the later commit's value is.
    pub fn new() -> Self {
        Self::default()
    }

    /// Merges a key by a function of base, theirs and ours; nil stands for a key that is not there,
    /// and as the result it removes the key.
    pub fn key(
        mut self,
        key: impl Into<String>,
        merge: impl Fn(&Value, &Value, &Value) -> Option<Value> + Send + Sync + 'static,
    ) -> Self {
        let key = key.into();
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, Arc::new(merge)));
        self
    }

    /// The same with a type of your own, whose default stands for a key that is not there. A value
    /// that does not fit the type is a conflict.
    pub fn typed<T: DeserializeOwned + Serialize + Default>(
        self,
        key: impl Into<String>,
        merge: impl Fn(T, T, T) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        let read = |value: &Value| {
            if value.is_nil() { Some(T::default()) } else { value.deserialize().ok() }
        };
        self.key(key, move |base, theirs, ours| {
            let merged = merge(read(base)?, read(theirs)?, read(ours)?)?;
            Value::from_serialize(&merged).ok()
        })
    }

    /// A whole number of which each request's difference counts; a key that is not there is 0. What
    /// is no whole number is a conflict.
    pub fn counter(self, key: impl Into<String>) -> Self {
        let read = |value: &Value| match value {
            Value::Nil => Some(0),
            Value::Int(number) => Some(*number),
            _ => None,
        };
        self.key(key, move |base, theirs, ours| {
            let added = read(ours)?.checked_sub(read(base)?)?;
            read(theirs)?.checked_add(added).map(Value::Int)
        })
    }

    /// An array, to which what this request added is added at the end, and from which what it
    /// removed is removed. Equal items are told apart by their number: of two requests that both add
    /// the same item, both have added one. What is no array is a conflict.
    pub fn list(self, key: impl Into<String>) -> Self {
        let read = |value: &Value| match value {
            Value::Nil => Some(Vec::new()),
            Value::Array(items) => Some(items.clone()),
            _ => None,
        };
        self.key(key, move |base, theirs, ours| {
            let (mut removed, mut merged) = (read(base)?, read(theirs)?);
            let mut added = read(ours)?;
            added.retain(|item| !take(&mut removed, item));
            for item in removed {
                take(&mut merged, &item);
            }
            merged.append(&mut added);
            Some(Value::Array(merged))
        })
    }

    /// This request's changes as they go into the row that somebody else has changed since: without
    /// the keys that it left as they were, and with those merged that have a merge. `None` is a
    /// conflict.
    pub(super) fn rebase(
        &self,
        changes: &Changes,
        base: &dyn Document,
        theirs: &dyn Document,
    ) -> Result<Option<Changes>> {
        let mut rebased = own(changes, base)?;
        for (key, merge) in &self.0 {
            let Some(ours) = rebased.get(key) else { continue };
            let (read, found) = (value(base, key)?, value(theirs, key)?);
            if read == found {
                continue;
            }
            let ours = ours.cloned().unwrap_or_default();
            match merge(&read, &found, &ours) {
                Some(merged) => rebased.set(key.as_str(), merged),
                None => return Ok(None),
            }
        }
        Ok(Some(rebased))
    }
}

impl fmt::Debug for Merges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merges").field("keys", &self.0.len()).finish()
    }
}

/// The changes without those that leave a key as it was read.
pub(super) fn own(changes: &Changes, base: &dyn Document) -> Result<Changes> {
    let mut own = Changes::new();
    if changes.is_cleared() {
        own.clear();
    }
    for (key, ours) in changes.iter() {
        let ours = ours.cloned().unwrap_or_default();
        if value(base, key)? != ours {
            own.set(key, ours);
        }
    }
    Ok(own)
}

/// The value of a key, nil where it is not there.
fn value(document: &dyn Document, key: &str) -> Result<Value> {
    Ok(document.get(key)?.map(ValueRef::to_value).transpose()?.unwrap_or_default())
}

/// Takes one item out; says whether there was one.
fn take(items: &mut Vec<Value>, item: &Value) -> bool {
    let at = items.iter().position(|known| known == item);
    at.map(|at| items.remove(at)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, Json};

    /// What is in the row after a merge of one key, as JSON; `None` for a conflict.
    fn merged(merges: &Merges, base: &str, theirs: &str, ours: &str) -> Option<String> {
        let open = |value: &str| {
            let text = format!(r#"{{"value":{{"k":{value}}}}}"#);
            Json.open(Some(text.into())).unwrap()
        };
        let mut changes = Changes::new();
        changes.set("k", value(&*open(ours), "k").unwrap());
        let theirs = open(theirs);
        let rebased = merges.rebase(&changes, &*open(base), &*theirs).unwrap()?;
        let row = theirs.encode(&rebased).unwrap();
        let row = std::str::from_utf8(&row).unwrap();
        let inner = row.strip_prefix(r#"{"value":{"#).unwrap().strip_suffix("}}").unwrap();
        Some(inner.strip_prefix(r#""k":"#).unwrap_or("gone").to_owned())
    }

    #[test]
    fn a_key_that_was_left_as_it_was_stays_theirs() {
        for merges in [Merges::new(), Merges::new().counter("k")] {
            assert_eq!(merged(&merges, "1", "5", "1").unwrap(), "5");
        }
        assert_eq!(merged(&Merges::new(), "1", "5", "2").unwrap(), "2");
    }

    #[test]
    fn a_counter_adds_up() {
        let merges = Merges::new().counter("k");
        for (base, theirs, ours, expected) in [
            ("1", "2", "2", "3"),
            ("1", "1", "2", "2"),
            ("null", "4", "1", "5"),
            ("5", "6", "null", "1"),
            ("5", "null", "7", "2"),
        ] {
            assert_eq!(merged(&merges, base, theirs, ours).unwrap(), expected);
        }
        assert_eq!(merged(&merges, "1", "\"2\"", "2"), None);
    }

    #[test]
    fn a_list_takes_what_was_added_and_loses_what_was_removed() {
        let merges = Merges::new().list("k");
        for (base, theirs, ours, expected) in [
            ("[1]", "[1,2]", "[1,3]", "[1,2,3]"),
            ("[1,2]", "[1,2,3]", "[2]", "[2,3]"),
            ("[1]", "[1,2]", "[1,2]", "[1,2,2]"),
            ("[1,1]", "[1,1,4]", "[1]", "[1,4]"),
            ("null", "[1]", "[2]", "[1,2]"),
            ("[1]", "[]", "null", "[]"),
        ] {
            assert_eq!(merged(&merges, base, theirs, ours).unwrap(), expected);
        }
        assert_eq!(merged(&merges, "[]", "{}", "[1]"), None);
    }

    #[test]
    fn a_merge_of_ones_own_may_remove_and_refuse() {
        let typed = Merges::new().typed("k", |base: u8, theirs, ours| {
            assert_eq!(base, 0);
            Some(ours).max(Some(theirs))
        });
        assert_eq!(merged(&typed, "null", "9", "7").unwrap(), "9");
        assert_eq!(merged(&typed, "null", "300", "7"), None);
        let removes = Merges::new().counter("k").key("k", |_, _, _| Some(Value::Nil));
        assert_eq!(merged(&removes, "1", "2", "3").unwrap(), "gone");
        let refuses = Merges::new().key("k", |_, _, _| None);
        assert_eq!(merged(&refuses, "1", "2", "3"), None);
        assert_eq!(merged(&refuses, "1", "1", "3").unwrap(), "3");
        assert_eq!(format!("{refuses:?}"), "Merges { keys: 1 }");
    }
}
