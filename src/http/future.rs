//! The future of a response: the handler first, then the commit, if there is anything to commit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::Response;
use pin_project_lite::pin_project;

use super::{Asked, Config, Finish};
use crate::error::Result;
use crate::session::{BoxFuture, Commit, Outcome, Session};

pin_project! {
    /// The response of a service with sessions.
    ///
    /// Dropped before the handler has answered, it commits nothing.
    pub struct ResponseFuture<F, B> {
        #[pin]
        handler: F,
        session: Session,
        finish: Finish,
        committing: Option<Committing<B>>,
    }
}

struct Committing<B> {
    response: Response<B>,
    commit: BoxFuture<'static, Result<Commit>>,
    asked: Asked,
    begun: Instant,
    config: Config,
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn new(handler: F, session: Session, finish: Finish) -> Self {
        Self { handler, session, finish, committing: None }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Default,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.committing.is_none() {
            let mut response = match ready!(this.handler.poll(cx)) {
                Ok(response) => response,
                Err(error) => return Poll::Ready(Err(error)),
            };
            let Some(config) =
                this.finish.take().filter(|config| config.commits(response.status()))
            else {
                return Poll::Ready(Ok(response));
            };
            if !config.keeps && !this.session.forget_changes() {
                return Poll::Ready(Ok(response));
            }
            let session = &this.session;
            let (loaded, changed) = (session.is_loaded(), session.asks_for_change());
            let asked = Asked { loaded, changed };
            if this.session.close_if_quiet() {
                let unchanged = Outcome::Unchanged;
                config.report(response.extensions_mut(), unchanged, loaded, Duration::ZERO);
                return Poll::Ready(Ok(response));
            }
            let session = this.session.clone();
            let commit: BoxFuture<'static, _> = Box::pin(async move { session.finish().await });
            let begun = Instant::now();
            *this.committing = Some(Committing { response, commit, asked, begun, config });
        }
        let Some(committing) = this.committing.as_mut() else {
            return Poll::Pending;
        };
        let result = ready!(committing.commit.as_mut().poll(cx));
        let Some(Committing { response, asked, begun, config, .. }) = this.committing.take() else {
            return Poll::Pending;
        };
        Poll::Ready(Ok(config.finish(response, result, asked, begun.elapsed())))
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("session", &self.session).finish_non_exhaustive()
    }
}
