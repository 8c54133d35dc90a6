//! How logs name a session: a salted hash, by which nobody finds its row or its cookie.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::id::PrivateId;

/// Bytes of the hash that are shown: enough to tell sessions apart in a log.
const SHOWN: usize = 8;

/// What a session is called in logs: the first 16 hex characters of the HMAC-SHA256 of its private
/// id under a [`LogSalt`].
///
/// The same session has the same hash as long as its id and the salt stay the same. Without the salt
/// nobody can tell whether a cookie or a row belongs to it.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlbypass::Result<()> {
/// use sqlbypass::{Json, SessionId, SessionManager, SqliteStore};
///
/// let store = SqliteStore::builder(":memory:").create(true).open().await?;
/// let manager = SessionManager::new(store, Json);
/// let id = SessionId::generate()?;
/// assert_eq!(manager.id_hash(&id).as_str().len(), 16);
/// assert_eq!(manager.id_hash(&id), manager.id_hash(&id));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdHash([u8; 2 * SHOWN]);

impl IdHash {
    /// The hash in hex.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for IdHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for IdHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdHash({self})")
    }
}

/// The secret under which ids are hashed for logs.
///
/// The default is random, made once in each process: its logs name sessions consistently until it
/// ends, and no other's logs do. With one of your own, from a secret of at least 16 random bytes,
/// several processes name a session alike; whoever knows it can tell whether an id that he has is in
/// the logs.
#[derive(Clone)]
pub struct LogSalt(Arc<[u8]>);

impl LogSalt {
    /// A salt of your own.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self(secret.as_ref().into())
    }

    pub(crate) fn hash(&self, id: &PrivateId) -> IdHash {
        let mut hex = [0; 2 * SHOWN];
        // HMAC takes a key of any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(id.as_bytes());
            let whole = mac.finalize().into_bytes();
            // The length is that of the buffer.
            let _ = const_hex::encode_to_slice(&whole[..SHOWN], &mut hex);
        }
        IdHash(hex)
    }
}

impl Default for LogSalt {
    fn default() -> Self {
        static PROCESS: LazyLock<LogSalt> = LazyLock::new(|| {
            let mut salt = [0; 32];
            if getrandom::fill(&mut salt).is_err() {
                // The standard library's own source; a process without any makes no ids either.
                let state = RandomState::new();
                for (at, part) in salt.chunks_exact_mut(8).enumerate() {
                    part.copy_from_slice(&state.hash_one(at).to_ne_bytes());
                }
            }
            LogSalt::new(salt)
        });
        PROCESS.clone()
    }
}

/// The salt is a secret.
impl fmt::Debug for LogSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSalt(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    #[test]
    fn a_hash_is_that_of_hmac_and_differs_by_salt() {
        let id = SessionId::parse(b"0123456789abcdef0123456789abcdef").unwrap().private();
        let hash = LogSalt::new("a salt of sixteen bytes").hash(&id);
        // printf %s 2::$(printf %s 0123456789abcdef0123456789abcdef | sha256sum | cut -c1-64) |
        //   openssl dgst -sha256 -hmac 'a salt of sixteen bytes'
        assert_eq!(hash.as_str(), "02640a0429b36b58");
        assert_ne!(hash, LogSalt::new("another").hash(&id));
        assert_eq!(LogSalt::default().hash(&id), LogSalt::default().hash(&id));
        assert_ne!(LogSalt::default().hash(&id), hash);
    }

    #[test]
    fn a_salt_is_not_shown() {
        assert!(!format!("{:?}", LogSalt::new("secret")).contains("secret"));
    }
}
