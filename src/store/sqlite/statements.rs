//! The statements of a table: files of `sql/sqlite` with what the table was found to have.

use crate::error::Result;
use crate::sql::{Dialect, Flag, Flags, Statement, Variants};
use crate::table::{Schema, Table};

pub(super) const DIALECT: Dialect = Dialect { quote: '"', placeholder: '?' };

const EXISTS: &[Flag] = &[Flag::Idle, Flag::Lifetime, Flag::Guard];
const SCAN: &[Flag] = &[Flag::Idle, Flag::Lifetime, Flag::Age, Flag::After, Flag::Payload];
const UPDATE: &[Flag] = &[
    Flag::Idle,
    Flag::Lifetime,
    Flag::Guard,
    Flag::Data,
    Flag::Rekey,
    Flag::Restart,
    Flag::Touch,
    Flag::Expiry,
];

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Find,
    Insert,
    Update,
    Exists,
    Destroy,
    Scan,
    Delete,
    Rekey,
    Clear,
    Create,
    IndexId,
    IndexUpdated,
}

/// Each file, and the flags by which its calls differ, in the order of [`Name`].
pub(crate) const FILES: [(Name, &str, &[Flag]); 12] = [
    (
        Name::Find,
        include_str!("../../../sql/sqlite/find.sql"),
        &[Flag::Legacy, Flag::Idle, Flag::Lifetime],
    ),
    (Name::Insert, include_str!("../../../sql/sqlite/insert.sql"), &[]),
    (Name::Update, include_str!("../../../sql/sqlite/update.sql"), UPDATE),
    (Name::Exists, include_str!("../../../sql/sqlite/exists.sql"), EXISTS),
    (Name::Destroy, include_str!("../../../sql/sqlite/destroy.sql"), &[Flag::Legacy]),
    (Name::Scan, include_str!("../../../sql/sqlite/scan.sql"), SCAN),
    (
        Name::Delete,
        include_str!("../../../sql/sqlite/delete.sql"),
        &[Flag::Idle, Flag::Lifetime, Flag::Age],
    ),
    (Name::Rekey, include_str!("../../../sql/sqlite/rekey.sql"), &[]),
    (Name::Clear, include_str!("../../../sql/sqlite/clear.sql"), &[]),
    (Name::Create, include_str!("../../../sql/sqlite/create.sql"), &[]),
    (Name::IndexId, include_str!("../../../sql/sqlite/index_id.sql"), &[]),
    (Name::IndexUpdated, include_str!("../../../sql/sqlite/index_updated.sql"), &[]),
];

/// What the store knows of its table, and the statements made for it.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) schema: Schema,
    /// Whether the data column holds blobs.
    pub(crate) blob: bool,
    names: Vec<(&'static str, String)>,
    files: Vec<Variants>,
}

impl Statements {
    pub(crate) fn new(table: &Table, schema: Schema) -> Self {
        let flags = Flags::default()
            .with(Flag::CreatedAt, schema.created_at)
            .with(Flag::UpdatedAt, schema.updated_at)
            .with(Flag::ExpiresAt, schema.expires_at)
            .with(Flag::Collated, schema.collated_id);
        let files =
            FILES.iter().map(|(_, file, choices)| Variants::new(file, choices, flags)).collect();
        Self {
            blob: schema.data_type.contains("blob"),
            names: names(table, &schema),
            schema,
            files,
        }
    }

    /// The variant of a statement that these call flags choose.
    pub(crate) fn get(&self, name: Name, call: Flags) -> Result<&Statement> {
        self.files[name as usize].get(DIALECT, &self.names, call)
    }
}

fn names(table: &Table, schema: &Schema) -> Vec<(&'static str, String)> {
    let (database, bare) = match table.name().rsplit_once('.') {
        Some((database, bare)) => (format!("{}.", DIALECT.quoted(database)), bare),
        None => (String::new(), table.name()),
    };
    // Without a primary key SQLite's own rowid stands in.
    let key = schema.primary_key.as_deref().map_or("rowid".to_owned(), |key| DIALECT.quoted(key));
    let index = |column: &str| {
        let name = format!("index_{bare}_on_{column}");
        format!("{database}{}", DIALECT.quoted(&name))
    };
    vec![
        ("table", DIALECT.quoted_path(table.name())),
        ("bare_table", DIALECT.quoted(bare)),
        ("key", key),
        ("session_id", DIALECT.quoted(table.session_id())),
        ("data", DIALECT.quoted(table.data())),
        ("created_at", DIALECT.quoted("created_at")),
        ("updated_at", DIALECT.quoted("updated_at")),
        ("expires_at", DIALECT.quoted("expires_at")),
        ("index_id", index(table.session_id())),
        ("index_updated", index("updated_at")),
    ]
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// What tables have, by which statements differ.
    const TABLE: [&str; 4] = ["created_at", "updated_at", "expires_at", "collated"];

    fn statements(bits: usize) -> Statements {
        let has = |bit: usize| bits >> bit & 1 == 1;
        let schema = Schema {
            primary_key: Some("id".into()),
            created_at: has(0),
            updated_at: has(1),
            expires_at: has(2),
            collated_id: has(3),
            ..Schema::default()
        };
        Statements::new(&Table::default(), schema)
    }

    fn sets() -> impl Iterator<Item = (usize, Statements)> {
        (0..1 << TABLE.len()).map(|bits| (bits, statements(bits)))
    }

    fn variants() -> impl Iterator<Item = (Name, &'static [Flag], Flags)> {
        FILES.iter().flat_map(|(name, _, choices)| {
            Flags::default().variants(choices).map(move |call| (*name, *choices, call))
        })
    }

    /// One line a statement: on Rails' table every combination of what calls ask for; on every
    /// other table the combinations in which a table's columns show: nothing asked and all asked.
    #[test]
    fn every_combination_renders_as_the_golden_file_has_it() {
        let mut text = String::new();
        for (bits, statements) in sets() {
            let rails = bits == 0b0011;
            let has: Vec<_> =
                (0..4).filter(|bit| bits >> bit & 1 == 1).map(|bit| TABLE[bit]).collect();
            let _ = writeln!(text, "# table with: {}", has.join(", "));
            for (name, choices, call) in variants() {
                let asked = call.index(choices);
                let extreme = asked == 0 || asked + 1 == 1 << choices.len();
                if rails || extreme {
                    let statement = statements.get(name, call).unwrap();
                    let sql = statement.sql.split_whitespace().collect::<Vec<_>>().join(" ");
                    let _ = writeln!(text, "{name:?}/{asked:b}: {sql} {:?}", statement.params);
                }
            }
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sqlite.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        for (at, (is, was)) in text.lines().zip(golden.lines()).enumerate() {
            assert_eq!(is, was, "line {} of {path}; UPDATE_GOLDEN=1 writes it anew", at + 1);
        }
        assert_eq!(text.lines().count(), golden.lines().count());
    }

    /// What SQLite itself says of every combination on every table; an UPDATE that sets nothing is
    /// never asked for.
    #[test]
    fn sqlite_prepares_every_combination() {
        for (bits, statements) in sets() {
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            let mut columns = vec!["id integer PRIMARY KEY", "session_id varchar", "data text"];
            columns.extend((0..3).filter(|bit| bits >> bit & 1 == 1).map(|bit| TABLE[bit]));
            let table = format!("CREATE TABLE sessions ({})", columns.join(", "));
            connection.execute_batch(&table).unwrap();
            for (name, _, call) in variants() {
                let statement = statements.get(name, call);
                let text = &statement.unwrap().sql;
                let sets_nothing = text.starts_with("UPDATE") && text.contains("SET\nWHERE");
                let makes = matches!(name, Name::Create | Name::IndexId | Name::IndexUpdated);
                let asks_missing = timeouts_without_columns(bits, text);
                if !sets_nothing && !makes && !asks_missing {
                    connection.prepare(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
                }
            }
        }
    }

    /// The store refuses a timeout whose column is missing before it comes to SQL.
    fn timeouts_without_columns(bits: usize, text: &str) -> bool {
        (0..2).any(|bit| bits >> bit & 1 == 0 && text.contains(&format!("\"{}\"", TABLE[bit])))
    }
}
