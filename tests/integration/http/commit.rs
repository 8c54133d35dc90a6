//! When a session is committed, and what the client is told when it cannot be.

use http::{Request, StatusCode};
use sqlbypass::conformance::Calls;
use sqlbypass::{
    CommitFailure, CommitReport, Error, Json, Lookup, ManagerOptions, Outcome, Policy, Record,
    Result, Save, Saved, Session, SessionId, SessionLayer, SessionManager, SqliteStore, Store,
    StoredId, Timeouts,
};
use tower::{Layer, ServiceExt, service_fn};

use super::{given_id, manager, n, put, read, send, set_cookie, stored, with_id, write};

#[tokio::test]
async fn every_status_is_committed_and_5xx_by_a_setting() {
    let manager = manager().await;
    for (status, on_error, commits) in
        [(302, true, true), (404, false, true), (503, true, true), (500, false, false)]
    {
        let id = stored(&manager).await;
        let status = StatusCode::from_u16(status).unwrap();
        let layer = SessionLayer::new(manager.clone()).commit_on_server_error(on_error);
        let handler = move |session: Session| async move {
            session.insert("n", 2).unwrap();
            status
        };
        let response = send(&layer, with_id(&id), handler).await;
        assert_eq!((response.status(), &**response.body()), (status, "done"));
        assert_eq!(n(&manager, &id).await, Some(if commits { 2 } else { 1 }));
        let response = send(&layer, Request::new(()), handler).await;
        assert_eq!(set_cookie(&response).is_some(), commits);
    }
}

#[tokio::test]
async fn a_handler_that_panics_or_fails_commits_nothing() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let layer = SessionLayer::new(manager.clone());
    let handler = service_fn(|request: Request<()>| async move {
        let session = request.extensions().get::<Session>().unwrap();
        session.insert("n", 2).unwrap();
        assert!(request.uri().path() != "/panic", "as asked");
        Err::<http::Response<String>, _>("failed")
    });
    let service = layer.layer(handler);
    let mut panicking = with_id(&id);
    *panicking.uri_mut() = "/panic".parse().unwrap();
    let task = tokio::spawn(service.clone().oneshot(panicking));
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(service.oneshot(with_id(&id)).await.unwrap_err(), "failed");
    assert_eq!(n(&manager, &id).await, Some(1));
    // The store is as good as before.
    send(&layer, with_id(&id), write).await;
    assert_eq!(n(&manager, &id).await, Some(2));
}

#[tokio::test]
async fn a_client_that_leaves_commits_nothing() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let layer = SessionLayer::new(manager.clone());
    let handler = |session: Session| async move {
        session.insert("n", 2).unwrap();
        std::future::pending().await
    };
    let request = send(&layer, with_id(&id), handler);
    assert!(tokio::time::timeout(std::time::Duration::ZERO, request).await.is_err());
    assert_eq!(n(&manager, &id).await, Some(1));
}

/// The cookie of the handler's own commit goes out, and it is the only commit.
#[tokio::test]
async fn a_handler_may_commit_itself() {
    let manager = manager().await;
    let layer = SessionLayer::new(manager.clone());
    let handler = |session: Session| async move {
        session.insert("n", 1).unwrap();
        assert_eq!(session.commit().await.unwrap().outcome, Outcome::Created);
        assert!(session.insert("n", 2).unwrap_err().is_committed());
        StatusCode::OK
    };
    let response = send(&layer, Request::new(()), handler).await;
    assert_eq!(manager.store().take(), Calls { save: 1, ..Calls::default() });
    assert_eq!(n(&manager, &given_id(&response).unwrap()).await, Some(1));
}

/// A handle that outlives the response, for instance in its body, cannot lose a change silently.
#[tokio::test]
async fn what_comes_after_the_head_is_an_error() {
    let manager = manager().await;
    let layer = SessionLayer::new(manager.clone());
    for request in [Request::new(()), with_id(&stored(&manager).await)] {
        let kept = std::sync::Arc::new(std::sync::Mutex::new(None));
        let keep = std::sync::Arc::clone(&kept);
        let handler = move |session: Session| async move {
            *keep.lock().unwrap() = Some(session);
            StatusCode::OK
        };
        send(&layer, request, handler).await;
        let session = kept.lock().unwrap().take().unwrap();
        assert!(session.insert("n", 9).unwrap_err().is_committed());
        assert!(session.commit().await.unwrap_err().is_committed());
    }
}

/// A store that finds a row and fails to write it.
struct Broken(fn() -> Error);

impl Store for Broken {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        let id = lookup.private.into();
        Ok(Some(Record::new(id, None)))
    }

    async fn save(&self, _: &Save) -> Result<Saved> {
        Err(self.0())
    }

    async fn destroy(&self, _: &Lookup) -> Result<bool> {
        Err(self.0())
    }

    async fn touch(&self, _: &StoredId, _: Timeouts) -> Result<bool> {
        Err(self.0())
    }
}

fn broken(error: fn() -> Error) -> SessionLayer<Broken> {
    SessionLayer::new(SessionManager::new(Broken(error), Json)).report(true)
}

/// The handler's answer does not stand, and no cookie names a session that is not there.
#[tokio::test]
async fn a_failed_commit_is_no_success() {
    let cases: [(fn() -> Error, u16); 6] = [
        (|| Error::unavailable("saving", "gone"), 503),
        (|| Error::timeout("saving", "late"), 503),
        (|| Error::overloaded("saving", "full"), 503),
        (|| Error::storage_full("saving", "full"), 503),
        (|| Error::database("saving", "odd"), 500),
        (|| Error::unknown_outcome("saving", "lost"), 500),
    ];
    let end = |session: Session| async move {
        session.destroy().unwrap();
        StatusCode::OK
    };
    for (error, status) in cases {
        let layer = broken(error);
        let id = SessionId::generate().unwrap();
        let responses = [
            send(&layer, Request::new(()), write).await,
            send(&layer, with_id(&id), write).await,
            send(&layer, with_id(&id), end).await,
        ];
        for response in responses {
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.body(), "");
            assert!(response.headers().is_empty());
            let failure = response.extensions().get::<CommitFailure>().unwrap();
            assert_eq!(failure.0.to_string(), error().to_string());
        }
    }
}

/// A handler that saw its own commit fail has answered as it saw fit.
#[tokio::test]
async fn a_handler_may_answer_its_failed_commit_itself() {
    let layer = broken(|| Error::unavailable("saving", "gone"));
    let handler = |session: Session| async move {
        session.insert("n", 1).unwrap();
        assert!(session.commit().await.unwrap_err().is_unavailable());
        StatusCode::IM_A_TEAPOT
    };
    let response = send(&layer, Request::new(()), handler).await;
    assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
    assert_eq!(set_cookie(&response), None);
}

#[tokio::test]
async fn a_rejected_conflict_is_409() {
    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    let options = ManagerOptions { policy: Policy::Reject, ..ManagerOptions::default() };
    let counting = sqlbypass::conformance::Counting::new(store);
    let manager = SessionManager::with_options(counting, Json, options);
    let id = stored(&manager).await;
    let layer = SessionLayer::new(manager.clone());
    let other = manager.session(Some(id.clone()));
    let handler = |session: Session| async move {
        assert_eq!(session.get("n").await.unwrap(), Some(1));
        other.insert("n", 3).unwrap();
        other.commit().await.unwrap();
        session.insert("m", 2).unwrap();
        session.renew().unwrap();
        StatusCode::OK
    };
    let response = send(&layer, with_id(&id), handler).await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!((set_cookie(&response), &**response.body()), (None, ""));
    assert_eq!(n(&manager, &id).await, Some(3));
}

/// A row that no codec can read is told to the handler, kept as it is, and can be ended or replaced.
#[tokio::test]
async fn undecodable_data_is_told_and_kept() {
    let manager = manager().await;
    let layer = SessionLayer::new(manager.clone());
    for data in ["BAh7AA==\n", "{\"value\":{\"n\":1}", "\u{0}\u{1}", "[]", "7", "{\"value\":\"x\"}"]
    {
        let id = SessionId::generate().unwrap();
        put(&manager, &id, data).await;
        let handler = |session: Session| async move {
            let error = session.value("n").await.unwrap_err();
            assert!(error.is_decode());
            assert!(error.to_string().contains("not valid json at byte "), "{error}");
            session.insert("n", 2).unwrap();
            StatusCode::OK
        };
        let response = send(&layer, with_id(&id), handler).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.extensions().get::<CommitFailure>().unwrap().0.is_decode());
        let record = manager.store().find(&Lookup::new(&id)).await.unwrap().unwrap();
        assert!(record.data.unwrap() == data);
        let begin_anew = |session: Session| async move {
            session.reset().unwrap();
            session.insert("n", 2).unwrap();
            StatusCode::OK
        };
        let response = send(&layer, with_id(&id), begin_anew).await;
        let new = given_id(&response).unwrap();
        assert_eq!(n(&manager, &new).await, Some(2));
        assert_eq!(n(&manager, &id).await, None);
    }
}

/// The report says what happened, when it is asked for.
#[tokio::test]
async fn the_report_tells_what_a_commit_did() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let layer = SessionLayer::new(manager.clone()).report(true);
    let untouched = |_: Session| async { StatusCode::OK };
    let responses = [
        (send(&layer, Request::new(()), write).await, Outcome::Created),
        (send(&layer, with_id(&id), read).await, Outcome::Unchanged),
        (send(&layer, with_id(&id), write).await, Outcome::Saved),
        (send(&layer, with_id(&id), untouched).await, Outcome::Unchanged),
    ];
    for (response, outcome) in responses {
        assert_eq!(response.extensions().get::<CommitReport>().unwrap().outcome, outcome);
    }
    let silent = send(&SessionLayer::new(manager), with_id(&id), read).await;
    assert!(silent.extensions().get::<CommitReport>().is_none());
}
