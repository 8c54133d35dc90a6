//! The service: sessions around a router, and what is told of each commit around both.

use std::convert::Infallible;
use std::fmt::Write as _;

use http::header::{CACHE_CONTROL, HeaderValue, REFERRER_POLICY};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use sqlbypass::{AnyStore, CommitFailure, CommitReport, Outcome, SessionLayer};

use super::answer::{Answer, Refusal};
use super::api::{self, LoadTime};
use super::page;

/// The page and the API, with sessions from this layer.
pub(super) fn service(
    layer: &SessionLayer<AnyStore>,
) -> impl Service<Request<Incoming>, Response = Answer, Error = Infallible, Future: Send + 'static>
+ Clone
+ Send
+ 'static {
    let sessions = layer.hyper(service_fn(route));
    service_fn(move |request: Request<Incoming>| {
        let changes = !request.method().is_safe();
        let answer = sessions.call(request);
        async move { answer.await.map(|answer| finish(answer, changes)) }
    })
}

async fn route(request: Request<Incoming>) -> Result<Answer, Infallible> {
    let answer = if request.uri().path().starts_with("/api/") {
        api::answer(request).await
    } else {
        page::answer(&request)
    };
    Ok(answer.unwrap_or_else(Refusal::into_answer))
}

/// Tells what the commit did: an error when nothing came of it, else a header.
fn finish(answer: Answer, changes: bool) -> Answer {
    let report = answer.extensions().get::<CommitReport>().copied();
    let mut answer = match (answer.extensions().get::<CommitFailure>(), report) {
        (Some(CommitFailure(error)), _) => Refusal::failed(error).into_answer(),
        (None, Some(report)) if changes && report.outcome == Outcome::Gone => gone().into_answer(),
        (None, _) => answer,
    };
    let headers = answer.headers_mut();
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if let Some(report) = report {
        tell(&mut answer, report);
    }
    answer
}

/// The handler's answer promised what was not written.
fn gone() -> Refusal {
    Refusal::new(
        StatusCode::CONFLICT,
        "the session was ended or renewed meanwhile and nothing was written: read it again",
    )
}

/// `Server-Timing: load;dur=0.035, commit;desc="saved";dur=0.412`, in milliseconds. `load` is left
/// out when no row was asked for: the handler read nothing, or the request bore no id.
fn tell(answer: &mut Answer, report: CommitReport) {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if let (true, Some(LoadTime(time))) = (report.loaded, answer.extensions().get()) {
        let _ = write!(text, "load;dur={:.3}, ", time.as_secs_f64() * 1e3);
    }
    let (name, time) = (name(report.outcome), report.commit_time.as_secs_f64() * 1e3);
    let _ = write!(text, "commit;desc=\"{name}\";dur={time:.3}");
    if let Ok(value) = HeaderValue::try_from(text) {
        answer.headers_mut().insert("server-timing", value);
    }
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Created => "created",
        Outcome::Saved => "saved",
        Outcome::Unchanged => "unchanged",
        Outcome::Merged => "merged",
        Outcome::Gone => "gone",
        Outcome::Conflict => "conflict",
        Outcome::Destroyed => "destroyed",
        _ => "other",
    }
}
