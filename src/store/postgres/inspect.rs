//! What the table has, by the catalog.

use std::collections::HashMap;

use tokio_postgres::types::{ToSql, Type};

use super::connection::Fault;
use super::statements::DIALECT;
use crate::error::{Error, Kind, Result};
use crate::store::facts::{
    Fact, a_view, check_key, cures, facts as gathered, missing_schema, not_for_users, unfilled,
    unfilled_cure,
};
use crate::store::server::INSPECTING;
use crate::store::statements::{Statements, split};
use crate::table::{Facts, Schema, Table};

/// A table's schema and what only PostgreSQL's statements need of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) schema: Schema,
    /// Types as SQL names them.
    pub(super) key_type: String,
    pub(super) created_type: String,
    pub(super) updated_type: String,
    pub(super) expires_type: String,
}

impl Default for Found {
    /// Rails' table.
    fn default() -> Self {
        let timestamp = || "timestamp without time zone".to_owned();
        Self {
            schema: Schema { data_type: "text".into(), ..Schema::default() },
            key_type: "bigint".into(),
            created_type: timestamp(),
            updated_type: timestamp(),
            expires_type: timestamp(),
        }
    }
}

struct Column {
    data_type: String,
    limit: Option<u64>,
    bytewise: bool,
    of_view: bool,
}

struct Index {
    primary: bool,
    columns: Vec<String>,
}

/// Reads the catalog; `None` if there is no such table.
pub(super) async fn find(
    client: &tokio_postgres::Client,
    table: &Table,
) -> Result<Option<Found>, Fault> {
    let name = DIALECT.quoted_path(table.name());
    let columns = columns(client, &name).await?;
    if columns.is_empty() {
        return missing_schema_or_table(client, table).await;
    }
    if columns.values().any(|column| column.of_view) {
        return Err(a_view(table).into());
    }
    let indexes = indexes(client, &name).await?;
    Ok(Some(found(table, &columns, &indexes)?))
}

async fn missing_schema_or_table(
    client: &tokio_postgres::Client,
    table: &Table,
) -> Result<Option<Found>, Fault> {
    let Some(schema) = split(table).0 else { return Ok(None) };
    let sql = include_str!("../../../sql/postgres/inspect_schema.sql");
    let name = DIALECT.quoted_path(schema);
    let rows = client.query_typed(sql, &[(&name, Type::TEXT)]).await?;
    let is_there = rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(true);
    if is_there { Ok(None) } else { Err(missing_schema(table).into()) }
}

/// What the server says of itself and of the table.
pub(super) async fn facts(
    client: &tokio_postgres::Client,
    table: &Table,
    statements: &Statements,
) -> Result<Facts, Fault> {
    let name = DIALECT.quoted_path(table.name());
    let sql = include_str!("../../../sql/postgres/inspect_facts.sql");
    let (id, data) = (table.session_id(), table.data());
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&name, Type::TEXT), (&id, Type::TEXT), (&data, Type::TEXT)];
    let rows = client.query_typed(sql, &parameters).await?;
    let fact = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    let rows: Result<Vec<Fact>, Fault> = rows.iter().map(fact).collect();
    let facts = gathered(rows?);
    let setting = |name| facts.setting(name).unwrap_or_default().to_owned();
    let own = vec![
        ("new_key", DIALECT.quoted(table.named_primary_key().unwrap_or("id"))),
        ("grantee", setting("user")),
        ("missing_rights", setting("missing_rights")),
        ("missing_sequence", setting("missing_sequence")),
        ("invalid_id_index", setting("invalid_id_index")),
    ];
    let file = include_str!("../../../sql/postgres/cures.sql");
    let mut cures = gathered(cures(file, statements, &own)?).cures;
    cures.extend(unfilled(&facts).map(|column| {
        let (table, quoted) = (&name, DIALECT.quoted(column));
        let sql = format!("ALTER TABLE {table} ALTER COLUMN {quoted} DROP NOT NULL");
        (unfilled_cure(column), sql)
    }));
    Ok(Facts { cures, ..facts })
}

/// The error for a table that is not there.
pub(super) fn missing_table(table: &Table) -> Error {
    missing(format!("there is no table {:?}", table.name()))
        .advice("create it (sqlbypass create), name another table, or let the user see it")
}

async fn columns(
    client: &tokio_postgres::Client,
    name: &str,
) -> Result<HashMap<String, Column>, Fault> {
    let sql = include_str!("../../../sql/postgres/inspect_columns.sql");
    let rows = client.query_typed(sql, &[(&name, Type::TEXT)]).await?;
    let column = |row: &tokio_postgres::Row| {
        let limit: i32 = row.try_get(2)?;
        let column = Column {
            data_type: row.try_get(1)?,
            limit: u64::try_from(limit).ok(),
            bytewise: row.try_get(3)?,
            of_view: row.try_get(4)?,
        };
        Ok((row.try_get(0)?, column))
    };
    rows.iter().map(column).collect()
}

async fn indexes(client: &tokio_postgres::Client, name: &str) -> Result<Vec<Index>, Fault> {
    let sql = include_str!("../../../sql/postgres/inspect_indexes.sql");
    let rows = client.query_typed(sql, &[(&name, Type::TEXT)]).await?;
    let index = |row: &tokio_postgres::Row| {
        Ok(Index { primary: row.try_get(0)?, columns: row.try_get(1)? })
    };
    rows.iter().map(index).collect()
}

fn found(table: &Table, columns: &HashMap<String, Column>, indexes: &[Index]) -> Result<Found> {
    let needed = |name: &str| {
        columns.get(name).ok_or_else(|| {
            missing(format!("the table {:?} has no column {name:?}", table.name()))
                .advice("add it, or name another column")
        })
    };
    let id = needed(table.session_id())?;
    let data = needed(table.data())?;
    let is_unique = |name: &str| {
        indexes.iter().any(|index| index.columns.len() == 1 && index.columns[0] == name)
    };
    let primary = indexes.iter().find(|index| index.primary && index.columns.len() == 1);
    let primary_key = match table.named_primary_key() {
        Some(name) => Some(name.to_owned()),
        None => primary.map(|index| index.columns[0].clone()),
    };
    table.check_with(primary_key.as_deref())?;
    let own = primary.map(|index| index.columns[0].as_str());
    check_key(table, own, primary_key.as_deref().is_some_and(is_unique))?;
    // Without a primary key the id names a row.
    let key = needed(primary_key.as_deref().unwrap_or(table.session_id()))?;
    let user = table.user().and_then(|name| columns.get(name));
    if let Some(column) = user.filter(|column| !is_text(&column.data_type)) {
        let cure = format!(
            "ALTER TABLE {} ALTER COLUMN {name} DROP DEFAULT, ALTER COLUMN {name} TYPE character varying \
             COLLATE \"C\", ALTER COLUMN {name} DROP NOT NULL",
            DIALECT.quoted_path(table.name()),
            name = DIALECT.quoted(table.user().unwrap_or_default()),
        );
        return Err(not_for_users(table, &column.data_type, Some(&cure)));
    }
    let user = user.is_some();
    let type_of = |name: &str| {
        columns.get(name).map_or(Found::default().created_type, |column| column.data_type.clone())
    };
    Ok(Found {
        key_type: key.data_type.clone(),
        created_type: type_of("created_at"),
        updated_type: type_of("updated_at"),
        expires_type: type_of("expires_at"),
        schema: Schema {
            primary_key,
            created_at: columns.contains_key("created_at"),
            updated_at: columns.contains_key("updated_at"),
            expires_at: columns.contains_key("expires_at"),
            user,
            data_type: data.data_type.clone(),
            data_limit: None,
            data_limit_chars: data.limit,
            unique_id: is_unique(table.session_id()),
            collated_id: !id.bytewise,
        },
    })
}

fn is_text(data_type: &str) -> bool {
    matches!(data_type, "text" | "character varying")
}

fn missing(problem: String) -> Error {
    Error::new(Kind::Schema, INSPECTING, problem)
}
