//! The middleware: a tower layer, a hyper service, and an extractor for axum.

mod caching;
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
use http::{HeaderMap, Request, Response, StatusCode};

use crate::cookie::CookieOptions;
use crate::error::{Error, Result};
use crate::manager::{Late, SessionManager};
use crate::session::{Asked, Commit, CookieChange, Outcome, Session};
use crate::store::Store;

/// What a commit did, as it is found in a response's extensions when
/// [`SessionLayer::report`] is on. Holds no id and no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitReport {
    /// What became of the row.
    pub outcome: Outcome,
    /// Whether the handler asked for the row.
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
    pub(crate) cookie: Arc<CookieOptions>,
    pub(crate) config: Config,
}

impl<S> Clone for Sessions<S> {
    fn clone(&self) -> Self {
        let cookie = Arc::clone(&self.cookie);
        Self { manager: self.manager.clone(), cookie, config: self.config }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Config {
    pub(crate) commit_on_server_error: bool,
    pub(crate) late: Late,
    pub(crate) report: bool,
}

/// Put into a request's extensions by whoever accepts TLS, it says that the request came over it.
///
/// HTTP/1 requests do not say so themselves. Behind a proxy that ends TLS, use
/// [`CookieOptions::assume_ssl`] instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverTls;

impl<S: Store> Sessions<S> {
    pub(crate) fn new(manager: SessionManager<S>) -> Self {
        let late = manager.options().late;
        let config = Config { commit_on_server_error: true, late, report: false };
        Self { manager, cookie: Arc::new(CookieOptions::default()), config }
    }

    /// Puts a session into the request. Nothing is read yet.
    pub(crate) fn begin<B>(&self, mut request: Request<B>) -> (Request<B>, Session, Finish) {
        let headers = request.headers().get_all(COOKIE);
        let id = self.cookie.find(headers.iter().map(HeaderValue::as_bytes));
        let over_tls = request.uri().scheme() == Some(&http::uri::Scheme::HTTPS)
            || request.extensions().get::<OverTls>().is_some();
        let session = self.manager.session_of(id, Arc::clone(&self.cookie), over_tls);
        if self.cookie.is_by_request() {
            let (parts, body) = request.into_parts();
            session.set_options(self.cookie.options_for(&parts));
            request = Request::from_parts(parts, body);
        }
        request.extensions_mut().insert(session.clone());
        (request, session, Finish { config: self.config })
    }
}

/// How a response is to be finished.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    pub(crate) config: Config,
}

impl Finish {
    /// Whether this response's session is committed at all.
    pub(crate) fn commits(&self, status: StatusCode) -> bool {
        self.config.commit_on_server_error || !status.is_server_error()
    }

    /// What the options of this request make of its end.
    ///
    /// # Errors
    ///
    /// When they do not go with the cookie's name.
    pub(crate) fn plan(&self, session: &Session) -> Result<Plan> {
        let (asked, keeps) = (session.asked(), session.keeps()?);
        session.options(|_, options| {
            let sends = !options.defer || asked.new_id;
            Plan {
                keeps,
                sends,
                refreshes: sends && asked.may_stay && options.expiry().is_some(),
                asked,
                config: self.config,
            }
        })
    }
}

/// What becomes of a session when its handler has answered.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Whether it may be kept: not over plain HTTP under `secure`, and not when it is skipped.
    pub(crate) keeps: bool,
    /// Whether the browser is told of its id.
    sends: bool,
    /// Whether the browser is told of it once more, since the cookie has an expiry.
    pub(crate) refreshes: bool,
    asked: Asked,
    config: Config,
}

impl Plan {
    /// Puts what a commit did into the response.
    pub(crate) fn finish<B: Default>(
        &self,
        session: &Session,
        mut response: Response<B>,
        result: Result<Commit>,
        commit_time: Duration,
    ) -> Response<B> {
        let commit = match result {
            Ok(commit) => commit,
            Err(error) => return failed(error),
        };
        let late =
            commit.outcome == Outcome::Gone && self.asked.change && self.config.late != Late::Drop;
        // A handler that has seen it has answered as it saw fit.
        if !self.asked.own_commit && (late || commit.outcome == Outcome::Conflict) {
            let mut response = refused(StatusCode::CONFLICT);
            self.report(&mut response, commit.outcome, commit_time);
            return response;
        }
        if self.keeps
            && self.sends
            && let Err(error) = write_cookie(session, response.headers_mut(), &commit.cookie)
        {
            return failed(error);
        }
        self.report(&mut response, commit.outcome, commit_time);
        response
    }

    pub(crate) fn report<B>(
        &self,
        response: &mut Response<B>,
        outcome: Outcome,
        commit_time: Duration,
    ) {
        if self.config.report {
            let loaded = self.asked.loaded;
            response.extensions_mut().insert(CommitReport { outcome, loaded, commit_time });
        }
    }
}

fn write_cookie(session: &Session, headers: &mut HeaderMap, change: &CookieChange) -> Result<()> {
    let (text, caching) = session.options(|cookie, options| {
        let text = match change {
            CookieChange::Keep => None,
            CookieChange::Clear if !cookie.clear_on_destroy => None,
            CookieChange::Clear => Some(Ok(cookie.clear_with(options))),
            CookieChange::Set(id) => Some(cookie.set_with(id, options)),
        };
        (text, cookie.caching)
    })?;
    let Some(text) = text.transpose()? else { return Ok(()) };
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Error::config("writing the session cookie", "it cannot stand in a header"))?;
    value.set_sensitive(true);
    headers.append(SET_COOKIE, value);
    caching::protect(headers, caching);
    Ok(())
}

/// The handler's answer must not stand when its session could not be written: it would call a
/// success what was none.
pub(crate) fn failed<B: Default>(error: Error) -> Response<B> {
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
