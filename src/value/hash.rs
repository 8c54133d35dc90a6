//! A Ruby hash that is more than a map of texts.

use std::fmt;

use super::Value;

/// An ordered hash with keys of any kind, perhaps with a default and compared by identity.
///
/// Equality ignores the order, as in Ruby. `Debug` shows the size.
#[derive(Clone, Default)]
pub struct Hash {
    entries: Vec<(Value, Value)>,
    default: Option<Value>,
    by_identity: bool,
    indifferent: bool,
}

impl Hash {
    /// A hash of these entries; the caller sees to it that no key comes twice.
    pub fn new(entries: Vec<(Value, Value)>, default: Option<Value>) -> Self {
        Self { entries, default, by_identity: false, indifferent: false }
    }

    /// The entries in order.
    pub fn entries(&self) -> &[(Value, Value)] {
        &self.entries
    }

    /// The value of a key.
    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// What it answers for a key that it does not have.
    pub fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// Whether Ruby compares its keys by identity.
    pub fn is_by_identity(&self) -> bool {
        self.by_identity
    }

    /// Sets whether Ruby compares its keys by identity.
    pub fn set_by_identity(&mut self, by_identity: bool) {
        self.by_identity = by_identity;
    }

    pub(crate) fn is_indifferent(&self) -> bool {
        self.indifferent
    }

    pub(crate) fn set_indifferent(&mut self, indifferent: bool) {
        self.indifferent = indifferent;
    }
}

impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        let same_kind = self.default == other.default && self.by_identity == other.by_identity;
        same_kind
            && self.entries.len() == other.entries.len()
            && (self.entries == other.entries
                || self.entries.iter().all(|(key, value)| other.get(key) == Some(value)))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.entries.len())
    }
}
