//! Doctor: what is wrong with the table or the server, and the cure.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::upgrade::is_secured;
use super::walk::{Ended, Pace, RowName, Walk, Watch, open};
use crate::codec::envelope::is_envelope;
use crate::codec::{Codec, Serializer};
use crate::error::{Error, Result};
use crate::record::Row;
use crate::store::Maintenance;
use crate::table::{Facts, Schema};

/// A private id's characters.
const ID_LEN: u64 = 67;
/// Clocks that differ by more do harm.
const SKEW: Duration = Duration::from_secs(5);
/// Columns of less than this overflow in practice.
const ROOM: u64 = 65_535;
/// So many rows are named in a finding.
const NAMED: usize = 10;

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
    /// How to go over the table; by default 200 rows at once.
    pub pace: Pace,
}

impl Default for DoctorOptions {
    fn default() -> Self {
        let pace = Pace { batch: 200, ..Pace::default() };
        Self { serializer: Serializer::Hybrid, codec: None, rows: true, user_column: None, pace }
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
    /// What to do.
    pub cure: String,
}

/// Looks at the table, the server and every row, and says what is wrong.
///
/// # Errors
///
/// When the database does not answer; a table that does not fit is a finding, and so is a user who may
/// not read it.
pub async fn doctor<S: Maintenance>(
    store: &S,
    options: &DoctorOptions,
    watch: impl Watch,
) -> Result<(Vec<Finding>, Ended)> {
    let mut found = Findings(Vec::new());
    let ended = match look(store, options, watch, &mut found).await {
        Err(error) if error.is_schema() => {
            found.wrong(
                error.to_string(),
                "sqlbypass create makes the table; --table, \
                --session-id-column and --data-column name it",
            );
            Ended::Done
        }
        // What the user may not do, or who it is.
        Err(error) if error.is_config() => {
            found.wrong(
                error.to_string(),
                "let the table's owner grant it, or connect as another user",
            );
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
    let asked = Instant::now();
    let facts = store.facts().await?;
    table(&schema, &facts, found);
    if let Some(column) = &options.user_column {
        users(column, &schema, &facts, found);
    }
    limits(&schema, &facts, found);
    clock(&facts, asked.elapsed(), found);
    server(&facts, found);
    match options.rows {
        true => rows(store, options, &schema, watch, found).await,
        false => Ok(Ended::Done),
    }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, what: impl Into<String>, cure: impl Into<String>) {
        self.0.push(Finding { severity, what: what.into(), cure: cure.into() });
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

fn table(schema: &Schema, facts: &Facts, found: &mut Findings) {
    if !schema.unique_id {
        found.wrong(
            "the id column has no unique index: finds read the whole table, and one id can have two rows",
            "CREATE UNIQUE INDEX on the id column",
        );
    }
    if schema.primary_key.is_none() {
        found.warning(
            "the table has no primary key of one column",
            "add one, or name it by --primary-key",
        );
    }
    let collation = facts.setting("id_collation").unwrap_or_default();
    // A binary collation only takes trailing spaces for nothing, and the index still serves.
    if schema.collated_id && !collation.ends_with("_bin") {
        found.wrong(
            "the id column's collation takes different ids for equal: beside this crate, which compares \
             bytes, Rails finds a session by a look-alike of its id, also by what stands in a leaked table",
            "give the column a binary collation (MySQL: CHARACTER SET ascii COLLATE ascii_bin; \
             PostgreSQL: COLLATE \"C\"; SQLite: COLLATE BINARY)",
        );
    }
    for (column, has) in [("created_at", schema.created_at), ("updated_at", schema.updated_at)] {
        if !has {
            found.warning(
                format!("the table has no {column}: no trim and no timeout can go by it"),
                "add the column, NOT NULL with the current time for the rows that are there",
            );
        } else if facts.is_indexed(column) == Some(false) {
            found.note(
                format!(
                    "{column} has no index, and sqlbypass needs none, since its trim goes by the primary \
                     key; Rails' own trim reads the whole table for each batch"
                ),
                "nothing, if sqlbypass trims; else an index, which every save has to maintain",
            );
        }
    }
}

fn users(column: &str, schema: &Schema, facts: &Facts, found: &mut Findings) {
    if !schema.user {
        found.warning(
            format!("the table has no {column}: a user's sessions are found by reading every row"),
            format!(
                "sqlbypass create --add-user-column --user-column {column} --print, and then \
                 sqlbypass backfill --user-column {column}"
            ),
        );
    } else if facts.is_indexed(column) == Some(false) {
        found.warning(
            format!("{column} has no index: a user's sessions are found by reading every row"),
            format!(
                "make the index that sqlbypass create --add-user-column --user-column {column} \
                 --print shows"
            ),
        );
    }
}

fn limits(schema: &Schema, facts: &Facts, found: &mut Findings) {
    let id = facts.id_type.as_deref().and_then(size);
    if let Some(size) = id.filter(|size| *size < ID_LEN) {
        found.wrong(
            format!("the id column holds {size} characters, and a private id has {ID_LEN}"),
            "widen it to varchar(255)",
        );
    }
    let limit = schema.data_limit.or(schema.data_limit_chars);
    if let Some(limit) = limit.filter(|limit| *limit <= ROOM) {
        let what = format!("the data column holds {limit} at most, and what is larger is refused");
        match limit < ROOM {
            true => found.wrong(what, "widen it to text, on MySQL to mediumtext"),
            false => found.note(what, "widen it to mediumtext if sessions grow"),
        }
    }
}

/// The number in a type's parentheses.
fn size(data_type: &str) -> Option<u64> {
    data_type.split_once('(')?.1.split_once(')')?.0.parse().ok()
}

fn clock(facts: &Facts, took: Duration, found: &mut Findings) {
    let Some(theirs) = facts.clock else { return };
    let ours = SystemTime::now();
    let apart = ours.duration_since(theirs).unwrap_or_else(|error| error.duration());
    if apart.saturating_sub(took) > SKEW {
        found.wrong(
            format!("the database's clock and this machine's are {} seconds apart", apart.as_secs()),
            "run an NTP client on both; timeouts go by the database's clock, cookies by the service's",
        );
    }
}

fn server(facts: &Facts, found: &mut Findings) {
    let is = |name: &str, value: &str| {
        facts.setting(name).is_some_and(|set| set.eq_ignore_ascii_case(value))
    };
    for name in ["fsync", "full_page_writes"] {
        if is(name, "off") {
            found.wrong(
                format!("{name} is off: a crash of the machine may destroy the database"),
                format!("turn {name} on"),
            );
        }
    }
    if is("synchronous_commit", "off")
        || facts.setting("innodb_flush_log_at_trx_commit").is_some_and(|set| set != "1")
    {
        found.warning(
            "a commit does not wait for the disk: a crash may take back logouts and other changes of \
             the last moments",
            "set synchronous_commit = on (PostgreSQL), innodb_flush_log_at_trx_commit = 1 (MySQL), or \
             accept it",
        );
    }
    if is("default_transaction_read_only", "on") || is("read_only", "ON") {
        found.wrong("the server takes no writes", "connect to the primary");
    }
    if is("autovacuum", "off") {
        found.warning(
            "autovacuum is off: updated and trimmed rows leave their space unused",
            "turn it on",
        );
    }
    for name in ["default_transaction_isolation", "transaction_isolation", "tx_isolation"] {
        let is_strict = |set: &&str| set.to_ascii_lowercase().starts_with("serializable");
        if facts.setting(name).as_ref().is_some_and(is_strict) {
            found.warning(
                format!("{name} is serializable: saves that meet are rolled back and tried again"),
                "set it to read committed for this user",
            );
        }
    }
    if is("transaction_pooler", "yes") {
        found.note(
            "a transaction pooler stands in between: statements are not kept prepared, and lanes are off",
            "connect directly where speed matters",
        );
    }
    if is("wsrep_on", "ON") {
        found.note(
            "this is a node of a Galera cluster: the lock of trim is the node's own",
            "let all trimmers use one node",
        );
    }
}

async fn rows<S: Maintenance>(
    store: &S,
    options: &DoctorOptions,
    schema: &Schema,
    watch: impl Watch,
    found: &mut Findings,
) -> Result<Ended> {
    let codec: &dyn Codec = options.codec.as_ref().map_or(&options.serializer, |codec| codec);
    let (mut unsecured, mut broken, mut tight) = (0_u64, 0_u64, 0_u64);
    let (mut plain, mut encrypted) = (0_u64, 0_u64);
    let mut named: Vec<String> = Vec::new();
    let mut walk = Walk::start(store, &options.pace, true, watch).await?;
    while let Some(rows) = walk.next().await? {
        for row in &rows {
            unsecured += u64::from(!is_secured(&row.stored_id));
            tight += u64::from(schema.data_limit.is_some_and(|limit| row.size > limit / 5 * 4));
            if let Some(data) = &row.data {
                *if is_envelope(data) { &mut encrypted } else { &mut plain } += 1;
            }
            if let Err(error) = decodes(codec, row) {
                broken += 1;
                if named.len() < NAMED {
                    named.push(format!("row {}: {error}", RowName::new(row)));
                }
            }
        }
    }
    if unsecured > 0 {
        found.wrong(
            format!(
                "{} the cookie's own id: whoever reads the table can log in",
                counted(unsecured, "row holds", "rows hold")
            ),
            "sqlbypass upgrade",
        );
    }
    if broken > 0 {
        found.wrong(
            format!(
                "{} be decoded as {}: {}",
                counted(broken, "row cannot", "rows cannot"),
                codec.name(),
                named.join("; ")
            ),
            "name their --serializer, or their keys, or delete them",
        );
    }
    if plain > 0 && encrypted > 0 {
        found.warning(
            format!("{encrypted} rows are encrypted and {plain} are not"),
            "sqlbypass convert --encrypt, or --decrypt",
        );
    }
    if tight > 0 {
        found.warning(
            format!(
                "{} more than four fifths of the data column",
                counted(tight, "row fills", "rows fill")
            ),
            "store less in sessions, or widen the column",
        );
    }
    Ok(walk.finish().1)
}

/// `1 row`, `2 rows`.
fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

fn decodes(codec: &dyn Codec, row: &Row) -> Result<(), Error> {
    let document = open(codec, &row.stored_id, row.data.clone())?;
    document.keys().into_iter().try_for_each(|key| document.get(key).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(schema: &Schema, facts: &Facts) -> usize {
        let mut found = Findings(Vec::new());
        table(schema, facts, &mut found);
        limits(schema, facts, &mut found);
        clock(facts, Duration::ZERO, &mut found);
        server(facts, &mut found);
        assert!(found.0.iter().all(|finding| !finding.cure.is_empty()));
        found.0.iter().filter(|finding| finding.severity == Severity::Wrong).count()
    }

    #[test]
    fn each_fault_is_found() {
        let schema = Schema {
            primary_key: Some("id".into()),
            unique_id: true,
            created_at: true,
            updated_at: true,
            ..Schema::default()
        };
        let facts = Facts::default();
        assert_eq!(wrong(&schema, &facts), 0);
        assert_eq!(wrong(&Schema { unique_id: false, ..schema.clone() }, &facts), 1);
        assert_eq!(wrong(&Schema { collated_id: true, ..schema.clone() }, &facts), 1);
        assert_eq!(wrong(&Schema { data_limit_chars: Some(255), ..schema.clone() }, &facts), 1);
        let with = |name: &str, value: &str| Facts {
            settings: vec![(name.into(), value.into())],
            ..Facts::default()
        };
        assert_eq!(wrong(&schema, &with("fsync", "off")), 1);
        assert_eq!(wrong(&schema, &with("read_only", "ON")), 1);
        assert_eq!(wrong(&schema, &with("synchronous_commit", "off")), 0);
        let bin = with("id_collation", "ascii_bin");
        assert_eq!(wrong(&Schema { collated_id: true, ..schema.clone() }, &bin), 0);
        let narrow = Facts { id_type: Some("varchar(32)".into()), ..Facts::default() };
        assert_eq!(wrong(&schema, &narrow), 1);
        let late = SystemTime::now() - Duration::from_secs(60);
        assert_eq!(wrong(&schema, &Facts { clock: Some(late), ..Facts::default() }), 1);
    }
}
