//! Changes that come too late, commits that are under way, and what a handle shows afterwards.

use std::time::Duration;

use http::StatusCode;
use sqlbypass::conformance::Calls;
use sqlbypass::{
    CookieChange, CookieOptions, Json, Lookup, ManagerOptions, Outcome, OverTls, Session,
    SessionId, SessionLayer, SessionManager, SqliteStore, Store, Timeouts,
};

use super::{manager, n, read, send, set_cookie, stored, with_id, write};

#[tokio::test]
async fn a_change_of_an_ended_session_is_refused_unless_it_may_be_dropped() {
    for refuse in [true, false] {
        let manager = manager().await;
        let id = stored(&manager).await;
        let layer = SessionLayer::new(manager.clone()).refuse_late_changes(refuse);
        let other = manager.session(Some(id.clone()));
        let handler = move |session: Session| async move {
            session.get::<i64>("n").await.unwrap();
            // Another request signs out in the meantime.
            other.destroy().unwrap();
            other.commit().await.unwrap();
            session.insert("n", 2).unwrap();
            StatusCode::OK
        };
        let response = send(&layer, with_id(&id), handler).await;
        let expected = if refuse { StatusCode::CONFLICT } else { StatusCode::OK };
        assert_eq!(response.status(), expected);
        assert_eq!(response.body().is_empty(), refuse);
        assert_eq!(set_cookie(&response), None);
        assert!(manager.store().find(&Lookup::new(&id)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn over_plain_http_a_secure_session_is_only_ended() {
    let manager = manager().await;
    let cookie = CookieOptions::default().secure(true);
    let layer = SessionLayer::new(manager.clone()).cookie(cookie).unwrap();
    for end in [Session::destroy, Session::renew, Session::reset] {
        let id = stored(&manager).await;
        let handler = move |session: Session| async move {
            end(&session).unwrap();
            session.insert("n", 2).unwrap();
            StatusCode::OK
        };
        let response = send(&layer, with_id(&id), handler).await;
        assert_eq!(set_cookie(&response), None);
        assert_eq!(manager.store().take(), Calls { destroy: 1, ..Calls::default() });
        assert_eq!(n(&manager, &id).await, None);
        manager.store().take();
    }
    let mut request = with_id(&stored(&manager).await);
    request.extensions_mut().insert(OverTls);
    send(&layer, request, write).await;
    assert_eq!(manager.store().take(), Calls { find: 1, save: 1, ..Calls::default() });
}

#[tokio::test]
async fn a_handle_shows_the_new_id_after_its_commit() {
    let manager = manager().await;
    let session = manager.session(None);
    session.insert("n", 1).unwrap();
    let CookieChange::Set(first) = session.commit().await.unwrap().cookie else { panic!("no id") };
    assert!(session.id().await.unwrap() == Some(first.clone()));
    let session = manager.session(Some(first.clone()));
    session.renew().unwrap();
    let CookieChange::Set(second) = session.commit().await.unwrap().cookie else { panic!("no id") };
    assert!(session.id().await.unwrap() == Some(second.clone()) && first != second);
    assert_eq!(session.get("n").await.unwrap(), Some(1));
    let session = manager.session(Some(second));
    session.get::<i64>("n").await.unwrap();
    session.destroy().unwrap();
    session.commit().await.unwrap();
    assert!(session.id().await.unwrap().is_none());
    assert_eq!(session.get::<i64>("n").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_middleware_waits_for_the_handlers_own_commit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.db");
    let store = SqliteStore::builder(&path).create(true).open().await.unwrap();
    let manager = SessionManager::new(store, Json);
    let other = rusqlite::Connection::open(&path).unwrap();
    for dropped in [false, true] {
        let session = manager.session(None);
        session.insert("n", 1).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let own = tokio::spawn({
            let session = session.clone();
            async move { session.commit().await }
        });
        // The commit is under way once the session takes no further change.
        while session.insert("n", 1).is_ok() {
            tokio::task::yield_now().await;
        }
        let finish = tokio::spawn({
            let session = session.clone();
            async move { session.finish().await }
        });
        if dropped {
            own.abort();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        other.execute_batch("ROLLBACK").unwrap();
        match finish.await.unwrap() {
            Ok(commit) => assert!(!dropped && commit.outcome == Outcome::Created),
            Err(error) => assert!(dropped && error.is_unknown_outcome()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_through_clones_of_a_handle_all_count() {
    let manager = manager().await;
    let session = manager.session(Some(stored(&manager).await));
    let count_up = |session: Session| async move {
        for _ in 0..500 {
            let add = |n: &mut sqlbypass::Value| *n = (n.as_i64().unwrap_or(0) + 1).into();
            session.update("n", add).await.unwrap();
        }
    };
    let tasks = [(); 4].map(|()| tokio::spawn(count_up(session.clone())));
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(session.get("n").await.unwrap(), Some(2_001));
}

/// The touch comes in time also when its interval is longer than the idle timeout.
#[tokio::test]
async fn an_active_session_does_not_expire_between_touches() {
    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    let timeouts = Timeouts { idle: Some(Duration::from_millis(600)), lifetime: None };
    let options = ManagerOptions { timeouts, ..ManagerOptions::default() };
    let manager = SessionManager::with_options(store, Json, options);
    let session = manager.session(None);
    session.insert("n", 1).unwrap();
    let CookieChange::Set(id) = session.commit().await.unwrap().cookie else { panic!("no id") };
    let layer = SessionLayer::new(manager.clone());
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        send(&layer, with_id(&id), read).await;
    }
    let find = |id: &SessionId| manager.session(Some(id.clone()));
    assert_eq!(find(&id).get("n").await.unwrap(), Some(1));
}
