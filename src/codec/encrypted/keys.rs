//! Keys, and the ring that they are on.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::{Zeroize as _, Zeroizing};

use crate::codec::envelope::is_key_id;
use crate::error::{Error, Kind, Result};

pub(super) const KEY_LEN: usize = 32;

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD_BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, ANY_PADDING);
const URL_SAFE_BASE64: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, ANY_PADDING);

/// A secret of 256 bits with an id, which stands in the envelope and says which key opens it.
///
/// It is wiped from memory when the last clone goes. `Debug` shows the id alone.
///
/// # Examples
///
/// ```
/// use sqlbypass::Key;
///
/// // As `openssl rand -base64 32` prints it; hex is taken as well.
/// let key = Key::parse("2026-11", "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0ISEhISE=").unwrap();
/// assert_eq!(format!("{key:?}"), r#"Key("2026-11")"#);
/// ```
#[derive(Clone)]
pub struct Key(Arc<Inner>);

struct Inner {
    id: String,
    secret: Zeroizing<[u8; KEY_LEN]>,
}

impl Key {
    /// Takes a secret of 32 bytes, which must come from a generator of random bytes: it is no
    /// password.
    ///
    /// # Errors
    ///
    /// When the id is not made of 1 to 32 letters, digits, `_` and `-`.
    pub fn new(id: &str, secret: [u8; KEY_LEN]) -> Result<Self> {
        let secret = Zeroizing::new(secret);
        if !is_key_id(id) {
            return Err(Error::config(KEY, "its id does not fit")
                .advice("use 1 to 32 letters, digits, _ and -"));
        }
        Ok(Self(Arc::new(Inner { id: id.to_owned(), secret })))
    }

    /// Takes a secret written in base64, of either alphabet, or in hex.
    ///
    /// # Errors
    ///
    /// When it is neither, or not 32 bytes; the message does not quote it.
    pub fn parse(id: &str, secret: &str) -> Result<Self> {
        let secret = secret.trim();
        let mut bytes = Zeroizing::new(match secret.len() {
            64 => const_hex::decode(secret)
                .map_err(|_| unreadable("64 characters that are no hex"))?,
            _ => STANDARD_BASE64
                .decode(secret)
                .or_else(|_| URL_SAFE_BASE64.decode(secret))
                .map_err(|_| unreadable("neither base64 nor hex"))?,
        });
        let mut whole: [u8; KEY_LEN] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| unreadable(format!("{} bytes, and it needs {KEY_LEN}", bytes.len())))?;
        bytes.zeroize();
        let key = Self::new(id, whole);
        whole.zeroize();
        key
    }

    /// A new key from the system's generator.
    ///
    /// # Errors
    ///
    /// When the id does not fit, or the system has no randomness to give.
    pub fn generate(id: &str) -> Result<Self> {
        let mut secret = Zeroizing::new([0; KEY_LEN]);
        getrandom::fill(&mut *secret).map_err(|_| {
            Error::new(Kind::Random, "making a key", "the system gave no randomness")
        })?;
        Self::new(id, *secret)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    pub(super) fn secret(&self) -> &[u8; KEY_LEN] {
        &self.0.secret
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.id()).finish()
    }
}

/// A ring of keys: one writes, and all read.
///
/// To rotate, put the new key on every ring as one that reads, then let it write, then run
/// `sqlbypass convert --rotate`, and take the old one off. `Debug` shows ids alone.
///
/// # Examples
///
/// ```
/// use sqlbypass::{Key, Keys};
///
/// let (old, new) = (Key::generate("2026-05")?, Key::generate("2026-11")?);
/// let keys = Keys::new(new).reads(old)?;
/// assert_eq!(keys.ids().collect::<Vec<_>>(), ["2026-11", "2026-05"]);
/// # Ok::<(), sqlbypass::Error>(())
/// ```
#[derive(Clone)]
pub struct Keys(Arc<[Key]>);

impl Keys {
    /// A ring with one key, which writes.
    pub fn new(writes: Key) -> Self {
        Self([writes].into())
    }

    /// Adds a key that reads.
    ///
    /// # Errors
    ///
    /// When there is one of this id already.
    pub fn reads(self, key: Key) -> Result<Self> {
        if self.find(key.id()).is_some() {
            return Err(Error::config(KEY, "two keys have the same id")
                .advice("give each key an id of its own, for instance the month it was made in"));
        }
        Ok(Self(self.0.iter().cloned().chain([key]).collect()))
    }

    /// Takes a text with a key on each line, as `id:secret`, the one that writes first. Blank lines
    /// and those that begin with `#` are left out.
    ///
    /// # Errors
    ///
    /// When there is no key, a line has another shape, or a secret cannot be read; the message tells
    /// the line's number and quotes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use sqlbypass::Keys;
    ///
    /// let keys = Keys::parse("
    ///     2026-11:c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0ISEhISE=
    ///     2026-05:6f6c64206b65796f6c64206b65796f6c64206b65796f6c64206b657921212121
    /// ")?;
    /// assert_eq!(keys.ids().next(), Some("2026-11"));
    /// # Ok::<(), sqlbypass::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        let mut ring: Option<Self> = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = match line.split_once(':') {
                Some((id, secret)) => Key::parse(id.trim(), secret),
                None => Err(Error::config(KEY, "a colon is missing").advice("write id:secret")),
            };
            let added = key.and_then(|key| match ring.take() {
                Some(ring) => ring.reads(key),
                None => Ok(Self::new(key)),
            });
            ring = Some(added.map_err(|fault| {
                Error::config(READING, format!("line {}: {fault}", number + 1))
            })?);
        }
        ring.ok_or_else(|| {
            Error::config(READING, "there is none").advice("write one on each line, as id:secret")
        })
    }

    /// The ids of all keys, that of the one that writes first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Key::id)
    }

    /// The key that writes.
    pub(super) fn writer(&self) -> &Key {
        &self.0[0]
    }

    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id() == id)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")?;
        f.debug_list().entries(self.ids()).finish()
    }
}

const READING: &str = "reading keys";
const KEY: &str = "reading a key";

fn unreadable(what: impl fmt::Display) -> Error {
    Error::config(KEY, format!("its secret is {what}"))
        .advice("make one by `openssl rand -base64 32`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE64: &str = "////////////////////////////////////////+/8=";

    #[test]
    fn secrets_are_read_in_either_alphabet_and_in_hex() {
        let mut bytes = [0xff; 32];
        bytes[30] = 0xfb;
        let hex = const_hex::encode(bytes);
        let url_safe = BASE64.replace('/', "_").replace('+', "-");
        for text in [BASE64, BASE64.trim_end_matches('='), &url_safe, &hex, &format!(" {hex}\n")] {
            assert_eq!(Key::parse("k", text).unwrap().secret(), &bytes, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_quoted() {
        let secret = |text: &str| Key::parse("k", text).unwrap_err();
        let hex = "f".repeat(63) + "g";
        for text in ["", "short", "c2hvcnQ=", hex.as_str(), "p\u{e4}ssword", &BASE64[1..]] {
            let error = secret(text);
            assert!(error.is_config() && (text.is_empty() || !format!("{error:?}").contains(text)));
        }
        let long = "k".repeat(33);
        for id in ["", " ", "a.b", "é", "a b", long.as_str()] {
            assert!(Key::new(id, [1; 32]).is_err(), "{id}");
        }
        for text in ["", "# only words", "k", "k:", &format!("k:{BASE64}\nk:{BASE64}")] {
            let error = Keys::parse(text).unwrap_err();
            assert!(error.is_config(), "{text}");
        }
        let second = Keys::parse(&format!("k:{BASE64}\n\nold:hunter2hunter2")).unwrap_err();
        let shown = format!("{second} {second:?}");
        assert!(shown.contains("line 3") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn secrets_do_not_show() {
        let keys = Keys::parse(&format!("new:{BASE64}\nold:{}", "6f".repeat(32))).unwrap();
        assert_eq!(format!("{keys:?}"), r#"Keys["new", "old"]"#);
        assert_eq!(format!("{:?}", keys.writer()), r#"Key("new")"#);
    }
}
