//! What a database says of itself, as rows of a kind, a name and a value.

use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::store::statements::{Names, Statements, split};
use crate::table::{Facts, Table};

const LOOKING: &str = "looking at the sessions table";

/// One row: `clock` with microseconds since 1970, `setting`, `index` with a column, `type` of the
/// id column, `cure` with what it mends.
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
            "cure" => facts.cures.push((name, value)),
            "type" => facts.id_type = Some(value.to_lowercase()),
            _ => facts.settings.push((name, value)),
        }
    }
    facts
}

/// The columns that no INSERT of a session names and the database does not fill, other than its key.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) fn unfilled(facts: &Facts) -> impl Iterator<Item = &str> {
    facts.settings.iter().filter(|(name, _)| name == "unfilled").map(|(_, column)| column.as_str())
}

/// What the cure of such a column goes by.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) fn unfilled_cure(column: &str) -> String {
    format!("unfilled {column}")
}

/// Whether an INSERT of a session, Rails' or ours, names this column.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub(super) fn is_of_sessions(table: &Table, column: &str) -> bool {
    [table.session_id(), table.data(), "created_at", "updated_at", "expires_at"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(column))
}

/// The statements of a `cures.sql`, each of which stands under the name of what it mends. `own` are
/// names that nothing else needs.
pub(super) fn cures(file: &str, statements: &Statements, own: &Names) -> Result<Vec<Fact>> {
    let cures = file.split("-- ").filter_map(|cure| cure.split_once('\n'));
    cures
        .map(|(name, sql)| {
            let sql = statements.rendered(sql, own)?.replace('\n', " ");
            Ok(("cure".to_owned(), name.to_owned(), sql))
        })
        .collect()
}

/// The error for a schema that is not there.
pub(super) fn missing_schema(table: &Table) -> Error {
    let schema = split(table).0.unwrap_or_default();
    let problem = format!("the schema {schema:?} does not exist");
    Error::schema(LOOKING, problem)
        .advice("create it, or name another before the table's name (--table)")
}

/// Refuses a column as the primary key where the table has another one and this one is not unique: not
/// every row would be met.
pub(super) fn check_key(table: &Table, own: Option<&str>, is_unique: bool) -> Result<()> {
    match (table.named_primary_key(), own) {
        (Some(name), Some(own)) if !name.eq_ignore_ascii_case(own) && !is_unique => {
            let problem = format!("the column {name:?} of {:?} is not unique", table.name());
            Err(Error::schema(LOOKING, problem).advice("name a primary key that is, or none"))
        }
        _ => Ok(()),
    }
}

/// The error for a column of users that holds no text, which has no room for a session of nobody's and
/// for `admin:5`: mostly it is the application's own. `cure` makes it one that has.
pub(super) fn not_for_users(table: &Table, data_type: &str, cure: Option<&str>) -> Error {
    const OTHER: &str = "name another column for users (--user-column), or none";
    let name = table.user().unwrap_or_default();
    let problem = format!("the column {name:?} of {:?} is {data_type}, not text", table.name());
    let error = Error::schema(LOOKING, problem);
    match cure {
        Some(cure) => error.advice(format!("{OTHER}; where nothing else needs it: {cure}")),
        None => error.advice(OTHER),
    }
}

/// The error for a view: it has no key and no index, and most take no writes.
pub(super) fn a_view(table: &Table) -> Error {
    let problem = format!("{:?} is a view, and sessions need a table", table.name());
    Error::schema(LOOKING, problem).advice("name the table that the view shows (--table)")
}
