//! PostgreSQL's statements: the files of `sql/postgres` and what only they name.

use sha2::{Digest, Sha256};

use super::inspect::Found;
use crate::sql::Dialect;
use crate::store::statements::{Files, Names, Statements, files, index_name};
use crate::table::{Schema, Table};

pub(super) const DIALECT: Dialect = Dialect { quote: '"', placeholder: '$', numbered: true };
/// How long a batch waits for a lock, in milliseconds; then its operations go singly.
const LOCK_BOUND: &str = "50";
const FILES: Files = files!("postgres", many);

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

fn names(table: &Table, found: &Found) -> Names {
    let quoted = |name: &str| DIALECT.quoted(name);
    let (id, data) = (quoted(table.session_id()), quoted(table.data()));
    let cast = |column: &str, as_type: &str| format!("CAST({column} AS {as_type})");
    let data_type = found.schema.data_type.as_str();
    let (data_out, data_guarded) = match data_type {
        "bytea" => (data.clone(), data),
        // `COLLATE "C"`: two texts that a collation takes for equal are not.
        "text" | "character varying" => (data.clone(), format!(r#"{data} COLLATE "C""#)),
        _ => (cast(&data, "text"), format!(r#"{} COLLATE "C""#, cast(&data, "text"))),
    };
    let id_text = if found.schema.collated_id { cast(&id, "text") } else { id.clone() };
    vec![
        ("key", found.schema.primary_key.as_deref().map_or(id, quoted)),
        ("key_type", found.key_type.clone()),
        ("session_id_text", id_text),
        ("data_type", data_type.to_owned()),
        ("data_out", data_out),
        ("data_guarded", data_guarded),
        ("created_now", now(&found.created_type, "clock_timestamp()")),
        ("updated_now", now(&found.updated_type, "clock_timestamp()")),
        ("expires_now", now(&found.expires_type, "clock_timestamp()")),
        // Tasks compare with one time for the whole statement, so that an index can serve.
        ("created_start", now(&found.created_type, "statement_timestamp()")),
        ("updated_start", now(&found.updated_type, "statement_timestamp()")),
        ("lock_bound", LOCK_BOUND.to_owned()),
        ("lock_number", lock_number(table).to_string()),
        ("index_id", quoted(&index_name(table, table.session_id()))),
        ("index_updated", quoted(&index_name(table, "updated_at"))),
        ("index_user", quoted(&index_name(table, table.user().unwrap_or("user_id")))),
    ]
}

/// The number of the table's advisory lock, beside one that stands for the schema.
fn lock_number(table: &Table) -> i32 {
    let digest = Sha256::digest(format!("sqlbypass tasks {}", table.name()));
    i32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// Columns without a zone hold UTC, as Rails writes them.
fn now(column_type: &str, clock: &str) -> String {
    if column_type == "timestamp with time zone" {
        clock.to_owned()
    } else {
        format!("timezone('utc', {clock})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::statements::tests::check_golden;

    #[test]
    fn every_combination_renders_as_the_golden_file_has_it() {
        let found = |schema| Found { schema, ..Found::default() };
        check_golden("postgres.txt", |schema| statements(&Table::default(), found(schema)));
    }
}
