//! The one error type. It carries what was being done, to what, and what to do next, and never an
//! id, session data or a password.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

const WIDEN: &str = "store less in the session or widen the column";

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// The kind is asked for with the `is_*` methods, so that kinds can be added without breaking
/// callers. Neither `Debug`, `Display` nor the chain of sources shows an id, session data or a
/// password.
///
/// # Examples
///
/// ```
/// use sqlbypass::Error;
///
/// fn status(error: &Error) -> u16 {
///     if error.is_overloaded() || error.is_unavailable() || error.is_timeout() { 503 } else { 500 }
/// }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    doing: &'static str,
    problem: Cow<'static, str>,
    advice: Cow<'static, str>,
    code: Option<Cow<'static, str>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Config,
    Schema,
    Unavailable,
    Timeout,
    Overloaded,
    UnknownOutcome,
    ReadOnly,
    StorageFull,
    Overflow { limit: u64, size: u64 },
    Decode { format: &'static str, offset: Option<usize> },
    Value,
    Conflict,
    Committed,
    Random,
    Database,
}

#[cfg(any(feature = "metrics", feature = "tracing"))]
impl Kind {
    /// For labels.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Schema => "schema",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::UnknownOutcome => "unknown_outcome",
            Self::ReadOnly => "read_only",
            Self::StorageFull => "storage_full",
            Self::Overflow { .. } => "overflow",
            Self::Decode { .. } => "decode",
            Self::Value => "value",
            Self::Conflict => "conflict",
            Self::Committed => "committed",
            Self::Random => "random",
            Self::Database => "database",
        }
    }
}

impl Error {
    pub(crate) fn new(
        kind: Kind,
        doing: &'static str,
        problem: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            doing,
            problem: problem.into(),
            advice: "".into(),
            code: None,
            source: None,
        }))
    }

    /// A fault of a database that a store of your own talks to.
    ///
    /// `problem` is shown to people and written to logs: leave out ids and data.
    pub fn database(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Database, doing, problem)
    }

    /// The database cannot be reached just now; trying later may help.
    pub fn unavailable(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, doing, problem)
    }

    /// The deadline passed, and nothing was changed.
    pub fn timeout(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Timeout, doing, problem)
    }

    /// The answer was lost after the statement was sent: it may or may not have been applied.
    pub fn unknown_outcome(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::UnknownOutcome, doing, problem)
            .advice("the change may or may not have happened: read before you try again")
    }

    /// Stored data cannot be read as `format`; `offset` counts bytes of the stored text.
    pub fn decode(
        format: &'static str,
        offset: Option<usize>,
        problem: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Kind::Decode { format, offset }, "decoding session data", problem)
    }

    /// A value cannot be turned into what was asked for, or cannot be stored.
    pub fn value(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Value, doing, problem)
    }

    /// A setting is wrong.
    pub fn config(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Config, doing, problem)
    }

    /// The table or one of its columns is missing or does not fit.
    pub fn schema(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Schema, doing, problem)
    }

    /// Too much is queued; nothing was begun.
    pub fn overloaded(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Overloaded, doing, problem).advice("try again later; nothing was written")
    }

    /// The database does not take writes.
    pub fn read_only(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::ReadOnly, doing, problem)
    }

    /// There is no space left; nothing was written.
    pub fn storage_full(doing: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::StorageFull, doing, problem)
    }

    /// The encoded data does not fit the column; both numbers are bytes.
    pub fn overflow(limit: u64, size: u64) -> Self {
        Self::new(
            Kind::Overflow { limit, size },
            "saving a session",
            format!("its encoded data has {size} bytes and the column holds {limit}"),
        )
        .advice(WIDEN)
    }

    /// The same of a column that counts characters.
    #[cfg(feature = "_sql")]
    pub(crate) fn overflow_chars(limit: u64, size: u64) -> Self {
        let problem =
            format!("its encoded data has {size} characters and the column holds {limit}");
        Self::new(Kind::Overflow { limit, size }, "saving a session", problem).advice(WIDEN)
    }

    /// The same where the server's largest packet is the limit.
    #[cfg(feature = "mysql")]
    pub(crate) fn overflow_packet(limit: u64, size: u64) -> Self {
        let problem = format!(
            "its encoded data has {size} bytes and the server's packets have room for {limit}"
        );
        Self::new(Kind::Overflow { limit, size }, "saving a session", problem)
            .advice("store less in the session, or raise the server's max_allowed_packet")
    }

    /// The same error for somebody else; the source stays with the first.
    #[cfg(feature = "_sql")]
    pub(crate) fn twin(&self) -> Self {
        let inner = &self.0;
        Self(Box::new(Inner {
            kind: inner.kind,
            doing: inner.doing,
            problem: inner.problem.clone(),
            advice: inner.advice.clone(),
            code: inner.code.clone(),
            source: None,
        }))
    }

    /// Says what to do next.
    pub fn advice(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.0.advice = advice.into();
        self
    }

    /// Adds the database's own code.
    pub fn code_is(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds the error that caused this one. It is shown to people: it must hold no id and no data.
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// What is shown: what is wrong, and the advice, empty where there is none.
    pub(crate) fn what_and_advice(&self) -> (String, &str) {
        let (shown, advice) = (self.to_string(), &*self.0.advice);
        let what = shown.strip_suffix(advice).map(|what| what.trim_end_matches("; ").to_owned());
        (what.unwrap_or(shown), advice)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    /// A setting is wrong: of the builder, the URL, or the call.
    pub fn is_config(&self) -> bool {
        self.kind() == Kind::Config
    }

    /// The table or one of its columns is missing or does not fit.
    pub fn is_schema(&self) -> bool {
        self.kind() == Kind::Schema
    }

    /// The database could not be reached or opened.
    pub fn is_unavailable(&self) -> bool {
        self.kind() == Kind::Unavailable
    }

    /// The deadline passed before the change was made: it was not applied.
    pub fn is_timeout(&self) -> bool {
        self.kind() == Kind::Timeout
    }

    /// Too much is queued: the operation was refused before it began.
    pub fn is_overloaded(&self) -> bool {
        self.kind() == Kind::Overloaded
    }

    /// The change may or may not have happened.
    pub fn is_unknown_outcome(&self) -> bool {
        self.kind() == Kind::UnknownOutcome
    }

    /// The database, its file or its folder cannot be written.
    pub fn is_read_only(&self) -> bool {
        self.kind() == Kind::ReadOnly
    }

    /// The disk is full; nothing was written.
    pub fn is_storage_full(&self) -> bool {
        self.kind() == Kind::StorageFull
    }

    /// The data does not fit the column; nothing was sent to the database.
    pub fn is_overflow(&self) -> bool {
        self.overflow_sizes().is_some()
    }

    /// For an overflow: the column's limit and the data's size, both in bytes; in characters where the
    /// column counts these, as PostgreSQL's `varchar(n)` does.
    pub fn overflow_sizes(&self) -> Option<(u64, u64)> {
        match self.kind() {
            Kind::Overflow { limit, size } => Some((limit, size)),
            _ => None,
        }
    }

    /// The stored data cannot be read with this codec; the row is left as it is.
    pub fn is_decode(&self) -> bool {
        matches!(self.kind(), Kind::Decode { .. })
    }

    /// A value does not fit the type asked for, or cannot be stored.
    pub fn is_value(&self) -> bool {
        self.kind() == Kind::Value
    }

    /// Somebody else changed the session, and the policy does not allow to go on.
    pub fn is_conflict(&self) -> bool {
        self.kind() == Kind::Conflict
    }

    /// The session was already committed; what came later would have been lost.
    pub fn is_committed(&self) -> bool {
        self.kind() == Kind::Committed
    }

    /// The database's own code, for instance SQLite's extended code or an SQLSTATE.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{}: ", inner.doing)?;
        if let Kind::Decode { format, offset } = inner.kind {
            write!(f, "not valid {format}")?;
            if let Some(offset) = offset {
                write!(f, " at byte {offset}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&inner.problem)?;
        if let Some(code) = &inner.code {
            write!(f, " (code {code})")?;
        }
        if !inner.advice.is_empty() {
            write!(f, "; {}", inner.advice)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("kind", &self.0.kind).field("message", &self.to_string());
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
