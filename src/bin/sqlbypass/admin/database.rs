//! Which table, in which database.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sqlbypass::{AnyBuilder, AnyStore, Codec, Error, Keys, Serializer, SqliteStore, Table};

use crate::failure::Failure;
use crate::keys::KeyOptions;

/// A service has five seconds; a task can wait.
const DEADLINE: Duration = Duration::from_secs(30);

/// Which table, in which database
#[derive(Args, Debug)]
#[command(next_help_heading = "Database")]
pub(crate) struct Database {
    /// Where the sessions are: sqlite://FILE, or postgres:// or mysql://, then
    /// USER:PASSWORD@HOST/DATABASE
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database: String,
    /// The table; a dot separates its schema
    #[arg(long, value_name = "NAME", default_value = "sessions")]
    pub(super) table: String,
    /// The column of the ids
    #[arg(long, value_name = "NAME", default_value = "session_id")]
    session_id_column: String,
    /// The column of the data
    #[arg(long, value_name = "NAME", default_value = "data")]
    data_column: String,
    /// The primary key, where the table does not tell
    #[arg(long, value_name = "NAME")]
    primary_key: Option<String>,
    /// The column of users, where there is one: a user's sessions are found by it
    #[arg(long, value_name = "NAME")]
    user_column: Option<String>,
    /// What Rails calls the serializer: marshal, json, hybrid or null [default: hybrid]
    #[arg(long)]
    pub(super) serializer: Option<Serializer>,
    #[command(flatten)]
    keys: KeyOptions,
    /// How to answer; json is one object on standard output, {"error": "…"} where the command failed
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

/// For people or for programs
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Whether a URL names a file of SQLite's.
pub(crate) fn is_sqlite(url: &str) -> bool {
    ["sqlite:", "sqlite3:"].iter().any(|scheme| url.trim().starts_with(scheme))
}

impl Database {
    /// The table by its names.
    pub(super) fn table(&self) -> Result<Table, Failure> {
        let table = || {
            let table = Table::new(&*self.table)?
                .session_id_column(&*self.session_id_column)?
                .data_column(&*self.data_column)?;
            let table = match &self.primary_key {
                Some(name) => table.primary_key(&**name)?,
                None => table,
            };
            let table = match &self.user_column {
                Some(name) => table.user_column(&**name)?,
                None => table,
            };
            table.check().map(|()| table)
        };
        table().map_err(Failure::usage)
    }

    /// Whether a user's sessions are found by a column.
    pub(super) fn has_user_column(&self) -> bool {
        self.user_column.is_some()
    }

    /// Whether there is one writer at a time.
    pub(super) fn is_sqlite(&self) -> bool {
        is_sqlite(&self.database)
    }

    /// Settings for a store.
    pub(super) fn builder(&self) -> Result<AnyBuilder, Failure> {
        self.builder_for(false)
    }

    /// The same for one that may only look: nothing is changed, not even SQLite's way of keeping a
    /// journal.
    pub(super) fn looking(&self) -> Result<AnyBuilder, Failure> {
        self.builder_for(true)
    }

    fn builder_for(&self, look: bool) -> Result<AnyBuilder, Failure> {
        self.keys()?; // Wrong keys are wrong use, also where none are needed.
        let url = &*self.database;
        let builder = match self.is_sqlite() {
            // A file that is walked over once is not worth the memory that maps it.
            true => SqliteStore::url(url).map(|builder| match look {
                true => builder.mmap_size(0).query_only(true).into(),
                false => builder.mmap_size(0).into(),
            }),
            false => AnyStore::url(url),
        };
        Ok(builder.map_err(Failure::usage)?.table(self.table()?).deadline(DEADLINE))
    }

    /// The schema that the table's name begins with, if it does.
    pub(super) fn schema(&self) -> Option<&str> {
        self.table.rsplit_once('.').map(|(schema, _)| schema)
    }

    /// Settings as a service has them.
    pub(super) fn for_a_service(&self) -> Result<AnyBuilder, Failure> {
        self.keys()?;
        Ok(AnyStore::url(&self.database).map_err(Failure::usage)?.deadline(DEADLINE))
    }

    /// The keys, where they are named.
    pub(super) fn keys(&self) -> Result<Option<Keys>, Failure> {
        self.keys.read()
    }

    /// What reads the data; with keys also what is encrypted.
    pub(super) fn codec(&self) -> Result<Arc<dyn Codec>, Failure> {
        self.keys.codec(self.serializer())
    }

    /// The serializer; the one that reads most where none is named.
    pub(super) fn serializer(&self) -> Serializer {
        self.serializer.unwrap_or(Serializer::Hybrid)
    }

    /// Opens a table that is there.
    pub(super) async fn open(&self) -> Result<AnyStore, Failure> {
        self.builder()?.open().await.map_err(refused)
    }

    /// Opens it to look only.
    pub(super) async fn look(&self) -> Result<AnyStore, Failure> {
        self.looking()?.open().await.map_err(refused)
    }

    /// Opens it for a task, which in a dry run only looks.
    pub(super) async fn open_for(&self, dry_run: bool) -> Result<AnyStore, Failure> {
        if dry_run { self.look().await } else { self.open().await }
    }
}

/// What cannot be as it was named is wrong use, also where the table has to be seen for that. What the
/// server refuses, such as a password, is a failure.
fn refused(error: Error) -> Failure {
    if error.is_config() && error.code().is_none() { Failure::usage(error) } else { error.into() }
}
