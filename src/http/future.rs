//! The future of a response: the handler first, then the commit, if there is anything to commit.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::Response;
use pin_project_lite::pin_project;

use super::{Finish, Plan, failed};
use crate::error::Result;
use crate::session::{BoxFuture, Commit, Outcome, Session};

pin_project! {
    /// The response of a service with sessions.
    ///
    /// Dropped before the handler has answered, it commits nothing. A commit that has begun goes on
    /// when this is dropped, in a task of tokio's; without a runtime its outcome is unknown.
    pub struct ResponseFuture<F, B> {
        #[pin]
        handler: F,
        session: Session,
        // Taken when the handler has answered.
        finish: Option<Finish>,
        // Taken out while it is polled, so that one that panics is not polled again.
        committing: Option<Committing<B>>,
    }

    impl<F, B> PinnedDrop for ResponseFuture<F, B> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(committing) = this.project().committing.take() {
                go_on(committing.commit);
            }
        }
    }
}

type CommitFuture = BoxFuture<'static, Result<Commit>>;

struct Committing<B> {
    response: Response<B>,
    commit: CommitFuture,
    begun: Instant,
    plan: Plan,
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) fn new(handler: F, session: Session, finish: Finish) -> Self {
        Self { handler, session, finish: Some(finish), committing: None }
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
        let mut committing = match this.committing.take() {
            Some(committing) => committing,
            None => {
                let response = match ready!(this.handler.poll(cx)) {
                    Ok(response) => response,
                    Err(error) => return Poll::Ready(Err(error)),
                };
                let finish = this.finish.take();
                // What a handler has committed itself has a cookie all the same.
                let goes_on =
                    |finish: &Finish| finish.commits(response.status()) || !this.session.close();
                let Some(finish) = finish.filter(goes_on) else {
                    return Poll::Ready(Ok(response));
                };
                match begin(this.session, finish, response) {
                    Ok(committing) => committing,
                    Err(response) => return Poll::Ready(Ok(response)),
                }
            }
        };
        match committing.commit.as_mut().poll(cx) {
            Poll::Pending => {
                *this.committing = Some(committing);
                Poll::Pending
            }
            Poll::Ready(result) => {
                let Committing { response, begun, plan, .. } = committing;
                Poll::Ready(Ok(plan.finish(this.session, response, result, begun.elapsed())))
            }
        }
    }
}

/// Begins the commit, or gives the response back where there is nothing to wait for.
fn begin<B: Default>(
    session: &Session,
    finish: Finish,
    mut response: Response<B>,
) -> Result<Committing<B>, Response<B>> {
    let plan = match finish.plan(session) {
        Ok(plan) => plan,
        Err(error) => {
            session.close();
            return Err(failed(error));
        }
    };
    let refreshes = plan.keeps && plan.refreshes;
    let quiet = match plan.keeps {
        true => !refreshes && session.close_if_quiet(),
        false => !session.forget_changes(),
    };
    if quiet {
        plan.report(&mut response, Outcome::Unchanged, Duration::ZERO);
        return Err(response);
    }
    let session = session.clone();
    let commit: CommitFuture = Box::pin(async move {
        if refreshes { session.finish_and_refresh().await } else { session.finish().await }
    });
    Ok(Committing { response, commit, begun: Instant::now(), plan })
}

/// The handler has answered, and what it did to its session does not depend on whether anybody
/// waits. Every operation ends by its deadline, and so does the task.
fn go_on(commit: CommitFuture) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(commit));
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").field("session", &self.session).finish_non_exhaustive()
    }
}
