//! The middleware: what a request's session does to the response and to the table.

mod commit;
mod connections;
mod cookies;
mod everywhere;
mod flood;
mod indexed;
mod late;
mod recording;
mod services;
mod table;

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use sqlbypass::conformance::Counting;
use sqlbypass::{
    Json, ManagerOptions, Save, Session, SessionId, SessionLayer, SessionManager, SqliteStore,
    Store,
};
use tower::{Layer, ServiceExt, service_fn};

type Manager = SessionManager<Counting<SqliteStore>>;

async fn manager() -> Manager {
    manager_with(ManagerOptions::default()).await
}

async fn manager_with(options: ManagerOptions) -> Manager {
    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    SessionManager::with_options(Counting::new(store), Json, options)
}

/// A session with `{"n":1}` in the table, its calls not counted.
async fn stored(manager: &Manager) -> SessionId {
    let id = SessionId::generate().unwrap();
    put(manager, &id, r#"{"value":{"n":1}}"#).await;
    id
}

async fn put(manager: &Manager, id: &SessionId, data: &'static str) {
    let insert = sqlbypass::Insert::new(id.private(), data);
    manager.store().save(&Save::Insert(insert)).await.unwrap();
    manager.store().take();
}

/// What the row of this id holds under `n`.
async fn n<S: Store>(manager: &SessionManager<S>, id: &SessionId) -> Option<i64> {
    manager.session(Some(id.clone())).get("n").await.unwrap()
}

fn request(cookie: impl AsRef<[u8]>) -> Request<()> {
    Request::builder().header("cookie", cookie.as_ref()).body(()).unwrap()
}

fn with_id(id: &SessionId) -> Request<()> {
    request(format!("_session_id={}", id.as_str()))
}

/// Sends a request to a handler behind the layer.
async fn send<S: Store, F>(
    layer: &SessionLayer<S>,
    request: Request<()>,
    handler: impl FnOnce(Session) -> F + Clone,
) -> Response<String>
where
    F: Future<Output = StatusCode>,
{
    let service = service_fn(move |request: Request<()>| {
        let session = request.extensions().get::<Session>().unwrap().clone();
        let status = handler.clone()(session);
        async move {
            let mut response = Response::new("done".to_owned());
            *response.status_mut() = status.await;
            response.headers_mut().insert("x-handler", http::HeaderValue::from_static("yes"));
            Ok::<_, Infallible>(response)
        }
    });
    layer.layer(service).oneshot(request).await.unwrap()
}

fn set_cookie(response: &Response<String>) -> Option<&str> {
    assert!(response.headers().get_all("set-cookie").iter().count() <= 1);
    response.headers().get("set-cookie").map(|value| value.to_str().unwrap())
}

/// The id that the response gives the browser.
fn given_id(response: &Response<String>) -> Option<SessionId> {
    let (pair, _) = set_cookie(response)?.split_once(';')?;
    SessionId::parse(pair.strip_prefix("_session_id=")?.as_bytes())
}

async fn read(session: Session) -> StatusCode {
    session.value("n").await.unwrap();
    StatusCode::OK
}

async fn write(session: Session) -> StatusCode {
    session.insert("n", 2).unwrap();
    StatusCode::OK
}

async fn count(request: Request<()>) -> Result<Response<String>, Infallible> {
    let session = request.extensions().get::<Session>().unwrap();
    let count: u64 = session.get("count").await.unwrap().unwrap_or(0);
    session.insert("count", count + 1).unwrap();
    Ok(Response::new(count.to_string()))
}

#[tokio::test]
async fn a_session_lives_from_request_to_request() {
    let service = SessionLayer::new(manager().await).layer(service_fn(count));
    let first = service.clone().oneshot(Request::new(())).await.unwrap();
    assert_eq!(first.body(), "0");
    let cookie = first.headers()["set-cookie"].to_str().unwrap();
    let (pair, _) = cookie.split_once(';').unwrap();
    for expected in ["1", "2", "3"] {
        let response = service.clone().oneshot(request(pair)).await.unwrap();
        assert_eq!(response.body(), expected);
        assert!(!response.headers().contains_key("set-cookie"));
    }
}
