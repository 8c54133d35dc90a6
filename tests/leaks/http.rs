//! Requests, through the middleware.

use std::fmt::Debug;

use http::{Request, Response};
use sqlbypass::{CommitFailure, Json, Session, SessionId, SessionLayer, SessionManager, Store};
use tower::{Layer as _, Service as _, service_fn};

use super::ears::{heard, new_id, refused, secret_id};
use super::life::DATA;

pub(crate) async fn all<S: Store + Clone + Debug + 'static>(store: &S) {
    let manager = SessionManager::new(store.clone(), Json);
    let layer = SessionLayer::new(manager).report(true);
    heard(&format!("{layer:?} {layer:#?}"));
    let mut service = layer.layer(service_fn(answer));
    let mut cookie = String::new();
    for path in ["/new", "/change", "/renew", "/panic", "/fail", "/end", "/change"] {
        let request = Request::builder().uri(path).header("cookie", &cookie).body(()).unwrap();
        let future = service.call(request);
        heard(&format!("{future:?} {future:#?}"));
        // The panic is the handler's own; that it names the session is the point.
        let Ok(Ok(response)) = tokio::spawn(future).await else { continue };
        let set = response.headers().get("set-cookie").map(|value| value.to_str().unwrap());
        if let Some(text) = set {
            let id = text.split(['=', ';']).nth(1).unwrap();
            if let Some(id) = SessionId::parse(id.as_bytes()) {
                secret_id(&id);
            }
            cookie = text.split(';').next().unwrap().to_owned();
        }
        // The header is marked, so that a trace of headers does not show it either.
        heard(&format!("{response:?} {response:#?}"));
        if let Some(CommitFailure(error)) = response.extensions().get() {
            refused(error);
        }
    }
    let id = new_id();
    for odd in [
        format!("_session_id={}", id.as_str()),
        format!("_session_id={}", id.private().as_str()),
        format!("_session_id={}%", id.as_str()),
        format!("_session_id={}; _session_id=x", &id.as_str()[..31]),
    ] {
        let request = Request::builder().uri("/change").header("cookie", odd).body(()).unwrap();
        let response = service.call(request).await.unwrap();
        if let Some(id) = response.extensions().get::<SessionId>() {
            secret_id(id);
        }
        heard(&format!("{:?} {:?}", response.status(), response.extensions()));
    }
}

async fn answer(request: Request<()>) -> Result<Response<String>, sqlbypass::Error> {
    let session = request.extensions().get::<Session>().unwrap();
    heard(&format!("{:?} {session:?}", request.extensions()));
    match request.uri().path() {
        "/new" => session.insert("text", DATA)?,
        "/change" => {
            let n = session.get::<u64>("n").await?.unwrap_or_default();
            session.insert("n", n + 1)?;
            session.insert("text", DATA)?;
        }
        "/renew" => session.renew()?,
        "/end" => session.destroy()?,
        "/fail" => drop(session.get::<u64>("text").await?),
        _ => panic!("with {session:?}, {:?} and {:?}", session.info().await, request.extensions()),
    }
    Ok(Response::new(String::new()))
}
