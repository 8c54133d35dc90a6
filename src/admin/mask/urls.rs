//! Users and passwords within URLs.

use std::borrow::Cow;

use super::MASKED;

/// What ends a URL's authority, or what stands round a URL.
const ENDS: [char; 7] = ['/', '?', '#', '"', '<', '>', '\\'];

/// Masks what stands before the `@` of a URL, whatever characters a password has.
pub(super) fn without_users(text: &str) -> Cow<'_, str> {
    if !text.contains("://") || !text.contains('@') {
        return text.into();
    }
    text.split_inclusive(char::is_whitespace).map(of_word).collect::<String>().into()
}

fn of_word(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let last = word.rfind('@');
    let mut rest = word;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        out.push_str(before);
        let authority = &behind[..behind.find(ENDS).unwrap_or(behind.len())];
        let end = match authority.rfind('@') {
            // A password with a slash in it goes on to the word's last `@`.
            None if begins_password(authority, word, last) => {
                last.and_then(|last| last.checked_sub(word.len() - behind.len()))
            }
            end => end,
        };
        out.push_str(if end.is_some() { MASKED } else { "" });
        rest = &behind[end.unwrap_or(0)..];
    }
    out + rest
}

/// Whether what follows the colon may be a password. One may begin as a port does; behind a port is a path,
/// and a part of it may begin with an `@`.
fn begins_password(authority: &str, word: &str, at: Option<usize>) -> bool {
    let is_port = |text: &str| {
        (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_of_path = at.is_some_and(|at| word[..at].ends_with('/'));
    !authority.starts_with('[')
        && authority.split_once(':').is_some_and(|(_, port)| !is_port(port) || !is_of_path)
}
