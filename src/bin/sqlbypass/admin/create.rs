//! `sqlbypass create`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use sqlbypass::{AnyBuilder, Error, Layout, Maintenance as _, Table};

use super::database::Database;
use super::output::answer;
use super::task::block_on;
use crate::discreet;
use crate::failure::Failure;

const EXAMPLES: &str = "\
Examples:
  sqlbypass create --database sqlite://app.db
  sqlbypass create --print --database postgres://app@db/shop
  sqlbypass create --migration migrations/20260101_sessions.sql --database mysql://app@db/shop
  sqlbypass create --migration db/migrate/20260101000000_create_sessions.rb --profile tuned --database \
postgres://app@db/shop
  sqlbypass create --add-user-column --user-column user_id --print --database postgres://app@db/shop

Profiles:
  rails  the table and the indexes of Rails' migration
  tuned  the same columns, and saves that cost less: no index on updated_at, which every save has to
         maintain (2.1 times the saves on SQLite); on PostgreSQL pages that are filled to 85 % and ids
         that are compared as bytes, so that a save touches no index at all; on MySQL a mediumtext
         for the data. trim goes by the primary key and needs no other index. Rails works on it, but
         its own trim reads the whole table.

--user-column NAME adds a column that says whose session a row is. A table in use gets it by
--add-user-column, which shows the SQL and runs none: nobody waits but SQLite's writers while the index is
made, and on PostgreSQL it is made outside a transaction. Rails takes no notice of the column; run
backfill afterwards.";

/// Make the table, or show how
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Print the SQL; nothing is connected to
    #[arg(long)]
    print: bool,
    /// The layout, see below
    #[arg(long, value_enum, default_value = "rails")]
    profile: Profile,
    /// Write the SQL to a new file, as a Rails migration if it ends in .rb; nothing is connected to
    #[arg(long, value_name = "FILE", conflicts_with = "print")]
    migration: Option<PathBuf>,
    /// Show only what gives a table in use its column of users, for --print or --migration
    #[arg(long, requires = "user_column")]
    add_user_column: bool,
    /// Of other commands; here it is --print
    #[arg(long, hide = true)]
    dry_run: bool,
    #[command(flatten)]
    database: Database,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Profile {
    Rails,
    Tuned,
}

impl From<Profile> for Layout {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Rails => Self::Rails,
            Profile::Tuned => Self::Tuned,
        }
    }
}

/// Makes, prints or writes.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if options.dry_run {
        let problem = "create has no --dry-run: --print shows the SQL and connects nowhere";
        return Err(Failure::Usage(problem.into()));
    }
    let table = options.database.table()?.with_layout(options.profile.into());
    let builder = options.database.builder()?.table(table.clone());
    let statements = match options.add_user_column {
        true => builder.user_migration()?,
        false => builder.creation()?,
    };
    let format = options.database.format;
    if options.print {
        return answer(format, &script(&statements), &json!({ "statements": statements }));
    }
    match &options.migration {
        Some(file) => {
            write(file, &statements, &undo(options, &table))?;
            let name = discreet::text(&file.display().to_string());
            answer(format, &format!("wrote {name}"), &json!({ "wrote": name }))
        }
        None if options.add_user_column => {
            let problem = "a table in use is yours to change: say --print, or --migration FILE";
            Err(Failure::Usage(problem.into()))
        }
        None => block_on(make(options, builder)),
    }
}

/// What takes it back, in Ruby.
fn undo(options: &Options, table: &Table) -> String {
    let quoted = |name: &str| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"));
    let name = quoted(table.name());
    match table.user() {
        Some(column) if options.add_user_column => {
            format!("remove_column {name}, {}", quoted(column))
        }
        _ => format!("drop_table {name}"),
    }
}

async fn make(options: &Options, builder: AnyBuilder) -> Result<(), Failure> {
    // Lazily: with `create` it would make the table while opening, and not say so.
    let store = builder.create(true).lazy(true).open().await?;
    let created = store.create().await?;
    let table = options.database.table()?;
    let lacks = match table.user() {
        Some(column) if !store.inspect().await?.user => Some(column),
        _ => None,
    };
    store.close().await?;
    if let Some(column) = lacks {
        return Err(Failure::failed(format!(
            "the table is there already and has no column {column}: sqlbypass create \
             --add-user-column --user-column {column} --print shows the SQL that adds it"
        )));
    }
    let text = if created { "created the table" } else { "the table is there already" };
    answer(options.database.format, text, &json!({"created": created}))
}

/// The statements, each with its end.
fn script(statements: &[String]) -> String {
    statements.iter().map(|sql| format!("{};\n", sql.trim_end())).collect()
}

fn write(file: &Path, statements: &[String], undo: &str) -> Result<(), Failure> {
    let is_ruby = file.extension().is_some_and(|extension| extension == "rb");
    let text = if is_ruby { ruby(file, statements, undo) } else { script(statements) };
    let doing = "writing the migration";
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|fault| match fault.kind() {
        ErrorKind::AlreadyExists => {
            let problem = format!("{} is there already", file.display());
            Failure::usage(Error::config(doing, problem).advice("name a new file"))
        }
        _ => Error::config(doing, format!("{}: {fault}", file.display()))
            .advice("name a new file in a folder that can be written")
            .into(),
    })
}

/// A migration of Rails that runs the statements.
fn ruby(file: &Path, statements: &[String], undo: &str) -> String {
    let class = class(file);
    let mut text = format!("class {class} < ActiveRecord::Migration[6.1]\n");
    if statements.iter().any(|sql| sql.contains(" CONCURRENTLY ")) {
        text.push_str("  disable_ddl_transaction!\n\n");
    }
    text.push_str("  def up\n");
    for sql in statements {
        text.push_str("    execute <<~'SQL'\n");
        for line in sql.trim_end().lines() {
            text.push_str(&format!("      {line}\n"));
        }
        text.push_str("    SQL\n");
    }
    text.push_str(&format!("  end\n\n  def down\n    {undo}\n  end\nend\n"));
    text
}

/// The name that Rails expects in a file: `20260101000000_create_sessions.rb` has `CreateSessions`.
fn class(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let words = stem.trim_start_matches(|c: char| c.is_ascii_digit()).split('_');
    let capital = |word: &str| {
        let mut chars = word.chars().filter(char::is_ascii_alphanumeric);
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    let name: String = words.map(capital).collect();
    if name.is_empty() { "CreateSessions".into() } else { name }
}
