//! A database's URL, cut into pairs; what a pair means is the database's own matter.
//!
//! No error quotes a value: a password that was not encoded can end up anywhere.

use crate::error::{Error, Result};

pub(crate) const DOING: &str = "reading a database URL";

/// A parameter and its value, decoded.
pub(crate) type Pair = (String, String);

pub(crate) fn bad(problem: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::config(DOING, problem)
}

/// `[user[:password]@][host[:port],…][/database][?key=value&…]`
pub(crate) fn url_pairs(rest: &str) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut set = |key: &str, value: String| pairs.push((key.to_owned(), value));
    // As libpq has it, credentials end at the first @ that no slash comes before.
    let end = rest.find(['@', '/']).filter(|end| rest[*end..].starts_with('@'));
    let (credentials, rest) = match end {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => ("", rest),
    };
    // libpq would go on; but this is how a password that was not encoded shows, and what follows
    // would be taken for a host's name and shown.
    if rest.contains('@') {
        return Err(bad("it has an @ too many, or a / before its @")
            .advice("percent-encode them, also in a password: %40 for @, %2F for /"));
    }
    let (user, password) = match credentials.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (credentials, None),
    };
    if !user.is_empty() {
        set("user", decode(user)?);
    }
    if let Some(password) = password {
        set("password", decode(password)?);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if !authority.is_empty() {
        let (hosts, ports) = hosts(authority)?;
        set("host", hosts);
        set("port", ports);
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let database = path.strip_prefix('/').unwrap_or(path);
    if database.contains('/') {
        return Err(bad("its database has a / in its name").advice("percent-encode / as %2F"));
    }
    if !database.is_empty() {
        set("dbname", decode(database)?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(bad("a parameter has no value").advice("write ?name=value&name=value"));
        };
        if value.contains('=') {
            return Err(bad("a parameter has two =").advice("percent-encode = as %3D"));
        }
        match (decode(key)?.as_str(), decode(value)?) {
            // As JDBC writes it.
            ("ssl", value) if value == "true" => set("sslmode", "require".to_owned()),
            (key, value) => set(key, value),
        }
    }
    Ok(pairs)
}

/// The lists of hosts and ports of a URL's authority, joined with commas as the parameters are.
fn hosts(authority: &str) -> Result<(String, String)> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for part in authority.split(',') {
        let (host, port) = match part.strip_prefix('[') {
            Some(part) => {
                let Some((host, rest)) = part.split_once(']') else {
                    return Err(bad("a host begins with [ and has no ]"));
                };
                match rest.strip_prefix(':') {
                    Some(port) => (host, port),
                    None if rest.is_empty() => (host, ""),
                    None => return Err(bad("something stands between a host's ] and its port")),
                }
            }
            None => part.split_once(':').unwrap_or((part, "")),
        };
        let host = decode(host)?;
        if host.contains(',') {
            return Err(bad("a host's name has a comma"));
        }
        hosts.push(host);
        ports.push(decode(port)?);
    }
    Ok((hosts.join(","), ports.join(",")))
}

/// Strict, as libpq is: a lone % is an error and not itself.
pub(crate) fn decode(text: &str) -> Result<String> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(bad("it has a space in it").advice("percent-encode spaces as %20"));
    }
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    let lone = |index: usize| !digit(bytes.get(index + 1)) || !digit(bytes.get(index + 2));
    if text.match_indices('%').any(|(index, _)| lone(index)) {
        return Err(bad("a % is not followed by two hexadecimal digits")
            .advice("percent-encode % as %25, also in a password"));
    }
    let decoded = percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| bad("what is percent-encoded is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(bad("it has a zero byte in it"));
    }
    Ok(decoded.into_owned())
}
