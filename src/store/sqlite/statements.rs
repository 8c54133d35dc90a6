//! SQLite's statements: the files of `sql/sqlite` and what only they name.

use crate::sql::Dialect;
use crate::store::statements::{Files, Statements, files, index_name, split};
use crate::table::{Schema, Table};

const DIALECT: Dialect = Dialect { quote: '"', placeholder: '?', numbered: true };
const FILES: Files = files!("sqlite");

/// Statements that make the table.
pub(super) fn creating(table: &Table) -> Statements {
    let key = table.named_primary_key().unwrap_or("id").to_owned();
    let user = table.user().is_some();
    statements(table, Schema { primary_key: Some(key), user, ..Schema::default() })
}

pub(super) fn statements(table: &Table, schema: Schema) -> Statements {
    let (database, bare) = split(table);
    let database = database.map_or(String::new(), |name| format!("{}.", DIALECT.quoted(name)));
    let index = |column| format!("{database}{}", DIALECT.quoted(&index_name(table, column)));
    // Without a primary key SQLite's own rowid stands in.
    let key = schema.primary_key.as_deref().map_or("rowid".to_owned(), |key| DIALECT.quoted(key));
    let names = vec![
        ("bare_table", DIALECT.quoted(bare)),
        ("key", key),
        ("index_id", index(table.session_id())),
        ("index_unique", index(&format!("unique_{}", table.session_id()))),
        ("index_updated", index("updated_at")),
        ("index_user", index(table.user().unwrap_or("user_id"))),
    ];
    Statements::new(DIALECT, &FILES, table, schema, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::statements::Name;
    use crate::store::statements::tests::{TABLE, check_golden, is_sent, schemas, variants};

    #[test]
    fn every_combination_renders_as_the_golden_file_has_it() {
        check_golden("sqlite.txt", |schema| statements(&Table::default(), schema));
    }

    /// What SQLite itself says of every combination on every table.
    #[test]
    fn sqlite_prepares_every_combination() {
        for (bits, schema) in schemas() {
            let statements = statements(&Table::default(), schema);
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            let mut columns = vec!["id integer PRIMARY KEY", "session_id varchar", "data text"];
            columns.extend(
                [0, 1, 2, 4].into_iter().filter(|bit| bits >> bit & 1 == 1).map(|bit| TABLE[bit]),
            );
            let table = format!("CREATE TABLE sessions ({})", columns.join(", "));
            connection.execute_batch(&table).unwrap();
            for (name, call) in variants(&Name::ALL) {
                let text = &statements.get(name, call).unwrap().sql;
                if is_sent(bits, name, text) {
                    connection.prepare(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
                }
            }
        }
    }
}
