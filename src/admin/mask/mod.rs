//! Secrets in what people are shown of a session.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use self::letters::is_jumbled;
use self::names::{Secret, of_name};
use self::random::{is_card, looks_random, without_cards};
use self::urls::without_users;

mod letters;
mod names;
mod random;
#[cfg(test)]
mod tests;
mod urls;

const MASKED: &str = "[masked]";

/// Deeper in a URL within a URL, or JSON within JSON, nothing is told apart any more.
const DEPTH: u32 = 3;

/// Shorter words that begin as a password's hash does are none.
const HASH: usize = 16;

/// Masks, in place, values under names that speak of secrets, and texts that look like one. A mask
/// does not tell how long the value is.
pub(super) fn mask(value: &mut Value) {
    mask_under(value, Secret::Nothing, DEPTH);
}

fn mask_under(value: &mut Value, secret: Secret, depth: u32) {
    match value {
        Value::String(text) if secret != Secret::Nothing => *text = MASKED.into(),
        Value::String(text) => {
            if let Some(masked) = masked(text, depth) {
                *text = masked;
            }
        }
        Value::Number(number) => {
            let digits = number.to_string();
            let digits = digits.strip_suffix(".0").unwrap_or(&digits);
            if secret == Secret::All || is_card(digits.as_bytes()) {
                *value = MASKED.into();
            }
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|item| mask_under(item, secret, depth));
        }
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                mask_under(value, secret.max(of_name(name)), depth);
            }
            mask_names(fields, depth);
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Masks names that are secrets themselves; of several each keeps its value.
fn mask_names(fields: &mut Map<String, Value>, depth: u32) {
    if !fields.keys().any(|name| masked(name, depth).is_some()) {
        return;
    }
    let mut number = 1;
    for (name, value) in std::mem::take(fields) {
        let shown = masked(&name, depth).unwrap_or(name);
        let mut name = shown.clone();
        while fields.contains_key(&name) {
            number += 1;
            name = format!("{shown} {number}");
        }
        fields.insert(name, value);
    }
}

/// The text without its secrets; `None` where none was found.
fn masked(text: &str, depth: u32) -> Option<String> {
    if depth == 0 {
        return Some(MASKED.into());
    }
    if let Some(json) = json_within(text) {
        let mut shown = json.clone();
        mask_under(&mut shown, Secret::Nothing, depth - 1);
        return (shown != json).then(|| shown.to_string());
    }
    // JSON may write a URL's slashes so; where nothing is masked the text stays as it was.
    let plain = text.replace(r"\/", "/");
    let bare = without_users(&plain);
    let bare = without_hashes(&bare);
    let bare = without_jwt(&bare);
    let out = masked_words(&bare, depth);
    let out = without_cards(&out);
    (out != plain).then(|| out.into_owned())
}

/// JSON that a text holds: an object, a list, or a text that may hold one.
fn json_within(text: &str) -> Option<Value> {
    let may_be = text.trim_start().starts_with(['{', '[', '"']);
    may_be.then(|| serde_json::from_str(text).ok()).flatten()
}

fn masked_words(text: &str, depth: u32) -> String {
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
    out
}

/// What stands between a URL's parameters, and between words.
fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || matches!(c, '?' | '&' | '#' | ';' | ',' | '"' | '\'' | '<' | '>')
}

/// A word, the beginning of a URL, or one of its parameters.
fn masked_part(part: &str, depth: u32) -> String {
    let (server, rest) = split_server(part);
    let pair = rest.split_once('=').filter(|(_, value)| !value.trim_matches('=').is_empty());
    let Some((head, value)) = pair else { return server.to_owned() + &shown_path(rest, depth) };
    let name = head.rsplit('/').next().unwrap_or(head);
    let shown = if is_shown(&decoded(name), &decoded(value), depth) { value } else { MASKED };
    format!("{server}{}={shown}", shown_path(head, depth))
}

/// What is percent-encoded may be a URL as a whole; it is shown decoded where something is masked.
fn shown_path(path: &str, depth: u32) -> String {
    let plain = decoded(path);
    let masked = (plain != path).then(|| masked(&plain, depth - 1)).flatten();
    masked.unwrap_or_else(|| without_random(path))
}

/// `https://x.example/a` → `https://x.example`, `/a`.
fn split_server(part: &str) -> (&str, &str) {
    match part.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('=') => {
            let path = rest.find('/').unwrap_or(rest.len());
            part.split_at(part.len() - rest.len() + path)
        }
        _ => ("", part),
    }
}

fn is_shown(name: &str, value: &str, depth: u32) -> bool {
    let is_number = || value.bytes().all(|byte| byte.is_ascii_digit());
    let is_open = match of_name(name) {
        Secret::Nothing => true,
        Secret::Texts => is_number(),
        Secret::All => false,
    };
    is_open && masked(value, depth - 1).is_none()
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// Masks words that look random, and of a path such segments, or all where a token begins with a slash.
fn without_random(text: &str) -> String {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || "+/=_-$.~%".contains(c);
    let is_of_name = |c: char| "_-.~%".contains(c);
    let shown = |word: &str| match looks_random(&decoded(word)) {
        true => MASKED.to_owned(),
        false => word.to_owned(),
    };
    let shown_path = |path: &str| -> String {
        path.split('/').map(|segment| format!("/{}", shown(segment))).collect()
    };
    each_run(text, is_of_token, |word| match word.strip_prefix('/').map(shown_path) {
        Some(path) if path == word && !word.contains(is_of_name) && is_jumbled(word) => {
            format!("/{MASKED}")
        }
        Some(path) => path,
        None => shown(word),
    })
}

/// Masks what begins as a JSON Web Token does: the base64 of `{"`.
fn without_jwt(text: &str) -> Cow<'_, str> {
    if !text.contains("eyJ") {
        return text.into();
    }
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_jwt = |word: &str| word.starts_with("eyJ") && word.contains('.');
    each_run(text, is_of_token, |word| if is_jwt(word) { MASKED } else { word }.to_owned()).into()
}

/// Masks what begins as the hash of a password does: `$2a$`, `$argon2id$`.
fn without_hashes(text: &str) -> Cow<'_, str> {
    if !text.contains('$') {
        return text.into();
    }
    let is_of_hash = |c: char| !c.is_whitespace() && !matches!(c, '"' | '\'' | '<' | '>' | '&');
    let is_hash = |word: &str| {
        let kind = word.strip_prefix('$').and_then(|rest| rest.split_once('$'));
        let is_kind = |kind: &str| {
            let is_of_kind = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !kind.is_empty() && kind.len() <= HASH && kind.chars().all(is_of_kind)
        };
        word.len() >= HASH && kind.is_some_and(|(kind, _)| is_kind(kind))
    };
    let masked = |word: &str| {
        let at = word.find('$').filter(|at| is_hash(&word[*at..]));
        at.map_or_else(|| word.to_owned(), |at| format!("{}{MASKED}", &word[..at]))
    };
    each_run(text, is_of_hash, masked).into()
}

/// Each longest run of such characters, shown so.
fn each_run(text: &str, is_of: impl Fn(char) -> bool, shown: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for run in text.split_inclusive(|c| !is_of(c)) {
        let bare = run.trim_end_matches(|c| !is_of(c));
        out.push_str(&shown(bare));
        out.push_str(&run[bare.len()..]);
    }
    out
}
