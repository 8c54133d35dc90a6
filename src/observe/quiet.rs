//! The silencer for a driver that would log values.

use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::Dispatch;
use tracing::dispatcher::with_default;
use tracing::level_filters::LevelFilter;

/// A driver's work where no subscriber hears it: mysql_async, when anybody in the program has turned
/// its feature `tracing` on, writes the values of statements into its spans, and the server's words,
/// which quote values, into its errors. What is worth telling is told by ours.
pub(crate) struct Quiet<F>(pub(crate) F);

impl<F: Future + Unpin> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let work = Pin::new(&mut self.0);
        if LevelFilter::current() == LevelFilter::OFF {
            return work.poll(context);
        }
        with_default(&Dispatch::none(), || work.poll(context))
    }
}
