//! The services that the layer makes, for tower and for hyper.

use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::Sessions;
use super::future::ResponseFuture;
use crate::store::Store;

/// A tower service with sessions: made by [`SessionLayer`](crate::SessionLayer).
pub struct SessionService<H, S> {
    pub(super) inner: H,
    pub(super) sessions: Sessions<S>,
}

/// A hyper service with sessions: made by [`SessionLayer::hyper`](crate::SessionLayer::hyper).
pub struct HyperSessions<H, S> {
    pub(super) inner: H,
    pub(super) sessions: Sessions<S>,
}

impl<H, S, Q, B> Service<Request<Q>> for SessionService<H, S>
where
    H: Service<Request<Q>, Response = Response<B>>,
    S: Store,
    B: Default,
{
    type Response = Response<B>;
    type Error = H::Error;
    type Future = ResponseFuture<H::Future, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let (request, session, finish) = self.sessions.begin(request);
        ResponseFuture::new(self.inner.call(request), session, finish)
    }
}

impl<H, S, Q, B> hyper::service::Service<Request<Q>> for HyperSessions<H, S>
where
    H: hyper::service::Service<Request<Q>, Response = Response<B>>,
    S: Store,
    B: Default,
{
    type Response = Response<B>;
    type Error = H::Error;
    type Future = ResponseFuture<H::Future, B>;

    fn call(&self, request: Request<Q>) -> Self::Future {
        let (request, session, finish) = self.sessions.begin(request);
        ResponseFuture::new(self.inner.call(request), session, finish)
    }
}

impl<H: Clone, S> Clone for SessionService<H, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), sessions: self.sessions.clone() }
    }
}

impl<H: Clone, S> Clone for HyperSessions<H, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), sessions: self.sessions.clone() }
    }
}

impl<H: fmt::Debug, S> fmt::Debug for SessionService<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<H: fmt::Debug, S> fmt::Debug for HyperSessions<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperSessions").field("inner", &self.inner).finish_non_exhaustive()
    }
}
