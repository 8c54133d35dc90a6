//! The middleware: a tower layer, a hyper service, and an extractor for axum.

#[cfg(feature = "axum")]
mod extract;
mod future;
mod layer;
mod service;

pub use future::ResponseFuture;
pub use layer::SessionLayer;
pub use service::{HyperSessions, SessionService};

use std::sync::Arc;
use std::time::Duration;

use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use http::{Extensions, HeaderMap, Request, Response, StatusCode};

use crate::cookie::CookieOptions;
use crate::error::{Error, Result};
use crate::manager::{Late, SessionManager};
use crate::session::{Commit, CookieChange, Outcome, Session};
use crate::store::Store;

/// What a commit did, as it is found in a response's extensions when
/// [`SessionLayer::report`] is on. Holds no id and no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitReport {
    /// What became of the row.
    pub outcome: Outcome,
    /// Whether the row was asked for.
    pub loaded: bool,
    /// How long the commit took.
    pub commit_time: Duration,
}

/// A failed commit, as it is found in the extensions of the response that tells of it.
#[derive(Clone, Debug)]
pub struct CommitFailure(pub Arc<Error>);

/// What the layer and both services share.
pub(crate) struct Sessions<S> {
    manager: SessionManager<S>,
    config: Config,
}

impl<S> Clone for Sessions<S> {
    fn clone(&self) -> Self {
        Self { manager: self.manager.clone(), config: self.config.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) cookie: Arc<CookieOptions>,
    pub(crate) commit_on_server_error: bool,
    pub(crate) late: Late,
    pub(crate) report: bool,
    /// Whether this request's session may be kept: not over plain HTTP under `secure`.
    pub(crate) keeps: bool,
}

/// Put into a request's extensions by whoever accepts TLS, it says that the request came over it.
///
/// HTTP/1 requests do not say so themselves. Behind a proxy that ends TLS, use
/// [`CookieOptions::assume_ssl`] instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverTls;

/// How a response is to be finished; taken when that begins.
type Finish = Option<Config>;

impl<S: Store> Sessions<S> {
    pub(crate) fn new(manager: SessionManager<S>) -> Self {
        let cookie = Arc::new(CookieOptions::default());
        let config = Config {
            cookie,
            commit_on_server_error: true,
            late: manager.options().late,
            report: false,
            keeps: true,
        };
        Self { manager, config }
    }

    /// Puts a session into the request. Nothing is read yet.
    pub(crate) fn begin<B>(&self, request: &mut Request<B>) -> (Session, Finish) {
        let headers = request.headers().get_all(COOKIE);
        let id = self.config.cookie.find(headers.iter().map(HeaderValue::as_bytes));
        let session = self.manager.session(id);
        request.extensions_mut().insert(session.clone());
        let cookie = &self.config.cookie;
        let is_tls = || {
            request.extensions().get::<OverTls>().is_some()
                || request.uri().scheme() == Some(&http::uri::Scheme::HTTPS)
        };
        let keeps = !cookie.secure || cookie.assume_ssl || is_tls();
        (session, Some(Config { keeps, ..self.config.clone() }))
    }
}

/// What the handler asked of its session.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// The row was asked for.
    pub(crate) loaded: bool,
    /// A change was asked for.
    pub(crate) changed: bool,
}

impl Config {
    /// Whether this response's session is committed at all.
    pub(crate) fn commits(&self, status: StatusCode) -> bool {
        self.commit_on_server_error || !status.is_server_error()
    }

    /// Puts what a commit did into the response.
    pub(crate) fn finish<B: Default>(
        &self,
        response: Response<B>,
        result: Result<Commit>,
        Asked { loaded, changed }: Asked,
        commit_time: Duration,
    ) -> Response<B> {
        let commit = match result {
            Ok(commit) => commit,
            Err(error) => return failed(error),
        };
        let late = commit.outcome == Outcome::Gone && changed && self.late != Late::Drop;
        if late || commit.outcome == Outcome::Conflict {
            let mut response = refused(StatusCode::CONFLICT);
            self.report(response.extensions_mut(), commit.outcome, loaded, commit_time);
            return response;
        }
        if !self.keeps {
            return response;
        }
        let mut response = response;
        if let Err(error) = self.write_cookie(response.headers_mut(), &commit.cookie) {
            return failed(error);
        }
        self.report(response.extensions_mut(), commit.outcome, loaded, commit_time);
        response
    }

    pub(crate) fn report(
        &self,
        extensions: &mut Extensions,
        outcome: Outcome,
        loaded: bool,
        commit_time: Duration,
    ) {
        if self.report {
            extensions.insert(CommitReport { outcome, loaded, commit_time });
        }
    }

    fn write_cookie(&self, headers: &mut HeaderMap, change: &CookieChange) -> Result<()> {
        let text = match change {
            CookieChange::Keep => return Ok(()),
            CookieChange::Set(id) => self.cookie.set(id),
            CookieChange::Clear => self.cookie.clear(),
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| {
            Error::config("writing the session cookie", "it cannot stand in a header")
        })?;
        value.set_sensitive(true);
        headers.append(SET_COOKIE, value);
        Ok(())
    }
}

/// The handler's answer must not stand when its session could not be written: it would call a
/// success what was none.
fn failed<B: Default>(error: Error) -> Response<B> {
    let passing = error.is_unavailable()
        || error.is_timeout()
        || error.is_overloaded()
        || error.is_storage_full()
        || error.is_conflict();
    let status =
        if passing { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR };
    let mut response = refused(status);
    response.extensions_mut().insert(CommitFailure(Arc::new(error)));
    response
}

fn refused<B: Default>(status: StatusCode) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = status;
    response
}
