//! What a response with a session cookie tells caches.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderValue, VARY};

use crate::cookie::Caching;

const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache=\"Set-Cookie\"");

/// Keeps the cookie out of shared caches. Nothing that the handler has said is taken back.
pub(super) fn protect(headers: &mut HeaderMap, caching: Caching) {
    if caching == Caching::Untouched {
        return;
    }
    let varies = |item: &str| item == "*" || item.eq_ignore_ascii_case("cookie");
    if !any_item(headers, VARY, varies) {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
    if headers.contains_key(CACHE_CONTROL) {
        if !any_item(headers, CACHE_CONTROL, keeps_the_cookie_out) {
            headers.append(CACHE_CONTROL, NO_CACHE);
        }
        return;
    }
    let value = match caching {
        Caching::NoCacheSetCookie => NO_CACHE,
        Caching::NoStore | Caching::Untouched => HeaderValue::from_static("no-store"),
    };
    headers.insert(CACHE_CONTROL, value);
}

/// A directive for the whole response, or for this header by its name.
fn keeps_the_cookie_out(directive: &str) -> bool {
    let (name, fields) = match directive.split_once('=') {
        Some((name, fields)) => (name, Some(fields)),
        None => (directive, None),
    };
    let names_it = |fields: &str| fields.to_ascii_lowercase().contains("set-cookie");
    match name.to_ascii_lowercase().as_str() {
        "no-store" => true,
        "private" | "no-cache" => fields.is_none_or(names_it),
        _ => false,
    }
}

/// Whether any item of a header's comma-separated list fits.
fn any_item(
    headers: &HeaderMap,
    name: http::HeaderName,
    fits: impl Fn(&str) -> bool + Copy,
) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| fits(item.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(handler: &[(&'static str, &'static str)], caching: Caching) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in handler {
            headers.append(*name, HeaderValue::from_static(value));
        }
        protect(&mut headers, caching);
        let mut lines: Vec<String> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_the_handler_says_stays() {
        const NARROW: &str = "cache-control: no-cache=\"Set-Cookie\"";
        let (cache, vary) = ("cache-control", "vary");
        let no_store = Caching::NoStore;
        assert_eq!(answer(&[], no_store), ["cache-control: no-store", "vary: Cookie"]);
        assert_eq!(answer(&[], Caching::NoCacheSetCookie), [NARROW, "vary: Cookie"]);
        assert!(answer(&[], Caching::Untouched).is_empty());
        for private in ["no-store", "max-age=0, Private", "NO-CACHE", "no-cache=\"set-cookie, x\""]
        {
            for caching in [no_store, Caching::NoCacheSetCookie] {
                let expected = [format!("{cache}: {private}"), "vary: Cookie".into()];
                assert_eq!(answer(&[(cache, private)], caching), expected);
            }
        }
        for public in ["public, max-age=60", "max-age=60", "private=\"x-user\"", "no-cache=\"x\""] {
            let mut expected = [format!("{cache}: {public}"), NARROW.into(), "vary: Cookie".into()];
            expected.sort();
            assert_eq!(answer(&[(cache, public)], no_store), expected);
        }
        for varies in ["*", "cookie", "Accept, Cookie"] {
            let expected = ["cache-control: no-store".into(), format!("{vary}: {varies}")];
            assert_eq!(answer(&[(vary, varies)], no_store), expected);
        }
        assert_eq!(
            answer(&[(vary, "Accept"), (cache, "private")], no_store),
            ["cache-control: private", "vary: Accept", "vary: Cookie"]
        );
    }
}
