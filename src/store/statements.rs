//! The statements of a table: a database's files of `sql/` with what the table was found to have.

use crate::error::{Error, Result};
use crate::sql::{Dialect, Flag, Flags, Statement, Variants, render};
use crate::table::{Layout, Schema, Table};

/// Which file; each database's folder under `sql/` has all of [`Name::ALL`], and the first or all
/// of [`Name::MANY`] if it runs finds or all batches as one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Find,
    Insert,
    Update,
    Exists,
    Destroy,
    Scan,
    Row,
    Delete,
    Rekey,
    End,
    Clear,
    Create,
    IndexId,
    IndexUpdated,
    AddUser,
    IndexUser,
    Count,
    Drop,
    FindMany,
    InsertMany,
    UpdateMany,
    DestroyMany,
}

impl Name {
    pub(crate) const ALL: [Self; 18] = [
        Self::Find,
        Self::Insert,
        Self::Update,
        Self::Exists,
        Self::Destroy,
        Self::Scan,
        Self::Row,
        Self::Delete,
        Self::Rekey,
        Self::End,
        Self::Clear,
        Self::Create,
        Self::IndexId,
        Self::IndexUpdated,
        Self::AddUser,
        Self::IndexUser,
        Self::Count,
        Self::Drop,
    ];

    pub(crate) const MANY: [Self; 4] =
        [Self::FindMany, Self::InsertMany, Self::UpdateMany, Self::DestroyMany];

    /// The flags by which its calls differ.
    pub(crate) const fn choices(self) -> &'static [Flag] {
        use Flag::{
            After, Age, Alone, Data, Expiry, Guard, Idle, Legacy, Lifetime, Online, Payload, Rekey,
            Restart, Touch, Unknown, User,
        };
        match self {
            Self::Find => &[Legacy, Idle, Lifetime],
            Self::FindMany => &[Idle, Lifetime],
            Self::Update | Self::UpdateMany => {
                &[Idle, Lifetime, Guard, Data, Rekey, Restart, Touch, Expiry, User]
            }
            Self::Exists => &[Idle, Lifetime, Guard],
            Self::Destroy => &[Legacy],
            Self::Scan => &[Idle, Lifetime, Age, After, Payload, User, Unknown],
            Self::Delete => &[Idle, Lifetime, Age, Alone],
            Self::End => &[Guard, User],
            Self::IndexUser => &[Online],
            Self::Insert
            | Self::Row
            | Self::Rekey
            | Self::Clear
            | Self::Create
            | Self::IndexId
            | Self::IndexUpdated
            | Self::AddUser
            | Self::Count
            | Self::Drop
            | Self::InsertMany
            | Self::DestroyMany => &[],
        }
    }
}

/// A database's files, in the order of [`Name::ALL`] and [`Name::MANY`].
pub(crate) type Files = &'static [&'static str];

/// The files of a folder under `sql/`, with `finds` the one for batches of finds too, with `many`
/// those for all batches; one that is missing is an error of the compiler.
macro_rules! files {
    ($folder:literal) => {
        $crate::store::statements::files!(@common $folder:)
    };
    ($folder:literal, finds) => {
        $crate::store::statements::files!(@common $folder: "find_many")
    };
    ($folder:literal, many) => {
        $crate::store::statements::files!(@common $folder:
            "find_many", "insert_many", "update_many", "destroy_many")
    };
    (@common $folder:literal: $($name:literal),*) => {
        &$crate::store::statements::files!(@each $folder:
            "find", "insert", "update", "exists", "destroy", "scan", "row", "delete", "rekey", "end", "clear",
            "create", "index_id", "index_updated", "add_user", "index_user", "count", "drop"
            $(, $name)*)
    };
    (@each $folder:literal: $($name:literal),*) => {
        [$(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"), "/sql/", $folder, "/", $name, ".sql"
        ))),*]
    };
}
pub(crate) use files;

/// The names in the files and the quoted text that stands for each.
pub(crate) type Names = Vec<(&'static str, String)>;

/// What the store knows of its table, and the statements made for it.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) schema: Schema,
    /// Whether the data column holds bytes, not text.
    #[cfg_attr(not(any(feature = "postgres", feature = "sqlite")), allow(dead_code))]
    pub(crate) binary: bool,
    dialect: Dialect,
    names: Names,
    files: Vec<Variants>,
}

impl Statements {
    /// `names` are those that [`names`] does not know: `key` and what the database needs besides.
    pub(crate) fn new(
        dialect: Dialect,
        files: &Files,
        table: &Table,
        schema: Schema,
        mut names: Names,
    ) -> Self {
        let flags = Flags::default()
            .with(Flag::CreatedAt, schema.created_at)
            .with(Flag::UpdatedAt, schema.updated_at)
            .with(Flag::ExpiresAt, schema.expires_at)
            .with(Flag::UserColumn, schema.user)
            .with(Flag::Collated, schema.collated_id)
            .with(Flag::IdKey, schema.primary_key.is_none())
            .with(Flag::Tuned, table.layout() == Layout::Tuned);
        let names_of_files = Name::ALL.into_iter().chain(Name::MANY);
        let variants =
            |(name, file): (Name, &&'static str)| Variants::new(file, name.choices(), flags);
        names.extend(common_names(dialect, table));
        Self {
            binary: ["blob", "bytea", "binary"].iter().any(|kind| schema.data_type.contains(kind)),
            schema,
            dialect,
            names,
            files: names_of_files.zip(*files).map(variants).collect(),
        }
    }

    /// The variant of a statement that these call flags choose.
    pub(crate) fn get(&self, name: Name, call: Flags) -> Result<&Statement> {
        let file = self.files.get(name as usize).ok_or_else(|| {
            Error::config("choosing a statement", "this database runs no batch as one statement")
        })?;
        file.get(self.dialect, &self.names, call)
    }

    /// Other SQL with this table's names, and some of its own.
    pub(crate) fn rendered(&self, sql: &str, own: &Names) -> Result<String> {
        let names: Names = own.iter().chain(&self.names).cloned().collect();
        Ok(render(sql, self.dialect, &names, Flags::default())?.sql)
    }
}

/// The statements that make a table whose indexes are made one by one.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) fn creation(table: &Table, statements: &Statements) -> Result<Vec<String>> {
    table.check()?;
    let mut names = vec![Name::Create, Name::IndexId];
    if table.layout() == Layout::Rails {
        names.push(Name::IndexUpdated);
    }
    if statements.schema.user {
        names.push(Name::IndexUser);
    }
    let sql = |name| Ok(statements.get(name, Flags::default())?.sql.clone());
    names.into_iter().map(sql).collect()
}

/// The statements that give a table in use the column of users.
pub(crate) fn addition(statements: &Statements) -> Result<Vec<String>> {
    if !statements.schema.user {
        let problem = "no column was named";
        return Err(Error::config("adding a column of users", problem)
            .advice("name one by Table::user_column"));
    }
    let online = Flags::default().with(Flag::Online, true);
    let sql = |(name, call)| Ok(statements.get(name, call)?.sql.clone());
    [(Name::AddUser, Flags::default()), (Name::IndexUser, online)].map(sql).into_iter().collect()
}

fn common_names(dialect: Dialect, table: &Table) -> Names {
    vec![
        ("table", dialect.quoted_path(table.name())),
        ("session_id", dialect.quoted(table.session_id())),
        ("data", dialect.quoted(table.data())),
        ("created_at", dialect.quoted("created_at")),
        ("updated_at", dialect.quoted("updated_at")),
        ("expires_at", dialect.quoted("expires_at")),
        ("user", dialect.quoted(table.user().unwrap_or("user_id"))),
    ]
}

/// `app.sessions` → its schema, if named, and the bare name.
pub(crate) fn split(table: &Table) -> (Option<&str>, &str) {
    match table.name().rsplit_once('.') {
        Some((schema, bare)) => (Some(schema), bare),
        None => (None, table.name()),
    }
}

/// The name that Rails gives an index.
pub(crate) fn index_name(table: &Table, column: &str) -> String {
    format!("index_{}_on_{column}", split(table).1)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// What tables have, by which statements differ.
    pub(crate) const TABLE: [&str; 5] =
        ["created_at", "updated_at", "expires_at", "collated", "user_id"];
    /// Rails' own table.
    const RAILS: usize = 0b00011;
    /// The column of users.
    const USER: usize = 0b10000;

    /// A schema for each subset of [`TABLE`], and the subset as bits. The column of users stands in
    /// lines of its own: beside Rails' columns alone and beside all is enough.
    pub(crate) fn schemas() -> impl Iterator<Item = (usize, Schema)> {
        (0..USER).chain([USER | RAILS, 2 * USER - 1]).map(|bits| {
            let has = |bit: usize| bits >> bit & 1 == 1;
            let schema = Schema {
                primary_key: Some("id".into()),
                created_at: has(0),
                updated_at: has(1),
                expires_at: has(2),
                collated_id: has(3),
                user: has(4),
                ..Schema::default()
            };
            (bits, schema)
        })
    }

    /// Every statement with every combination of what calls can ask for.
    pub(crate) fn variants(names: &[Name]) -> impl Iterator<Item = (Name, Flags)> {
        names.iter().flat_map(|&name| {
            Flags::default().variants(name.choices()).map(move |call| (name, call))
        })
    }

    /// One line a statement: on Rails' table every combination of what calls ask for but for users;
    /// on every other table the combinations in which a table's columns show: nothing asked and all
    /// asked.
    pub(crate) fn check_golden(file: &str, make: impl Fn(Schema) -> Statements) {
        let mut text = String::new();
        for (bits, schema) in schemas() {
            let statements = make(schema);
            let has = (0..TABLE.len()).filter(|bit| bits >> bit & 1 == 1).map(|bit| TABLE[bit]);
            let _ = writeln!(text, "# table with: {}", has.collect::<Vec<_>>().join(", "));
            for (name, call) in variants(&Name::ALL).chain(variants(&Name::MANY)) {
                if name as usize >= statements.files.len() {
                    continue;
                }
                let asked = call.index(name.choices());
                let extreme = asked == 0 || asked + 1 == 1 << name.choices().len();
                let is_of_rails =
                    bits == RAILS && !call.has(Flag::User) && !call.has(Flag::Unknown);
                if is_of_rails || extreme {
                    let statement = statements.get(name, call).unwrap();
                    let sql = statement.sql.split_whitespace().collect::<Vec<_>>().join(" ");
                    let _ = writeln!(text, "{name:?}/{asked:b}: {sql} {:?}", statement.params);
                }
            }
        }
        let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        for (at, (is, was)) in text.lines().zip(golden.lines()).enumerate() {
            assert_eq!(is, was, "line {} of {path}; UPDATE_GOLDEN=1 writes it anew", at + 1);
        }
        assert_eq!(text.lines().count(), golden.lines().count());
    }

    /// Whether the store would send this: an UPDATE that sets nothing is never asked for, and a
    /// timeout whose column is missing is refused before it comes to SQL.
    pub(crate) fn is_sent(bits: usize, name: Name, sql: &str) -> bool {
        let sets_nothing = name == Name::Update && sql.contains("SET\nWHERE");
        let asks_missing = (0..2).any(|bit| bits >> bit & 1 == 0 && sql.contains(TABLE[bit]));
        let makes = matches!(
            name,
            Name::Create | Name::IndexId | Name::IndexUpdated | Name::AddUser | Name::IndexUser
        );
        let lacks_user = bits & USER == 0 && sql.contains("\"user_id\"");
        !sets_nothing && !asks_missing && !lacks_user && !makes
    }

    #[test]
    fn files_stand_in_the_order_of_their_names() {
        for (at, name) in Name::ALL.into_iter().chain(Name::MANY).enumerate() {
            assert_eq!(name as usize, at);
        }
    }
}
