//! MySQL's statements: the files of `sql/mysql` and what only they name.

use super::inspect::Found;
use crate::error::Result;
use crate::sql::{Dialect, Flags, Param, Statement, render};
use crate::store::statements::{Files, Names, Statements, files, index_name};
use crate::table::{Schema, Table};

pub(super) const DIALECT: Dialect = Dialect { quote: '`', placeholder: '?', numbered: false };
const FILES: Files = files!("mysql", finds);
/// The longest name that the server takes.
const MAX_INDEX_NAME: usize = 64;

/// Statements for a table that was looked at.
pub(super) fn statements(table: &Table, found: Found) -> Statements {
    let names = names(table, &found);
    Statements::new(DIALECT, &FILES, table, found.schema, names)
}

/// Statements that make the table.
pub(super) fn creating(table: &Table) -> Statements {
    let key = table.named_primary_key().unwrap_or("id").to_owned();
    let user = table.user().is_some();
    let schema = Schema { primary_key: Some(key), user, ..Schema::default() };
    statements(table, Found { schema, ..Found::default() })
}

/// A file that names nothing but the table.
pub(super) fn of_table(file: &'static str, table: &Table) -> Result<String> {
    let names = [("table", DIALECT.quoted_path(table.name()))];
    Ok(render(file, DIALECT, &names, Flags::default())?.sql)
}

fn names(table: &Table, found: &Found) -> Names {
    let quoted = |name: &str| DIALECT.quoted(name);
    let (id, data) = (quoted(table.session_id()), quoted(table.data()));
    let key = found.schema.primary_key.as_deref().map_or_else(|| id.clone(), quoted);
    let key_out = match found.key.is_binary() {
        true => format!("HEX({key})"),
        false => key.clone(),
    };
    let private_id = format!("private.{id}");
    let user = table.user().unwrap_or("user_id");
    let now = |precision: u8| format!("UTC_TIMESTAMP({precision})");
    vec![
        ("key_out", key_out),
        ("key", key),
        ("session_id_bytes", bytes_of(&id, &found.id_charset)),
        ("private_id_bytes", bytes_of(&private_id, &found.id_charset)),
        ("data_out", data.clone()),
        ("data_guarded", bytes_of(&data, &found.data_charset)),
        ("created_now", now(found.created_precision)),
        ("updated_now", now(found.updated_precision)),
        ("index_id", quoted(&short(index_name(table, table.session_id()), "session_id"))),
        ("index_updated", quoted(&short(index_name(table, "updated_at"), "updated_at"))),
        ("index_user", quoted(&short(index_name(table, user), "user"))),
        ("user_bytes", bytes_of(&quoted(user), &found.user_charset)),
    ]
}

/// The column's bytes as they are read: in UTF-8, whatever the column is kept in. Their comparison
/// knows no collation.
fn bytes_of(column: &str, charset: &str) -> String {
    // An empty name: a column of bytes.
    match charset {
        "" | "ascii" | "utf8" | "utf8mb3" | "utf8mb4" => format!("CAST({column} AS BINARY)"),
        _ => format!("CAST(CONVERT({column} USING utf8mb4) AS BINARY)"),
    }
}

/// An index's name has to be unique in its table alone.
fn short(name: String, column: &str) -> String {
    if name.len() <= MAX_INDEX_NAME { name } else { format!("index_on_{column}") }
}

/// The statement with as many placeholders as there are keys or ids, wherever it lists them.
pub(super) fn with_keys(statement: &Statement, keys: usize) -> String {
    let mut params = statement.params.iter();
    let (mut sql, mut quoted) = (String::with_capacity(statement.sql.len()), false);
    for c in statement.sql.chars() {
        sql.push(c);
        quoted ^= c == DIALECT.quote;
        if c != DIALECT.placeholder || quoted {
            continue;
        }
        if matches!(params.next(), Some(Param::Keys | Param::Ids)) {
            sql.push_str(&", ?".repeat(keys.saturating_sub(1)));
        }
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Flag;
    use crate::store::statements::Name;
    use crate::store::statements::tests::check_golden;

    #[test]
    fn every_combination_renders_as_the_golden_file_has_it() {
        let found = |schema| Found { schema, ..Found::default() };
        check_golden("mysql.txt", |schema| statements(&Table::default(), found(schema)));
    }

    #[test]
    fn keys_are_asked_for_where_their_placeholder_stands() {
        let table = Table::new("a?`b").unwrap();
        let schema = Schema { primary_key: Some("id".into()), ..Schema::default() };
        let statements = statements(&table, Found { schema, ..Found::default() });
        let age = Flags::default().with(Flag::Age, true).with(Flag::Idle, true);
        let statement = statements.get(Name::Delete, age).unwrap();
        let sql = with_keys(statement, 3);
        assert!(sql.contains("`a?``b`") && sql.contains("IN (?, ?, ?)"), "{sql}");
        assert_eq!(sql.matches('?').count(), 1 + 3 + 1);
    }

    /// Of ids that the column takes for equal the ones that were named.
    #[test]
    fn where_the_id_is_the_key_its_bytes_are_compared_too() {
        let schema = Schema { collated_id: true, ..Schema::default() };
        let statements = statements(&Table::default(), Found { schema, ..Found::default() });
        let statement = statements.get(Name::Delete, Flags::default()).unwrap();
        let sql = with_keys(statement, 2).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            sql,
            "DELETE FROM `sessions` WHERE `session_id` IN (?, ?) \
             AND CAST(`session_id` AS BINARY) IN (?, ?)"
        );
    }

    #[test]
    fn text_in_other_character_sets_is_compared_in_utf_8() {
        assert_eq!(bytes_of("`x`", ""), "CAST(`x` AS BINARY)");
        assert_eq!(bytes_of("`x`", "latin1"), "CAST(CONVERT(`x` USING utf8mb4) AS BINARY)");
    }
}
