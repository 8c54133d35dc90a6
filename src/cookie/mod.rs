//! The session cookie: read from requests, written as Rack writes it.

mod options;
#[cfg(feature = "http")]
mod request;
#[cfg(test)]
mod tests;
mod text;

use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::id::SessionId;

pub use options::{SameSite, SessionOptions};
use text::{date_after, escape, unescape};

/// What browsers keep of a cookie: the bytes of its name and value.
const MAX_LEN: usize = 4_096;
/// The ids that we make.
const ID_LEN: usize = 32;

/// How attributes are spelled. Browsers take both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// `path=/; HttpOnly; SameSite=Lax`, as Rack 2.2 writes it. The default.
    #[default]
    Rack2,
    /// `path=/; httponly; samesite=lax`, as Rack 3 writes it.
    Rack3,
}

/// What a response with a session cookie tells caches. A shared cache that keeps the cookie hands
/// one user's session to the next.
///
/// `Vary: Cookie` is added in any case but the last. A `Cache-Control` of the handler's own stays:
/// one that would let a shared cache keep the cookie is narrowed by `no-cache="Set-Cookie"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// `Cache-Control: no-store`: nobody keeps the response. The default.
    #[default]
    NoStore,
    /// `Cache-Control: no-cache="Set-Cookie"`: a cache may keep the rest of the response, and a
    /// browser may go back to the page without a request.
    NoCacheSetCookie,
    /// Neither header is touched, as in Rails.
    Untouched,
}

/// The cookie's name and what holds for it on every request, by default Rails' own:
/// `_session_id=…; path=/; HttpOnly; SameSite=Lax`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sqlbypass::{CookieOptions, SameSite};
///
/// let cookie = CookieOptions::new("__Host-session")?
///     .secure(true)
///     .same_site(Some(SameSite::Strict))
///     .expire_after(Some(Duration::from_secs(14 * 86_400)));
/// # Ok::<(), sqlbypass::Error>(())
/// ```
#[derive(Clone)]
pub struct CookieOptions {
    /// As it stands in headers.
    name: String,
    pub(crate) options: SessionOptions,
    pub(crate) assume_ssl: bool,
    pub(crate) clear_on_destroy: bool,
    pub(crate) caching: Caching,
    spelling: Spelling,
    #[cfg(feature = "http")]
    by_request: request::ByRequest,
}

impl Default for CookieOptions {
    fn default() -> Self {
        Self {
            name: "_session_id".into(),
            options: SessionOptions::default(),
            assume_ssl: false,
            clear_on_destroy: true,
            caching: Caching::NoStore,
            spelling: Spelling::Rack2,
            #[cfg(feature = "http")]
            by_request: request::ByRequest::default(),
        }
    }
}

impl CookieOptions {
    /// A cookie of this name with Rails' attributes. Odd characters are escaped as Rack does.
    ///
    /// # Errors
    ///
    /// When the name is empty, or too long: browsers drop a cookie whose name and value have more
    /// than 4,096 bytes.
    pub fn new(name: &str) -> Result<Self> {
        const DOING: &str = "naming the session cookie";
        if name.is_empty() {
            return Err(Error::config(DOING, "the name is empty"));
        }
        let name = escape(name);
        if name.len() + ID_LEN > MAX_LEN {
            return Err(Error::config(DOING, "name and id have more than 4,096 bytes"));
        }
        Ok(Self { name, ..Self::default() })
    }

    /// The domain whose hosts get the cookie; `None` for this host alone. `domain_all` and
    /// `domain_among` take it from the request's host instead.
    ///
    /// # Errors
    ///
    /// When it holds what cannot stand in a header.
    pub fn domain(mut self, domain: Option<&str>) -> Result<Self> {
        self.options.set_domain(domain)?;
        Ok(self)
    }

    /// The path under which the cookie is sent; `None` leaves the attribute out.
    ///
    /// # Errors
    ///
    /// When it holds what cannot stand in a header.
    pub fn path(mut self, path: Option<&str>) -> Result<Self> {
        self.options.set_path(path)?;
        Ok(self)
    }

    /// How long the browser keeps the cookie; `None`, the default, until it is closed. See
    /// [`SessionOptions::expire_after`].
    pub fn expire_after(mut self, time: Option<Duration>) -> Self {
        self.options.expire_after = time;
        self
    }

    /// The same as a `max-age`, beside `expires`; goes before [`expire_after`](Self::expire_after).
    pub fn max_age(mut self, time: Option<Duration>) -> Self {
        self.options.max_age = time;
        self
    }

    /// Sends the cookie over TLS only. Over plain HTTP nothing is then saved and no cookie is sent,
    /// as in Rails; a session that the handler ends or renews is ended.
    ///
    /// An HTTP/1 request does not say whether it came over TLS: a service that ends TLS itself puts
    /// `OverTls` into the request's extensions, one behind a proxy sets
    /// [`assume_ssl`](Self::assume_ssl).
    pub fn secure(mut self, secure: bool) -> Self {
        self.options.secure = secure;
        self
    }

    /// Takes every request as one over TLS: for a service behind a proxy that ends it.
    pub fn assume_ssl(mut self, assume: bool) -> Self {
        self.assume_ssl = assume;
        self
    }

    /// Hides the cookie from scripts; on by default.
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.options.http_only = http_only;
        self
    }

    /// The SameSite attribute; `None` leaves it out.
    pub fn same_site(mut self, same_site: Option<SameSite>) -> Self {
        self.options.same_site = same_site;
        self
    }

    /// Keeps the cookie apart for each site that embeds this one; browsers ask for `secure` then.
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.options.partitioned = partitioned;
        self
    }

    /// Writes sessions and sends no cookie, unless a handler sets
    /// [`defer`](SessionOptions::defer) back or renews the session.
    pub fn defer(mut self, defer: bool) -> Self {
        self.options.defer = defer;
        self
    }

    /// Leaves every session alone unless a handler sets [`skip`](SessionOptions::skip) back.
    pub fn skip(mut self, skip: bool) -> Self {
        self.options.skip = skip;
        self
    }

    /// Whether the browser's cookie is taken away when its session is destroyed or dropped; on by
    /// default. Rails and its gem leave it to the browser.
    pub fn clear_on_destroy(mut self, clear: bool) -> Self {
        self.clear_on_destroy = clear;
        self
    }

    /// What a response with the cookie tells caches.
    pub fn caching(mut self, caching: Caching) -> Self {
        self.caching = caching;
        self
    }

    /// How attributes are spelled.
    pub fn spelling(mut self, spelling: Spelling) -> Self {
        self.spelling = spelling;
        self
    }

    /// The id in the `Cookie` headers' first pair of this name, if it is well formed. Later pairs
    /// of the name do not count, as in Rack: browsers send the one with the longest path first.
    pub fn find<'a>(&self, headers: impl IntoIterator<Item = &'a [u8]>) -> Option<SessionId> {
        let mut pairs = headers.into_iter().flat_map(|header| header.split(|byte| *byte == b';'));
        let value = pairs.find_map(|pair| self.value_of(pair.trim_ascii()))?;
        SessionId::parse(&unescape(value))
    }

    /// The `Set-Cookie` value that gives the browser this id.
    ///
    /// # Errors
    ///
    /// When name and id have more than 4,096 bytes, of which browsers keep nothing.
    pub fn set(&self, id: &SessionId) -> Result<String> {
        self.set_with(id, &self.options)
    }

    /// The `Set-Cookie` value that takes the browser's cookie away.
    pub fn clear(&self) -> String {
        self.clear_with(&self.options)
    }

    pub(crate) fn set_with(&self, id: &SessionId, options: &SessionOptions) -> Result<String> {
        let value = escape(id.as_str());
        if self.name.len() + value.len() > MAX_LEN {
            return Err(Error::config(
                "writing the session cookie",
                "name and id have more than 4,096 bytes",
            ));
        }
        let expires = options.expiry().map(|time| date_after(SystemTime::now(), time));
        let max_age = options.max_age.map(|time| time.as_secs());
        Ok(self.write(&value, options, max_age, expires))
    }

    pub(crate) fn clear_with(&self, options: &SessionOptions) -> String {
        let epoch = date_after(SystemTime::UNIX_EPOCH, Duration::ZERO);
        self.write("", options, Some(0), Some(epoch))
    }

    /// In Rack's order: domain, path, max-age, expires, secure, HttpOnly, SameSite, Partitioned.
    fn write(
        &self,
        value: &str,
        options: &SessionOptions,
        max_age: Option<u64>,
        expires: Option<String>,
    ) -> String {
        let mut text = format!("{}={value}", self.name);
        let mut add = |name: &str, value: &dyn fmt::Display| {
            // Writing to a String cannot fail.
            let _ = write!(text, "; {name}{value}");
        };
        if let Some(domain) = &options.domain {
            add("domain=", domain);
        }
        if let Some(path) = &options.path {
            add("path=", path);
        }
        if let Some(max_age) = max_age {
            add("max-age=", &max_age);
        }
        if let Some(expires) = expires {
            add("expires=", &expires);
        }
        if options.secure {
            add("secure", &"");
        }
        let spelled = |rack2, rack3| if self.spelling == Spelling::Rack2 { rack2 } else { rack3 };
        if options.http_only {
            add(spelled("HttpOnly", "httponly"), &"");
        }
        if let Some(same_site) = options.same_site {
            let site = match same_site {
                SameSite::Lax => spelled("Lax", "lax"),
                SameSite::Strict => spelled("Strict", "strict"),
                SameSite::None => spelled("None", "none"),
            };
            add(spelled("SameSite=", "samesite="), &site);
        }
        if options.partitioned {
            add(spelled("Partitioned", "partitioned"), &"");
        }
        text
    }

    /// The value of a pair of this name; nothing where it has no `=`.
    fn value_of<'a>(&self, pair: &'a [u8]) -> Option<&'a [u8]> {
        match pair.strip_prefix(self.name.as_bytes())? {
            [b'=', value @ ..] => Some(value),
            [] => Some(b""),
            _ => None,
        }
    }
}

impl fmt::Debug for CookieOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieOptions")
            .field("name", &self.name)
            .field("options", &self.options)
            .field("assume_ssl", &self.assume_ssl)
            .field("clear_on_destroy", &self.clear_on_destroy)
            .field("caching", &self.caching)
            .field("spelling", &self.spelling)
            .finish_non_exhaustive()
    }
}
