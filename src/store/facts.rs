//! What a database says of itself, as rows of a kind, a name and a value.

use std::time::{Duration, SystemTime};

use crate::table::Facts;

/// One row: `clock` with microseconds since 1970, `setting`, `index` with a column, `type` of the
/// id column.
pub(super) type Fact = (String, String, String);

/// Gathers the rows.
pub(super) fn facts(rows: impl IntoIterator<Item = Fact>) -> Facts {
    let mut facts = Facts::default();
    for (kind, name, value) in rows {
        match kind.as_str() {
            "clock" => {
                let micros = value.parse().ok().map(Duration::from_micros);
                facts.clock = micros.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            }
            "index" => facts.indexed.push(name),
            "type" => facts.id_type = Some(value.to_lowercase()),
            _ => facts.settings.push((name, value)),
        }
    }
    facts
}
