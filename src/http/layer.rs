//! The tower layer.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::Sessions;
use super::service::{HyperSessions, SessionService};
use crate::cookie::CookieOptions;
use crate::error::Result;
use crate::manager::SessionManager;
use crate::store::Store;

/// Gives every request a [`Session`](crate::Session) in its extensions and commits it between the
/// handler's answer and the response's head.
///
/// The commit happens for every status; [`commit_on_server_error`](Self::commit_on_server_error)
/// leaves out 5xx. A handler may commit by itself: its cookie goes out whatever it answers, and the
/// answer stands whatever the outcome. When the commit fails, the handler's answer is replaced by an empty 503 (try again) or
/// 500, without a cookie and with the error in its extensions
/// ([`CommitFailure`](crate::CommitFailure)). A conflict, and a change of a session that has ended
/// meanwhile ([`Late`](crate::Late)), answer an empty 409.
///
/// A handler that panics or fails, and one whose client leaves before it has answered, commit
/// nothing. Once it has answered the commit has begun, and goes on when the client leaves. A body
/// that streams and a connection that is upgraded (101, CONNECT) come after the commit: what they do
/// to the session is an error and not lost silently, and they can still read it.
///
/// # Examples
///
/// ```
/// # use sqlbypass::{Json, Session, SessionManager, SqliteStore};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlbypass::Result<()> {
/// use http::{Request, Response};
/// use sqlbypass::SessionLayer;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// let store = SqliteStore::builder(":memory:").create(true).open().await?;
/// let service = ServiceBuilder::new()
///     .layer(SessionLayer::new(SessionManager::new(store, Json)))
///     .service_fn(|request: Request<()>| async move {
///         let session = request.extensions().get::<Session>().unwrap();
///         session.insert("user", "ada")?;
///         Ok::<_, sqlbypass::Error>(Response::new(String::new()))
///     });
/// let response = service.oneshot(Request::new(())).await?;
/// let cookie = response.headers()["set-cookie"].to_str().unwrap();
/// assert!(cookie.starts_with("_session_id=") && cookie.ends_with("; path=/; HttpOnly; SameSite=Lax"));
/// # Ok(()) }
/// ```
pub struct SessionLayer<S>(Sessions<S>);

impl<S> Clone for SessionLayer<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Store> SessionLayer<S> {
    /// A layer with Rails' cookie.
    pub fn new(manager: SessionManager<S>) -> Self {
        Self(Sessions::new(manager))
    }

    /// The cookie's name and attributes.
    ///
    /// # Errors
    ///
    /// When browsers would drop it: a name that begins with `__Secure-` needs `secure`, one that
    /// begins with `__Host-` also the path `/` and no domain.
    pub fn cookie(mut self, cookie: CookieOptions) -> Result<Self> {
        cookie.check(&cookie.options)?;
        self.0.cookie = Arc::new(cookie);
        Ok(self)
    }

    /// Whether a session is committed when the answer is a 5xx; on by default, as in Rails.
    pub fn commit_on_server_error(mut self, commit: bool) -> Self {
        self.0.config.commit_on_server_error = commit;
        self
    }

    /// Puts a [`CommitReport`](crate::CommitReport) into the extensions of each response; not where
    /// the commit failed ([`CommitFailure`](crate::CommitFailure) is there then), and not where a 5xx
    /// was not to be committed.
    pub fn report(mut self, report: bool) -> Self {
        self.0.config.report = report;
        self
    }

    /// Wraps a service of hyper itself, without tower.
    pub fn hyper<H>(&self, inner: H) -> HyperSessions<H, S> {
        HyperSessions { inner, sessions: self.0.clone() }
    }
}

impl<H, S: Store> Layer<H> for SessionLayer<S> {
    type Service = SessionService<H, S>;

    fn layer(&self, inner: H) -> Self::Service {
        SessionService { inner, sessions: self.0.clone() }
    }
}

impl<S> fmt::Debug for SessionLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("cookie", &self.0.cookie).finish_non_exhaustive()
    }
}
