//! The page: plain files that are part of the program.

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue};
use http::{Method, Request};

use super::answer::{Answer, Refusal, file};
use super::api;

/// Nothing from elsewhere, nothing inline, no frames, no text taken for markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'none'; base-uri 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types";

/// Answers a request for the page or one of its files.
pub(super) fn answer<B>(request: &Request<B>) -> Result<Answer, Refusal> {
    let (content_type, body) = match request.uri().path() {
        "/" => ("text/html; charset=utf-8", include_str!("index.html")),
        "/page.css" => ("text/css; charset=utf-8", include_str!("page.css")),
        "/page.js" => ("text/javascript; charset=utf-8", include_str!("page.js")),
        "/icon.svg" => ("image/svg+xml", include_str!("icon.svg")),
        _ => return Err(api::unknown()),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal::method("GET, HEAD"));
    }
    let mut answer = file(content_type, body);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(answer)
}
