//! What goes into a store and what comes out of it.

use std::fmt;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::id::{LegacyId, PrivateId, SessionId, StoredId};

/// Idle timeout (sliding, counted from `updated_at`) and lifetime (absolute, counted from
/// `created_at`), both decided by the database's clock. The default has neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// The longest time without a save or a touch.
    pub idle: Option<Duration>,
    /// The longest time since the session began.
    pub lifetime: Option<Duration>,
}

/// What to find: a private id and, when fallback is on, a legacy id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Where every session of gem 2.x and of ours is.
    pub private: PrivateId,
    /// Where a session of gem 1.x may still be.
    pub legacy: Option<LegacyId>,
    /// A row past one of these is not found.
    pub timeouts: Timeouts,
}

impl Lookup {
    /// Looks for the private id alone.
    pub fn new(id: &SessionId) -> Self {
        Self { private: id.private(), legacy: None, timeouts: Timeouts::default() }
    }

    /// Looks for the raw id too, if the public id has its shape.
    pub fn with_legacy(id: &SessionId) -> Self {
        Self { legacy: id.legacy(), ..Self::new(id) }
    }

    /// Looks for the row that is stored under this id, or its session's private one.
    pub(crate) fn stored(id: StoredId) -> Option<Self> {
        let timeouts = Timeouts::default();
        match id {
            StoredId::Private(private) => Some(Self { private, legacy: None, timeouts }),
            StoredId::Legacy(legacy) => {
                let public = SessionId::parse(legacy.as_bytes())?;
                Some(Self { private: public.private(), legacy: Some(legacy), timeouts })
            }
        }
    }

    /// Leaves out rows past these timeouts.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }
}

/// One row: the id it was found under, undecoded data, times.
///
/// `Debug` shows the data's length only.
#[derive(Clone)]
pub struct Record {
    /// The id it was found under; a save is keyed by it.
    pub id: StoredId,
    /// The data column as it is stored; `None` for NULL, which is an empty session.
    pub data: Option<Bytes>,
    /// When the session began, where the table has the column.
    pub created_at: Option<SystemTime>,
    /// When it was last saved or touched, where the table has the column.
    pub updated_at: Option<SystemTime>,
    /// The database's clock when the row was read.
    pub read_at: Option<SystemTime>,
    /// Whether a raw row of the same id may stand beside this private one, expired or not: true where
    /// the lookup has a legacy id and the store has found such a row or has not looked, false where
    /// the lookup has none. The manager removes it when the id changes, or the old cookie would find
    /// it.
    pub legacy_twin: bool,
}

impl Record {
    /// A row of a store that keeps no times.
    pub fn new(id: StoredId, data: Option<Bytes>) -> Self {
        Self { id, data, created_at: None, updated_at: None, read_at: None, legacy_twin: false }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("data_len", &self.data.as_ref().map(Bytes::len))
            .field("created_at", &self.created_at)
            .field("updated_at", &self.updated_at)
            .finish_non_exhaustive()
    }
}

/// What to write.
#[derive(Clone, Debug)]
pub enum Save {
    /// A new row: one INSERT.
    Insert(Insert),
    /// A change of a row that was found: one UPDATE, never an upsert.
    Update(Update),
}

impl Save {
    /// Bytes of the data that it writes, if it writes any.
    #[cfg(feature = "_sql")]
    pub(crate) fn data_len(&self) -> Option<usize> {
        match self {
            Self::Insert(insert) => Some(insert.data.len()),
            Self::Update(update) => update.data.as_ref().map(Bytes::len),
        }
    }
}

/// A new row.
#[derive(Clone)]
pub struct Insert {
    /// Its id.
    pub id: PrivateId,
    /// Its encoded data.
    pub data: Bytes,
    /// How long it lives, where the table has an expiry column; `None` for ever.
    pub expires_in: Option<Duration>,
    /// Whose it is, where the table has the column of users.
    pub owner: Owner,
}

/// A change of the row that was found under `id`.
#[derive(Clone)]
pub struct Update {
    /// The id the row was found under.
    pub id: StoredId,
    /// Apply only if the row still holds this data.
    pub guard: Guard,
    /// The new data; `None` leaves the column alone.
    pub data: Option<Bytes>,
    /// The new id: `renew`, `reset`, and the re-keying of legacy rows.
    pub new_id: Option<PrivateId>,
    /// Sets `created_at` to now, as for a session that begins anew.
    pub restart: bool,
    /// Sets `updated_at` to now. Off for what is not a use of the session.
    pub touch: bool,
    /// What becomes of the expiry column, where the table has one.
    pub expiry: Expiry,
    /// Whose it is now, where the table has the column of users. `None` leaves the column alone;
    /// so does [`Owner::Unknown`], the default, unless data is written.
    pub owner: Option<Owner>,
    /// A row past one of these is gone.
    pub timeouts: Timeouts,
}

/// The condition of an [`Update`], compared null-safe and byte by byte.
#[derive(Clone)]
pub enum Guard {
    /// No condition: the last write wins.
    Off,
    /// The row still holds this data (`None`: NULL).
    Data(Option<Bytes>),
}

/// Whose session a row is, as the optional column of users has it. `Debug` does not show who it is.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub enum Owner {
    /// NULL: nobody has looked at the data, for instance since Rails wrote the row.
    #[default]
    Unknown,
    /// The empty text: the data names no user.
    Nobody,
    /// The user that the data names: at most 255 bytes of text, none of them NUL.
    User(Box<str>),
}

impl Owner {
    /// The longest name of a user that the column takes, in bytes.
    const MAX: usize = 255;

    /// The owner of data in which this user is signed in. A name that the column cannot hold is
    /// `Unknown`, which is looked up in the data.
    pub fn of(user: Option<&str>) -> Self {
        match user {
            None | Some("") => Self::Nobody,
            Some(user) if user.len() > Self::MAX || user.contains('\0') => Self::Unknown,
            Some(user) => Self::User(user.into()),
        }
    }

    /// The user, if it is one.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::User(user) => Some(user),
            Self::Unknown | Self::Nobody => None,
        }
    }

    /// What the column holds: NULL, the empty text, or the user.
    ///
    /// # Examples
    ///
    /// ```
    /// use sqlbypass::Owner;
    ///
    /// for owner in [Owner::Unknown, Owner::Nobody, Owner::of(Some("42"))] {
    ///     assert!(Owner::from_stored(owner.stored()) == owner);
    /// }
    /// ```
    pub fn stored(&self) -> Option<&[u8]> {
        match self {
            Self::Unknown => None,
            Self::Nobody => Some(b""),
            Self::User(user) => Some(user.as_bytes()),
        }
    }

    /// Reads what the column holds.
    pub fn from_stored(stored: Option<&[u8]>) -> Self {
        match stored.map(String::from_utf8_lossy) {
            None => Self::Unknown,
            Some(text) if text.is_empty() => Self::Nobody,
            Some(text) => Self::User(text.into()),
        }
    }
}

/// What a save does to the expiry column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// Leaves it as it is.
    #[default]
    Keep,
    /// The row is not found once this time has passed.
    After(Duration),
    /// The row lives until a timeout or a trim.
    Never,
}

impl Insert {
    /// A row that lives for ever and is nobody's that is known.
    pub fn new(id: PrivateId, data: impl Into<Bytes>) -> Self {
        Self { id, data: data.into(), expires_in: None, owner: Owner::Unknown }
    }
}

impl Update {
    /// An unconditional update that changes nothing yet but `updated_at`.
    pub fn new(id: StoredId) -> Self {
        Self {
            id,
            guard: Guard::Off,
            data: None,
            new_id: None,
            restart: false,
            touch: true,
            expiry: Expiry::Keep,
            owner: Some(Owner::Unknown),
            timeouts: Timeouts::default(),
        }
    }

    /// Writes this data.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// Applies only while the row still holds what `record` held.
    pub fn guarded_by(mut self, record: &Record) -> Self {
        self.guard = Guard::Data(record.data.clone());
        self
    }

    /// Moves the row to this id in the same statement.
    pub fn rekey(mut self, new_id: PrivateId) -> Self {
        self.new_id = Some(new_id);
        self
    }

    /// Whose it is from now on, if that is written.
    pub fn written_owner(&self) -> Option<&Owner> {
        match &self.owner {
            Some(Owner::Unknown) if self.data.is_none() => None,
            owner => owner.as_ref(),
        }
    }
}

impl fmt::Debug for Insert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Insert").field("data_len", &self.data.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update")
            .field("guard", &self.guard)
            .field("data_len", &self.data.as_ref().map(Bytes::len))
            .field("rekey", &self.new_id.is_some())
            .field("restart", &self.restart)
            .field("touch", &self.touch)
            .field("expiry", &self.expiry)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "Unknown",
            Self::Nobody => "Nobody",
            Self::User(_) => "User(..)",
        })
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "Off",
            Self::Data(_) => "Data(..)",
        })
    }
}

/// What became of a [`Save`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// The row now holds what was asked for.
    Applied,
    /// There is no such row any more; nothing was written.
    Gone,
    /// The row holds other data than the guard names; nothing was written.
    Conflict,
    /// The new id is taken; nothing was written.
    Duplicate,
}

/// A row's place in the table: its primary key, or what stands in for one. `Debug` is redacted,
/// since the id column may be the primary key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum RowKey {
    /// An integer key, or SQLite's rowid.
    Int(i64),
    /// Any other key, as text.
    Text(Box<str>),
}

impl fmt::Debug for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(key) => write!(f, "RowKey({key})"),
            Self::Text(_) => f.write_str("RowKey(..)"),
        }
    }
}

/// Which rows a task means; all of them by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only rows whose `updated_at` is at least this old, or
    pub idle_for: Option<Duration>,
    /// rows whose `created_at` is at least this old.
    pub older_than: Option<Duration>,
}

/// One step of a walk over the table in the order of its keys, also over rows that have expired.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Rows after this one; `None` begins at the first.
    pub after: Option<RowKey>,
    /// At most so many rows.
    pub limit: u32,
    /// Which rows; with both of its fields set a row matches by either.
    pub filter: Filter,
    /// Only rows of this owner, by the column of users. A store without the column answers an
    /// error, or all rows: whoever asks looks at their data too.
    pub owner: Option<Owner>,
    /// Whether to read the data column too.
    pub with_data: bool,
}

impl Scan {
    /// The first rows, without their data.
    pub fn new(limit: u32) -> Self {
        Self { after: None, limit, filter: Filter::default(), owner: None, with_data: false }
    }
}

/// A row as tasks see it.
#[derive(Clone)]
pub struct Row {
    /// Its primary key.
    pub key: RowKey,
    /// The id column's text: private, or raw if it was never secured.
    pub stored_id: Box<str>,
    /// Bytes in the data column.
    pub size: u64,
    /// The data column, if asked for and not NULL.
    pub data: Option<Bytes>,
    /// When the session began.
    pub created_at: Option<SystemTime>,
    /// When it was last saved or touched.
    pub updated_at: Option<SystemTime>,
    /// What the column of users holds; `Unknown` where the table has none.
    pub owner: Owner,
}

/// What a row must still be to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Still {
    /// It has the id and the data that it was read with.
    Unchanged,
    /// It has the id that it was read with.
    Named,
    /// The column of users has the user that it was read with, whatever else has changed.
    Owned,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("key", &self.key)
            .field("size", &self.size)
            .field("created_at", &self.created_at)
            .field("updated_at", &self.updated_at)
            .finish_non_exhaustive()
    }
}
