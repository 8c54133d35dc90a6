//! A table of its own on any of the databases, a way round the store, and the program.

use std::ops::Range;
use std::process::{Output, Stdio};
use std::time::{Duration, SystemTime};

use mysql_async::prelude::Queryable as _;
use serde_json::Value as Json;
use sqlbypass::{AnyStore, SessionId};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::random::Random;
use crate::servers::{MariaDb, Postgres};

/// A connection beside the store's.
enum Raw {
    Sqlite(rusqlite::Connection),
    Postgres(tokio_postgres::Client),
    MySql(mysql_async::Conn),
}

/// A database with nothing in it.
pub(super) struct Place {
    pub(super) url: String,
    raw: Mutex<Raw>,
    pub(super) folder: TempDir,
}

/// Long ago, by every clock.
pub(super) const OLD: &str = "2020-01-01 00:00:00";

impl Place {
    pub(super) async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.db");
        let mut raw = rusqlite::Connection::open(&path).unwrap();
        raw.busy_handler(Some(|_| true)).unwrap();
        let raw = Mutex::new(Raw::Sqlite(raw));
        Some(Self { url: format!("sqlite://{}", path.display()), raw, folder })
    }

    pub(super) async fn postgres() -> Option<Self> {
        if !Postgres::available() {
            return None;
        }
        let server = Postgres::shared();
        let schema = server.create_schema().await;
        let raw = server.connect("postgres").await;
        raw.batch_execute(&format!("SET search_path = {schema}")).await.unwrap();
        let url = format!("{}?options=-csearch_path%3D{schema}", server.socket_url("postgres"));
        let folder = tempfile::tempdir().unwrap();
        Some(Self { url, raw: Mutex::new(Raw::Postgres(raw)), folder })
    }

    pub(super) async fn mariadb() -> Option<Self> {
        if !MariaDb::available() {
            return None;
        }
        let server = MariaDb::shared();
        let database = server.create_schema().await;
        let raw = Mutex::new(Raw::MySql(server.connect(&database).await));
        let folder = tempfile::tempdir().unwrap();
        Some(Self { url: server.socket_url(&database), raw, folder })
    }

    pub(super) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// The store, which makes Rails' table.
    pub(super) async fn store(&self) -> AnyStore {
        AnyStore::url(&self.url).unwrap().create(true).open().await.unwrap()
    }

    /// Runs SQL that every database understands.
    pub(super) async fn sql(&self, sql: &str) {
        match &mut *self.raw.lock().await {
            Raw::Sqlite(raw) => raw.execute_batch(sql).unwrap(),
            Raw::Postgres(raw) => raw.batch_execute(sql).await.unwrap(),
            Raw::MySql(raw) => {
                for statement in sql.split(";\n").filter(|text| !text.trim().is_empty()) {
                    raw.query_drop(statement).await.unwrap();
                }
            }
        }
    }

    /// Runs one statement, and says whether the server took it.
    pub(super) async fn tried(&self, sql: &str) -> bool {
        match &mut *self.raw.lock().await {
            Raw::Sqlite(raw) => raw.execute_batch(sql).is_ok(),
            Raw::Postgres(raw) => raw.batch_execute(sql).await.is_ok(),
            Raw::MySql(raw) => raw.query_drop(sql).await.is_ok(),
        }
    }

    /// The same as it is for a user who may come into the schema, or the database, and no further.
    pub(super) async fn of_a_stranger(&self) -> Self {
        let (scheme, rest) = self.url.split_once("://").unwrap();
        let (_, rest) = rest.split_once('@').unwrap();
        let name = match &*self.raw.lock().await {
            Raw::Sqlite(_) => panic!("it has no users"),
            Raw::Postgres(_) => rest.split_once("search_path%3D").unwrap().1.to_owned(),
            Raw::MySql(_) => rest.split(['/', '?']).nth(1).unwrap().to_owned(),
        };
        let user = format!("stranger_{name}");
        self.sql(&match scheme {
            "postgres" => format!(
                "CREATE ROLE {user} LOGIN PASSWORD 'plain'; GRANT USAGE ON SCHEMA {name} TO {user}"
            ),
            // Nobody comes in who has no right at all.
            _ => format!(
                "CREATE USER {user}@'%' IDENTIFIED BY 'plain';\n\
                 GRANT EXECUTE ON {name}.* TO {user}@'%'"
            ),
        })
        .await;
        let url = format!("{scheme}://{user}:plain@{rest}");
        let raw = Raw::Sqlite(rusqlite::Connection::open_in_memory().unwrap());
        Self { url, raw: Mutex::new(raw), folder: tempfile::tempdir().unwrap() }
    }

    /// The first column of an answer, as text, in the order of its values.
    pub(super) async fn column(&self, sql: &str) -> Vec<String> {
        let mut texts: Vec<String> = match &mut *self.raw.lock().await {
            Raw::Sqlite(raw) => {
                let mut statement = raw.prepare(sql).unwrap();
                let text = |row: &rusqlite::Row<'_>| match row.get_ref(0)? {
                    rusqlite::types::ValueRef::Integer(number) => Ok(number.to_string()),
                    value => Ok(value.as_str_or_null()?.unwrap_or_default().to_owned()),
                };
                statement.query_map((), text).unwrap().map(Result::unwrap).collect()
            }
            Raw::Postgres(raw) => {
                let rows = raw.simple_query(sql).await.unwrap();
                let text = |message| match message {
                    tokio_postgres::SimpleQueryMessage::Row(row) => {
                        Some(row.get(0).unwrap_or_default().to_owned())
                    }
                    _ => None,
                };
                rows.into_iter().filter_map(text).collect()
            }
            Raw::MySql(raw) => {
                let sql = sql.replace("session_id", "CAST(session_id AS CHAR)");
                let rows: Vec<mysql_async::Row> = raw.query(sql).await.unwrap();
                rows.iter()
                    .map(|row| row.get::<Option<String>, _>(0).unwrap().unwrap_or_default())
                    .collect()
            }
        };
        texts.sort();
        texts
    }

    pub(super) async fn count(&self, condition: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM sessions WHERE {condition}");
        self.column(&sql).await[0].parse().unwrap()
    }

    /// Puts rows in: id, data, created_at, updated_at.
    pub(super) async fn put(&self, rows: &[(String, &str, &str, &str)]) {
        for rows in rows.chunks(500) {
            let rows: Vec<String> = rows
                .iter()
                .map(|(id, data, created, updated)| {
                    format!("('{id}', '{data}', '{created}', '{updated}')")
                })
                .collect();
            let rows = rows.join(", ");
            self.sql(&format!(
                "INSERT INTO sessions (session_id, data, created_at, updated_at) VALUES {rows}"
            ))
            .await;
        }
    }

    /// The program with these arguments on this database.
    pub(super) fn command(&self, arguments: &str) -> Command {
        let mut command = program(arguments);
        command.arg("--database").arg(&self.url).current_dir(self.folder.path());
        command
    }

    /// Runs the program to its end.
    pub(super) async fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// Runs it with `--format json`; what it answers when it succeeds.
    pub(super) async fn json(&self, arguments: &str) -> Json {
        self.json_of(0, arguments).await
    }

    /// The same when it exits with this code.
    pub(super) async fn json_of(&self, code: i32, arguments: &str) -> Json {
        let output = self.run(&format!("{arguments} --format json")).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts it and lets it work until so many rows match.
    pub(super) async fn start(
        &self,
        arguments: &str,
        condition: &str,
        is_enough: impl Fn(u64) -> bool,
    ) -> Child {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while !is_enough(self.count(condition).await) {
            assert!(child.try_wait().unwrap().is_none(), "it ended too early: {arguments}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child
    }
}

/// Kills it; `count` counts once the server has finished what it was sent.
pub(super) async fn killed(mut child: Child, count: impl AsyncFn() -> u64) -> u64 {
    child.kill().await.unwrap();
    let mut last = count().await;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = count().await;
        if now == last {
            return now;
        }
        last = now;
    }
}

/// The program, which takes nothing from the environment; `SQLBYPASS_PROGRAM` is another build of it.
pub(super) fn program(arguments: &str) -> Command {
    let ours = env!("CARGO_BIN_EXE_sqlbypass").into();
    let mut command = Command::new(std::env::var_os("SQLBYPASS_PROGRAM").unwrap_or(ours));
    command.env_remove("DATABASE_URL").env_remove("SESSION_DAYS_TRIM_THRESHOLD");
    command.args(arguments.split_whitespace()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// So many rows, other ones each time; told, so that a failure can be had again.
pub(super) fn anywhere(rows: Range<usize>) -> u64 {
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let some = rows.start + Random(time).below(rows.len());
    println!("at {some} rows");
    some as u64
}

/// A private id as rows have it.
pub(super) fn private() -> String {
    SessionId::generate().unwrap().private().as_str().to_owned()
}

/// A raw id as gem 1.x stored it.
pub(super) fn raw() -> String {
    SessionId::generate().unwrap().as_str().to_owned()
}

/// Now, as rows have it.
pub(super) fn now() -> String {
    let seconds = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let time = time::OffsetDateTime::from_unix_timestamp(seconds as i64).unwrap();
    format!("{} {:02}:{:02}:{:02}", time.date(), time.hour(), time.minute(), time.second())
}

/// What a program wrote, on either side.
pub(super) fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Sends a signal by its name.
pub(super) fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id().unwrap());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}
