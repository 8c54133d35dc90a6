//! What a session asks of its manager, whose store's type is erased here.

use std::future::Future;
use std::pin::Pin;

use super::outcome::Commit;
use crate::codec::{Changes, Codec, Document};
use crate::error::Result;
use crate::id::{PrivateId, SessionId};
use crate::record::Record;

/// A future that a sealed trait hands out.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The manager with its store's type erased.
pub(crate) trait Backend: Send + Sync {
    fn codec(&self) -> &dyn Codec;
    /// Whether a commit has nothing to do for this row while nobody changes it.
    fn is_settled(&self, record: &Record) -> bool;
    fn find<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Loaded>>;
    fn commit(&self, pending: Pending) -> BoxFuture<'_, Result<Commit>>;
}

/// What is known of the row.
#[derive(Clone)]
pub(crate) enum Loaded {
    /// Nobody has asked.
    No,
    /// There is none, or the request bore no usable id: the session is new.
    Missing,
    /// It was found.
    Row(Record),
    /// Its id was rotated a moment ago: this is what it held before, to be read only.
    Snapshot {
        record: Record,
        /// The id under which the session was alive then.
        successor: PrivateId,
    },
}

impl Loaded {
    /// For labels.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::No | Self::Missing => "unknown",
            Self::Row(_) => "found",
            Self::Snapshot { .. } => "snapshot",
        }
    }

    /// What is read.
    pub(crate) fn record(&self) -> Option<&Record> {
        match self {
            Self::Row(record) | Self::Snapshot { record, .. } => Some(record),
            Self::No | Self::Missing => None,
        }
    }
}

/// What becomes of the id at the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Keep,
    /// A new id; nobody's rights change.
    Rotate,
    /// A new id; rights may have changed.
    Renew,
    Reset,
    Destroy,
    /// The id ends, and what was stored under it; not what it has become by a rotation.
    EndId,
}

/// What a commit has to work with.
pub(crate) struct Pending {
    pub(crate) id: Option<SessionId>,
    pub(crate) loaded: Loaded,
    pub(crate) document: Option<Box<dyn Document>>,
    pub(crate) changes: Changes,
    pub(crate) action: Action,
    /// Whether a value of the old session was changed in place.
    pub(crate) edits: bool,
}
