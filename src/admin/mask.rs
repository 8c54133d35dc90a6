//! Secrets in what people are shown of a session.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value;

const MASKED: &str = "[masked]";

/// Parts of names whose values are nobody's business, whatever stands round them; names are compared
/// in lower case and without what separates their words.
const PARTS: [&str; 18] = [
    "token",
    "secret",
    "passw",
    "passphrase",
    "credential",
    "csrf",
    "xsrf",
    "nonce",
    "verifier",
    "signature",
    "cookie",
    "sessionid",
    "apikey",
    "creditcard",
    "securitycode",
    "verificationcode",
    "recoverycode",
    "backupcode",
];

/// Words of names that say the same only where they stand alone: `pin` is one, `pine` is none.
const WORDS: [&str; 34] = [
    "key",
    "keys",
    "auth",
    "oauth",
    "oauth2",
    "authorization",
    "authentication",
    "bearer",
    "jwt",
    "private",
    "salt",
    "hash",
    "digest",
    "sig",
    "otp",
    "totp",
    "mfa",
    "pin",
    "pins",
    "pass",
    "pwd",
    "pw",
    "magic",
    "cc",
    "sid",
    "state",
    "ticket",
    "card",
    "cards",
    "cvv",
    "cvc",
    "csc",
    "ssn",
    "iban",
];

/// `country_code` is no secret, and what OAuth calls `code` is one.
const OPEN_CODES: [&str; 11] = [
    "country", "postal", "post", "zip", "status", "language", "lang", "currency", "locale", "area",
    "discount",
];

/// Deeper in a URL within a URL nothing is told apart any more.
const DEPTH: u32 = 3;

/// How much of a value its name forbids to show.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secret {
    /// Only what looks like a secret.
    Nothing,
    /// Texts: beside its salt Warden keeps the user's number.
    Texts,
    /// Texts and numbers.
    All,
}

/// Masks, in place, values under names that speak of secrets, and texts that look like one. A mask
/// does not tell how long the value is.
pub(super) fn mask(value: &mut Value) {
    mask_under(value, Secret::Nothing);
}

fn mask_under(value: &mut Value, secret: Secret) {
    match value {
        Value::String(text) if secret != Secret::Nothing => *text = MASKED.into(),
        Value::String(text) => {
            if let Some(masked) = masked(text, DEPTH) {
                *text = masked;
            }
        }
        Value::Number(_) if secret == Secret::All => *value = MASKED.into(),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_under(item, secret)),
        Value::Object(fields) => {
            for (name, value) in fields {
                mask_under(value, if secret == Secret::Nothing { of_name(name) } else { secret });
            }
        }
        _ => {}
    }
}

fn of_name(name: &str) -> Secret {
    let is_of_warden = name.starts_with("warden.user.") && name.ends_with(".key");
    match is_secret(name) {
        true if is_of_warden => Secret::Texts,
        true => Secret::All,
        false => Secret::Nothing,
    }
}

fn is_secret(name: &str) -> bool {
    let words = words(name);
    let joined = words.concat();
    let is_code = words.iter().any(|word| word == "code" || word == "codes");
    (is_code && !words.iter().any(|word| OPEN_CODES.contains(&word.as_str())))
        || PARTS.iter().any(|part| joined.contains(part))
        || words.iter().any(|word| WORDS.contains(&word.as_str()))
}

/// `apiKey`, `api_key` → `api`, `key`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (was_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words
}

/// The text without its secrets; `None` where none was found.
fn masked(text: &str, depth: u32) -> Option<String> {
    if looks_random(text) || depth == 0 {
        return Some(MASKED.into());
    }
    let mut out = String::with_capacity(text.len());
    let mut is_after_bearer = false;
    for part in text.split_inclusive(is_delimiter) {
        let bare = part.trim_end_matches(is_delimiter);
        match is_after_bearer && !bare.is_empty() {
            true => out.push_str(MASKED),
            false => out.push_str(&masked_part(bare, depth)),
        }
        out.push_str(&part[bare.len()..]);
        is_after_bearer =
            bare.eq_ignore_ascii_case("bearer") || (is_after_bearer && bare.is_empty());
    }
    (out != text).then_some(out)
}

/// What stands between a URL's parameters, and between words.
fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || matches!(c, '?' | '&' | '#' | ';' | ',' | '"' | '\'' | '<' | '>')
}

/// A word, the beginning of a URL, or one of its parameters.
fn masked_part(part: &str, depth: u32) -> Cow<'_, str> {
    if let Some((name, value)) = part.split_once('=')
        && !name.contains('/')
        && !value.is_empty()
    {
        let value = decoded(value);
        if is_secret(&decoded(name)) || masked(&value, depth - 1).is_some() {
            return format!("{name}={MASKED}").into();
        }
        return part.into();
    }
    if let Some((scheme, rest)) = part.split_once("://") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map(|(_, host)| format!("{MASKED}@{host}"));
        let host = host.as_deref().unwrap_or(authority);
        return format!("{scheme}://{host}{}", without_jwt(path)).into();
    }
    without_jwt(part)
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// Masks what begins as a JSON Web Token does: the base64 of `{"`.
fn without_jwt(part: &str) -> Cow<'_, str> {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !part.contains("eyJ") {
        return part.into();
    }
    let mut out = String::with_capacity(part.len());
    for run in part.split_inclusive(|c| !is_of_token(c)) {
        let bare = run.trim_end_matches(|c| !is_of_token(c));
        let is_jwt = bare.starts_with("eyJ") && bare.contains('.');
        out.push_str(if is_jwt { MASKED } else { bare });
        out.push_str(&run[bare.len()..]);
    }
    out.into()
}

/// Whether a text may be a token, or the beginning of a password's hash: one long word of letters
/// and digits.
fn looks_random(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'$' | b'.')
    });
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let has_letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    text.len() >= 16 && is_word && has_digits && has_letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(value: Value, expected: Value) {
        let mut masked = value;
        mask(&mut masked);
        assert_eq!(masked, expected);
    }

    #[test]
    fn secrets_are_masked_and_the_rest_is_not() {
        check(
            json!({
                "_csrf_token": "short",
                "warden.user.user.key": [[42], "$2a$11$abcdefghijklmnopqrstuu"],
                "warden.user.user.session": {"last_request_at": 1_700_000_000},
                "cart": [{"sku": "red shoes", "count": 2}],
                "nested": {"api_key": ["x", {"id": 7}], "id": "0123456789abcdef0123456789abcdef"},
                "user": "ada",
            }),
            json!({
                "_csrf_token": "[masked]",
                "warden.user.user.key": [[42], "[masked]"],
                "warden.user.user.session": {"last_request_at": 1_700_000_000},
                "cart": [{"sku": "red shoes", "count": 2}],
                "nested": {"api_key": ["[masked]", {"id": "[masked]"}], "id": "[masked]"},
                "user": "ada",
            }),
        );
    }

    #[test]
    fn names_are_secret_by_their_words() {
        for name in [
            "credit_card",
            "cardNumber",
            "card",
            "jwt",
            "pin",
            "user-pin",
            "passphrase",
            "pass",
            "cvv",
            "cvc",
            "ssn",
            "iban",
            "bearer",
            "private_key",
            "password_hash",
            "code",
            "apiKey",
            "APIKEY",
            "accessToken",
            "state",
            "otp",
            "security_code",
            "sms_code",
            "signinCode",
            "pw",
            "user[password]",
            "X-Auth",
            "sessionId",
        ] {
            check(json!({ name: "x" }), json!({ name: "[masked]" }));
            check(json!({ name: 4_711 }), json!({ name: "[masked]" }));
            check(json!({ name: [true, null] }), json!({ name: [true, null] }));
        }
        for name in [
            "country_code",
            "cart",
            "cardinal",
            "passenger",
            "compass",
            "author",
            "keyboard",
            "estate",
            "pinned",
            "spin",
            "hashtag",
            "locale",
            "flash",
            "user_return_to",
            "laptop",
        ] {
            check(json!({ name: "x" }), json!({ name: "x" }));
        }
    }

    #[test]
    fn urls_lose_their_secrets_alone() {
        for (text, shown) in [
            ("/orders?page=2&sort=name", "/orders?page=2&sort=name"),
            (
                "/reset?reset_password_token=abc&lang=de",
                "/reset?reset_password_token=[masked]&lang=de",
            ),
            (
                "https://x.example/cb?code=abc&state=x#top",
                "https://x.example/cb?code=[masked]&state=[masked]#top",
            ),
            ("https://x.example/#access_token=abc", "https://x.example/#access_token=[masked]"),
            (
                "see https://ada:pw@x.example/a?sig=b&key=c now",
                "see https://[masked]@x.example/a?sig=[masked]&key=[masked] now",
            ),
            ("https://ghp@x.example", "https://[masked]@x.example"),
            ("mail ada@x.example", "mail ada@x.example"),
            ("https://x.example/@ada/toots", "https://x.example/@ada/toots"),
            ("/in?next=%2Freset%3Ftoken%3Dabc&a=b", "/in?next=[masked]&a=b"),
            ("/in?next=%2Forders%3Fpage%3D2", "/in?next=%2Forders%3Fpage%3D2"),
            ("/a?ref=Zm9vYmFyMTIzNDU2Nzg5", "/a?ref=[masked]"),
            ("password=hunter", "password=[masked]"),
            ("/a?t%6Fken=b", "/a?t%6Fken=[masked]"),
            ("2 + 2 = 4, so a=b", "2 + 2 = 4, so a=b"),
        ] {
            check(json!({ "to": text }), json!({ "to": shown }));
        }
    }

    #[test]
    fn tokens_are_found_in_any_text() {
        for (text, shown) in [
            ("eyJhbGciOiJI.eyJzdWIi.c2ln", "[masked]"),
            ("got eyJhbGci.eyJz.c2 back", "got [masked] back"),
            ("https://x.example/v/eyJhbGci.eyJz.c2/end", "https://x.example/v/[masked]/end"),
            ("Bearer abc", "Bearer [masked]"),
            ("Authorization: bearer  abc, def", "Authorization: bearer  [masked], def"),
            ("the bearer", "the bearer"),
            ("eyJump high.", "eyJump high."),
        ] {
            check(json!([text]), json!([shown]));
        }
    }

    #[test]
    fn a_hostile_text_does_not_take_long() {
        let deep = "a=".repeat(100_000);
        check(json!([deep.clone()]), json!(["a=[masked]"]));
        check(json!(["&".repeat(1_000_000)]), json!(["&".repeat(1_000_000)]));
    }
}
