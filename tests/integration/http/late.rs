//! Changes that come too late, commits that are under way, and what a handle shows afterwards.

use std::time::Duration;

use http::StatusCode;
use sqlbypass::conformance::Calls;
use sqlbypass::{
    CookieChange, CookieOptions, Json, Late, Lookup, ManagerOptions, Merges, Outcome, OverTls,
    Session, SessionId, SessionLayer, SessionManager, SqliteStore, Store, Timeouts,
};

use super::{given_id, manager, manager_with, n, read, send, set_cookie, stored, with_id, write};

/// What the client is told of a change that came after its session's end.
#[tokio::test]
async fn a_late_change_is_dropped_refused_or_begins_a_new_session() {
    for (late, status, begins) in [
        (Late::Drop, StatusCode::OK, false),
        (Late::Refuse, StatusCode::CONFLICT, false),
        (Late::Begin, StatusCode::OK, true),
    ] {
        let manager = manager_with(ManagerOptions { late, ..ManagerOptions::default() }).await;
        let id = stored(&manager).await;
        let layer = SessionLayer::new(manager.clone());
        let other = manager.session(Some(id.clone()));
        let handler = move |session: Session| async move {
            assert_eq!(session.get("n").await.unwrap(), Some(1));
            // Another request signs out in the meantime.
            other.destroy().unwrap();
            other.commit().await.unwrap();
            session.insert("m", 2).unwrap();
            StatusCode::OK
        };
        let response = send(&layer, with_id(&id), handler).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.body().is_empty(), status != StatusCode::OK);
        assert!(manager.store().find(&Lookup::new(&id)).await.unwrap().is_none());
        assert_eq!(set_cookie(&response).is_some(), begins);
        if let Some(new) = given_id(&response) {
            let map = manager.session(Some(new)).to_map().await.unwrap();
            assert_eq!(map, [("m", 2)].into_iter().collect());
        }
    }
}

/// A key's own merge that refuses is a conflict.
#[tokio::test]
async fn a_merge_that_refuses_is_409() {
    let merges = Merges::new().key("n", |_, _, _| None);
    let manager = manager_with(ManagerOptions { merges, ..ManagerOptions::default() }).await;
    let id = stored(&manager).await;
    let layer = SessionLayer::new(manager.clone());
    let other = manager.session(Some(id.clone()));
    let handler = move |session: Session| async move {
        assert_eq!(session.get("n").await.unwrap(), Some(1));
        other.insert("n", 2).unwrap();
        other.commit().await.unwrap();
        session.insert("n", 3).unwrap();
        StatusCode::OK
    };
    let response = send(&layer, with_id(&id), handler).await;
    assert_eq!((response.status(), &**response.body()), (StatusCode::CONFLICT, ""));
    assert_eq!(n(&manager, &id).await, Some(2));
}

/// Under rotation grace a parallel request is answered from what was before; its change is refused,
/// or dropped, and its cookie never takes the place of the new one.
#[tokio::test]
async fn a_parallel_request_of_a_rotated_session_reads_on() {
    for (late, status) in [
        (Late::Drop, StatusCode::OK),
        (Late::Refuse, StatusCode::CONFLICT),
        (Late::Begin, StatusCode::CONFLICT),
    ] {
        let rotation_grace = Some(Duration::from_secs(60));
        let options = ManagerOptions { rotation_grace, late, ..ManagerOptions::default() };
        let manager = manager_with(options).await;
        let old = stored(&manager).await;
        let layer = SessionLayer::new(manager.clone());
        let rotate = |session: Session| async move {
            session.rotate().unwrap();
            StatusCode::OK
        };
        let new = given_id(&send(&layer, with_id(&old), rotate).await).unwrap();
        let reads = |session: Session| async move {
            assert_eq!(session.get("n").await.unwrap(), Some(1));
            StatusCode::OK
        };
        let response = send(&layer, with_id(&old), reads).await;
        assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
        // What was to be rotated in a parallel request is rotated already.
        let response = send(&layer, with_id(&old), rotate).await;
        assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
        let response = send(&layer, with_id(&old), write).await;
        assert_eq!((response.status(), set_cookie(&response)), (status, None));
        assert_eq!(n(&manager, &new).await, Some(1));
        // Signing out with the old cookie ends the session.
        let end = |session: Session| async move {
            session.destroy().unwrap();
            StatusCode::OK
        };
        assert!(set_cookie(&send(&layer, with_id(&old), end).await).unwrap().contains("expires="));
        assert_eq!(n(&manager, &new).await, None);
    }
}

/// A request that may keep no session ends its own id, and not the session that goes on.
#[tokio::test]
async fn a_skipped_renewal_ends_the_grace_alone() {
    for (end, lives) in [(Session::renew as fn(&Session) -> _, true), (Session::reset, false)] {
        let rotation_grace = Some(Duration::from_secs(60));
        let options = ManagerOptions { rotation_grace, ..ManagerOptions::default() };
        let manager = manager_with(options).await;
        let old = stored(&manager).await;
        let session = manager.session(Some(old.clone()));
        session.rotate().unwrap();
        let CookieChange::Set(new) = session.commit().await.unwrap().cookie else { panic!() };
        assert_eq!(n(&manager, &old).await, Some(1));
        let cookie = CookieOptions::default().skip(true);
        let layer = SessionLayer::new(manager.clone()).cookie(cookie).unwrap();
        let handler = move |session: Session| async move {
            end(&session).unwrap();
            StatusCode::OK
        };
        let response = send(&layer, with_id(&old), handler).await;
        assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
        assert_eq!(n(&manager, &old).await, None);
        assert_eq!(n(&manager, &new).await, lives.then_some(1));
    }
}

/// Nor is it overruled: it has seen what its commit came to.
#[tokio::test]
async fn a_handler_that_saw_its_commit_come_late_answers_by_itself() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let layer = SessionLayer::new(manager.clone());
    let other = manager.session(Some(id.clone()));
    let handler = move |session: Session| async move {
        assert_eq!(session.get("n").await.unwrap(), Some(1));
        other.destroy().unwrap();
        other.commit().await.unwrap();
        session.insert("m", 2).unwrap();
        assert_eq!(session.commit().await.unwrap().outcome, Outcome::Gone);
        StatusCode::ACCEPTED
    };
    let response = send(&layer, with_id(&id), handler).await;
    assert_eq!((response.status(), &**response.body()), (StatusCode::ACCEPTED, "done"));
}

/// The cookie of a handler's own commit goes out; what was not committed is closed.
#[tokio::test]
async fn a_5xx_that_is_not_committed_loses_nothing_silently() {
    let manager = manager().await;
    let layer = SessionLayer::new(manager.clone()).commit_on_server_error(false);
    let id = stored(&manager).await;
    let (sender, receiver) = std::sync::mpsc::channel();
    for commits in [true, false] {
        let sender = sender.clone();
        let handler = move |session: Session| async move {
            session.renew().unwrap();
            if commits {
                session.commit().await.unwrap();
            }
            sender.send(session).unwrap();
            StatusCode::INTERNAL_SERVER_ERROR
        };
        let response = send(&layer, with_id(&id), handler).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let new = given_id(&response);
        assert_eq!(new.is_some(), commits);
        if let Some(new) = new {
            assert_eq!(n(&manager, &new).await, Some(1));
        }
        let session = receiver.recv().unwrap();
        assert!(session.insert("n", 3).unwrap_err().is_committed());
    }
}

/// A response whose options do not go with the cookie's name closes the session.
#[tokio::test]
async fn options_that_fail_close_the_session() {
    let manager = manager().await;
    let cookie = CookieOptions::new("__Host-id").unwrap().secure(true).assume_ssl(true);
    let layer = SessionLayer::new(manager.clone()).cookie(cookie).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let handler = move |session: Session| async move {
        session.insert("n", 1).unwrap();
        session.configure(|options| options.secure = false).unwrap();
        assert!(session.commit().await.is_err());
        sender.send(session).unwrap();
        StatusCode::OK
    };
    let response = send(&layer, http::Request::new(()), handler).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(manager.store().take(), Calls::default());
    assert!(receiver.recv().unwrap().insert("n", 3).unwrap_err().is_committed());
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
