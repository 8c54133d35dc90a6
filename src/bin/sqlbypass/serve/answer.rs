//! Answers: JSON, nothing, a file, or a refusal that says why.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use sqlbypass::Error;

/// What every request is answered with.
pub(super) type Answer = Response<Full<Bytes>>;

/// A request that is refused, or that failed. Shown to the client as `{"error":"…"}`: it quotes
/// no id and no data.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: Cow<'static, str>,
    allow: Option<&'static str>,
    closes: bool,
}

impl Refusal {
    /// Refuses with this status.
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), allow: None, closes: false }
    }

    /// The request itself is wrong.
    pub(super) fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The path is known and takes these methods only.
    pub(super) fn method(allow: &'static str) -> Self {
        let message = format!("this path takes {allow} only");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message) }
    }

    /// Ends the connection: what is left of the request is not read.
    pub(super) fn close(self) -> Self {
        Self { closes: true, ..self }
    }

    pub(super) fn into_answer(self) -> Answer {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
        }
        let mut answer = json(&Body { error: &self.message }).unwrap_or_default();
        *answer.status_mut() = self.status;
        if let Some(allow) = self.allow {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        if self.closes {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::failed(&error)
    }
}

impl Refusal {
    /// Tells the client of an error, and standard error too when the client is not to blame.
    pub(super) fn failed(error: &Error) -> Self {
        let refusal = Self::of(error);
        if refusal.status.is_server_error() {
            crate::complain(error);
        }
        refusal
    }

    fn of(error: &Error) -> Self {
        let passing = error.is_unavailable()
            || error.is_timeout()
            || error.is_overloaded()
            || error.is_storage_full()
            || error.is_conflict();
        if error.is_decode() {
            let advice = "the row is left as it is: serve it with the serializer that wrote it, \
                          or POST /api/reset or /api/logout to part with it";
            return Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}; {advice}"));
        }
        let status = if error.is_value() {
            StatusCode::BAD_REQUEST
        } else if passing {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        };
        Self::new(status, error.to_string())
    }
}

/// 200 with a JSON body.
pub(super) fn json(body: &impl Serialize) -> Result<Answer, Refusal> {
    let text = serde_json::to_vec(body).map_err(|_| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(status, "the session holds what JSON cannot say")
    })?;
    Ok(file("application/json", text))
}

/// 204.
pub(super) fn done() -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

/// 200 with a body of this type.
pub(super) fn file(content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
