//! Session ids: the public one of the cookie, the private one of the table, and the legacy one.
//!
//! Three types, so that a raw id cannot reach SQL by accident. None of them shows itself in
//! `Debug`.

use std::cell::RefCell;
use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::error::{Error, Kind, Result};

/// What every private id begins with: the version of rack-session's scheme.
const PREFIX: &[u8; 3] = b"2::";
/// `2::` and 64 hex digits.
const PRIVATE_LEN: usize = 67;
/// Bytes of randomness in an id: 128 bits, as `SecureRandom.hex(16)`.
const ID_BYTES: usize = 16;
/// Ids made from one call to the system's generator.
const BATCH: usize = 16;
/// Longer candidates cannot have come from a cookie: browsers stop at 4,096 bytes.
const MAX_LEN: usize = 4_096;
/// Rack's longest id, and the longest that is kept without an allocation.
const INLINE: usize = 64;

/// The public id: the cookie's value. Whoever knows it owns the session.
///
/// Rails makes 32 lower-case hex characters, plain Rack 64; any other text is taken as a candidate
/// too, as Rack does. `Debug` is redacted.
///
/// # Examples
///
/// ```
/// use sqlbypass::SessionId;
///
/// let id = SessionId::parse(b"0123456789abcdef0123456789abcdef").unwrap();
/// assert_eq!(
///     id.private().as_str(),
///     "2::3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9",
/// );
/// assert_eq!(format!("{id:?}"), "SessionId(..)");
/// // What looks like a private id finds nothing: a leaked table must not log anybody in.
/// assert!(SessionId::parse(id.private().as_str().as_bytes()).is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId(Text);

#[derive(Clone, PartialEq, Eq)]
enum Text {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Box<str>),
}

impl SessionId {
    /// Takes a candidate, for instance a cookie's value after percent-decoding.
    ///
    /// `None` for what can never name a session: not UTF-8, empty, over 4,096 bytes, or shaped
    /// like a private id (`\A\d+::`, rack-session's guard).
    pub fn parse(candidate: &[u8]) -> Option<Self> {
        if candidate.is_empty() || candidate.len() > MAX_LEN || looks_private(candidate) {
            return None;
        }
        let text = std::str::from_utf8(candidate).ok()?;
        Some(Self(Text::new(text)))
    }

    /// Makes a new id from the system's generator: 128 bits as 32 lower-case hex characters.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self> {
        let mut random = random()?;
        let mut bytes = [0; INLINE];
        // The length fits by construction: 2 × 16 ≤ 64.
        let hex = const_hex::encode_to_slice(random, &mut bytes[..2 * ID_BYTES]);
        random.zeroize();
        hex.map_err(|_| Error::new(Kind::Random, "making a session id", "hex does not fit"))?;
        Ok(Self(Text::Inline { len: 2 * ID_BYTES as u8, bytes }))
    }

    /// The text of the cookie. Handle it like a password.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The form that the table holds: `2::` and the SHA-256 of the public id in hex.
    pub fn private(&self) -> PrivateId {
        PrivateId::of(self.0.as_bytes())
    }

    /// The raw form of gem 1.x, if this id has its shape: 32 or 64 hex characters.
    pub fn legacy(&self) -> Option<LegacyId> {
        LegacyId::parse(self.0.as_bytes())
    }
}

impl Text {
    fn new(text: &str) -> Self {
        if text.len() > INLINE {
            return Self::Heap(text.into());
        }
        let mut bytes = [0; INLINE];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self::Inline { len: text.len() as u8, bytes }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Heap(text) => text,
            Self::Inline { len, bytes } => checked(&bytes[..usize::from(*len)]),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Heap(text) => text.as_bytes(),
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
        }
    }
}

/// Inline bytes were copied from a `str`, so the check cannot fail; at 64 bytes it costs less than
/// an `unsafe` block has to argue for.
fn checked(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The private id: what the `session_id` column holds, `2::` and 64 lower-case hex digits.
///
/// It cannot log anybody in, but it names a session: `Debug` is redacted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PrivateId([u8; PRIVATE_LEN]);

impl PrivateId {
    /// That of a public id.
    fn of(public: &[u8]) -> Self {
        let digest = Sha256::digest(public);
        let mut bytes = [0; PRIVATE_LEN];
        bytes[..3].copy_from_slice(PREFIX);
        if const_hex::encode_to_slice(digest, &mut bytes[3..]).is_err() {
            unreachable!("a SHA-256 digest has 32 bytes");
        }
        Self(bytes)
    }

    /// Takes a column's text if it has the shape of a private id.
    pub fn parse(stored: impl AsRef<[u8]>) -> Option<Self> {
        let bytes: [u8; PRIVATE_LEN] = stored.as_ref().try_into().ok()?;
        let hex = bytes.strip_prefix(PREFIX.as_slice())?;
        let lower_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        // Without an early end it runs many bytes at a time.
        let fits = hex.iter().fold(true, |fits, byte| fits & lower_hex(byte));
        fits.then_some(Self(bytes))
    }

    /// The column's text.
    pub fn as_str(&self) -> &str {
        checked(&self.0)
    }

    /// The same as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A raw public id as gem 1.x stored it: 32 or 64 hex characters and nothing else.
///
/// It is the cookie's value: handle it like a password. `Debug` is redacted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LegacyId {
    len: u8,
    bytes: [u8; 64],
}

impl LegacyId {
    /// Takes a text of 32 or 64 hex characters.
    pub fn parse(text: impl AsRef<[u8]>) -> Option<Self> {
        let text = text.as_ref();
        let fits = matches!(text.len(), 32 | 64)
            && text.iter().fold(true, |fits, byte| fits & byte.is_ascii_hexdigit());
        if !fits {
            return None;
        }
        let mut bytes = [0; 64];
        bytes[..text.len()].copy_from_slice(text);
        Some(Self { len: text.len() as u8, bytes })
    }

    /// The column's text.
    pub fn as_str(&self) -> &str {
        checked(self.as_bytes())
    }

    /// The same as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The id that a row was found under.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoredId {
    /// The usual case.
    Private(PrivateId),
    /// A row of gem 1.x, to be re-keyed.
    Legacy(LegacyId),
}

impl StoredId {
    /// Takes a column's bytes if they have the shape of a private or a legacy id.
    pub fn parse(stored: &[u8]) -> Option<Self> {
        let private = PrivateId::parse(stored).map(Self::Private);
        private.or_else(|| LegacyId::parse(stored).map(Self::Legacy))
    }

    /// The column's text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Private(id) => id.as_str(),
            Self::Legacy(id) => id.as_str(),
        }
    }

    /// The same as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Private(id) => id.as_bytes(),
            Self::Legacy(id) => id.as_bytes(),
        }
    }

    /// The private id of the session, which it has or is to get.
    pub fn private(&self) -> PrivateId {
        match self {
            Self::Private(id) => *id,
            Self::Legacy(id) => PrivateId::of(id.as_bytes()),
        }
    }

    /// Whether the row still has to be re-keyed.
    pub fn is_legacy(&self) -> bool {
        matches!(self, Self::Legacy(_))
    }
}

impl From<PrivateId> for StoredId {
    fn from(id: PrivateId) -> Self {
        Self::Private(id)
    }
}

impl From<LegacyId> for StoredId {
    fn from(id: LegacyId) -> Self {
        Self::Legacy(id)
    }
}

macro_rules! redacted_debug {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )*};
}
redacted_debug!(SessionId, PrivateId, LegacyId, StoredId);

/// `\A\d+::`, rack-session's guard against ids that were read out of the table.
fn looks_private(candidate: &[u8]) -> bool {
    let digits = candidate.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && candidate[digits..].starts_with(b"::")
}

/// Sixteen fresh random bytes. One call to the system serves sixteen ids of a thread; what was
/// handed out is wiped at once.
fn random() -> Result<[u8; ID_BYTES]> {
    struct Pool {
        bytes: [u8; BATCH * ID_BYTES],
        left: usize,
    }
    thread_local! {
        static POOL: RefCell<Pool> =
            const { RefCell::new(Pool { bytes: [0; BATCH * ID_BYTES], left: 0 }) };
    }
    POOL.with_borrow_mut(|pool| {
        if pool.left == 0 {
            getrandom::fill(&mut pool.bytes).map_err(|_| {
                Error::new(Kind::Random, "making a session id", "the system gave no randomness")
            })?;
            pool.left = BATCH;
        }
        pool.left -= 1;
        let slot = &mut pool.bytes[pool.left * ID_BYTES..][..ID_BYTES];
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(slot);
        slot.zeroize();
        Ok(id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_stored_id_is_private_or_legacy() {
        let legacy = "0123456789abcdef".repeat(2);
        let private = SessionId::parse(legacy.as_bytes()).unwrap().private();
        for (text, is_legacy) in [(legacy.as_str(), true), (private.as_str(), false)] {
            let id = StoredId::parse(text.as_bytes()).unwrap();
            assert_eq!((id.as_str(), id.as_bytes()), (text, text.as_bytes()));
            assert_eq!((id.is_legacy(), id.private()), (is_legacy, private));
        }
        assert!(StoredId::parse(b"abc").is_none());
    }

    #[test]
    fn candidates_that_name_nothing() {
        let long = [b'a'; MAX_LEN + 1];
        let bad: [&[u8]; 7] = [b"", b"2::abc", b"1::", b"007::x", b"\xff\xfe", b"abc\xc3", &long];
        for candidate in bad {
            assert!(SessionId::parse(candidate).is_none());
        }
        assert!(SessionId::parse(&long[1..]).is_some());
        for good in ["a", "2:abc", "::2", "x2::", "\u{ff12}::abc", "\u{1}2::abc", " "] {
            assert_eq!(SessionId::parse(good.as_bytes()).unwrap().as_str(), good);
        }
    }

    #[test]
    fn only_hex_shapes_are_legacy() {
        let legacy = |text: &str| SessionId::parse(text.as_bytes()).unwrap().legacy();
        assert_eq!(legacy(&"a0".repeat(16)).unwrap().as_str(), "a0".repeat(16));
        assert!(legacy(&"F".repeat(64)).is_some());
        for text in ["g".repeat(32), "a".repeat(31), "a".repeat(33), "é".repeat(16)] {
            assert!(legacy(&text).is_none());
        }
    }

    #[test]
    fn generated_ids_are_distinct_hex_of_rails_length() {
        let ids: HashSet<String> =
            (0..1_000).map(|_| SessionId::generate().unwrap().as_str().to_owned()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(
            ids.iter()
                .all(|id| id.len() == 32
                    && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        );
    }

    #[test]
    fn private_ids_parse_only_their_own_shape() {
        let private = SessionId::generate().unwrap().private();
        assert_eq!(PrivateId::parse(private.as_str()), Some(private));
        assert!(PrivateId::parse(private.as_str().to_uppercase()).is_none());
        assert!(PrivateId::parse(&private.as_str()[..66]).is_none());
        assert!(PrivateId::parse(format!("3{}", &private.as_str()[1..])).is_none());
        for wrong in ["g", "gg", "ggg"] {
            let text = format!("{}{wrong}", &private.as_str()[..PRIVATE_LEN - wrong.len()]);
            assert!(PrivateId::parse(text).is_none());
        }
    }
}
