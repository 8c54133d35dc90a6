//! Doctor: what is wrong with the table or the server, and the cure.

mod rows;
mod table;
mod times;
mod users;

use std::sync::Arc;
use std::time::Instant;

use super::shape::check_ids;
use super::walk::{Ended, Pace, Watch};
use crate::codec::{Codec, Serializer};
use crate::error::{Error, Result};
use crate::manager::Users;
use crate::store::Maintenance;

/// What [`doctor`] is to look at.
#[derive(Clone, Debug)]
pub struct DoctorOptions {
    /// How the data is written.
    pub serializer: Serializer,
    /// Reads the data in the serializer's place, for instance `Encrypted` with its keys; none by
    /// default.
    pub codec: Option<Arc<dyn Codec>>,
    /// Whether to read every row; else only the table and the server are looked at.
    pub rows: bool,
    /// The name of the column of users, where there should be one.
    pub user_column: Option<String>,
    /// Which user a session is of, to compare the column with the data; none by default.
    pub users: Option<Users>,
    /// How to go over the table; by default 200 rows at once.
    pub pace: Pace,
    /// Takes ids of any shape, also where most of the first rows have one that nobody generates.
    pub any_shape: bool,
}

impl Default for DoctorOptions {
    fn default() -> Self {
        let pace = Pace { batch: 200, ..Pace::default() };
        Self {
            serializer: Serializer::Hybrid,
            codec: None,
            rows: true,
            user_column: None,
            users: None,
            pace,
            any_shape: false,
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It may do harm.
    Warning,
    /// It does harm, or lets others do it.
    Wrong,
}

/// Something that was found, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is. It holds no id and no data.
    pub what: String,
    /// What to do: in words, as a command, or as SQL for this database.
    pub cure: String,
}

/// Looks at the table, the server and every row, and says what is wrong.
///
/// # Errors
///
/// When the database does not answer; a table that does not fit is a finding, and so is a user who may
/// not read it, and rows of which the reading failed half-way.
pub async fn doctor<S: Maintenance>(
    store: &S,
    options: &DoctorOptions,
    watch: impl Watch,
) -> Result<(Vec<Finding>, Ended)> {
    let mut found = Findings(Vec::new());
    let ended = match look(store, options, watch, &mut found).await {
        Err(error) if error.is_schema() => {
            found.fault(
                &error,
                "name the table and its columns: --table, --session-id-column, --data-column",
            );
            Ended::Done
        }
        // SQLite keeps its journal beside the file, which even reading may need.
        Err(error) if error.is_read_only() => {
            found.fault(&error, "");
            Ended::Done
        }
        // What was named wrongly, and who may not do this or does not come in, for each of which the
        // error says itself what to do.
        Err(error) if error.is_config() => {
            let cure = match error.code() {
                Some(_) => "let the table's owner grant it, or connect as another user",
                None => {
                    "name the table and its columns, and in the URL whoever connects, as they are"
                }
            };
            found.fault(&error, cure);
            Ended::Done
        }
        ended => ended?,
    };
    found.0.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    Ok((found.0, ended))
}

async fn look<S: Maintenance>(
    store: &S,
    options: &DoctorOptions,
    watch: impl Watch,
    found: &mut Findings,
) -> Result<Ended> {
    let schema = store.inspect().await?;
    // What holds no sessions is no sick table of them.
    if !options.any_shape {
        match check_ids(store, "looking at a table").await {
            Err(error) if error.is_config() && error.code().is_none() => {
                found.fault(&error, "");
                return Ok(Ended::Done);
            }
            checked => checked?,
        }
    }
    let asked = Instant::now();
    let facts = store.facts().await?;
    table::look(&schema, &facts, found);
    table::ids(&facts, found);
    table::limits(&schema, &facts, found);
    table::rights(&facts, found);
    if let Some(column) = &options.user_column {
        users::look(column, &schema, &facts, found);
    }
    table::clock(&facts, asked.elapsed(), found);
    table::server(&facts, found);
    match options.rows {
        true => rows::look(store, options, (&schema, &facts), watch, found).await,
        false => Ok(Ended::Done),
    }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, what: impl Into<String>, cure: impl Into<String>) {
        self.0.push(Finding { severity, what: what.into(), cure: cure.into() });
    }

    /// An error as a finding, cured as it advises or, where it does not, so.
    fn fault(&mut self, error: &Error, cure: &str) {
        let (what, advice) = error.what_and_advice();
        self.wrong(what, if advice.is_empty() { cure } else { advice });
    }

    fn wrong(&mut self, what: impl Into<String>, cure: impl Into<String>) {
        self.add(Severity::Wrong, what, cure);
    }

    fn warning(&mut self, what: impl Into<String>, cure: impl Into<String>) {
        self.add(Severity::Warning, what, cure);
    }

    fn note(&mut self, what: impl Into<String>, cure: impl Into<String>) {
        self.add(Severity::Note, what, cure);
    }
}

/// `1 row`, `2 rows`.
fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
