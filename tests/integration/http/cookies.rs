//! Cookies as browsers, proxies and attackers send them, and the header that answers.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use proptest::prelude::*;
use sqlbypass::conformance::Calls;
use sqlbypass::{
    Caching, CommitFailure, CookieOptions, Insert, Json, Save, Session, SessionId, SessionLayer,
    SessionManager, SqliteStore, Store,
};

use super::{given_id, manager, n, read, request, send, set_cookie, stored, with_id, write};

/// A candidate that can name no session costs no SQL to read; what is written goes under a new id.
#[tokio::test]
async fn what_is_no_id_finds_nothing_and_is_never_adopted() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let private = id.private();
    let private = private.as_str();
    let layer = SessionLayer::new(manager.clone());
    let malformed: Vec<Vec<u8>> = vec![
        b"_session_id=".to_vec(),
        b"_session_id".to_vec(),
        b"=".to_vec(),
        b";;; ;".to_vec(),
        format!("_session_id={private}").into_bytes(),
        format!("_session_id={}", private.replace(':', "%3A")).into_bytes(),
        format!("_session_id=%32%3a%3a{}", &private[3..]).into_bytes(),
        b"_session_id=0::x".to_vec(),
        b"_session_id=\xff\xfe".to_vec(),
        b"_session_id=%FF%FE".to_vec(),
        b"_session_id=abc%C3".to_vec(),
        [b"_session_id=".to_vec(), vec![b'a'; 1 << 20]].concat(),
        [b"_session_id=".to_vec(), b"%61".repeat(5_000)].concat(),
        format!("x_session_id={}", id.as_str()).into_bytes(),
        format!("_session_idx={}", id.as_str()).into_bytes(),
        format!("_SESSION_ID={}", id.as_str()).into_bytes(),
    ];
    for cookie in malformed {
        let response = send(&layer, request(&cookie), read).await;
        assert_eq!(set_cookie(&response), None);
        assert_eq!(manager.store().take(), Calls::default());
        let response = send(&layer, request(&cookie), write).await;
        assert!(given_id(&response).is_some_and(|new| new != id));
        assert_eq!(manager.store().take(), Calls { save: 1, ..Calls::default() });
    }
    assert_eq!(n(&manager, &id).await, Some(1));
}

/// Any other text is a candidate: one find, nothing found, and nothing adopted.
#[tokio::test]
async fn odd_candidates_find_nothing_and_are_never_adopted() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let (text, private) = (id.as_str(), id.private());
    let hash = &private.as_str()[3..];
    let layer = SessionLayer::new(manager.clone());
    let candidates = [
        "%00".to_owned(),
        format!("{text}%00"),
        format!("%EF%BC%92%3A%3A{hash}"),
        format!("%012::{hash}"),
        format!("%202::{hash}"),
        format!("+2::{hash}"),
        format!("{text}%20"),
        format!("{text}+"),
        format!("\"{text}\""),
        format!("{text}%"),
        format!("{text}%zz"),
        format!("%g{text}"),
        text.to_uppercase() + "A",
        "' OR 1=1 --".to_owned(),
        "a".repeat(4_096),
    ];
    for candidate in candidates {
        let cookie = format!("_session_id={candidate}");
        let response = send(&layer, request(&cookie), read).await;
        assert_eq!(set_cookie(&response), None);
        assert_eq!(manager.store().take(), Calls { find: 1, ..Calls::default() }, "{candidate}");
        let response = send(&layer, request(&cookie), write).await;
        let new = given_id(&response).expect("a new id");
        assert!(new != id && new.as_str() != candidate);
        manager.store().take();
    }
    assert_eq!(n(&manager, &id).await, Some(1));
}

/// Escapes are undone as Rack does, among other cookies and spaces.
#[tokio::test]
async fn a_good_id_is_found_however_it_is_written() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let layer = SessionLayer::new(manager.clone());
    let escaped: String = id.as_str().bytes().map(|byte| format!("%{byte:02x}")).collect();
    let cookies = [
        format!("_session_id={}", id.as_str()),
        format!("_session_id={escaped}"),
        format!("a=b;_session_id={};c=d", id.as_str()),
        format!("  a=b ;  _session_id={}  ; c", id.as_str()),
        format!("a=_session_id; ;_session_id={}", id.as_str()),
    ];
    for cookie in cookies {
        let response = send(&layer, request(&cookie), write).await;
        assert_eq!(set_cookie(&response), None, "{cookie}");
    }
    assert_eq!(n(&manager, &id).await, Some(2));
}

/// Of several the first counts, across headers too. A later one is not tried when that one is
/// unknown or malformed, or whoever can set a cookie could choose.
#[tokio::test]
async fn of_duplicate_cookies_the_first_counts() {
    let manager = manager().await;
    let (id, other) = (stored(&manager).await, stored(&manager).await);
    let layer = SessionLayer::new(manager.clone());
    let pair = |id: &SessionId| format!("_session_id={}", id.as_str());
    let two_headers = Request::builder()
        .header("cookie", "_session_idx=1; a=b")
        .header("cookie", format!("{}; {}", pair(&id), pair(&other)))
        .body(())
        .unwrap();
    let one_header = request(format!("{}; {}", pair(&id), pair(&other)));
    for request in [two_headers, one_header] {
        let answers_id = |session: Session| async move {
            let found = session.id().await.unwrap().unwrap();
            session.insert("found", found.as_str()).unwrap();
            StatusCode::OK
        };
        assert_eq!(set_cookie(&send(&layer, request, answers_id).await), None);
        let found: Option<String> = manager.session(Some(id.clone())).get("found").await.unwrap();
        assert!(found.as_deref() == Some(id.as_str()));
        assert!(manager.session(Some(other.clone())).value("found").await.unwrap().is_none());
    }
    let unknown = pair(&SessionId::generate().unwrap());
    let malformed = format!("_session_id={}", id.private().as_str());
    for first in [&*unknown, &malformed, "_session_id=", "_session_id"] {
        let response = send(&layer, request(format!("{first}; {}", pair(&id))), write).await;
        assert!(given_id(&response).is_some_and(|new| new != id));
        assert_eq!(n(&manager, &id).await, Some(1));
    }
}

/// The browser would drop it, and each request would make a row that nobody finds again.
#[tokio::test]
async fn a_name_with_a_prefix_has_its_rules() {
    let manager = manager().await;
    let new = |name: &str| CookieOptions::new(name).unwrap();
    let host = || new("__Host-id").secure(true);
    let broken = [
        new("__Secure-id"),
        new("__SECURE-id"),
        new("__Host-id"),
        new("__host-id").secure(false),
        host().domain(Some("example.com")).unwrap(),
        host().path(Some("/shop")).unwrap(),
        host().path(None).unwrap(),
        host().domain_all(None),
        host().domain_among(["example.com"]).unwrap(),
    ];
    for cookie in broken {
        let error = SessionLayer::new(manager.clone()).cookie(cookie).unwrap_err();
        assert!(error.is_config());
        assert!(error.to_string().contains("a name that begins with __"), "{error}");
    }
    for name in ["__Secure-id", "__Host", "__HostX-id", "__Secure"] {
        let cookie = new(name).secure(name.ends_with("-id"));
        SessionLayer::new(manager.clone()).cookie(cookie).unwrap();
    }
}

/// A request's own options are held to the same rules: nothing is written then.
#[tokio::test]
async fn a_handler_cannot_break_the_rules_of_the_name() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let cookie = CookieOptions::new("__Host-id").unwrap().secure(true).assume_ssl(true);
    let layer = SessionLayer::new(manager.clone()).cookie(cookie).unwrap();
    let handler = |session: Session| async move {
        session.insert("n", 2).unwrap();
        session.configure(|options| options.set_domain(Some("example.com"))).unwrap().unwrap();
        StatusCode::OK
    };
    let response = send(&layer, request(format!("__Host-id={}", id.as_str())), handler).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.extensions().get::<CommitFailure>().unwrap().0.is_config());
    assert_eq!(set_cookie(&response), None);
    assert_eq!(manager.store().take(), Calls::default());
}

/// Browsers keep nothing of a cookie that is too long, so none is written, and none is cut.
#[test]
fn a_cookie_is_4096_bytes_or_an_error() {
    let id = SessionId::generate().unwrap();
    for (name, fits) in
        [("n".repeat(4_064), true), ("n".repeat(4_065), false), (" ".repeat(4_064), true)]
    {
        let options = CookieOptions::new(&name);
        assert_eq!(options.is_ok(), fits);
        let Ok(options) = options else {
            assert!(options.unwrap_err().is_config());
            continue;
        };
        let text = options.set(&id).unwrap();
        let (pair, _) = text.split_once(';').unwrap();
        assert_eq!(pair.len(), 4_096 + 1, "with its equals sign");
        assert!(options.clear().len() < text.len() + 100);
    }
    assert!(CookieOptions::new(&"é".repeat(700)).unwrap_err().is_config());
    // An id of another's making, which was found in the table.
    let long = SessionId::parse("x".repeat(4_090).as_bytes()).unwrap();
    assert!(CookieOptions::default().set(&long).unwrap_err().is_config());
    for text in ["", "a;b", "a\u{1}", "a\r\nb", "é", &"a".repeat(1_025)] {
        assert!(CookieOptions::default().domain(Some(text)).unwrap_err().is_config());
        assert!(CookieOptions::default().path(Some(text)).unwrap_err().is_config());
        assert!(CookieOptions::default().domain_among([text]).unwrap_err().is_config());
    }
}

/// Dates that HTTP cannot write become the last that it can.
#[test]
fn a_cookie_may_be_kept_for_ever() {
    let id = SessionId::generate().unwrap();
    let cookie = CookieOptions::default().max_age(Some(Duration::MAX));
    let text = cookie.set(&id).unwrap();
    assert!(text.contains("; max-age=18446744073709551615; expires=Fri, 31 Dec 9999 23:59:59 GMT"));
}

/// Caches are told only of responses that carry the cookie, whichever way it changes.
#[tokio::test]
async fn a_response_with_the_cookie_stays_out_of_caches() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let end = |session: Session| async move {
        session.destroy().unwrap();
        StatusCode::OK
    };
    let cases = [
        (Caching::NoStore, Some("no-store"), Some("Cookie")),
        (Caching::NoCacheSetCookie, Some("no-cache=\"Set-Cookie\""), Some("Cookie")),
        (Caching::Untouched, None, None),
    ];
    for (caching, cache_control, vary) in cases {
        let cookie = CookieOptions::default().caching(caching);
        let layer = SessionLayer::new(manager.clone()).cookie(cookie).unwrap();
        let header = |response: &Response<String>, name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        let unknown = SessionId::generate().unwrap();
        for response in [
            send(&layer, Request::new(()), write).await,
            send(&layer, with_id(&unknown), end).await,
        ] {
            assert!(set_cookie(&response).is_some());
            assert!(response.headers()["set-cookie"].is_sensitive());
            assert_eq!(header(&response, "cache-control").as_deref(), cache_control);
            assert_eq!(header(&response, "vary").as_deref(), vary);
        }
        for response in
            [send(&layer, with_id(&id), write).await, send(&layer, Request::new(()), read).await]
        {
            assert_eq!(header(&response, "cache-control"), None);
            assert_eq!(header(&response, "vary"), None);
        }
    }
}

/// When the row cannot be read for the sake of the cookie's expiry, the answer stands.
#[tokio::test]
async fn a_refresh_that_fails_is_no_failure_of_the_request() {
    let store = SqliteStore::builder(":memory:").create(true).open().await.unwrap();
    let manager = SessionManager::new(store, Json);
    let broken = SessionId::generate().unwrap();
    let insert = Insert::new(broken.private(), "[]");
    manager.store().save(&Save::Insert(insert)).await.unwrap();
    let cookie = CookieOptions::default().expire_after(Some(Duration::from_secs(60)));
    let layer = SessionLayer::new(manager.clone()).cookie(cookie).unwrap();
    let untouched = |_: Session| async { StatusCode::OK };
    let response = send(&layer, with_id(&broken), untouched).await;
    assert_eq!((response.status(), set_cookie(&response)), (StatusCode::OK, None));
}

/// What Rack makes of the headers, in small steps: the first pair of the name, its value unescaped
/// where it is well escaped. Space around a pair is no part of it here.
fn as_rack(headers: &[Vec<u8>]) -> Option<Vec<u8>> {
    let joined = headers.join(&b"; "[..]);
    for pair in joined.split(|byte| *byte == b';') {
        let pair = pair.trim_ascii();
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        if &pair[..equals] != b"_session_id" {
            continue;
        }
        let value = pair.get(equals + 1..).unwrap_or_default();
        let mut plain = Vec::new();
        let mut rest = value;
        while let [byte, tail @ ..] = rest {
            rest = tail;
            match byte {
                b'+' => plain.push(b' '),
                b'%' => {
                    let digit = |at: usize| Some(char::from(*tail.get(at)?).to_digit(16)? as u8);
                    let (Some(high), Some(low)) = (digit(0), digit(1)) else {
                        return Some(value.to_vec());
                    };
                    plain.push(high << 4 | low);
                    rest = &tail[2..];
                }
                byte => plain.push(*byte),
            }
        }
        return Some(plain);
    }
    None
}

fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "_session_id",
        "_session_id=",
        "=",
        ";",
        "; ",
        " ",
        "\t",
        "%",
        "%3",
        "%3a",
        "%32",
        "%00",
        "+",
        "2::",
        "a",
        "0123456789abcdef",
        "\u{ff12}",
        "%EF%BC%92",
        "%FF",
    ];
    let word = prop::sample::select(words.map(|word| word.as_bytes().to_vec()).to_vec());
    let bytes = prop::collection::vec(any::<u8>(), 0..3);
    let piece = prop_oneof![8 => word, 1 => bytes];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Any bytes: no panic, the id that Rack would take, and never one that looks private.
    #[test]
    fn cookies_are_read_as_rack_reads_them(headers in prop::collection::vec(pieces(), 0..4)) {
        let found = CookieOptions::default().find(headers.iter().map(Vec::as_slice));
        let expected = as_rack(&headers).and_then(|value| SessionId::parse(&value));
        prop_assert!(found == expected);
        if let Some(id) = found {
            let digits = id.as_str().trim_start_matches(|c: char| c.is_ascii_digit());
            prop_assert!(digits.len() == id.as_str().len() || !digits.starts_with("::"));
        }
    }
}
