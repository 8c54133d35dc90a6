//! What holds for one request's session and its cookie.

use std::sync::Arc;
use std::time::Duration;

use super::text::attribute;
use crate::error::Result;

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

/// What holds for one request's session and its cookie: what Rack keeps under
/// `env["rack.session.options"]`.
///
/// [`CookieOptions`](crate::CookieOptions) says what holds for every request; its `per_request` and
/// a handler, by [`Session::configure`](crate::Session::configure), change it for one.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use sqlbypass::Session;
/// # fn handler(session: Session) -> sqlbypass::Result<()> {
/// const TWO_WEEKS: Duration = Duration::from_secs(14 * 86_400);
///
/// // "Remember me": the browser keeps this cookie when it is closed.
/// session.configure(|options| options.expire_after = Some(TWO_WEEKS))
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionOptions {
    /// Neither writes nor sends a cookie for this request. An id that the handler ends or renews is
    /// ended all the same.
    pub skip: bool,
    /// Writes, and sends no cookie; a renewal, a reset and what begins after a destroy send it
    /// nevertheless.
    pub defer: bool,
    /// Gives the session a new id, as [`Session::renew`](crate::Session::renew) does.
    pub renew: bool,
    /// Ends the session, as [`Session::destroy`](crate::Session::destroy) does, and begins no new
    /// one, whatever is inserted.
    pub drop: bool,
    /// How long the browser keeps the cookie; `None` until it is closed. The cookie is then sent on
    /// every response of a session that holds something, which costs a read when the handler made
    /// none.
    pub expire_after: Option<Duration>,
    /// The same in the attribute of that name, in whole seconds. Goes before `expire_after`.
    pub max_age: Option<Duration>,
    /// Sends the cookie over TLS only; see [`CookieOptions::secure`](crate::CookieOptions::secure).
    pub secure: bool,
    /// Hides the cookie from scripts.
    pub http_only: bool,
    /// The SameSite attribute; `None` leaves it out.
    pub same_site: Option<SameSite>,
    /// Keeps the cookie apart for each site that embeds this one; browsers ask for `secure` then.
    pub partitioned: bool,
    pub(super) domain: Option<Arc<str>>,
    pub(super) path: Option<Arc<str>>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            skip: false,
            defer: false,
            renew: false,
            drop: false,
            expire_after: None,
            max_age: None,
            secure: false,
            http_only: true,
            same_site: Some(SameSite::Lax),
            partitioned: false,
            domain: None,
            path: Some("/".into()),
        }
    }
}

impl SessionOptions {
    /// The domain whose hosts get the cookie; `None` for this host alone.
    ///
    /// # Errors
    ///
    /// When it holds what cannot stand in a header.
    pub fn set_domain(&mut self, domain: Option<&str>) -> Result<()> {
        self.domain = domain.map(attribute).transpose()?.map(Arc::from);
        Ok(())
    }

    /// The path under which the cookie is sent; `None` leaves the attribute out.
    ///
    /// # Errors
    ///
    /// When it holds what cannot stand in a header.
    pub fn set_path(&mut self, path: Option<&str>) -> Result<()> {
        self.path = path.map(attribute).transpose()?.map(Arc::from);
        Ok(())
    }

    /// How long the browser is to keep the cookie, by either option.
    pub(crate) fn expiry(&self) -> Option<Duration> {
        self.max_age.or(self.expire_after)
    }
}
