//! An ordered map of text keys, as a Ruby hash or a JSON object keeps them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use super::Value;

/// An ordered map. Order is kept for writing and ignored for equality, as in Ruby.
///
/// `Debug` shows its size alone: keys are content too.
#[derive(Clone, Default)]
pub struct Map {
    entries: Vec<(String, Value)>,
    indifferent: bool,
}

impl Map {
    /// The class of Rails' maps that take symbols and strings alike.
    pub(crate) const INDIFFERENT: &[u8] = b"ActiveSupport::HashWithIndifferentAccess";

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

    /// Whether Ruby sees an `ActiveSupport::HashWithIndifferentAccess`, where the format can say so.
    pub fn is_indifferent(&self) -> bool {
        self.indifferent
    }

    /// Sets whether Ruby sees an `ActiveSupport::HashWithIndifferentAccess`.
    pub fn set_indifferent(&mut self, indifferent: bool) {
        self.indifferent = indifferent;
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({})", self.len())
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        let sorted = |map: &Self| {
            let mut order: Vec<usize> = (0..map.len()).collect();
            order.sort_by(|a, b| map.entries[*a].0.cmp(&map.entries[*b].0));
            order
        };
        self.entries == other.entries
            || sorted(self)
                .into_iter()
                .zip(sorted(other))
                .all(|(ours, theirs)| self.entries[ours] == other.entries[theirs])
    }
}

/// Of equal keys the last one's value stays, in the first one's place, as in Ruby.
impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries: Vec<(String, Value)> =
            entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let mut places = HashMap::new();
        let repeats = match entries.len() {
            // For few keys a comparison of each with each is the fastest.
            0..=16 => (1..entries.len())
                .any(|at| entries[..at].iter().any(|(key, _)| *key == entries[at].0)),
            _ => entries.iter().any(|(key, _)| places.insert(key.as_str(), ()).is_some()),
        };
        if !repeats {
            return Self { entries, indifferent: false };
        }
        let mut map = Self::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (key, value) in entries {
            match places.entry(key) {
                Entry::Occupied(place) => map.entries[*place.get()].1 = value,
                Entry::Vacant(place) => {
                    map.entries.push((place.key().clone(), value));
                    place.insert(map.entries.len() - 1);
                }
            }
        }
        map
    }
}

impl IntoIterator for Map {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
