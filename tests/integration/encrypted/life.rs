//! Whatever becomes of a session's id, its data stay readable, and hidden in the table.

use std::ops::ControlFlow;
use std::time::Duration;

use sqlbypass::admin::{UpgradeOptions, upgrade};
use sqlbypass::{CookieChange, Lookup, ManagerOptions, Outcome, SessionId, Store as _};

use super::{SENTINEL, assert_hidden, begin, everywhere, manager, stored, with, words};
use crate::life::place::Place;
use crate::promises::new_id;

everywhere! {
    saved_and_changed
    renewed_and_rotated
    reset
    read_on_after_a_rotation
    a_raw_row_is_secured_or_upgraded
    null_is_empty
}

async fn saved_and_changed(place: &Place) {
    let store = place.open().await;
    let manager = manager(&store);
    let id = begin(&manager).await;
    assert_hidden(&store, &id).await;
    let before = stored(&store, &id).await;
    let session = manager.session(Some(id.clone()));
    session.insert("words", SENTINEL).unwrap();
    assert_eq!(session.commit().await.unwrap().outcome, Outcome::Unchanged);
    assert_eq!(stored(&store, &id).await, before, "equal content issues no SQL");
    let session = manager.session(Some(id.clone()));
    session.insert("n", 1).unwrap();
    assert_eq!(session.commit().await.unwrap().outcome, Outcome::Saved);
    assert_hidden(&store, &id).await;
    assert_ne!(stored(&store, &id).await, before);
    assert_eq!(words(&manager, &id).await.as_deref(), Some(SENTINEL));
    let session = manager.session(Some(id.clone()));
    session.clear().unwrap();
    session.commit().await.unwrap();
    assert_hidden(&store, &id).await;
    assert_eq!(words(&manager, &id).await, None);
}

async fn renewed_and_rotated(place: &Place) {
    let store = place.open().await;
    let manager = manager(&store);
    let mut id = begin(&manager).await;
    for round in 0..4 {
        let session = manager.session(Some(id.clone()));
        match round % 2 {
            0 => session.renew().unwrap(),
            _ => session.rotate().unwrap(),
        }
        if round > 1 {
            session.insert("n", round).unwrap();
        }
        let commit = session.commit().await.unwrap();
        assert_eq!(commit.outcome, Outcome::Saved);
        let CookieChange::Set(new) = commit.cookie else { panic!("it has a new id") };
        assert_eq!(stored(&store, &id).await, None);
        assert_hidden(&store, &new).await;
        assert_eq!(words(&manager, &new).await.as_deref(), Some(SENTINEL));
        id = new;
    }
}

async fn reset(place: &Place) {
    let store = place.open().await;
    let manager = manager(&store);
    let id = begin(&manager).await;
    let session = manager.session(Some(id.clone()));
    session.reset().unwrap();
    session.insert("user", 42).unwrap();
    let CookieChange::Set(new) = session.commit().await.unwrap().cookie else { panic!("new id") };
    assert_hidden(&store, &new).await;
    assert_eq!((stored(&store, &id).await, words(&manager, &new).await), (None, None));
    assert_eq!(manager.session(Some(new)).get("user").await.unwrap(), Some(42));
    // Where the row has gone there is a new one.
    let id = begin(&manager).await;
    let session = manager.session(Some(id.clone()));
    session.get::<i64>("user").await.unwrap();
    store.destroy(&Lookup::new(&id)).await.unwrap();
    session.reset().unwrap();
    session.insert("words", SENTINEL).unwrap();
    let CookieChange::Set(new) = session.commit().await.unwrap().cookie else { panic!("new id") };
    assert_eq!(words(&manager, &new).await.as_deref(), Some(SENTINEL));
}

async fn read_on_after_a_rotation(place: &Place) {
    let store = place.open().await;
    let rotation_grace = Some(Duration::from_secs(60));
    let manager = with(&store, ManagerOptions { rotation_grace, ..ManagerOptions::default() });
    let id = begin(&manager).await;
    let session = manager.session(Some(id.clone()));
    session.rotate().unwrap();
    let CookieChange::Set(new) = session.commit().await.unwrap().cookie else { panic!("new id") };
    assert_eq!(words(&manager, &id).await.as_deref(), Some(SENTINEL));
    let session = manager.session(Some(new.clone()));
    session.remove("words").unwrap();
    session.insert("n", 1).unwrap();
    session.commit().await.unwrap();
    assert_eq!(words(&manager, &id).await, None, "what was removed since is not shown");
}

async fn a_raw_row_is_secured_or_upgraded(place: &Place) {
    let store = place.open().await;
    let manager = manager(&store);
    let (first, second) = (begin(&manager).await, begin(&manager).await);
    // As gem 1.x had stored them, had it encrypted: bound to the private id all the same.
    let mut datas = Vec::new();
    for id in [&first, &second] {
        datas.push(stored(&store, id).await.unwrap());
        raw(place, id).await;
    }
    assert_eq!(words(&manager, &first).await.as_deref(), Some(SENTINEL));
    let session = manager.session(Some(first.clone()));
    session.get::<String>("words").await.unwrap();
    session.commit().await.unwrap();
    let options = UpgradeOptions::default();
    let upgraded = upgrade(&store, &options, |_| ControlFlow::Continue(())).await.unwrap();
    assert_eq!(upgraded.upgraded, 1, "the other was secured by its read");
    for (id, data) in [first, second].iter().zip(datas) {
        assert_eq!(stored(&store, id).await.unwrap(), data);
        assert_eq!(words(&manager, id).await.as_deref(), Some(SENTINEL));
    }
}

/// Moves the row under its raw id.
async fn raw(place: &Place, id: &SessionId) {
    let sql = format!("UPDATE {} SET session_id = ? WHERE session_id = ?", place.table);
    let mut rails = place.rails().await;
    assert_eq!(rails.execute(&sql, &[id.as_str(), id.private().as_str()]).await, 1);
}

async fn null_is_empty(place: &Place) {
    let store = place.open().await;
    let manager = manager(&store);
    let id = new_id();
    let sql = format!(
        "INSERT INTO {} (session_id, created_at, updated_at) VALUES (?, '2026-01-01', '2026-01-01')",
        place.table
    );
    assert_eq!(place.rails().await.execute(&sql, &[id.private().as_str()]).await, 1);
    let session = manager.session(Some(id.clone()));
    assert!(session.is_empty().await.unwrap());
    session.renew().unwrap();
    let CookieChange::Set(new) = session.commit().await.unwrap().cookie else { panic!("new id") };
    let session = manager.session(Some(new.clone()));
    session.insert("words", SENTINEL).unwrap();
    session.commit().await.unwrap();
    assert_hidden(&store, &new).await;
}
