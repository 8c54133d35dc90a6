//! Each option and its attribute; what comes of them in a service is told by `tests/integration/http`.

use super::*;
use crate::error::Result;

const MINUTE: Option<Duration> = Some(Duration::from_secs(60));

fn id(length: usize) -> SessionId {
    SessionId::parse("a".repeat(length).as_bytes()).unwrap()
}

/// The attributes, without the moment of `expires`.
fn attributes(options: &CookieOptions) -> String {
    let set = options.set(&id(3)).unwrap();
    let attributes = set.strip_prefix("_session_id=aaa; ").unwrap().split("; ");
    let known = attributes.map(|text| if text.starts_with("expires=") { "expires" } else { text });
    known.collect::<Vec<_>>().join("; ")
}

#[test]
fn every_option_has_its_attribute() -> Result<()> {
    let options = CookieOptions::default;
    for (options, expected) in [
        (options(), "path=/; HttpOnly; SameSite=Lax"),
        (options().domain(Some("a.example"))?, "domain=a.example; path=/; HttpOnly; SameSite=Lax"),
        (options().path(None)?, "HttpOnly; SameSite=Lax"),
        (options().expire_after(MINUTE), "path=/; expires; HttpOnly; SameSite=Lax"),
        (options().max_age(MINUTE), "path=/; max-age=60; expires; HttpOnly; SameSite=Lax"),
        (options().secure(true), "path=/; secure; HttpOnly; SameSite=Lax"),
        (options().http_only(false), "path=/; SameSite=Lax"),
        (options().same_site(None), "path=/; HttpOnly"),
        (options().same_site(Some(SameSite::Strict)), "path=/; HttpOnly; SameSite=Strict"),
        (options().same_site(Some(SameSite::None)), "path=/; HttpOnly; SameSite=None"),
        (options().partitioned(true), "path=/; HttpOnly; SameSite=Lax; Partitioned"),
        (
            options().spelling(Spelling::Rack3).partitioned(true),
            "path=/; httponly; samesite=lax; partitioned",
        ),
    ] {
        assert_eq!(attributes(&options), expected);
    }
    Ok(())
}

#[test]
fn options_without_an_attribute_are_kept() {
    let options = CookieOptions::default();
    assert!(!options.assume_ssl && options.clear_on_destroy);
    assert!(options.clone().assume_ssl(true).assume_ssl);
    assert!(!options.clone().clear_on_destroy(false).clear_on_destroy);
    assert_eq!(options.clone().caching(Caching::Untouched).caching, Caching::Untouched);
    assert!(options.clone().defer(true).options.defer);
    assert!(options.clone().skip(true).options.skip);
    let shown = format!("{:?}", options.caching(Caching::NoCacheSetCookie).assume_ssl(true));
    for part in ["_session_id", "http_only: true", "assume_ssl: true", "NoCacheSetCookie", "Rack2"]
    {
        assert!(shown.contains(part), "{shown}");
    }
}

#[test]
fn name_and_id_are_as_long_as_browsers_keep() {
    assert!(CookieOptions::new("").is_err());
    assert!(CookieOptions::new(&"n".repeat(4_065)).is_err());
    let longest = CookieOptions::new(&"n".repeat(4_064)).unwrap();
    assert!(longest.set(&id(32)).is_ok());
    assert!(longest.set(&id(33)).unwrap_err().is_config());
}

#[test]
fn expiry_is_a_date_and_a_max_age_goes_first() -> Result<()> {
    let far = Some(Duration::MAX);
    for (options, expires) in [
        (CookieOptions::default().expire_after(far), "expires=Fri, 31 Dec 9999 23:59:59 GMT"),
        (
            CookieOptions::default().expire_after(MINUTE).max_age(far),
            "Fri, 31 Dec 9999 23:59:59 GMT",
        ),
    ] {
        let set = options.set(&id(3))?;
        assert!(set.contains(expires), "{set}");
    }
    let now = CookieOptions::default().expire_after(MINUTE).set(&id(3))?;
    assert!(now.contains(" GMT") && !now.contains("9999") && !now.contains("1970"), "{now}");
    let cleared = CookieOptions::default().clear();
    let expected =
        "_session_id=; path=/; max-age=0; expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly";
    assert_eq!(cleared, format!("{expected}; SameSite=Lax"));
    Ok(())
}
