//! What clients did to a session, and what they were told: when each operation began, when it ended,
//! and how. Ids and data are numbers here, so that a history can be printed.

use std::collections::BTreeMap;
use std::fmt;

/// Nanoseconds since the clients began, by one clock that never goes back.
pub(crate) type Time = u64;

/// A session's ids in the order in which they were given: the first is 0, and each renewal gives the
/// next number. Operations on all of them are one history.
pub(crate) type Id = usize;

/// What a session holds. A value is written by one operation only, so that whoever reads it knows
/// where it is from.
pub(crate) type Data = BTreeMap<&'static str, u64>;

/// One operation of one client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) client: usize,
    pub(crate) begun: Time,
    /// `Time::MAX` where nobody knows: it may take effect at any later time, or never.
    pub(crate) ended: Time,
    pub(crate) op: Op,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Create {
        id: Id,
        set: (&'static str, u64),
    },
    /// `timed`: one whose idle timeout has passed is not found. Without that the row itself is looked for.
    Find {
        id: Id,
        timed: bool,
    },
    Write(Write),
    Destroy {
        id: Id,
    },
}

/// A save, a touch, or a renewal: one change of the row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    pub(crate) id: Id,
    /// The new id of a renewal: from then on the row is found under it and no longer under the old one.
    pub(crate) to: Option<Id>,
    /// The key that it sets; without one the data stays as it is.
    pub(crate) set: Option<(&'static str, u64)>,
    pub(crate) rule: Rule,
    /// What it had read.
    pub(crate) base: Data,
}

/// What a write that sets a key does where the row no longer holds what was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// `Policy::Merge`: the key goes into what the row holds now.
    Merge,
    /// `Policy::Reject`, and a store's guard: nothing.
    Reject,
    /// `Policy::LastWriteWins`, and no guard: what was read, with the key in it, takes its place.
    Overwrite,
    /// `Session::reset`: a new session takes its place, also that of one that has expired.
    Reset,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// It was applied; to just what had been read, unless it overwrites.
    Done,
    /// It was applied to what others had written meanwhile.
    Merged,
    Found(Option<Data>),
    /// Whether a row was there, where that is told.
    Destroyed(Option<bool>),
    Gone,
    Conflict,
    Duplicate,
    /// It was told to have had no effect.
    Failed,
    /// It may have had its effect, or have it later, or never.
    Unknown,
}

impl Event {
    pub(crate) fn id(&self) -> Id {
        match &self.op {
            Op::Create { id, .. } | Op::Find { id, .. } | Op::Destroy { id } => *id,
            Op::Write(write) => write.id,
        }
    }

    /// The key and value that it would write.
    pub(crate) fn sets(&self) -> Option<(&'static str, u64)> {
        match &self.op {
            Op::Create { set, .. } => Some(*set),
            Op::Write(write) => write.set,
            Op::Find { .. } | Op::Destroy { .. } => None,
        }
    }

    /// The id under which it would put the row.
    pub(crate) fn makes(&self) -> Option<Id> {
        match &self.op {
            Op::Create { id, .. } => Some(*id),
            Op::Write(write) => write.to,
            Op::Find { .. } | Op::Destroy { .. } => None,
        }
    }

    /// Whether it was told to have been applied.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.answer, Answer::Done | Answer::Merged)
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.answer == Answer::Unknown
    }

    /// Whether it changes nothing: only what it says counts.
    pub(crate) fn only_tells(&self) -> bool {
        use Answer::{Conflict, Duplicate, Found, Gone};
        matches!(self.answer, Found(_) | Gone | Conflict | Duplicate)
    }

    /// Whether it had ended when the other began.
    pub(crate) fn before(&self, other: &Self) -> bool {
        self.ended < other.begun
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |time: Time| time as f64 / 1e6;
        write!(f, "{:>10.3} .. ", millis(self.begun))?;
        match self.ended {
            Time::MAX => write!(f, "{:>10}", "?")?,
            ended => write!(f, "{:>10.3}", millis(ended))?,
        }
        write!(f, "  client {:<3}{} → {}", self.client, self.op, self.answer)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { id, set: (key, value) } => write!(f, "create id{id} {key}=v{value}"),
            Self::Find { id, timed: true } => write!(f, "find id{id}"),
            Self::Find { id, timed: false } => write!(f, "find id{id} of any age"),
            Self::Destroy { id } => write!(f, "destroy id{id}"),
            Self::Write(write) => write.fmt(f),
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.to, self.set) {
            (None, None) => return write!(f, "touch id{}", self.id),
            (None, Some(_)) => write!(f, "save id{}", self.id)?,
            (Some(to), _) => write!(f, "renew id{} as id{to}", self.id)?,
        }
        let Some((key, value)) = self.set else { return Ok(()) };
        write!(f, " {key}=v{value} over {}", Shown(&self.base))?;
        f.write_str(match self.rule {
            Rule::Merge => ", merging",
            Rule::Reject => ", guarded",
            Rule::Overwrite => ", overwriting",
            Rule::Reset => ", resetting",
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found(Some(data)) => write!(f, "{}", Shown(data)),
            Self::Found(None) => f.write_str("nothing"),
            Self::Destroyed(Some(false)) => f.write_str("was not there"),
            Self::Destroyed(_) => f.write_str("destroyed"),
            Self::Done => f.write_str("done"),
            Self::Merged => f.write_str("merged"),
            Self::Gone => f.write_str("gone"),
            Self::Conflict => f.write_str("conflict"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Failed => f.write_str("failed"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

struct Shown<'d>(&'d Data);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> =
            self.0.iter().map(|(key, value)| format!("{key}=v{value}")).collect();
        write!(f, "{{{}}}", pairs.join(" "))
    }
}
