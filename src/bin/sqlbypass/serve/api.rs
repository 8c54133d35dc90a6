//! The JSON API.
//!
//! | request | does | answers |
//! | --- | --- | --- |
//! | `GET /api/session` | reads | 200, the object of the session's values |
//! | `PUT /api/session/{key}` | the JSON body becomes the value; `null` removes it, as in Rails | 204 |
//! | `DELETE /api/session/{key}` | removes a value | 204, also when there was none |
//! | `GET /api/life` | reads | 200, `{"stored", "created_at", "updated_at", "size"}` |
//! | `POST /api/login` `{"name"}` | a new session that holds `user` | 204 |
//! | `POST /api/renew` | a new id for the same data | 204 |
//! | `POST /api/reset` | a new id and no data | 204 |
//! | `POST /api/logout` | ends the session and clears the cookie | 204 |
//!
//! What goes wrong answers `{"error": "…"}`: 400 bad JSON or key, 403 another site's page, 404
//! unknown path, 405 wrong method, 408 slow body, 409 the session ended meanwhile, 413 body over
//! 64 KiB, 415 no JSON, 500 and 503 when the database or the row fails.

use std::time::{Duration, Instant, SystemTime};

use http::Request;
use http::request::Parts;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use sqlbypass::{Error, Session, Value};

use super::answer::{Answer, Refusal, done, json};
use super::input;

/// How long the row took to be read, as it is found in an answer's extensions.
#[derive(Clone, Copy)]
pub(super) struct LoadTime(pub(super) Duration);

/// What `GET /api/life` tells. The id stays in its cookie.
#[derive(Serialize)]
struct Life {
    stored: bool,
    created_at: Option<String>,
    updated_at: Option<String>,
    /// Bytes in the data column.
    size: Option<usize>,
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

/// Answers a request under `/api/`.
pub(super) async fn answer(request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (parts, body) = request.into_parts();
    let (route, allow) = Route::of(parts.uri.path()).ok_or_else(unknown)?;
    if !allow.split(", ").any(|method| method == parts.method.as_str()) {
        return Err(Refusal::method(allow));
    }
    if !parts.method.is_safe() {
        input::check_origin(&parts.headers)?;
    }
    let session = parts.extensions.get::<Session>().cloned().ok_or_else(no_layer)?;
    match route {
        Route::Session => values(&session).await,
        Route::Life => life(&session).await,
        Route::Key(segment) => change(&session, &input::key(segment)?, &parts, body).await,
        Route::Login => login(&session, &parts, body).await,
        Route::Renew => act(session.renew()),
        Route::Reset => act(session.reset()),
        Route::Logout => act(session.destroy()),
    }
}

/// The path is none of ours.
pub(super) fn unknown() -> Refusal {
    Refusal::new(http::StatusCode::NOT_FOUND, "there is nothing at this path")
}

enum Route<'a> {
    Session,
    Key(&'a str),
    Life,
    Login,
    Renew,
    Reset,
    Logout,
}

impl<'a> Route<'a> {
    /// The route of a path, and the methods it takes.
    fn of(path: &'a str) -> Option<(Self, &'static str)> {
        Some(match path {
            "/api/session" => (Self::Session, "GET, HEAD"),
            "/api/life" => (Self::Life, "GET, HEAD"),
            "/api/login" => (Self::Login, "POST"),
            "/api/renew" => (Self::Renew, "POST"),
            "/api/reset" => (Self::Reset, "POST"),
            "/api/logout" => (Self::Logout, "POST"),
            _ => {
                let segment = path.strip_prefix("/api/session/")?;
                let is_one = !segment.contains('/');
                return is_one.then_some((Self::Key(segment), "PUT, DELETE"));
            }
        })
    }
}

async fn values(session: &Session) -> Result<Answer, Refusal> {
    let begun = Instant::now();
    let map = session.to_map().await?;
    let load_time = begun.elapsed();
    let mut answer = json(&Value::from(map))?;
    answer.extensions_mut().insert(LoadTime(load_time));
    Ok(answer)
}

async fn life(session: &Session) -> Result<Answer, Refusal> {
    let begun = Instant::now();
    let info = session.info().await?;
    let load_time = begun.elapsed();
    let mut answer = json(&Life {
        stored: info.is_some(),
        created_at: info.and_then(|info| info.created_at).and_then(rfc3339),
        updated_at: info.and_then(|info| info.updated_at).and_then(rfc3339),
        size: info.map(|info| info.size),
    })?;
    answer.extensions_mut().insert(LoadTime(load_time));
    Ok(answer)
}

async fn change(
    session: &Session,
    key: &str,
    parts: &Parts,
    body: Incoming,
) -> Result<Answer, Refusal> {
    if parts.method == http::Method::DELETE {
        return act(session.remove(key));
    }
    let value: Value = input::json(&parts.headers, body).await?;
    act(session.insert(key, value))
}

/// A login is a new session under a new id: nothing that another may have put into the old one,
/// and no id that another may know, is carried over.
async fn login(session: &Session, parts: &Parts, body: Incoming) -> Result<Answer, Refusal> {
    let Login { name } = input::json(&parts.headers, body).await?;
    let name = name.trim();
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Refusal::bad(format!("the name must have 1 to {MAX_NAME} bytes")));
    }
    session.reset()?;
    act(session.insert("user", name))
}

/// The longest name to sign in with, in bytes.
const MAX_NAME: usize = 256;

fn act(result: sqlbypass::Result<()>) -> Result<Answer, Refusal> {
    result?;
    Ok(done())
}

fn rfc3339(time: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(|time| time.to_string())
}

fn no_layer() -> Refusal {
    Error::config("answering a request", "the session layer is missing").into()
}
