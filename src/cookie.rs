//! The session cookie: read from requests, written as Rack writes it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::id::SessionId;

/// What `URI.encode_www_form_component` leaves alone; a space becomes `+` afterwards.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');

/// Where a browser sends the cookie from other sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// With links only: Rails' default.
    Lax,
    /// Never.
    Strict,
    /// Always; browsers ask for `secure` then.
    None,
}

/// How attributes are spelled. Browsers take both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// `path=/; HttpOnly; SameSite=Lax`, as Rack 2.2 writes it. The default.
    #[default]
    Rack2,
    /// `path=/; httponly; samesite=lax`, as Rack 3 writes it.
    Rack3,
}

/// The cookie's name and attributes, by default Rails' own:
/// `_session_id=…; path=/; HttpOnly; SameSite=Lax`.
///
/// # Examples
///
/// ```
/// use sqlbypass::{CookieOptions, SameSite};
///
/// let cookie = CookieOptions::new("_shop_session")?.secure(true).same_site(Some(SameSite::Strict));
/// # Ok::<(), sqlbypass::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieOptions {
    /// As it stands in headers.
    name: String,
    domain: Option<String>,
    path: Option<String>,
    pub(crate) secure: bool,
    pub(crate) assume_ssl: bool,
    http_only: bool,
    same_site: Option<SameSite>,
    spelling: Spelling,
}

impl Default for CookieOptions {
    fn default() -> Self {
        Self {
            name: "_session_id".into(),
            domain: None,
            path: Some("/".into()),
            secure: false,
            assume_ssl: false,
            http_only: true,
            same_site: Some(SameSite::Lax),
            spelling: Spelling::Rack2,
        }
    }
}

impl CookieOptions {
    /// A cookie of this name with Rails' attributes. Odd characters are escaped as Rack does.
    ///
    /// # Errors
    ///
    /// When the name is empty.
    pub fn new(name: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::config("naming the session cookie", "the name is empty"));
        }
        Ok(Self { name: escape(name), ..Self::default() })
    }

    /// The domain whose hosts get the cookie; `None` for this host alone.
    ///
    /// # Errors
    ///
    /// When it holds what cannot stand in a header.
    pub fn domain(mut self, domain: Option<&str>) -> Result<Self> {
        self.domain = domain.map(checked).transpose()?;
        Ok(self)
    }

    /// The path under which the cookie is sent; `None` leaves the attribute out.
    ///
    /// # Errors
    ///
    /// When it holds what cannot stand in a header.
    pub fn path(mut self, path: Option<&str>) -> Result<Self> {
        self.path = path.map(checked).transpose()?;
        Ok(self)
    }

    /// Sends the cookie over TLS only. Over plain HTTP nothing is then saved and no cookie is sent,
    /// as in Rails; a session that the handler ends or renews is ended.
    ///
    /// An HTTP/1 request does not say whether it came over TLS: a service that ends TLS itself puts
    /// `OverTls` into the request's extensions, one behind a proxy sets
    /// [`assume_ssl`](Self::assume_ssl).
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Takes every request as one over TLS: for a service behind a proxy that ends it.
    pub fn assume_ssl(mut self, assume: bool) -> Self {
        self.assume_ssl = assume;
        self
    }

    /// Hides the cookie from scripts; on by default.
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// The SameSite attribute; `None` leaves it out.
    pub fn same_site(mut self, same_site: Option<SameSite>) -> Self {
        self.same_site = same_site;
        self
    }

    /// How attributes are spelled.
    pub fn spelling(mut self, spelling: Spelling) -> Self {
        self.spelling = spelling;
        self
    }

    /// The first well-formed id among the `Cookie` headers' pairs of this name.
    pub fn find<'a>(&self, headers: impl IntoIterator<Item = &'a [u8]>) -> Option<SessionId> {
        headers.into_iter().find_map(|header| {
            header.split(|byte| *byte == b';').find_map(|pair| {
                let pair = pair.trim_ascii();
                let value = pair.strip_prefix(self.name.as_bytes())?.strip_prefix(b"=")?;
                SessionId::parse(&unescape(value))
            })
        })
    }

    /// The `Set-Cookie` value that gives the browser this id.
    pub fn set(&self, id: &SessionId) -> String {
        let mut text = format!("{}={}", self.name, escape(id.as_str()));
        self.write_attributes(&mut text, None);
        text
    }

    /// The `Set-Cookie` value that takes the browser's cookie away.
    pub fn clear(&self) -> String {
        let mut text = format!("{}=", self.name);
        self.write_attributes(&mut text, Some((0, SystemTime::UNIX_EPOCH)));
        text
    }

    /// In Rack's order: domain, path, max-age, expires, secure, HttpOnly, SameSite.
    fn write_attributes(&self, text: &mut String, expiry: Option<(u64, SystemTime)>) {
        if let Some(domain) = &self.domain {
            text.push_str("; domain=");
            text.push_str(domain);
        }
        if let Some(path) = &self.path {
            text.push_str("; path=");
            text.push_str(path);
        }
        if let Some((max_age, expires)) = expiry {
            // Writing to a String cannot fail.
            let _ =
                write!(text, "; max-age={max_age}; expires={}", httpdate::fmt_http_date(expires));
        }
        if self.secure {
            text.push_str("; secure");
        }
        let rack2 = self.spelling == Spelling::Rack2;
        if self.http_only {
            text.push_str(if rack2 { "; HttpOnly" } else { "; httponly" });
        }
        if let Some(same_site) = self.same_site {
            text.push_str(match (same_site, rack2) {
                (SameSite::Lax, true) => "; SameSite=Lax",
                (SameSite::Lax, false) => "; samesite=lax",
                (SameSite::Strict, true) => "; SameSite=Strict",
                (SameSite::Strict, false) => "; samesite=strict",
                (SameSite::None, true) => "; SameSite=None",
                (SameSite::None, false) => "; samesite=none",
            });
        }
    }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string().replace(' ', "+")
}

/// As `URI.decode_www_form_component`: `+` is a space. Text that is not well escaped is taken as
/// it stands, as Rack does.
fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    let escapes = value.iter().any(|byte| matches!(byte, b'%' | b'+'));
    if !escapes || !is_well_escaped(value) {
        return Cow::Borrowed(value);
    }
    let spaced: Vec<u8> =
        value.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

fn is_well_escaped(value: &[u8]) -> bool {
    value.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        value.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}

fn checked(text: &str) -> Result<String> {
    let fits = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
    if text.is_empty() || !text.bytes().all(fits) {
        return Err(Error::config(
            "setting a cookie's attribute",
            "it is empty or holds what cannot stand in a header",
        ));
    }
    Ok(text.to_owned())
}
