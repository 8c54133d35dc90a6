//! What goes through lanes: finds on one, changes on the other.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

use super::core::{Ask, Keys};
use crate::id::StoredId;
use crate::record::{Expiry, Guard, Lookup, Save, Timeouts, Update};

/// Something that is written.
#[derive(Clone)]
pub(in crate::store) enum Change {
    Save(Save),
    Touch(StoredId, Timeouts),
    Destroy(Lookup),
}

impl Change {
    /// A touch as the update that it is.
    pub(in crate::store) fn touch(id: StoredId, timeouts: Timeouts) -> Update {
        Update { timeouts, ..Update::new(id) }
    }

    pub(in crate::store) fn save_keys(save: &Save) -> Keys {
        let (id, new_id) = match save {
            Save::Insert(insert) => (insert.id.as_bytes(), None),
            Save::Update(update) => (update.id.as_bytes(), update.new_id.as_ref()),
        };
        Keys::new(hash(id), new_id.map(|id| hash(id.as_bytes())))
    }

    pub(in crate::store) fn touch_keys(id: &StoredId) -> Keys {
        Keys::new(hash(id.as_bytes()), None)
    }

    pub(in crate::store) fn destroy_keys(lookup: &Lookup) -> Keys {
        lookup.keys()
    }
}

/// What changes must have in common to be one statement.
#[derive(PartialEq)]
pub(in crate::store) enum ChangeClass {
    Insert(Option<Duration>),
    Update { parts: [bool; 6], expiry: Expiry, timeouts: Timeouts },
    Destroy,
}

impl From<&Update> for ChangeClass {
    fn from(update: &Update) -> Self {
        let guarded = matches!(update.guard, Guard::Data(_));
        let (data, rekey) = (update.data.is_some(), update.new_id.is_some());
        let owner = update.written_owner().is_some();
        Self::Update {
            parts: [guarded, data, rekey, update.restart, update.touch, owner],
            expiry: update.expiry,
            timeouts: update.timeouts,
        }
    }
}

impl Ask for Change {
    type Class = ChangeClass;

    fn class(&self) -> Option<ChangeClass> {
        Some(match self {
            Self::Save(Save::Insert(insert)) => ChangeClass::Insert(insert.expires_in),
            Self::Save(Save::Update(update)) => update.into(),
            Self::Touch(id, timeouts) => (&Self::touch(*id, *timeouts)).into(),
            Self::Destroy(_) => ChangeClass::Destroy,
        })
    }

    fn keys(&self) -> Keys {
        match self {
            Self::Save(save) => Self::save_keys(save),
            Self::Touch(id, _) => Self::touch_keys(id),
            Self::Destroy(lookup) => Self::destroy_keys(lookup),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Save(save) => save_bytes(save),
            Self::Touch(..) | Self::Destroy(_) => 0,
        }
    }

    fn same(&self, _: &Self) -> bool {
        false
    }
}

impl Ask for Lookup {
    type Class = Timeouts;

    fn class(&self) -> Option<Timeouts> {
        Some(self.timeouts)
    }

    fn keys(&self) -> Keys {
        let legacy = self.legacy.as_ref().map(|id| hash(id.as_bytes()));
        Keys::new(hash(self.private.as_bytes()), legacy)
    }

    fn bytes(&self) -> usize {
        0
    }

    fn same(&self, other: &Self) -> bool {
        self == other
    }
}

/// The bytes that a save brings.
pub(in crate::store) fn save_bytes(save: &Save) -> usize {
    match save {
        Save::Insert(insert) => insert.data.len(),
        Save::Update(update) => {
            let guard = match &update.guard {
                Guard::Data(Some(data)) => data.len(),
                Guard::Data(None) | Guard::Off => 0,
            };
            guard + update.data.as_ref().map_or(0, |data| data.len())
        }
    }
}

/// Seeded anew in each process: raw ids are the users' to choose.
fn hash(id: &[u8]) -> u64 {
    static STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    STATE.hash_one(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{LegacyId, PrivateId, SessionId};
    use crate::record::Insert;

    fn id(text: &str) -> PrivateId {
        SessionId::parse(text.as_bytes()).unwrap().private()
    }

    fn lookup(text: &str) -> Lookup {
        Lookup::new(&SessionId::parse(text.as_bytes()).unwrap())
    }

    fn keys(ask: &impl Ask) -> Vec<u64> {
        ask.keys().iter().collect()
    }

    #[test]
    fn what_concerns_one_session_has_a_key_in_common() {
        let (one, other) = (id("one"), id("other"));
        let [of_one, of_other] = ["one", "other"].map(|text| keys(&lookup(text)));
        assert_ne!(of_one, of_other);
        let update = Update::new(one.into());
        for change in [
            Change::Save(Save::Insert(Insert::new(one, "data"))),
            Change::Save(Save::Update(update.clone())),
            Change::Touch(one.into(), Timeouts::default()),
            Change::Destroy(lookup("one")),
        ] {
            assert_eq!(keys(&change), of_one);
            assert!(!change.same(&change.clone()), "no two changes are one");
        }
        let moved = Change::Save(Save::Update(Update { new_id: Some(other), ..update }));
        assert_eq!(keys(&moved), [&*of_one, &*of_other].concat());
        let raw = LegacyId::parse("0123456789abcdef".repeat(2)).unwrap();
        let both = Lookup { legacy: Some(raw), ..lookup("one") };
        assert_eq!(
            keys(&both),
            [&*of_one, &*keys(&Change::Touch(raw.into(), Timeouts::default()))].concat()
        );
    }

    #[test]
    fn finds_of_one_kind_go_together_and_equal_ones_are_one() {
        let timeouts = Timeouts { idle: Some(Duration::from_secs(60)), ..Timeouts::default() };
        let (plain, timed) = (lookup("one"), Lookup { timeouts, ..lookup("one") });
        assert!(plain.class() == Some(Timeouts::default()) && timed.class() == Some(timeouts));
        assert!(plain.same(&plain.clone()) && !plain.same(&timed));
        assert!(!plain.same(&lookup("other")));
        assert_eq!(plain.bytes(), 0);
    }

    #[test]
    fn changes_of_one_kind_go_together() {
        let class = |change: Change| change.class().unwrap();
        let timeouts = Timeouts { idle: Some(Duration::from_secs(60)), ..Timeouts::default() };
        let touch = |timeouts| class(Change::Touch(id("one").into(), timeouts));
        assert!(
            touch(timeouts) == touch(timeouts) && touch(timeouts) != touch(Timeouts::default())
        );
        let update = Update { timeouts, ..Update::new(id("other").into()) };
        assert!(
            touch(timeouts) == class(Change::Save(Save::Update(update))),
            "a touch is an update"
        );
        let destroy = || class(Change::Destroy(lookup("one")));
        assert!(destroy() == destroy() && destroy() != touch(timeouts));
    }

    #[test]
    fn the_bytes_of_a_save_are_its_data_and_its_guard() {
        let bytes = |save: Save| Change::Save(save).bytes();
        assert_eq!(bytes(Save::Insert(Insert::new(id("one"), "1234"))), 4);
        let update = Update::new(id("one").into());
        assert_eq!(bytes(Save::Update(update.clone())), 0);
        let guard = Guard::Data(Some("123".into()));
        let guarded = Update { guard, ..update.data("12345") };
        assert_eq!(bytes(Save::Update(guarded)), 8);
        assert_eq!(Change::Destroy(lookup("one")).bytes(), 0);
    }
}
