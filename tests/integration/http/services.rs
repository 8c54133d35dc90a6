//! The same sessions in hyper's own service and in axum.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response, StatusCode};
use hyper::service::Service as _;
use sqlbypass::{Session, SessionLayer};
use tower::ServiceExt;

use super::{given_id, manager, n, stored, with_id};

#[tokio::test]
async fn a_hyper_service_has_sessions() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let inner = hyper::service::service_fn(|request: Request<String>| async move {
        let session = request.extensions().get::<Session>().unwrap();
        session.insert("n", 2).unwrap();
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let service = SessionLayer::new(manager.clone()).hyper(inner);
    service.call(with_id(&id).map(|()| String::new())).await.unwrap();
    assert_eq!(n(&manager, &id).await, Some(2));
    let first = service.call(Request::new(String::new())).await.unwrap();
    assert!(given_id(&first).is_some());
}

async fn handler(session: Session) -> String {
    let n: i64 = session.get("n").await.unwrap().unwrap_or(0);
    session.insert("n", n + 1).unwrap();
    n.to_string()
}

#[tokio::test]
async fn axum_extracts_the_session() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let router = Router::new().route("/", get(handler));
    let request = || {
        let cookie = format!("_session_id={}", id.as_str());
        Request::builder().uri("/").header("cookie", cookie).body(Body::empty()).unwrap()
    };
    let bare = router.clone().oneshot(request()).await.unwrap();
    assert_eq!(bare.status(), StatusCode::INTERNAL_SERVER_ERROR, "without the layer");
    let router = router.layer(SessionLayer::new(manager.clone()));
    assert_eq!(router.oneshot(request()).await.unwrap().status(), StatusCode::OK);
    assert_eq!(n(&manager, &id).await, Some(2));
}
