//! Stats: what is in the table.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::clock::Clock;
use super::upgrade::is_secured;
use super::walk::{Ended, Pace, Walk, Watch};
use crate::codec::envelope;
use crate::error::Result;
use crate::record::{Filter, Row};
use crate::store::Maintenance;

const DAY: Duration = Duration::from_secs(86_400);

/// What [`stats`] is to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsOptions {
    /// A session that was not used for so long counts as expired; 30 days by default.
    pub idle_for: Duration,
    /// How to go over the table; by default 200 rows at once.
    pub pace: Pace,
}

impl Default for StatsOptions {
    fn default() -> Self {
        let pace = Pace { batch: 200, ..Pace::default() };
        Self { idle_for: DAY * 30, pace }
    }
}

/// What [`stats`] counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Rows.
    pub rows: u64,
    /// Rows that were not used for the time that was asked.
    pub expired: u64,
    /// Rows whose `updated_at` cannot be read, which counts for none that has expired; where the table
    /// has it.
    pub undated: u64,
    /// Rows whose id is stored raw.
    pub unsecured: u64,
    /// Bytes in the data column.
    pub bytes: u64,
    /// Bytes of the largest row.
    pub largest: u64,
    /// How many rows have data of at most so many bytes, and more than the one before.
    pub sizes: Vec<(u64, u64)>,
    /// How many rows each format has: `marshal`, `json`, `encrypted`, `empty` (NULL, which is an empty
    /// session) and `other`, the empty text among them, which no serializer reads.
    pub formats: Vec<(&'static str, u64)>,
    /// How many of the encrypted rows each key has, by its id; a hundred keys at most.
    pub keys: Vec<(String, u64)>,
    /// How many rows began on each day (UTC), by its beginning, where the table has `created_at`.
    pub days: Vec<(SystemTime, u64)>,
    /// Why it ended.
    pub ended: Ended,
}

/// Counts what is in the table. It reads every row.
///
/// # Errors
///
/// When the database fails.
pub async fn stats<S: Maintenance>(
    store: &S,
    options: &StatsOptions,
    watch: impl Watch,
) -> Result<Stats> {
    let clock = Clock::new(store.facts().await?.clock);
    let idle = Filter { idle_for: Some(options.idle_for), older_than: None };
    let mut count = Count::default();
    let has_time = store.inspect().await?.updated_at;
    let mut walk = Walk::start(store, &options.pace, true, watch).await?;
    while let Some(rows) = walk.next().await? {
        for row in &rows {
            count.add(row, clock.matches(row, &idle));
            count.stats.undated += u64::from(has_time && row.updated_at.is_none());
        }
    }
    let (_, ended) = walk.finish();
    Ok(Stats { ended, ..count.finish() })
}

#[derive(Default)]
struct Count {
    stats: Stats,
    sizes: BTreeMap<u64, u64>,
    formats: [u64; FORMATS.len()],
    keys: BTreeMap<String, u64>,
    days: BTreeMap<u64, u64>,
}

const FORMATS: [&str; 5] = ["marshal", "json", "encrypted", "empty", "other"];
/// Ids stand in the rows: who can write these could make up any number.
const MAX_KEYS: usize = 100;

impl Count {
    fn add(&mut self, row: &Row, expired: bool) {
        let stats = &mut self.stats;
        stats.rows += 1;
        stats.expired += u64::from(expired);
        stats.unsecured += u64::from(!is_secured(&row.stored_id));
        stats.bytes += row.size;
        stats.largest = stats.largest.max(row.size);
        let bucket = if row.size == 0 { 0 } else { row.size.max(64).next_power_of_two() };
        *self.sizes.entry(bucket).or_default() += 1;
        self.formats[format(row.data.as_ref())] += 1;
        self.add_key(row.data.as_ref());
        let begun =
            row.created_at.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        if let Some(begun) = begun {
            *self.days.entry(begun.as_secs() / DAY.as_secs()).or_default() += 1;
        }
    }

    fn add_key(&mut self, data: Option<&Bytes>) {
        let Some(envelope) = data.and_then(|data| envelope::parse(data)) else { return };
        if let Some(rows) = self.keys.get_mut(envelope.key_id) {
            *rows += 1;
        } else if self.keys.len() < MAX_KEYS {
            self.keys.insert(envelope.key_id.to_owned(), 1);
        }
    }

    fn finish(self) -> Stats {
        let day = |(day, rows)| {
            let since = Duration::from_secs(day * DAY.as_secs());
            (SystemTime::UNIX_EPOCH + since, rows)
        };
        Stats {
            sizes: self.sizes.into_iter().collect(),
            keys: self.keys.into_iter().collect(),
            formats: FORMATS.into_iter().zip(self.formats).collect(),
            days: self.days.into_iter().map(day).collect(),
            ..self.stats
        }
    }
}

/// The place of the data's format among [`FORMATS`], by how it begins.
fn format(data: Option<&Bytes>) -> usize {
    let Some(text) = data.map(|data| data.trim_ascii()) else { return 3 };
    match text {
        text if envelope::is_envelope(text) => 2,
        text if text.starts_with(b"BAh") || text.starts_with(b"\"BAh") => 0,
        [b'{' | b'"', ..] => 1,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_beginning() {
        let of = |text: &'static str| FORMATS[format(Some(&Bytes::from_static(text.as_bytes())))];
        assert_eq!(of("BAh7AA==\n"), "marshal");
        assert_eq!(of("\"BAh7AA==\\n\""), "marshal");
        assert_eq!(of(r#"{"value":{}}"#), "json");
        assert_eq!(of("sbe1.k.AAAA"), "encrypted");
        assert_eq!(of("\"sbe1.k.AAAA\""), "encrypted");
        assert_eq!(of(" "), "other");
        assert_eq!(of(""), "other");
        assert_eq!(of("nonsense"), "other");
        assert_eq!(FORMATS[format(None)], "empty");
    }
}
