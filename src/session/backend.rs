//! What a session asks of its manager, whose store's type is erased here.

use std::future::Future;
use std::pin::Pin;

use super::outcome::Commit;
use crate::codec::{Changes, Codec, Document};
use crate::error::Result;
use crate::id::SessionId;
use crate::record::Record;

/// A future that a sealed trait hands out.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The manager with its store's type erased.
pub(crate) trait Backend: Send + Sync {
    fn codec(&self) -> &dyn Codec;
    /// Whether a commit has nothing to do for this row while nobody changes it.
    fn is_settled(&self, record: &Record) -> bool;
    fn find<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Record>>>;
    fn commit(&self, pending: Pending) -> BoxFuture<'_, Result<Commit>>;
}

/// What is known of the row.
pub(crate) enum Loaded {
    /// Nobody has asked.
    No,
    /// There is none, or the request bore no usable id: the session is new.
    Missing,
    /// It was found.
    Row(Record),
}

/// What becomes of the id at the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Keep,
    Renew,
    Reset,
    Destroy,
}

/// What a commit has to work with.
pub(crate) struct Pending {
    pub(crate) id: Option<SessionId>,
    pub(crate) loaded: Loaded,
    pub(crate) document: Option<Box<dyn Document>>,
    pub(crate) changes: Changes,
    pub(crate) action: Action,
}
