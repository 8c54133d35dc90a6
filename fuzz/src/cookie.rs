//! The session cookie against Rack's rules, written plainly: what is found in any header, what is
//! sent for it, and whom it is sent to.

use std::future::{Future, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::header::{COOKIE, HOST, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use sqlbypass::{
    CookieOptions, Json, LegacyId, Lookup, PrivateId, Record, Result, Save, Saved, Session,
    SessionId, SessionLayer, SessionManager, Store, StoredId, Timeouts,
};
use tower::{Layer, Service, service_fn};

/// Lines: the cookie's name, the request's host, a domain, a path, and `Cookie` headers.
pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let [name, host, domain, path] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    let headers: Vec<&[u8]> = lines.collect();
    ids(name);
    ids(host);
    let name = String::from_utf8_lossy(name);
    let Ok(cookie) = CookieOptions::new(&name) else {
        assert!(name.is_empty() || name.len() > 4_096 / 3 - 32);
        return;
    };
    let found = cookie.find(headers.iter().copied());
    let expected = as_rack(&name, &headers);
    assert_eq!(found.as_ref().map(SessionId::as_str), expected.as_deref(), "read otherwise");
    let [domain, path] = [domain, path].map(String::from_utf8_lossy);
    let cookie = attributes(cookie, &domain, &path);
    if let Some(id) = found {
        sent(&cookie, &id);
    }
    cleared(&cookie);
    by_host(host, &domain, headers.first().copied());
}

/// What parses says so of itself again, and looks like nothing else.
fn ids(text: &[u8]) {
    let private = PrivateId::parse(text);
    if let Some(id) = private {
        assert!(id.as_bytes() == text && SessionId::parse(text).is_none());
    }
    let legacy = LegacyId::parse(text);
    if let Some(id) = legacy {
        assert!(id.as_bytes() == text && matches!(text.len(), 32 | 64));
    }
    let stored = StoredId::parse(text);
    assert_eq!(stored.is_some(), private.is_some() || legacy.is_some());
    if let Some(id) = SessionId::parse(text) {
        assert_eq!(id.as_str().as_bytes(), text);
        assert_eq!(id.legacy(), legacy);
        assert!(SessionId::parse(id.private().as_bytes()).is_none(), "a leaked id logs in");
        let shown = format!("{id:?} {:?} {legacy:?} {stored:?}", id.private());
        let redacted = shown.replace("Some(", "").replace("None", "");
        let known = ["SessionId(..)", "PrivateId(..)", "LegacyId(..)", "StoredId(..)", " ", ")"];
        let rest = known.iter().fold(redacted, |text, name| text.replace(name, ""));
        assert_eq!(rest, "", "an id is shown");
    }
}

/// The first pair of this name in all headers, its value unescaped, where it can be an id.
fn as_rack(name: &str, headers: &[&[u8]]) -> Option<String> {
    let name = escape(name);
    let mut pairs = headers.iter().flat_map(|header| header.split(|byte| *byte == b';'));
    let value = pairs.find_map(|pair| {
        let pair = pair.trim_ascii();
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (pair[..end] == *name.as_bytes()).then(|| pair.get(end + 1..).unwrap_or_default())
    })?;
    let text = String::from_utf8(unescape(value).unwrap_or_else(|| value.to_vec())).ok()?;
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_private = digits.len() < text.len() && digits.starts_with("::");
    (!text.is_empty() && text.len() <= 4_096 && !is_private).then_some(text)
}

/// `URI.encode_www_form_component`.
fn escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'*' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        byte => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// `URI.decode_www_form_component`; `None` where it is not well escaped.
fn unescape(value: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(*bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => *byte,
        });
    }
    Some(plain)
}

/// The cookie with those attributes that can stand in a header.
fn attributes(mut cookie: CookieOptions, domain: &str, path: &str) -> CookieOptions {
    let fits = |text: &str| {
        (1..=1_024).contains(&text.len()) && !text.contains([';', '\x7f']) && is_printable(text)
    };
    let with = cookie.clone().domain(Some(domain));
    assert_eq!(with.is_ok(), fits(domain), "the domain");
    cookie = with.unwrap_or(cookie);
    let with = cookie.clone().path(Some(path));
    assert_eq!(with.is_ok(), fits(path), "the path");
    with.unwrap_or(cookie)
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// What is sent is one header of known attributes, and what the browser sends back is the id.
fn sent(cookie: &CookieOptions, id: &SessionId) {
    let Ok(text) = cookie.set(id) else {
        assert!(id.as_str().len() * 3 > 1_000, "a short id was refused");
        return;
    };
    let pair = text.split(';').next().unwrap_or_default();
    assert!(pair.len() <= 4_097 && !pair.contains([' ', ',', '"']));
    assert!(cookie.find([pair.as_bytes()]).as_ref() == Some(id), "it comes back as another");
    attributes_of(&text);
}

fn cleared(cookie: &CookieOptions) {
    let text = cookie.clear();
    assert!(text.split(';').next().is_some_and(|pair| pair.ends_with('=')));
    assert!(cookie.find([text.as_bytes()]).is_none());
    let names = attributes_of(&text);
    assert!(names.contains(&"max-age") && names.contains(&"expires"));
}

/// The names of the attributes, each once, none of which a value has brought in.
fn attributes_of(text: &str) -> Vec<&str> {
    assert!(is_printable(text));
    let parts = text.split(';').skip(1);
    let names: Vec<&str> = parts
        .map(|part| part.strip_prefix(' ').expect("one space"))
        .map(|part| part.split_once('=').map_or(part, |(name, _)| name))
        .collect();
    let known = ["domain", "path", "max-age", "expires", "HttpOnly", "SameSite"];
    let mut rest = known.iter();
    assert!(names.iter().all(|name| rest.any(|known| known == name)), "{names:?}");
    names
}

/// A whole request: of a domain that is told by the host only hosts within it get the cookie.
fn by_host(host: &[u8], listed: &str, header: Option<&[u8]>) {
    let Ok(value) = HeaderValue::from_bytes(host) else { return };
    let all = CookieOptions::default().domain_all(None);
    let mut cookies = vec![all.clone(), all.domain_all(Some(2))];
    cookies.extend(CookieOptions::default().domain_among([listed]));
    for cookie in cookies {
        let mut request = Request::new(());
        request.headers_mut().insert(HOST, value.clone());
        if let Some(header) = header.and_then(|header| HeaderValue::from_bytes(header).ok()) {
            request.headers_mut().insert(COOKIE, header);
        }
        let layer = SessionLayer::new(SessionManager::new(Empty, Json));
        let handler = service_fn(|request: Request<()>| {
            let session: &Session = request.extensions().get().expect("the layer is there");
            ready(session.insert("k", 1).map(|()| Response::new(())))
        });
        let mut service = layer.cookie(cookie).expect("it has no prefix").layer(handler);
        let response = at_once(service.call(request)).expect("the handler does not fail");
        let text = response.headers()[SET_COOKIE].to_str().expect("it is printable").to_owned();
        let domain = text.split("; ").find_map(|part| part.strip_prefix("domain="));
        if let Some(domain) = domain {
            let host = value.to_str().expect("the host is a name").to_ascii_lowercase();
            let port = |(_, port): &(&str, &str)| port.bytes().all(|byte| byte.is_ascii_digit());
            let host = host.rsplit_once(':').filter(port).map_or(&*host, |(host, _)| host);
            let bare = domain.strip_prefix('.').unwrap_or(domain);
            let before = host.strip_suffix(bare).expect("the host is within it");
            assert!(before.is_empty() || before.ends_with('.'), "{domain} of {host}");
            attributes_of(&text);
        }
    }
}

fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("there is nothing to wait for"),
    }
}

/// A store that takes everything and keeps nothing.
struct Empty;

impl Store for Empty {
    async fn find(&self, _: &Lookup) -> Result<Option<Record>> {
        Ok(None)
    }

    async fn save(&self, _: &Save) -> Result<Saved> {
        Ok(Saved::Applied)
    }

    async fn destroy(&self, _: &Lookup) -> Result<bool> {
        Ok(false)
    }

    async fn touch(&self, _: &StoredId, _: Timeouts) -> Result<bool> {
        Ok(false)
    }
}
