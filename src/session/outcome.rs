//! What a commit did, and what is told of a session's life.

use std::time::SystemTime;

use crate::id::SessionId;

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// A new row was written under a new id.
    Created,
    /// The row was written, or moved to another id.
    Saved,
    /// Nothing had to be written.
    Unchanged,
    /// Somebody else had changed the row; the keys that either changed are in it now. Of a key that
    /// both changed, the later commit's value is, or what its [merge](crate::Merges) made of both.
    Merged,
    /// The session had been destroyed, renewed or had expired meanwhile; nothing was written.
    Gone,
    /// Somebody else had changed the row, and the policy or a key's [merge](crate::Merges) refused;
    /// nothing was written.
    Conflict,
    /// The session was destroyed.
    Destroyed,
}

impl Outcome {
    /// For labels.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Saved => "saved",
            Self::Unchanged => "unchanged",
            Self::Merged => "merged",
            Self::Gone => "gone",
            Self::Conflict => "conflict",
            Self::Destroyed => "destroyed",
        }
    }
}

/// What a commit did, and what the browser has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// What became of the row.
    pub outcome: Outcome,
    /// What becomes of the cookie.
    pub cookie: CookieChange,
}

/// What becomes of the cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieChange {
    /// The browser keeps what it has: no header.
    Keep,
    /// The browser gets this id.
    Set(SessionId),
    /// The browser's id is dead.
    Clear,
}

/// The life of a session, without its id or content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// When it began, by the database's clock.
    pub created_at: Option<SystemTime>,
    /// When it was last saved or touched.
    pub updated_at: Option<SystemTime>,
    /// Bytes in its data column.
    pub size: usize,
}
