//! Random sequences of operations: SQLite answers as the model does.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sqlbypass::conformance::Fixture;
use sqlbypass::{
    Expiry, Guard, Insert, Lookup, Record, Save, SessionId, Store, StoredId, Timeouts, Update,
};

use super::memory::Memory;
use super::sqlite::{Expiring, Sqlite};

/// Few ids and few data, so that operations meet.
const IDS: usize = 3;
const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug)]
enum Step {
    Find(Key),
    Insert { id: usize, data: u8, expires: bool },
    Update(Box<Change>),
    Destroy(Key),
    Touch(Key),
    Put { key: Key, data: Option<u8> },
    Age { key: Key },
}

#[derive(Clone, Debug)]
struct Change {
    key: Key,
    guard: Option<Option<u8>>,
    data: Option<u8>,
    rekey: Option<usize>,
    restart: bool,
    touch: bool,
    expiry: Expiry,
}

/// An id, whether its raw form is meant, and which timeouts hold.
#[derive(Clone, Copy, Debug)]
struct Key {
    id: usize,
    legacy: bool,
    timeouts: Timeouts,
}

fn keys() -> impl Strategy<Value = Key> {
    let limit = || prop_oneof![3 => Just(None), 1 => Just(Some(HOUR / 2))];
    (0..IDS, any::<bool>(), limit(), limit()).prop_map(|(id, legacy, idle, lifetime)| Key {
        id,
        legacy,
        timeouts: Timeouts { idle, lifetime },
    })
}

fn steps() -> impl Strategy<Value = Step> {
    let data = || 0..3_u8;
    let expiry = prop_oneof![
        4 => Just(Expiry::Keep),
        1 => Just(Expiry::After(HOUR / 2)),
        1 => Just(Expiry::Never),
    ];
    let guard = proptest::option::of(proptest::option::of(data()));
    let change = (
        keys(),
        guard,
        proptest::option::of(data()),
        proptest::option::of(0..IDS),
        any::<bool>(),
        any::<bool>(),
        expiry,
    );
    let change = change.prop_map(|(key, guard, data, rekey, restart, touch, expiry)| {
        Step::Update(Box::new(Change { key, guard, data, rekey, restart, touch, expiry }))
    });
    prop_oneof![
        3 => keys().prop_map(Step::Find),
        3 => (0..IDS, data(), any::<bool>())
            .prop_map(|(id, data, expires)| Step::Insert { id, data, expires }),
        6 => change,
        1 => keys().prop_map(Step::Destroy),
        1 => keys().prop_map(Step::Touch),
        1 => (keys(), proptest::option::of(data())).prop_map(|(key, data)| Step::Put { key, data }),
        2 => keys().prop_map(|key| Step::Age { key }),
    ]
}

/// Zero is no bytes at all.
fn bytes(data: u8) -> Vec<u8> {
    vec![data; usize::from(data)]
}

fn session_id(number: usize) -> SessionId {
    SessionId::parse(format!("{number:032x}").as_bytes()).unwrap()
}

impl Key {
    fn stored(self) -> StoredId {
        let id = session_id(self.id);
        if self.legacy { id.legacy().unwrap().into() } else { id.private().into() }
    }

    fn lookup(self) -> Lookup {
        let id = session_id(self.id);
        let lookup = if self.legacy { Lookup::with_legacy(&id) } else { Lookup::new(&id) };
        lookup.timeouts(self.timeouts)
    }
}

impl Change {
    fn update(&self) -> Update {
        Update {
            guard: match self.guard {
                Some(data) => Guard::Data(data.map(|data| bytes(data).into())),
                None => Guard::Off,
            },
            data: self.data.map(|data| bytes(data).into()),
            new_id: self.rekey.map(|id| session_id(id).private()),
            restart: self.restart,
            touch: self.touch,
            expiry: self.expiry,
            timeouts: self.key.timeouts,
            ..Update::new(self.key.stored())
        }
    }
}

/// What of a record does not depend on the clock.
fn seen(record: Option<Record>) -> String {
    record.map_or("nothing".into(), |record| format!("{} {:?}", record.id.as_str(), record.data))
}

async fn answer<F: Fixture>(fixture: &F, store: &F::Store, step: &Step) -> String {
    match step {
        Step::Find(key) => seen(store.find(&key.lookup()).await.unwrap()),
        Step::Insert { id, data, expires } => {
            let expires_in = expires.then_some(HOUR / 2);
            let id = session_id(*id).private();
            let insert = Insert { expires_in, ..Insert::new(id, bytes(*data)) };
            format!("{:?}", store.save(&Save::Insert(insert)).await.unwrap())
        }
        Step::Update(change) => {
            format!("{:?}", store.save(&Save::Update(change.update())).await.unwrap())
        }
        Step::Destroy(key) => store.destroy(&key.lookup()).await.unwrap().to_string(),
        Step::Touch(key) => store.touch(&key.stored(), key.timeouts).await.unwrap().to_string(),
        Step::Put { key, data } => {
            if is_free(fixture, *key).await {
                let data = data.map(bytes);
                fixture.put(key.stored().as_str(), data.as_deref()).await;
            }
            String::new()
        }
        Step::Age { key } => {
            if !is_free(fixture, *key).await {
                fixture.age(key.stored().as_str(), HOUR).await;
            }
            String::new()
        }
    }
}

async fn is_free<F: Fixture>(fixture: &F, key: Key) -> bool {
    fixture.rows().await.iter().all(|(id, _)| id != key.stored().as_str())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_answers_as_the_model_does(steps in vec(steps(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (model, plain) = Memory::open().await;
            let (fixture, store) = Sqlite::<Expiring>::open().await;
            for step in &steps {
                let expected = answer(&model, &plain, step).await;
                prop_assert_eq!(answer(&fixture, &store, step).await, expected, "{:?}", step);
                let (mut rows, mut expected) = (fixture.rows().await, model.rows().await);
                rows.sort();
                expected.sort();
                prop_assert_eq!(rows, expected, "{:?}", step);
            }
            Ok(())
        })?;
    }
}
