//! Settings from a URL or from `key=value` pairs, as libpq documents them.
//!
//! The driver's own parser refuses half of these parameters. Both forms are cut into pairs here, and
//! `parameters.rs` says what each pair means. No error quotes a value: a password that was not
//! encoded can end up anywhere.

use super::super::options::PostgresBuilder;
use super::parameters::apply;
use crate::error::Result;
use crate::store::connect::url::url_pairs;
pub(super) use crate::store::connect::url::{Pair, bad};

impl PostgresBuilder {
    /// Reads `postgres://…`, `postgresql://…`, or `host=… dbname=…`.
    pub(crate) fn from_url(url: &str) -> Result<Self> {
        let url = url.trim();
        let rest = ["postgres://", "postgresql://"].iter().find_map(|prefix| {
            let start = url.get(..prefix.len())?;
            start.eq_ignore_ascii_case(prefix).then(|| &url[prefix.len()..])
        });
        let pairs = match rest {
            Some(rest) => url_pairs(rest)?,
            None if url.contains('=') && !scheme(url) => key_value_pairs(url)?,
            None => {
                return Err(bad("it does not begin with postgres://")
                    .advice("write postgres://user:password@host/database"));
            }
        };
        apply(Self::from_nothing(), &pairs)
    }
}

/// Whether it begins as a URL of another kind.
fn scheme(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')
    })
}

/// `key = value key='a value' …`, with backslashes before quotes and backslashes.
fn key_value_pairs(text: &str) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            return Err(bad("a parameter has no =")
                .advice("write host=… dbname=…, with '…' round a value that has spaces"));
        };
        let (value, after) = value(after.trim_start())?;
        if value.contains('\0') {
            return Err(bad("it has a zero byte in it"));
        }
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// One value and what comes after it.
fn value(text: &str) -> Result<(String, &str)> {
    let (quoted, text) = match text.strip_prefix('\'') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '\'' if quoted => return Ok((value, &text[index + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((value, &text[index..])),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(bad("a quoted value has no end"));
    }
    Ok((value, ""))
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
