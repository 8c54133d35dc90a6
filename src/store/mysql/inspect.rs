//! What the table has, by the server's own description.

use std::collections::HashMap;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use super::connection::Fault;
use super::cures::cure_of_users;
use super::error::is_missing_table;
use super::statements::of_table;
use crate::error::{Error, Kind, Result};
use crate::store::facts::{a_view, check_key, missing_schema, not_for_users};
use crate::store::server::INSPECTING;
use crate::store::statements::split;
use crate::table::{Schema, Table};

/// What a row's key is, by which it is bound and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Number,
    Text,
    Binary,
}

impl Key {
    pub(super) fn is_binary(self) -> bool {
        self == Self::Binary
    }
}

/// A table's schema and what only MySQL's statements need of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) schema: Schema,
    pub(super) key: Key,
    /// Character sets; empty for columns of bytes.
    pub(super) id_charset: String,
    pub(super) data_charset: String,
    pub(super) user_charset: String,
    /// Digits of a second that the columns keep.
    pub(super) created_precision: u8,
    pub(super) updated_precision: u8,
    /// Whether its engine can undo what a connection has written.
    pub(super) transactions: bool,
}

impl Default for Found {
    /// Rails' table.
    fn default() -> Self {
        Self {
            schema: Schema { data_type: "text".into(), ..Schema::default() },
            key: Key::Number,
            id_charset: "utf8mb4".into(),
            data_charset: "utf8mb4".into(),
            user_charset: "utf8mb4".into(),
            created_precision: 6,
            updated_precision: 6,
            transactions: true,
        }
    }
}

struct Column {
    /// In lower case, without its size.
    data_type: String,
    /// The number in the type's parentheses.
    size: Option<u64>,
    collation: String,
}

impl Column {
    fn charset(&self) -> &str {
        match self.data_type.as_str() {
            // Kept in its own form and read as text.
            "json" => "json",
            _ => self.collation.split('_').next().unwrap_or_default(),
        }
    }

    fn is_text(&self) -> bool {
        matches!(self.data_type.as_str(), "char" | "varchar" | "binary" | "varbinary")
            || self.data_type.ends_with("text")
    }

    fn key(&self) -> Key {
        match self.data_type.as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Key::Number,
            "binary" | "varbinary" => Key::Binary,
            _ => Key::Text,
        }
    }

    /// The most bytes that it takes.
    fn bytes(&self) -> Option<u64> {
        match self.data_type.as_str() {
            "tinytext" | "tinyblob" => Some((1 << 8) - 1),
            "text" | "blob" => Some((1 << 16) - 1),
            "mediumtext" | "mediumblob" => Some((1 << 24) - 1),
            "longtext" | "longblob" | "json" => Some((1 << 32) - 1),
            "binary" | "varbinary" => self.size,
            _ => None,
        }
    }

    fn chars(&self) -> Option<u64> {
        self.size.filter(|_| matches!(self.data_type.as_str(), "char" | "varchar"))
    }

    /// Even a binary collation takes `a` and `a ` for equal, unless it says that it does not.
    fn is_bytewise(&self) -> bool {
        self.collation.is_empty()
            || self.collation == "utf8mb4_0900_bin"
            || self.collation.ends_with("_nopad_bin")
    }
}

/// A unique index and its columns.
#[derive(Default)]
struct Index {
    primary: bool,
    columns: Vec<String>,
}

/// Reads the table's description; `None` if there is no such table.
pub(super) async fn find(conn: &mut Conn, table: &Table) -> Result<Option<Found>, Fault> {
    let sql = of_table(include_str!("../../../sql/mysql/inspect_columns.sql"), table)?;
    let rows: Vec<Row> = match conn.query(sql).await {
        Ok(rows) => rows,
        Err(fault) if is_missing_table(&fault) => {
            return missing_schema_or_table(conn, table).await;
        }
        Err(fault) => return Err(fault.into()),
    };
    let columns = rows.iter().map(column).collect();
    let creation = creation(conn, table).await?;
    let engine = engine_of(&creation);
    if engine.is_none() && is_view(conn, table).await? {
        return Err(a_view(table).into());
    }
    let sql = of_table(include_str!("../../../sql/mysql/inspect_indexes.sql"), table)?;
    let rows: Vec<Row> = conn.query(sql).await?;
    let found = found(table, &columns, &indexes(&rows), &creation)?;
    Ok(Some(Found { transactions: engine.is_some_and(is_transactional), ..found }))
}

async fn missing_schema_or_table(conn: &mut Conn, table: &Table) -> Result<Option<Found>, Fault> {
    let Some(schema) = split(table).0 else { return Ok(None) };
    let sql = include_str!("../../../sql/mysql/inspect_schema.sql");
    match conn.exec_first::<u64, _, _>(sql, (schema,)).await? {
        Some(0) => Err(missing_schema(table).into()),
        _ => Ok(None),
    }
}

/// The statement that makes the table; empty where the server does not let the user see it.
pub(super) async fn creation(conn: &mut Conn, table: &Table) -> Result<String, Fault> {
    let sql = of_table(include_str!("../../../sql/mysql/inspect_engine.sql"), table)?;
    match conn.query_first::<Row, _>(sql).await {
        Ok(row) => Ok(row.map_or_else(String::new, |row| text(&row, 1))),
        Err(mysql_async::Error::Server(_)) => Ok(String::new()),
        Err(fault) => Err(fault.into()),
    }
}

async fn is_view(conn: &mut Conn, table: &Table) -> Result<bool, Fault> {
    let sql = include_str!("../../../sql/mysql/inspect_view.sql");
    let views = conn.exec_first::<u64, _, _>(sql, split(table)).await?;
    Ok(views.is_some_and(|views| views > 0))
}

/// Names and comments have no line of their own that begins so.
pub(super) fn engine_of(creation: &str) -> Option<&str> {
    let end = creation.lines().find_map(|line| line.strip_prefix(") ENGINE="))?;
    end.split_whitespace().next()
}

pub(super) fn is_transactional(engine: &str) -> bool {
    ["InnoDB", "RocksDB", "TokuDB", "ndbcluster"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(engine))
}

/// The error for a table that is not there.
pub(super) fn missing_table(table: &Table) -> Error {
    missing(format!("there is no table {:?}", table.name()))
        .advice("create it (sqlbypass create), name another table, or let the user see it")
}

/// A column of what the server says of itself, as text.
pub(super) fn text(row: &Row, column: usize) -> String {
    match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(Value::Int(number)) => number.to_string(),
        Some(Value::UInt(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Field, Type, Collation, …
fn column(row: &Row) -> (String, Column) {
    let data_type = text(row, 1).to_lowercase();
    let (name, rest) = data_type.split_once(['(', ' ']).unwrap_or((&data_type, ""));
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let column = Column {
        size: digits.parse().ok().filter(|_| data_type[name.len()..].starts_with('(')),
        data_type: name.to_owned(),
        collation: text(row, 2).to_lowercase(),
    };
    (text(row, 0), column)
}

/// Table, Non_unique, Key_name, Seq_in_index, Column_name, Collation, Cardinality, Sub_part, …
fn indexes(rows: &[Row]) -> Vec<Index> {
    let mut found: HashMap<String, Index> = HashMap::new();
    for row in rows.iter().filter(|row| text(row, 1) == "0") {
        let name = text(row, 2);
        let index = found.entry(name.clone()).or_default();
        index.primary = name == "PRIMARY";
        // The beginning of a column is not the column.
        let part = text(row, 7);
        index.columns.push(if part.is_empty() { text(row, 4) } else { String::new() });
    }
    found.into_values().collect()
}

fn found(
    table: &Table,
    columns: &HashMap<String, Column>,
    indexes: &[Index],
    creation: &str,
) -> Result<Found> {
    let named = |name: &str| {
        let same = |other: &&String| other.eq_ignore_ascii_case(name);
        columns.get(name).or_else(|| columns.get(columns.keys().find(same)?))
    };
    let needed = |name: &str| {
        named(name).ok_or_else(|| {
            missing(format!("the table {:?} has no column {name:?}", table.name()))
                .advice("add it, or name another column")
        })
    };
    let id = needed(table.session_id())?;
    let data = needed(table.data())?;
    let is_unique = |name: &str| {
        indexes
            .iter()
            .any(|index| index.columns.len() == 1 && index.columns[0].eq_ignore_ascii_case(name))
    };
    let primary = indexes.iter().find(|index| index.primary && index.columns.len() == 1);
    let primary_key = match table.named_primary_key() {
        Some(name) => Some(name.to_owned()),
        None => primary.map(|index| index.columns[0].clone()).filter(|name| !name.is_empty()),
    };
    table.check_with(primary_key.as_deref())?;
    let own = primary.map(|index| index.columns[0].as_str());
    check_key(table, own, primary_key.as_deref().is_some_and(is_unique))?;
    // Without a primary key the id names a row.
    let key = needed(primary_key.as_deref().unwrap_or(table.session_id()))?.key();
    let user = table.user().and_then(named);
    if let Some(column) = user.filter(|column| !column.is_text()) {
        let cure = cure_of_users(table, creation);
        return Err(not_for_users(table, &column.data_type, cure.as_deref()));
    }
    let precision = |name: &str| {
        let size = named(name).and_then(|column| column.size).unwrap_or(0);
        u8::try_from(size).unwrap_or(6).min(6)
    };
    Ok(Found {
        key,
        id_charset: id.charset().to_owned(),
        data_charset: data.charset().to_owned(),
        created_precision: precision("created_at"),
        updated_precision: precision("updated_at"),
        transactions: false,
        user_charset: user.map_or("", Column::charset).to_owned(),
        schema: Schema {
            primary_key,
            created_at: named("created_at").is_some(),
            updated_at: named("updated_at").is_some(),
            expires_at: named("expires_at").is_some(),
            user: user.is_some(),
            data_type: data.data_type.clone(),
            data_limit: data.bytes(),
            data_limit_chars: data.chars(),
            unique_id: is_unique(table.session_id()),
            collated_id: !id.is_bytewise(),
        },
    })
}

fn missing(problem: String) -> Error {
    Error::new(Kind::Schema, INSPECTING, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_read_from_the_tables_statement() {
        let creation = "CREATE TABLE `s` (\n  `data` text COMMENT ') ENGINE=InnoDB'\n) \
                        ENGINE=MyISAM DEFAULT CHARSET=utf8mb4\n PARTITION BY HASH (`id`)";
        assert_eq!(engine_of(creation), Some("MyISAM"));
        assert_eq!(engine_of("CREATE VIEW `s` AS SELECT 1"), None);
        assert!(is_transactional("InnoDB") && is_transactional("ROCKSDB"));
        assert!(!is_transactional("MyISAM") && !is_transactional("Aria"));
    }
}
