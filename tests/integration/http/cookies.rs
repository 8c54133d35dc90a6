//! Cookies as browsers, proxies and attackers send them, and the header that answers.

use http::{Request, StatusCode};
use sqlbypass::conformance::Calls;
use sqlbypass::{CookieOptions, SameSite, Session, SessionId, SessionLayer, Spelling};

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

/// Of several the first that is well formed counts, across headers too; a later one is not tried
/// when that one is unknown, or whoever can set a cookie could choose.
#[tokio::test]
async fn of_duplicate_cookies_the_first_well_formed_counts() {
    let manager = manager().await;
    let (id, other) = (stored(&manager).await, stored(&manager).await);
    let layer = SessionLayer::new(manager.clone());
    let pair = |id: &SessionId| format!("_session_id={}", id.as_str());
    let malformed = format!("_session_id={}", id.private().as_str());
    let two_headers = Request::builder()
        .header("cookie", format!("{malformed}; a=b"))
        .header("cookie", format!("{}; {}", pair(&id), pair(&other)))
        .body(())
        .unwrap();
    let one_header = request(format!("_session_id=; {malformed}; {}; {}", pair(&id), pair(&other)));
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
    let unknown = SessionId::generate().unwrap();
    let response = send(&layer, request(format!("{}; {}", pair(&unknown), pair(&id))), write).await;
    assert!(given_id(&response).is_some());
    assert_eq!(n(&manager, &id).await, Some(1));
}

/// The header's text to the letter, for the options of RAILS' table.
#[tokio::test]
async fn set_cookie_is_spelled_as_rails_spells_it() {
    let new = CookieOptions::new;
    let cases = [
        (CookieOptions::default(), "_session_id=", "; path=/; HttpOnly; SameSite=Lax"),
        (CookieOptions::default().same_site(None), "_session_id=", "; path=/; HttpOnly"),
        (
            new("odd key").unwrap().same_site(Some(SameSite::Strict)),
            "odd+key=",
            "; path=/; HttpOnly; SameSite=Strict",
        ),
        (
            new("s").unwrap().domain(Some("example.com")).unwrap().http_only(false),
            "s=",
            "; domain=example.com; path=/; SameSite=Lax",
        ),
        (
            new("s").unwrap().secure(true).assume_ssl(true).spelling(Spelling::Rack3),
            "s=",
            "; path=/; secure; httponly; samesite=lax",
        ),
        (
            new("s").unwrap().path(None).unwrap().same_site(Some(SameSite::None)),
            "s=",
            "; HttpOnly; SameSite=None",
        ),
    ];
    for (options, name, attributes) in cases {
        let layer = SessionLayer::new(manager().await).cookie(options);
        let response = send(&layer, Request::new(()), write).await;
        let text = set_cookie(&response).unwrap();
        let id = text.strip_prefix(name).and_then(|text| text.strip_suffix(attributes));
        let id = id.unwrap_or_else(|| panic!("{} {attributes}", text.len()));
        assert_eq!(id.len(), 32);
        assert!(id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        assert!(response.headers()["set-cookie"].is_sensitive());
    }
}

/// A logout takes the browser's cookie away; a session that is gone leaves it.
#[tokio::test]
async fn a_destroyed_session_clears_the_cookie() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let layer = SessionLayer::new(manager.clone());
    let end = |session: Session| async move {
        session.destroy().unwrap();
        StatusCode::OK
    };
    let response = send(&layer, with_id(&id), end).await;
    assert_eq!(
        set_cookie(&response),
        Some(
            "_session_id=; path=/; max-age=0; expires=Thu, 01 Jan 1970 00:00:00 GMT; \
             HttpOnly; SameSite=Lax"
        )
    );
    assert_eq!(n(&manager, &id).await, None);
    assert_eq!(set_cookie(&send(&layer, Request::new(()), end).await), None);
}

/// Over plain HTTP a secure cookie means neither SQL at the commit nor a cookie.
#[tokio::test]
async fn a_secure_cookie_is_not_for_plain_http() {
    let manager = manager().await;
    let id = stored(&manager).await;
    let layer = |assume| {
        let cookie = CookieOptions::default().secure(true).assume_ssl(assume);
        SessionLayer::new(manager.clone()).cookie(cookie)
    };
    for request in [Request::new(()), with_id(&id)] {
        let response = send(&layer(false), request, write).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(set_cookie(&response), None);
        assert_eq!(manager.store().take(), Calls::default());
    }
    let tls = Request::builder().uri("https://example.com/").body(()).unwrap();
    for (layer, request) in [(layer(false), tls), (layer(true), Request::new(()))] {
        let response = send(&layer, request, write).await;
        assert!(set_cookie(&response).unwrap().contains("; secure; "));
        assert_eq!(manager.store().take(), Calls { save: 1, ..Calls::default() });
    }
}
