//! What to do about a statement that failed, and how often.

/// Connections of the pool that turn out dead one after another, and changes of the table that
/// follow each other, before an operation gives up.
const HELPS: u32 = 3;

/// What helps against an error of the server or of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Remedy {
    /// The statement no longer fits the table: look at it again.
    Inspect,
    /// The server has forgotten the statement, or wants it prepared anew.
    Prepare,
    /// The server rolled it back for the sake of others: try again.
    Repeat,
    /// The server takes no writes or nothing at all, for instance a primary that became a standby,
    /// or a node that has lost its cluster: use another one.
    Leave,
    /// The connection is gone, and what was sent with it.
    Lost,
    /// The server itself does not know what became of it.
    #[cfg_attr(not(feature = "mysql"), allow(dead_code))] // Of a cluster alone.
    Unknown,
    /// Nothing would help.
    None,
}

impl Remedy {
    /// For labels.
    pub(in crate::store) fn name(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Prepare => "prepare",
            Self::Repeat => "repeat",
            Self::Leave => "leave",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
            Self::None => "none",
        }
    }
}

/// How often an operation was helped, so that there is an end to it.
#[derive(Default)]
pub(in crate::store) struct Tries {
    helped: u32,
    left: bool,
}

impl Tries {
    /// Whether it makes sense to try once more.
    pub(in crate::store) fn again(&mut self, remedy: Remedy, is_time_left: bool) -> bool {
        match remedy {
            Remedy::Lost | Remedy::Inspect | Remedy::Prepare => {
                self.helped += 1;
                self.helped <= HELPS
            }
            Remedy::Leave => !std::mem::replace(&mut self.left, true),
            Remedy::Repeat => is_time_left,
            Remedy::Unknown | Remedy::None => false,
        }
    }
}
