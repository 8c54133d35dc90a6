//! Upgrade: ids that were stored raw become private ones.

use super::shape::check_ids;
use super::walk::{Ended, Pace, Walk, Watch, patiently};
use crate::error::Result;
use crate::id::{PrivateId, SessionId};
use crate::record::{Lookup, Row, Saved, Timeouts};
use crate::store::Maintenance;

/// What [`upgrade`] is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpgradeOptions {
    /// How to go over the table.
    pub pace: Pace,
    /// Only counts.
    pub dry_run: bool,
    /// Takes ids of any shape, also where most of the first rows have one that nobody generates.
    pub any_shape: bool,
}

/// What [`upgrade`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpgradeReport {
    /// Rows looked at.
    pub seen: u64,
    /// Rows whose id is private now; in a dry run those whose id would be, as far as reading tells.
    pub upgraded: u64,
    /// Rows whose id is empty, too long or no text: no cookie can name them, they were left alone.
    pub unusable: u64,
    /// Rows that stand beside a row with the private id of the same session, which is the one that
    /// is found: they were left alone.
    pub duplicates: u64,
    /// Rows that were secured or destroyed by somebody else meanwhile.
    pub overtaken: u64,
    /// Why it ended.
    pub ended: Ended,
}

/// Gives every row with a raw id the private id of the same session, and leaves its data and its
/// times alone. The session's cookie stays good.
///
/// Safe beside live traffic, to be stopped at any time and run again: a row is changed only while
/// it has the id that was read, and a private id is never changed. What looks private (`\A\d+::`)
/// is taken for such.
///
/// # Errors
///
/// When most ids of the first rows do not look like sessions', so that the column may hold something
/// else, which is left as it is; or when the database fails, then what was upgraded before is upgraded.
pub async fn upgrade<S: Maintenance>(
    store: &S,
    options: &UpgradeOptions,
    watch: impl Watch,
) -> Result<UpgradeReport> {
    if !options.any_shape {
        check_ids(store, "securing ids").await?;
    }
    let mut report = UpgradeReport::default();
    let mut walk = Walk::start(store, &options.pace, false, watch).await?;
    while let Some(rows) = walk.next().await? {
        let mut raw = Vec::new();
        for row in rows {
            match private_id(&row.stored_id) {
                Id::Private => {}
                Id::Unusable => report.unusable += 1,
                Id::Raw(id) => raw.push((row, id)),
            }
        }
        let before = report.upgraded;
        if options.dry_run {
            let ids: Vec<_> = raw.iter().map(|(_, id)| *id).collect();
            let twins = twins(store, ids).await?.into_iter().filter(|has| *has).count();
            report.duplicates += twins as u64;
            report.upgraded += (raw.len() - twins) as u64;
        } else if !raw.is_empty() {
            apply(store, &raw, &mut report).await?;
        }
        walk.changed(report.upgraded - before);
    }
    let (progress, ended) = walk.finish();
    Ok(UpgradeReport { seen: progress.seen, ended, ..report })
}

async fn apply<S: Maintenance>(
    store: &S,
    rows: &[(Row, PrivateId)],
    report: &mut UpgradeReport,
) -> Result<()> {
    for saved in patiently!(store.rekey_all(rows))? {
        *match saved {
            Saved::Applied => &mut report.upgraded,
            Saved::Duplicate => &mut report.duplicates,
            Saved::Gone | Saved::Conflict => &mut report.overtaken,
        } += 1;
    }
    Ok(())
}

/// Whether there is a row with each of these ids, beside which no raw row is found.
pub(super) async fn twins<S: Maintenance>(store: &S, ids: Vec<PrivateId>) -> Result<Vec<bool>> {
    let mut found = Vec::with_capacity(ids.len());
    for private in ids {
        let lookup = Lookup { private, legacy: None, timeouts: Timeouts::default() };
        found.push(patiently!(store.find(&lookup))?.is_some());
    }
    Ok(found)
}

/// Whether a stored id is no raw one.
pub(super) fn is_secured(stored: &str) -> bool {
    secured(stored).is_none()
}

/// The private id of a stored one that is raw.
pub(super) fn secured(stored: &str) -> Option<PrivateId> {
    match private_id(stored) {
        Id::Raw(id) => Some(id),
        Id::Private | Id::Unusable => None,
    }
}

/// Whether a stored id is a private one, or taken for such.
pub(super) fn is_private(stored: &str) -> bool {
    matches!(private_id(stored), Id::Private)
}

enum Id {
    /// Or taken for such.
    Private,
    Raw(PrivateId),
    Unusable,
}

fn private_id(stored: &str) -> Id {
    match SessionId::parse(stored.as_bytes()) {
        // Bytes that are no text were read as this.
        Some(_) if stored.contains(char::REPLACEMENT_CHARACTER) => Id::Unusable,
        Some(id) => Id::Raw(id.private()),
        None if stored.starts_with(|c: char| c.is_ascii_digit()) => Id::Private,
        None => Id::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_or_looks_private_is_left_alone() {
        let is_raw = |text: &str| matches!(private_id(text), Id::Raw(_));
        assert!(is_raw("0123456789abcdef0123456789abcdef") && is_raw("any text") && is_raw("2:x"));
        assert!(matches!(private_id("2::abc"), Id::Private));
        assert!(matches!(private_id("12::"), Id::Private));
        assert!(matches!(private_id(""), Id::Unusable));
        assert!(matches!(private_id("a\u{FFFD}"), Id::Unusable));
        assert!(matches!(private_id(&"a".repeat(5_000)), Id::Unusable));
    }
}
