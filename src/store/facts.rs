//! What a database says of itself, as rows of a kind, a name and a value.

use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::table::{Facts, Table};

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

/// The error for a column of users that holds no text: it is the application's own.
pub(super) fn not_for_users(table: &Table, data_type: &str) -> Error {
    let name = table.user().unwrap_or_default();
    let problem = format!("the column {name:?} of {:?} is {data_type}, not text", table.name());
    Error::schema("looking at the sessions table", problem)
        .advice("name another column for users, or none")
}
