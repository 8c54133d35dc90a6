//! The life of sessions, through the manager.

use std::fmt::Debug;
use std::time::Duration;

use sqlbypass::{
    Changes, Codec, CookieChange, Encoding, Encrypted, Json, Keys, LogSalt, ManagerOptions, Map,
    Marshal, Policy, Session, SessionId, SessionManager, Store, Symbol, Text, UnknownIds,
    UnknownIdsReceiver, Users, Value, ValueRef,
};

use super::ears::{heard, new_id, secret, secret_id, told};

/// What sessions hold.
pub(crate) const DATA: &str = "SENTINEL-of-the-data-5b7e";
pub(crate) const USER: &str = "SENTINEL-of-the-user-91c4";
const KEY: &str = "k1:bGVha2xlYWtsZWFrbGVha2xlYWtsZWFrbGVha2xlYWs=";

pub(crate) async fn all<S: Store + Clone + Debug + 'static>(store: &S) {
    secret("data", DATA);
    secret("user", USER);
    secret("key", KEY.trim_start_matches("k1:"));
    secret("key", &"leak".repeat(8));
    let keys = Keys::parse(KEY).unwrap();
    heard(&format!("{keys:?} {keys:#?}"));
    values();
    for policy in [Policy::Merge, Policy::LastWriteWins, Policy::Reject] {
        one(store, Json, policy).await;
    }
    one(store, Marshal, Policy::Merge).await;
    one(store, Encrypted::new(Json, keys), Policy::Merge).await;
}

/// What a session's values print of themselves, one by one and in one another.
fn values() {
    let map: Map =
        [(DATA, Value::from(DATA)), ("text", Value::Text(Text::new(DATA, Encoding::Ascii)))]
            .into_iter()
            .collect();
    let list = vec![Value::from(DATA), Value::Symbol(Symbol::new(DATA)), Value::Map(map.clone())];
    let mut changes = Changes::new();
    changes.set(DATA, Value::from(list.clone()));
    heard(&format!("{map:?} {map:#?} {list:?} {list:#?} {changes:?} {changes:#?}"));
    for value in &list {
        heard(&format!("{:?} {:#?}", ValueRef::owned(value), ValueRef::owned(value)));
    }
}

async fn begun<S: Store + 'static>(manager: &SessionManager<S>) -> SessionId {
    let session = manager.session(None);
    session.insert("text", DATA).unwrap();
    session.insert(DATA, DATA).unwrap();
    session.insert("user", USER).unwrap();
    heard(&format!("{session:?} {session:#?}"));
    committed(&session).await.unwrap()
}

/// Commits, and keeps the new id, if there is one, as a secret.
async fn committed(session: &Session) -> Option<SessionId> {
    let result = session.commit().await;
    if let Ok(commit) = &result
        && let CookieChange::Set(id) = &commit.cookie
    {
        secret_id(id);
    }
    match told(result)?.cookie {
        CookieChange::Set(id) => Some(id),
        CookieChange::Keep | CookieChange::Clear => None,
    }
}

async fn one<S: Store + Clone + Debug + 'static>(
    store: &S,
    codec: impl Codec + 'static,
    policy: Policy,
) {
    heard(&format!("{codec:?} {codec:#?}"));
    let (unknown_ids, mut reports) = UnknownIds::channel(8);
    let salt = "SENTINEL-of-the-salt-2d6a";
    secret("salt", salt);
    let options = ManagerOptions {
        policy,
        users: Some(Users::key("user")),
        unknown_ids: Some(unknown_ids),
        log_salt: LogSalt::new(salt),
        rotation_grace: Some(Duration::from_secs(60)),
        ..ManagerOptions::default()
    };
    let manager = SessionManager::with_options(store.clone(), codec, options);
    heard(&format!("{manager:?} {manager:#?} {:?}", manager.options()));
    let id = begun(&manager).await;
    let open = || manager.session(Some(id.clone()));

    // Read, changed, changed by two at once, and read as what it is not.
    let (session, other) = (open(), open());
    assert_eq!(session.get::<String>("text").await.unwrap().unwrap(), DATA);
    told(other.value(DATA).await.map(drop));
    told(session.get::<u64>("text").await);
    told(session.get::<Vec<u8>>(DATA).await);
    told(session.insert("session_id", DATA));
    told(session.info().await);
    told(session.id().await);
    let map = session.to_map().await.unwrap();
    heard(&format!("{session:?} {map:?} {map:#?}"));
    session.insert("n", 1).unwrap();
    committed(&session).await;
    told(session.insert("late", DATA));
    other.insert("text", format!("{DATA} again")).unwrap();
    committed(&other).await;
    ends(&manager, &id, &mut reports).await;
}

/// Its id changes, and parallel requests come with the old one; then it ends.
async fn ends<S: Store + 'static>(
    manager: &SessionManager<S>,
    id: &SessionId,
    reports: &mut UnknownIdsReceiver,
) {
    let open = || manager.session(Some(id.clone()));
    let session = open();
    session.rotate().unwrap();
    let rotated = committed(&session).await.unwrap();
    let before = open();
    told(before.get::<u64>("n").await);
    told(before.is_snapshot().await);
    before.insert("n", 5).unwrap();
    committed(&before).await;
    let session = manager.session(Some(rotated.clone()));
    session.renew().unwrap();
    let renewed = committed(&session).await.unwrap();
    let session = manager.session(Some(renewed.clone()));
    session.insert("text", DATA).unwrap();
    session.reset().unwrap();
    session.insert("text", DATA).unwrap();
    let reset = committed(&session).await.unwrap();

    // A change that comes after the end, and ids that nobody has.
    let (late, session) =
        (manager.session(Some(reset.clone())), manager.session(Some(reset.clone())));
    told(late.get::<String>("n").await);
    session.destroy().unwrap();
    committed(&session).await;
    late.insert("text", DATA).unwrap();
    committed(&late).await;
    for id in [reset, renewed, rotated, new_id()] {
        let session = manager.session(Some(id.clone()));
        told(session.get::<u64>("n").await);
        heard(&format!("{session:?} {:?} {:?}", manager.id_hash(&id), reports.recv().await));
    }
}
