//! The table: its names, quoted once, and what it was found to have.

use std::time::SystemTime;

use crate::error::{Error, Result};

/// Longest name that is taken: the shortest limit of the databases (PostgreSQL's 63 bytes).
const MAX_NAME: usize = 63;
/// Columns that have their names and cannot have others.
const TIMES: [&str; 3] = ["created_at", "updated_at", "expires_at"];

/// Names of the table and its columns; Rails' own by default.
///
/// Names are checked here and quoted by the store once, when it opens.
///
/// # Examples
///
/// ```
/// use sqlbypass::Table;
///
/// let table = Table::new("app.web sessions")?.data_column("payload")?;
/// assert_eq!(table.name(), "app.web sessions");
/// # Ok::<(), sqlbypass::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    name: String,
    primary_key: Option<String>,
    session_id: String,
    data: String,
    user: Option<String>,
    layout: Layout,
}

/// How a table is laid out where it is made; what is there is taken as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// As Rails' migration makes it.
    #[default]
    Rails,
    /// The same columns without the index on `updated_at`, which each save has to maintain; on
    /// PostgreSQL with room in each page, so that a save touches no index at all, and on MySQL with
    /// a `mediumtext`. Tasks of this crate go by the primary key and do not miss the index; Rails'
    /// own trim would.
    Tuned,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            name: "sessions".into(),
            primary_key: None,
            session_id: "session_id".into(),
            data: "data".into(),
            user: None,
            layout: Layout::default(),
        }
    }
}

impl Table {
    /// A table of this name with Rails' columns. A dot separates the schema, on MySQL the database,
    /// from the table.
    ///
    /// # Errors
    ///
    /// When the name is empty, too long, holds a NUL, or has more parts than these two.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        for part in name.split('.') {
            checked(part.to_owned())?;
        }
        let parts = name.split('.').count();
        if parts > 2 {
            let problem = format!("its name has {parts} parts between dots");
            return Err(Error::config("naming the table", problem)
                .advice("write TABLE or SCHEMA.TABLE; another database is named by the URL"));
        }
        Ok(Self { name, ..Self::default() })
    }

    /// Names the primary key; without it the table is asked when the store opens.
    ///
    /// # Errors
    ///
    /// When the name is empty, too long, or holds a NUL.
    pub fn primary_key(mut self, name: impl Into<String>) -> Result<Self> {
        self.primary_key = Some(checked(name.into())?);
        Ok(self)
    }

    /// Names the id column, by default `session_id`.
    ///
    /// # Errors
    ///
    /// When the name is empty, too long, or holds a NUL.
    pub fn session_id_column(mut self, name: impl Into<String>) -> Result<Self> {
        self.session_id = checked(name.into())?;
        Ok(self)
    }

    /// Names the data column, by default `data`.
    ///
    /// # Errors
    ///
    /// When the name is empty, too long, or holds a NUL.
    pub fn data_column(mut self, name: impl Into<String>) -> Result<Self> {
        self.data = checked(name.into())?;
        Ok(self)
    }

    /// Names the optional column of users, usually `user_id`: whose session a row is, for
    /// [`Users`](crate::Users). Without it no column is taken for that, whatever its name: an
    /// application may have one of its own.
    ///
    /// A table that lacks the column works as well; users are then found by reading every row.
    ///
    /// # Errors
    ///
    /// When the name is empty, too long, or holds a NUL.
    pub fn user_column(mut self, name: impl Into<String>) -> Result<Self> {
        self.user = Some(checked(name.into())?);
        Ok(self)
    }

    /// Chooses the layout of a table that is made.
    #[must_use]
    pub fn with_layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Whether each column has one part to play. A store asks when it opens, so that nothing overwrites a
    /// column that holds something else.
    ///
    /// # Errors
    ///
    /// When two of the names are the same, in whatever case, or one is that of a time's column. The id may
    /// be the primary key.
    ///
    /// # Examples
    ///
    /// ```
    /// use sqlbypass::Table;
    ///
    /// let table = Table::default().data_column("updated_at")?;
    /// assert!(table.check().unwrap_err().is_config());
    /// # Ok::<(), sqlbypass::Error>(())
    /// ```
    pub fn check(&self) -> Result<()> {
        self.check_with(self.named_primary_key())
    }

    /// The same with the primary key that the table was found to have.
    pub(crate) fn check_with(&self, primary_key: Option<&str>) -> Result<()> {
        let own_key = primary_key.filter(|key| !key.eq_ignore_ascii_case(&self.session_id));
        let columns = [
            ("ids", Some(&*self.session_id)),
            ("data", Some(&*self.data)),
            ("users", self.user()),
            ("the primary key", own_key),
        ];
        let mut taken: Vec<(&str, &str)> = TIMES.map(|time| ("times", time)).to_vec();
        for (part, name) in columns {
            let Some(name) = name else { continue };
            if let Some((other, _)) = taken.iter().find(|(_, at)| at.eq_ignore_ascii_case(name)) {
                let problem =
                    format!("{name:?} is named as the column of {part} and is that of {other}");
                return Err(Error::config("naming the table's columns", problem)
                    .advice("name a column for each, or leave Rails' names"));
            }
            taken.push((part, name));
        }
        Ok(())
    }

    /// The layout of a table that is made.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The primary key that was named, if any.
    pub fn named_primary_key(&self) -> Option<&str> {
        self.primary_key.as_deref()
    }

    /// The id column's name.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// The data column's name.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The name that was given to the column of users, if any.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}

/// What a table was found to have, when the store opened or was asked again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schema {
    /// The primary key, if it has one.
    pub primary_key: Option<String>,
    /// Whether the table has `created_at`.
    pub created_at: bool,
    /// Whether it has `updated_at`.
    pub updated_at: bool,
    /// Whether it has `expires_at`, the optional column of ours.
    pub expires_at: bool,
    /// Whether it has the column of users that was named.
    pub user: bool,
    /// The data column's declared type, in lower case.
    pub data_type: String,
    /// The most bytes the data column takes, where it has a limit.
    pub data_limit: Option<u64>,
    /// The most characters the data column takes, where it counts these (`varchar(n)`).
    pub data_limit_chars: Option<u64>,
    /// Whether the id column has a unique index.
    pub unique_id: bool,
    /// Whether the id column compares otherwise than byte by byte.
    pub collated_id: bool,
}

/// What a database says of itself and of the table, as far as tasks and the doctor ask. A store may
/// leave out what it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The database's clock.
    pub clock: Option<SystemTime>,
    /// The columns that stand first in an index.
    pub indexed: Vec<String>,
    /// The type of the id column as the database writes it, in lower case; `None` where a type limits
    /// nothing, as on SQLite.
    pub id_type: Option<String>,
    /// Settings of the server and the connection by their own names.
    pub settings: Vec<(String, String)>,
    /// Statements that mend the table, by what they mend; they are printed and never run.
    pub cures: Vec<(String, String)>,
}

impl Facts {
    /// Whether a column stands first in an index; `None` where the store does not know.
    pub fn is_indexed(&self, column: &str) -> Option<bool> {
        let is_known = !self.indexed.is_empty();
        is_known.then(|| self.indexed.iter().any(|name| name.eq_ignore_ascii_case(column)))
    }

    /// A setting's value.
    pub fn setting(&self, name: &str) -> Option<&str> {
        named(&self.settings, name)
    }

    /// The statement that mends this, where the store knows one.
    pub fn cure(&self, what: &str) -> Option<&str> {
        named(&self.cures, what)
    }
}

fn named<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn checked(name: String) -> Result<String> {
    // A URL in the wrong place may hold a password, and names are told.
    if name.contains("://") {
        return Err(Error::config("naming a table or a column", "the name is a URL"));
    }
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
        return Err(Error::config(
            "naming a table or a column",
            "the name is empty, has a NUL or over 63 bytes",
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_taken_and_impossible_ones_refused() {
        assert!(Table::new("we\"ird ta`ble").is_ok());
        for name in ["", "a.", ".b", "nul\0", "postgres://ada:pw@db/shop"] {
            assert!(Table::new(name).unwrap_err().is_config());
        }
        assert!(Table::default().data_column("x".repeat(64)).is_err());
        assert!(Table::new("app.web.sessions").unwrap_err().is_config());
    }

    #[test]
    fn a_column_has_one_part() {
        let table = Table::default;
        for clash in [
            table().data_column("session_id"),
            table().data_column("Updated_At"),
            table().session_id_column("data"),
            table().session_id_column("created_at"),
            table().user_column("DATA"),
            table().user_column("session_id"),
            table().user_column("expires_at"),
            table().primary_key("data"),
            table().user_column("id").and_then(|table| table.primary_key("id")),
        ] {
            assert!(clash.and_then(|table| table.check()).unwrap_err().is_config());
        }
        assert!(table().user_column("id").unwrap().check_with(Some("id")).is_err());
        let swapped = table().session_id_column("data").and_then(|t| t.data_column("session_id"));
        assert!(swapped.unwrap().check_with(Some("data")).is_ok());
    }
}
