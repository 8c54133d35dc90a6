//! Database URLs: never a panic, and no password in any error or `Debug`, wherever it ends up.

use std::fmt::Write as _;

use sqlbypass::{AnyBuilder, AnyStore, Error, MySqlStore, PostgresStore, SqliteStore};

/// Stands in every password.
const SECRET: &str = "S3cretOfTheseTests";

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    alike(&text);
    let (noise, rest) = text.split_once('\n').unwrap_or((&text, ""));
    if shown(&text).contains(SECRET) {
        return; // It has a secret of its own, which may be a name.
    }
    let noise: String = noise.chars().take(40).collect();
    for scheme in ["postgres", "mysql"] {
        // Not encoded: what follows the secret is still a password as its owner sees it.
        for password in [format!("{noise}{SECRET}"), format!("{SECRET}{noise}")] {
            keeps(&format!("{scheme}://app:{password}@{rest}"));
        }
        let password = encoded(&format!("{noise}{SECRET}{noise}"));
        keeps(&format!("{scheme}://app:{password}@{rest}"));
        keeps(&format!("{scheme}://h/d?password={password}&{rest}"));
        keeps(&format!("{scheme}://h/d?{}&password={password}", rest.replace(['@', '/'], "")));
    }
    let quoted = format!("{noise}{SECRET}").replace('\\', "\\\\").replace('\'', "\\'");
    keeps_pairs(&format!("password='{quoted}' {rest}"));
    keeps_pairs(&format!("host=h password = '{quoted}'{rest}"));
}

/// The store of a URL's scheme says of it what the store of any URL says.
fn alike(url: &str) {
    let scheme = url.split(':').next().unwrap_or_default();
    let own = match scheme {
        "sqlite" => SqliteStore::url(url).is_ok(),
        "postgres" | "postgresql" => PostgresStore::url(url).is_ok(),
        "mysql" | "mariadb" => MySqlStore::url(url).is_ok(),
        _ => false,
    };
    assert_eq!(AnyStore::url(url).is_ok(), own, "told otherwise");
    let _ = (SqliteStore::url(url), PostgresStore::url(url), MySqlStore::url(url));
}

fn keeps(url: &str) {
    assert!(!shown(url).contains(SECRET), "the password was shown: {}", shown(url));
}

fn keeps_pairs(text: &str) {
    let shown = told(PostgresStore::url(text).map(|builder| format!("{builder:?}")));
    assert!(!shown.contains(SECRET), "the password was shown: {shown}");
}

/// All that can be seen of what was read.
fn shown(url: &str) -> String {
    told(AnyStore::url(url).map(|builder: AnyBuilder| format!("{builder:#?}")))
}

fn told(read: Result<String, Error>) -> String {
    read.unwrap_or_else(|error| {
        assert!(error.is_config());
        let mut text = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            let _ = write!(text, " {error} {error:?}");
            source = error.source();
        }
        text
    })
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    text.bytes().map(encode).collect()
}
