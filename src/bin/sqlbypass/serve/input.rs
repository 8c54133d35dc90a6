//! What a request brings: checked and read before anything is done.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::answer::Refusal;

/// The longest key, in bytes.
const MAX_KEY: usize = 256;
/// The longest body, in bytes.
const MAX_BODY: usize = 64 << 10;
/// So much of a body that is too long is read and dropped, so that a client that is still sending
/// gets to read the refusal.
const MAX_DRAINED: usize = 4 << 20;
/// The longest that a client may take to send a body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Refuses a change that a page of another origin asks for.
///
/// Browsers send `Sec-Fetch-Site`, older ones `Origin`; a client that sends neither, such as curl,
/// is no browser that could be lured. The cookie's `SameSite=Lax` is the second wall.
pub(super) fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let same = match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            authority.is_some_and(|authority| {
                text(HOST.as_str()).is_some_and(|host| host.eq_ignore_ascii_case(authority))
            })
        }
        (None, None) => true,
    };
    let refusal = || Refusal::new(StatusCode::FORBIDDEN, "the request comes from another site");
    if same { Ok(()) } else { Err(refusal()) }
}

/// The key that the last segment of a path stands for.
pub(super) fn key(segment: &str) -> Result<String, Refusal> {
    if !is_well_escaped(segment) {
        return Err(Refusal::bad("the key is not well percent-encoded"));
    }
    let key = percent_decode_str(segment)
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| Refusal::bad("the key is not UTF-8"))?;
    match key.as_str() {
        "" => Err(Refusal::bad("the key is empty")),
        "session_id" => Err(Refusal::bad("the key session_id is reserved")),
        _ if key.len() > MAX_KEY => {
            Err(Refusal::bad(format!("the key is longer than {MAX_KEY} bytes")))
        }
        _ => Ok(key),
    }
}

/// Reads a body and parses it as JSON.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Incoming,
) -> Result<T, Refusal> {
    check_content(headers)?;
    let reading = tokio::time::timeout(BODY_TIME, read(body));
    let text = reading.await.map_err(|_| {
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time").close()
    })??;
    if text.trim_ascii().is_empty() {
        return Err(Refusal::bad("the body is empty: send a JSON value"));
    }
    // serde's own message would quote the data.
    serde_json::from_slice(&text).map_err(|fault| {
        let (line, column) = (fault.line(), fault.column());
        let problem =
            if fault.is_data() { "not the JSON that is wanted" } else { "not valid JSON" };
        Refusal::bad(format!("the body is {problem} (line {line}, column {column})"))
    })
}

/// JSON is taken under its own types, under those that curl and forms put on any text, and
/// without one.
fn check_content(headers: &HeaderMap) -> Result<(), Refusal> {
    let refusal = |message| Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).close());
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return refusal("the body must not be compressed");
    }
    let Some(content_type) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let taken = essence.ends_with("+json")
        || ["application/json", "text/plain", "application/x-www-form-urlencoded"]
            .contains(&essence.as_str());
    if taken { Ok(()) } else { refusal("the body must be JSON: send it as application/json") }
}

/// Reads a body of bounded length, whatever its Content-Length says.
async fn read(mut body: Incoming) -> Result<Vec<u8>, Refusal> {
    let too_long = || {
        let message = format!("the body is longer than {MAX_BODY} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message).close()
    };
    if body.size_hint().lower() > MAX_DRAINED as u64 {
        return Err(too_long());
    }
    let (mut text, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let broken = |_| Refusal::bad("the body broke off").close();
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        length += data.len();
        if length > MAX_DRAINED {
            break;
        }
        if length <= MAX_BODY {
            text.extend_from_slice(&data);
        }
    }
    if length > MAX_BODY { Err(too_long()) } else { Ok(text) }
}

fn is_well_escaped(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_and_bad_ones_refused() {
        assert_eq!(key("a%20b%2Fc").unwrap(), "a b/c");
        assert_eq!(key("%C3%A4+").unwrap(), "ä+");
        assert!(key(&"k".repeat(256)).is_ok());
        for bad in ["", "session_id", "session%5Fid", "%ff", "%", "%4", "%zz", &"k".repeat(257)] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn changes_come_from_the_same_origin_or_from_no_browser() {
        let check = |headers: &[(&'static str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            check_origin(&headers.collect()).is_ok()
        };
        let host = ("host", "127.0.0.1:3000");
        assert!(check(&[host]));
        assert!(check(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(check(&[host, ("origin", "http://127.0.0.1:3000")]));
        assert!(!check(&[host, ("sec-fetch-site", "cross-site")]));
        assert!(!check(&[host, ("sec-fetch-site", "same-site")]));
        assert!(!check(&[host, ("origin", "http://127.0.0.1:3001")]));
        assert!(!check(&[host, ("origin", "null")]));
        assert!(!check(&[("origin", "http://127.0.0.1:3000")]));
    }
}
