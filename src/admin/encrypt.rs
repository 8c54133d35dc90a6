//! Encrypt: a table into encryption, out of it, and from one key to another.

use std::sync::Arc;

use bytes::Bytes;

use super::convert::{ConvertReport, Rewrite, rewrite_all, shapeless};
use super::shape::{FIRST, check_own_ids};
use super::walk::{Ended, Pace, Watch, patiently};
use crate::codec::envelope::is_envelope;
use crate::codec::{Codec, Hybrid, Keys, Null, Recrypt, Recryption, check_bare};
use crate::error::{Error, Result};
use crate::id::{PrivateId, StoredId};
use crate::record::{Row, Scan};
use crate::store::Maintenance;

/// So many rows are looked at for one whose data can be read.
const LOOKED_AT: usize = 10_000;

/// What [`encrypt`] is to do.
#[derive(Clone, Debug)]
pub struct EncryptOptions {
    /// What the table is to become.
    pub to: Recrypt,
    /// The keys: one that writes, and all that have written.
    pub keys: Keys,
    /// What reads plain data before they are encrypted; what it cannot read is left as it is. By default
    /// whatever one of Rails' serializers reads is encrypted.
    pub reads: Option<Arc<dyn Codec>>,
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
        Self { to, keys, reads: None, in_json: false, pace, dry_run: false }
    }
}

/// Encrypts, decrypts or re-encrypts the data column of every row, as
/// [`convert`](super::convert()) does: in guarded batches beside live traffic, to be stopped at any
/// time and run again; `updated_at` is left alone. What stood in a row before it was encrypted stands
/// there again after decrypting, byte for byte; a jsonb column normalises it as ever.
///
/// Every envelope is opened. One that no key opens, or that was moved or changed, is named in the
/// report and left as it is. So is a plain one that cannot be read: it may be no session's, and nobody
/// could tell once it is sealed.
///
/// Have every service read plain and encrypted rows first ([`Plain::Read`](crate::Plain::Read) to
/// encrypt, [`Plain::Write`](crate::Plain::Write) to decrypt), and have every key on their rings.
///
/// # Errors
///
/// When most ids of the first rows do not look like sessions', or none of their data can be read, so that
/// it may be another table or column, which is left as it is; or when the database fails, then what was
/// written before is written. [`encrypt_into`] tells then what it came to.
pub async fn encrypt<S: Maintenance>(
    store: &S,
    options: &EncryptOptions,
    watch: impl Watch,
) -> Result<ConvertReport> {
    let mut report = ConvertReport::default();
    encrypt_into(store, options, &mut report, watch).await?;
    Ok(report)
}

/// The same into a report of the caller's, which also tells of a task that failed, or was dropped, what it
/// did before; it says that the task was stopped. What the report held is gone.
///
/// # Errors
///
/// As for [`encrypt`].
pub async fn encrypt_into<S: Maintenance>(
    store: &S,
    options: &EncryptOptions,
    report: &mut ConvertReport,
    watch: impl Watch,
) -> Result<()> {
    *report = ConvertReport { ended: Ended::Stopped, ..ConvertReport::default() };
    check_own_ids(store, doing(options.to)).await?;
    let in_json = options.in_json || store.inspect().await?.data_type.contains("json");
    let recryption = Recryption::new(options.to, options.keys.clone(), in_json);
    let sealing = Sealing { recryption, to: options.to, reads: options.reads.as_deref() };
    if options.to == Recrypt::Encrypt {
        let is_read = |row: &Row, data: &Bytes| {
            let id = StoredId::parse(row.stored_id.as_bytes());
            sealing.read(id.map(|id| id.private()).as_ref(), data).is_ok()
        };
        check_data(store, doing(options.to), options.pace.batch, is_read).await?;
    }
    rewrite_all(store, sealing, &options.pace, options.dry_run, report, watch).await
}

fn doing(to: Recrypt) -> &'static str {
    match to {
        Recrypt::Encrypt => "encrypting sessions",
        Recrypt::Decrypt => "decrypting sessions",
        Recrypt::Rotate => "encrypting sessions anew",
    }
}

/// Refuses a table of whose first rows, ten thousand at most, not one has data that can be read. Empty ones
/// say nothing, and where one is encrypted the column is the right one.
async fn check_data<S: Maintenance>(
    store: &S,
    doing: &'static str,
    batch: u32,
    is_read: impl Fn(&Row, &Bytes) -> bool,
) -> Result<()> {
    let (mut after, mut seen, mut count) = (None, 0, 0);
    while seen < LOOKED_AT {
        let scan = Scan { after, with_data: true, ..Scan::new(batch.clamp(1, FIRST)) };
        let rows = patiently!(store.scan(&scan))?;
        let Some(last) = rows.last() else { break };
        after = Some(last.key.clone());
        seen += rows.len();
        let data = rows.iter().filter_map(|row| Some((row, row.data.as_ref()?)));
        for (row, data) in data.filter(|(_, data)| !data.is_empty()) {
            if is_envelope(data) || is_read(row, data) {
                return Ok(());
            }
            count += 1;
        }
    }
    if count == 0 {
        return Ok(());
    }
    let (whole, of) = match seen < LOOKED_AT {
        true => ("", "rows"),
        false => ("; more are not looked at", "rows that have any"),
    };
    let problem = format!("the data of the first {count} {of} cannot be read{whole}");
    Err(Error::config(doing, problem).advice(
        "is it the wrong column (--data-column), or the wrong serializer (--serializer)? if it is not, \
         delete these rows first; nothing was changed",
    ))
}

/// What can be read goes under the seal, or comes out of it.
struct Sealing<'a> {
    recryption: Recryption,
    to: Recrypt,
    reads: Option<&'a dyn Codec>,
}

impl Sealing<'_> {
    /// Whether plain data can be read.
    fn read(&self, row: Option<&PrivateId>, stored: &Bytes) -> Result<()> {
        let opens = |codec: &dyn Codec| {
            let data = Some(stored.clone());
            let opened = match row {
                Some(row) => codec.open_row(row, data),
                None => codec.open(data),
            };
            check_bare(codec, &*opened?, stored.clone())
        };
        match self.reads {
            Some(codec) => opens(codec),
            None => opens(&Hybrid::default()).or_else(|error| opens(&Null).map_err(|_| error)),
        }
    }
}

impl Rewrite for Sealing<'_> {
    fn run(&self, id: Option<&StoredId>, stored: &Bytes) -> Result<Option<Bytes>> {
        let row = id.ok_or_else(shapeless)?.private();
        if self.to == Recrypt::Encrypt && !is_envelope(stored) {
            self.read(Some(&row), stored)?;
        }
        self.recryption.run(&row, stored)
    }
}
