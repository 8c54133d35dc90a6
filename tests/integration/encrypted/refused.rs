//! What cannot be opened is told, without its data, and stays as it is.

use sqlbypass::{
    AnyStore, Encrypted, Error, Json, Key, Keys, Outcome, Plain, SessionId, SessionManager,
};

use super::{SENTINEL, assert_hidden, begin, everywhere, keys, manager, put, stored, words};
use crate::life::place::Place;

everywhere! {
    data_of_another_row
    changed_cut_and_of_another_key
    an_old_key_reads_and_the_new_one_writes
    plain_rows
    encryption_is_left
}

const PLAIN: &str = r#"{"value":{"words":"sentinel words"}}"#;

/// The error of reading, changing and renewing; the row stays.
async fn refusal(manager: &SessionManager<AnyStore>, id: &SessionId) -> String {
    let before = stored(manager.store(), id).await;
    let session = manager.session(Some(id.clone()));
    let error: Error = session.get::<String>("words").await.unwrap_err();
    let session = manager.session(Some(id.clone()));
    session.insert("n", 1).unwrap();
    assert!(session.commit().await.unwrap_err().is_decode());
    let session = manager.session(Some(id.clone()));
    session.renew().unwrap();
    assert!(session.commit().await.unwrap_err().is_decode());
    assert_eq!(stored(manager.store(), id).await, before, "it is never silently replaced");
    assert!(error.is_decode());
    let shown = format!("{error} {error:?}");
    let secrets = [id.as_str().to_owned(), id.private().as_str().to_owned(), before.unwrap()];
    assert!(shown.contains("not valid encrypted") && !shown.contains("sentinel"), "{shown}");
    assert!(secrets.iter().all(|secret| !shown.contains(secret.as_str())), "{shown}");
    shown
}

async fn data_of_another_row(place: &Place) {
    let store = place.open().await;
    let manager = manager(&store);
    let (mine, theirs) = (begin(&manager).await, begin(&manager).await);
    put(&store, &mine, &stored(&store, &theirs).await.unwrap()).await;
    assert!(refusal(&manager, &mine).await.contains("its seal does not fit"));
    assert_eq!(words(&manager, &theirs).await.as_deref(), Some(SENTINEL));
    // A login replaces everything, so it need not read what was there.
    let session = manager.session(Some(mine.clone()));
    session.reset().unwrap();
    session.insert("words", SENTINEL).unwrap();
    assert_eq!(session.commit().await.unwrap().outcome, Outcome::Saved);
}

async fn changed_cut_and_of_another_key(place: &Place) {
    let store = place.open().await;
    let manager = manager(&store);
    let id = begin(&manager).await;
    let good = stored(&store, &id).await.unwrap();
    let (head, tail) = good.split_at(good.len() / 2);
    let other = if tail.starts_with('A') { "B" } else { "A" };
    for bad in [format!("{head}{other}{}", &tail[1..]), head.to_owned(), "sbe1.".to_owned()] {
        put(&store, &id, &bad).await;
        refusal(&manager, &id).await;
    }
    put(&store, &id, &good).await;
    let wrong = |id| Encrypted::new(Json, Keys::new(Key::new(id, [8; 32]).unwrap()));
    let other = SessionManager::new(store.clone(), wrong("k2"));
    assert!(refusal(&other, &id).await.contains("\"k1\" is not on the ring"));
    let other = SessionManager::new(store.clone(), wrong("k1"));
    assert!(refusal(&other, &id).await.contains("its seal does not fit"));
    // Who has no key at all does not take it for a session either.
    let other = SessionManager::new(store.clone(), Json);
    let error = other.session(Some(id.clone())).get::<String>("words").await.unwrap_err();
    assert!(error.is_decode());
    assert_eq!(words(&manager, &id).await.as_deref(), Some(SENTINEL));
}

async fn an_old_key_reads_and_the_new_one_writes(place: &Place) {
    let store = place.open().await;
    let id = begin(&manager(&store)).await;
    let old = Key::new("k1", [7; 32]).unwrap();
    let keys = Keys::new(Key::new("k2", [8; 32]).unwrap()).reads(old).unwrap();
    let manager = SessionManager::new(store.clone(), Encrypted::new(Json, keys));
    assert_eq!(words(&manager, &id).await.as_deref(), Some(SENTINEL));
    assert!(stored(&store, &id).await.unwrap().starts_with("sbe1.k1."));
    let session = manager.session(Some(id.clone()));
    session.insert("n", 1).unwrap();
    session.commit().await.unwrap();
    assert!(stored(&store, &id).await.unwrap().starts_with("sbe1.k2."));
    assert_eq!(words(&manager, &id).await.as_deref(), Some(SENTINEL));
}

async fn plain_rows(place: &Place) {
    let store = place.open().await;
    let strict = manager(&store);
    let id = begin(&strict).await;
    put(&store, &id, PLAIN).await;
    assert!(refusal(&strict, &id).await.contains("it is not encrypted"));
    let codec = Encrypted::new(Json, keys()).plain(Plain::Read);
    let migrating = SessionManager::new(store.clone(), codec);
    assert_eq!(words(&migrating, &id).await.as_deref(), Some(SENTINEL));
    assert_eq!(stored(&store, &id).await.unwrap(), PLAIN, "reading changes nothing");
    let session = migrating.session(Some(id.clone()));
    session.insert("n", 1).unwrap();
    session.commit().await.unwrap();
    assert_hidden(&store, &id).await;
    assert_eq!(words(&strict, &id).await.as_deref(), Some(SENTINEL));
}

async fn encryption_is_left(place: &Place) {
    let store = place.open().await;
    let id = begin(&manager(&store)).await;
    let codec = Encrypted::new(Json, keys()).plain(Plain::Write);
    let leaving = SessionManager::new(store.clone(), codec);
    assert_eq!(words(&leaving, &id).await.as_deref(), Some(SENTINEL));
    let session = leaving.session(Some(id.clone()));
    session.renew().unwrap();
    session.commit().await.unwrap();
    let id = session.id().await.unwrap().unwrap();
    assert_eq!(stored(&store, &id).await.unwrap(), PLAIN);
    let plain = SessionManager::new(store.clone(), Json);
    assert_eq!(words(&plain, &id).await.as_deref(), Some(SENTINEL));
}
