//! What was typed is not repeated where it may be a secret: a URL with its password, a key, or a cookie's
//! id, most often in the wrong place.

use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};

const HIDDEN: &str = "(not shown)";
/// No id and no key is shorter.
const SHORTEST: usize = 32;

/// An error of wrong use, which quotes no value but numbers, and nothing that is out of place but an
/// option's name.
pub(crate) fn usage(mut error: clap::Error) -> clap::Error {
    let (kind, is_plain): (_, fn(&str) -> bool) = match error.kind() {
        ErrorKind::UnknownArgument => (ContextKind::InvalidArg, is_option),
        ErrorKind::InvalidSubcommand => (ContextKind::InvalidSubcommand, |_| false),
        _ => (ContextKind::InvalidValue, |value| value.is_empty() || value.parse::<f64>().is_ok()),
    };
    if let Some(ContextValue::String(text)) = error.get(kind)
        && !is_plain(text)
    {
        error.insert(kind, ContextValue::String(HIDDEN.into()));
        error.remove(ContextKind::Suggested);
    }
    error
}

fn is_option(text: &str) -> bool {
    let is_of_a_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    text.starts_with('-') && text.len() < SHORTEST && text.bytes().all(is_of_a_name)
}

/// A text without those of the program's arguments that may be secrets, whoever quotes them.
pub(crate) fn text(text: &str) -> String {
    let mut text = text.to_owned();
    for argument in std::env::args_os().skip(1) {
        let argument = argument.to_string_lossy();
        let value = argument.split_once('=').map_or("", |(_, value)| value);
        for typed in [&*argument, value].into_iter().filter(|typed| is_secret(typed)) {
            text = without(&text, typed);
        }
    }
    text
}

/// As it is, or as `Debug` quotes it.
fn without(text: &str, secret: &str) -> String {
    text.replace(secret, HIDDEN).replace(&secret.escape_debug().to_string(), HIDDEN)
}

fn is_secret(text: &str) -> bool {
    let has_password = text.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    has_password || text.lines().any(is_key)
}

/// Whether a text may be a key, with its name or without, be it a mutilated one; or an id. What is a
/// file's name or a URL, or looks like a table's name, is none.
pub(crate) fn is_key(text: &str) -> bool {
    let secret = text.rsplit_once(':').map_or(text, |(_, secret)| secret);
    let is_of_a_key = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    let is_of_a_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_table = text.contains('_') && text.bytes().all(is_of_a_name);
    let is_name = is_table || is_words(text) || text.contains("://") || Path::new(text).exists();
    secret.len() >= SHORTEST && secret.bytes().all(is_of_a_key) && !is_name
}

/// Words as people write them, or a path of such: what is random mixes capitals into its words.
fn is_words(text: &str) -> bool {
    let is_plain = |word: &str| {
        word.bytes().skip(1).all(|byte| byte.is_ascii_lowercase())
            || word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let words = || text.split(['-', '_', '/', '.']).filter(|word| !word.is_empty());
    words().count() >= 3 && words().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_names() {
        let (hex, base64) = ("6b".repeat(32), "a2".repeat(21) + "k=");
        for secret in [
            &*hex,
            &base64,
            &hex[1..],
            &hex[..32],
            &format!("k1:{hex}"),
            &format!("# ours\nk1:{base64}"),
            "2::4b1f0a57d1e9b1b6c6a1f2d3e4f5a6b7",
            "postgres://ada:pw@db/shop",
            "mysql://ada:p w\"@db/shop",
            "ada:pw@db/shop",
        ] {
            assert!(is_secret(secret), "{secret}");
            assert_eq!(
                without(&format!("{secret}: {secret:?}"), secret).matches(HIDDEN).count(),
                2
            );
        }
        for name in [
            "sessions",
            "a_table_with_a_name_of_thirty_two_bytes_2",
            "sqlite:///var/lib/sessions/of/a/shop/here",
            "/no/file",
            "/run/secrets/production/session-keys-2026",
            "Production-Sessions-Of-Europe-West",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
