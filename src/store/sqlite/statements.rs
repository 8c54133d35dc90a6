//! The statements of a table: files of `sql/sqlite` with what the table was found to have.

use crate::error::Result;
use crate::sql::{Dialect, Flag, Flags, Statement, Variants};
use crate::table::{Schema, Table};

pub(super) const DIALECT: Dialect = Dialect { quote: '"', placeholder: '?' };

const TIMEOUTS: &[Flag] = &[Flag::Idle, Flag::Lifetime];
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
    (Name::Exists, include_str!("../../../sql/sqlite/exists.sql"), TIMEOUTS),
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
