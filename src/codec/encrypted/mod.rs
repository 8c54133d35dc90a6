//! Encrypted data: another codec's, in an envelope that only the keys open, and only in its row.

mod keys;
mod seal;

use bytes::Bytes;

pub use keys::{Key, Keys};
use seal::FORMAT;

use super::envelope::is_envelope;
use super::{Changes, Codec, Document};
use crate::error::{Error, Result};
use crate::id::PrivateId;
use crate::value::ValueRef;

/// What [`Encrypted`] does with rows that are not encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plain {
    /// They are an error, the default: what anybody may have written into the table is not taken for
    /// a session.
    #[default]
    Refuse,
    /// They are read, and encrypted when they are next written: while a table is being encrypted.
    Read,
    /// They are read, and what is written is plain: while encryption is being left.
    Write,
}

/// Encrypts what another codec writes, for one row.
///
/// The envelope is text that every data column holds. It opens only under one of the [`Keys`], and
/// only in the row of the session that it was written for: who can write the table can remove and
/// restore rows, but neither read nor change them, nor give one session the data of another. A
/// session that gets a new id is encrypted anew by the same UPDATE, which is guarded, so that it
/// loses no change of others. `docs/encryption.md` has the format and the whole story.
///
/// What cannot be opened is an error like any data that cannot be decoded, and the row stays. The
/// length of the data shows, as do the times and who wrote when. NULL is an empty session.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use sqlbypass::{Encrypted, Key, Keys, Marshal, Plain, SessionManager, SqliteStore};
///
/// let store = SqliteStore::builder(":memory:").create(true).open().await?;
/// let keys = Keys::new(Key::generate("2026-11")?);
/// // Plain rows are read until the table is converted.
/// let codec = Encrypted::new(Marshal, keys).plain(Plain::Read);
/// let manager = SessionManager::new(store, codec);
/// # drop(manager);
/// # Ok::<(), sqlbypass::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Encrypted<C> {
    codec: C,
    seal: Seal,
}

#[derive(Clone, Debug)]
struct Seal {
    keys: Keys,
    plain: Plain,
    in_json: bool,
}

impl<C: Codec> Encrypted<C> {
    /// Encrypts what this codec writes, with these keys.
    pub fn new(codec: C, keys: Keys) -> Self {
        Self { codec, seal: Seal { keys, plain: Plain::Refuse, in_json: false } }
    }

    /// What becomes of rows that are not encrypted.
    pub fn plain(mut self, plain: Plain) -> Self {
        self.seal.plain = plain;
        self
    }

    /// Writes the envelope as a JSON string, for json and jsonb columns. Both shapes are read.
    pub fn in_json(mut self, in_json: bool) -> Self {
        self.seal.in_json = in_json;
        self
    }
}

impl<C: Codec> Codec for Encrypted<C> {
    fn name(&self) -> &'static str {
        FORMAT
    }

    /// Without a row there is nothing but a session that is new.
    fn open(&self, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        if stored.is_some() {
            return Err(no_row("decoding session data"));
        }
        let document = self.codec.open(None)?;
        Ok(Box::new(Sealed { document, seal: self.seal.clone(), came: None }))
    }

    fn open_row(&self, row: &PrivateId, stored: Option<Bytes>) -> Result<Box<dyn Document>> {
        let data = stored.as_ref().map(|stored| self.seal.open(row, stored)).transpose()?;
        let document = self.codec.open_row(row, data)?;
        Ok(Box::new(Sealed { document, seal: self.seal.clone(), came: Some((*row, stored)) }))
    }

    fn is_bound(&self) -> bool {
        true
    }
}

impl Seal {
    fn open(&self, row: &PrivateId, stored: &Bytes) -> Result<Bytes> {
        if is_envelope(stored) {
            return seal::open(&self.keys, row, stored);
        }
        if self.plain == Plain::Refuse {
            return Err(Error::decode(FORMAT, Some(0), "it is not encrypted").advice(
                "accept plain rows until `sqlbypass convert --encrypt` has gone over the table",
            ));
        }
        Ok(stored.clone())
    }

    fn close(&self, row: &PrivateId, data: Bytes) -> Result<Bytes> {
        if self.plain == Plain::Write {
            return Ok(data);
        }
        let envelope = seal::seal(self.keys.writer(), row, &data)?;
        Ok(if self.in_json { format!("\"{envelope}\"").into() } else { envelope.into() })
    }
}

struct Sealed {
    document: Box<dyn Document>,
    seal: Seal,
    /// The row that it was opened in, and what it came as.
    came: Option<(PrivateId, Option<Bytes>)>,
}

impl Document for Sealed {
    fn get(&self, key: &str) -> Result<Option<ValueRef<'_>>> {
        self.document.get(key)
    }

    fn keys(&self) -> Vec<&str> {
        self.document.keys()
    }

    fn encode(&self, changes: &Changes) -> Result<Bytes> {
        match &self.came {
            Some((row, _)) => self.encode_row(row, changes),
            None => Err(no_row("encoding session data")),
        }
    }

    fn encode_row(&self, row: &PrivateId, changes: &Changes) -> Result<Bytes> {
        match &self.came {
            Some((came, Some(stored))) if changes.is_empty() && came == row => Ok(stored.clone()),
            _ => self.seal.close(row, self.document.encode_row(row, changes)?),
        }
    }
}

fn no_row(doing: &'static str) -> Error {
    Error::value(doing, "it is encrypted for one row, and none was named")
        .advice("use Codec::open_row and Document::encode_row")
}

/// What a table is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recrypt {
    /// Plain rows are encrypted with the key that writes.
    Encrypt,
    /// Encrypted rows become what they were before.
    Decrypt,
    /// Rows under another key are encrypted with the one that writes; plain rows stay.
    Rotate,
}

/// How rows are encrypted and decrypted as a whole.
#[derive(Clone)]
pub(crate) struct Recryption {
    seal: Seal,
    to: Recrypt,
}

impl Recryption {
    pub(crate) fn new(to: Recrypt, keys: Keys, in_json: bool) -> Self {
        Self { seal: Seal { keys, plain: Plain::Refuse, in_json }, to }
    }

    /// The row's data as it is to be; `None` when it is so already. Every envelope is opened, so that
    /// one that nobody can read is told.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub(crate) fn run(&self, row: &PrivateId, stored: &Bytes) -> Result<Option<Bytes>> {
        if !is_envelope(stored) {
            let encrypts = self.to == Recrypt::Encrypt;
            return encrypts.then(|| self.seal.close(row, stored.clone())).transpose();
        }
        let data = self.seal.open(row, stored)?;
        let is_current = || {
            let envelope = super::envelope::parse(stored);
            envelope.is_some_and(|envelope| envelope.key_id == self.seal.keys.writer().id())
        };
        match self.to {
            Recrypt::Decrypt => Ok(Some(data)),
            Recrypt::Rotate if !is_current() => self.seal.close(row, data).map(Some),
            Recrypt::Encrypt | Recrypt::Rotate => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    fn ring(ids: &[&str]) -> Keys {
        let mut keys = ids.iter().map(|id| Key::new(id, [id.len() as u8; 32]).unwrap());
        let writes = Keys::new(keys.next().unwrap());
        keys.try_fold(writes, Keys::reads).unwrap()
    }

    #[test]
    fn a_table_goes_into_encryption_to_another_key_and_out_again() {
        let row = SessionId::parse(b"a").unwrap().private();
        let run = |to, ids: &[&str], in_json, stored: &Bytes| {
            Recryption::new(to, ring(ids), in_json).run(&row, stored).unwrap()
        };
        let plain = Bytes::from("{}");
        assert_eq!(run(Recrypt::Decrypt, &["old"], false, &plain), None);
        assert_eq!(run(Recrypt::Rotate, &["old"], false, &plain), None);
        let sealed = run(Recrypt::Encrypt, &["old"], false, &plain).unwrap();
        assert!(sealed.starts_with(b"sbe1.old."));
        let quoted = run(Recrypt::Encrypt, &["old"], true, &plain).unwrap();
        assert!(quoted.starts_with(b"\"sbe1.old.") && quoted.ends_with(b"\""));
        let both = ["newer", "old"];
        for same in [
            run(Recrypt::Encrypt, &both, false, &sealed),
            run(Recrypt::Rotate, &["old", "newer"], false, &sealed),
        ] {
            assert_eq!(same, None);
        }
        let rotated = run(Recrypt::Rotate, &both, false, &sealed).unwrap();
        assert!(rotated.starts_with(b"sbe1.newer."));
        for sealed in [sealed.clone(), quoted, rotated] {
            assert_eq!(run(Recrypt::Decrypt, &both, false, &sealed), Some(plain.clone()));
        }
        // Each envelope is opened, also one that stays.
        let wrong = Recryption::new(Recrypt::Rotate, ring(&["newer"]), false);
        assert!(wrong.run(&row, &sealed).is_err_and(|error| error.is_decode()));
        let other = SessionId::parse(b"b").unwrap().private();
        let moved = Recryption::new(Recrypt::Encrypt, ring(&both), false);
        assert!(moved.run(&other, &sealed).is_err_and(|error| error.is_decode()));
    }
}
