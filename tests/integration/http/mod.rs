//! The middleware: what a request's session does to the response and to the table.

use std::convert::Infallible;

use http::{Request, Response};
use sqlbypass::{Json, Session, SessionLayer, SessionManager, SqliteStore};
use tower::{Layer, ServiceExt, service_fn};

async fn layer() -> SessionLayer<SqliteStore> {
    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    SessionLayer::new(SessionManager::new(store, Json))
}

async fn count(request: Request<()>) -> Result<Response<String>, Infallible> {
    let session = request.extensions().get::<Session>().unwrap();
    let count: u64 = session.get("count").await.unwrap().unwrap_or(0);
    session.insert("count", count + 1).unwrap();
    Ok(Response::new(count.to_string()))
}

#[tokio::test]
async fn a_session_lives_from_request_to_request() {
    let service = layer().await.layer(service_fn(count));
    let first = service.clone().oneshot(Request::new(())).await.unwrap();
    assert_eq!(first.body(), "0");
    let cookie = first.headers()["set-cookie"].to_str().unwrap();
    let (pair, _) = cookie.split_once(';').unwrap();
    for expected in ["1", "2", "3"] {
        let request = Request::builder().header("cookie", pair).body(()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.body(), expected);
        assert!(!response.headers().contains_key("set-cookie"));
    }
}
