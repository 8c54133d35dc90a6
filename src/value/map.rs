//! An ordered map of text keys, as a Ruby hash or a JSON object keeps them.

use std::collections::HashMap;

use super::Value;

/// Up to so many keys are compared one by one, which is faster than hashing them.
const FEW: usize = 16;

/// An ordered map. Order is kept for writing and ignored for equality, as in Ruby.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<(String, Value)>,
}

impl Map {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value of a key, to change it in place.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.entries.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Sets a key; a new one goes to the end. Answers the value it had.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        if let Some(slot) = self.get_mut(&key) {
            return Some(std::mem::replace(slot, value));
        }
        self.entries.push((key, value));
        None
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        Some(self.entries.remove(at).1)
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

/// Of duplicate keys the last value wins and the first place stays, as in Ruby. Takes time in
/// proportion to the number of entries.
impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value.into()));
        let mut entries: Vec<(String, Value)> = entries.collect();
        let keys = |few: usize| entries[..few].iter().map(|(key, _)| key.as_str());
        let is_unique = |(at, key)| !keys(at).any(|earlier| earlier == key);
        if entries.len() <= FEW && keys(entries.len()).enumerate().all(is_unique) {
            return Self { entries };
        }
        let mut places = HashMap::with_capacity(entries.len());
        let firsts = keys(entries.len()).enumerate();
        let firsts: Vec<usize> = firsts.map(|(at, key)| *places.entry(key).or_insert(at)).collect();
        for (at, &first) in firsts.iter().enumerate().filter(|(at, first)| at != *first) {
            entries[first].1 = std::mem::take(&mut entries[at].1);
        }
        let mut is_first = firsts.iter().enumerate().map(|(at, first)| at == *first);
        entries.retain(|_| is_first.next().unwrap_or(true));
        Self { entries }
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
