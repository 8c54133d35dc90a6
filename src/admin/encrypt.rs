//! Encrypt: a table into encryption, out of it, and from one key to another.

use bytes::Bytes;

use super::convert::{ConvertReport, Rewrite, rewrite_all, shapeless};
use super::walk::{Pace, Watch};
use crate::codec::{Keys, Recrypt, Recryption};
use crate::error::Result;
use crate::id::StoredId;
use crate::store::Maintenance;

/// What [`encrypt`] is to do.
#[derive(Clone, Debug)]
pub struct EncryptOptions {
    /// What the table is to become.
    pub to: Recrypt,
    /// The keys: one that writes, and all that have written.
    pub keys: Keys,
    /// Whether envelopes are JSON strings also where the column's type does not say that it takes JSON
    /// alone: MariaDB's json is longtext with a check.
    pub in_json: bool,
    /// How to go over the table; by default 200 rows at once.
    pub pace: Pace,
    /// Only opens every envelope, counts, and names what would be refused.
    pub dry_run: bool,
}

impl EncryptOptions {
    /// Makes the table that, with these keys.
    pub fn new(to: Recrypt, keys: Keys) -> Self {
        let pace = Pace { batch: 200, ..Pace::default() };
        Self { to, keys, in_json: false, pace, dry_run: false }
    }
}

/// Encrypts, decrypts or re-encrypts the data column of every row, as
/// [`convert`](super::convert()) does: in guarded batches beside live traffic, to be stopped at any
/// time and run again; `updated_at` is left alone. What stood in a row before it was encrypted stands
/// there again after decrypting, byte for byte; a jsonb column normalises it as ever.
///
/// Every envelope is opened. One that no key opens, or that was moved or changed, is named in the
/// report and left as it is.
///
/// Have every service read plain and encrypted rows first ([`Plain::Read`](crate::Plain::Read) to
/// encrypt, [`Plain::Write`](crate::Plain::Write) to decrypt), and have every key on their rings.
///
/// # Errors
///
/// When the database fails; then what was written before is written.
pub async fn encrypt<S: Maintenance>(
    store: &S,
    options: &EncryptOptions,
    watch: impl Watch,
) -> Result<ConvertReport> {
    let in_json = options.in_json || store.inspect().await?.data_type.contains("json");
    let recryption = Recryption::new(options.to, options.keys.clone(), in_json);
    rewrite_all(store, recryption, &options.pace, options.dry_run, watch).await
}

impl Rewrite for Recryption {
    fn run(&self, id: Option<&StoredId>, stored: &Bytes) -> Result<Option<Bytes>> {
        let id = id.ok_or_else(shapeless)?;
        self.run(&id.private(), stored)
    }
}
