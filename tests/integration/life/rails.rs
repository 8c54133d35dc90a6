//! A Rails app as far as the table is concerned: its statements, sent by a process of its own.

use std::process::Stdio;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, OptsBuilder, Params};
use rusqlite::{Connection, params_from_iter};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

/// Where the process finds its database.
const URL: &str = "SQLBYPASS_TEST_RAILS";
/// What its answers begin with, among the words of the test harness.
const MARK: &str = "<answer>";

/// Which rows the gem's trim takes.
#[derive(Clone, Copy)]
pub(crate) enum Trim {
    /// Those not saved since; earlier versions.
    Use,
    /// And those that have begun before, which is each of the former too: version 2.3.
    UseAndAge,
}

/// The process; it ends with this.
pub(crate) struct Rails {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
    numbered: bool,
    table: String,
}

impl Rails {
    pub(crate) async fn start(url: &str, table: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "life::rails::is_a_rails_app_when_asked", "--nocapture"]);
        command.env(URL, url).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.kill_on_drop(true).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let numbered = url.starts_with("postgres:");
        Self { input, output, _process: process, numbered, table: table.to_owned() }
    }

    /// The data of a row, if there is one.
    pub(crate) async fn read(&mut self, stored: &str) -> Option<String> {
        let sql = format!("SELECT data FROM {} WHERE session_id = ? LIMIT 1", self.table);
        let answer = self.ask(&sql, &[stored], true).await;
        answer.as_array().unwrap().first().map(|data| data.as_str().unwrap().to_owned())
    }

    /// Writes the whole row, whatever it holds by now; says whether there was one.
    pub(crate) async fn write(&mut self, stored: &str, data: &str) -> bool {
        let sql = format!("UPDATE {} SET data = ? WHERE session_id = ?", self.table);
        self.execute(&sql, &[data, stored]).await == 1
    }

    /// Signs out; says whether there was a row.
    pub(crate) async fn destroy(&mut self, stored: &str) -> bool {
        let sql = format!("DELETE FROM {} WHERE session_id = ?", self.table);
        self.execute(&sql, &[stored]).await == 1
    }

    /// The gem's task, in batches by primary key. Says how many rows went.
    pub(crate) async fn trim(&mut self, by: Trim, cutoff: &str) -> u64 {
        let old = match by {
            Trim::Use => format!("updated_at < '{cutoff}'"),
            Trim::UseAndAge => format!("(updated_at < '{cutoff}' OR created_at < '{cutoff}')"),
        };
        let batch = format!(
            "SELECT CAST(id AS char(20)) FROM {} WHERE {old} ORDER BY id LIMIT 1000",
            self.table
        );
        let mut trimmed = 0;
        loop {
            let ids = self.ask(&batch, &[], true).await;
            let ids: Vec<&str> =
                ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap().trim()).collect();
            if ids.is_empty() {
                return trimmed;
            }
            let delete = format!("DELETE FROM {} WHERE id IN ({})", self.table, ids.join(", "));
            trimmed += self.execute(&delete, &[]).await;
        }
    }

    /// How many rows a statement met.
    pub(crate) async fn execute(&mut self, sql: &str, values: &[&str]) -> u64 {
        self.ask(sql, values, false).await.as_u64().unwrap()
    }

    async fn ask(&mut self, sql: &str, values: &[&str], reads: bool) -> Value {
        let mut sql = sql.to_owned();
        for number in (1..=values.len()).filter(|_| self.numbered) {
            sql = sql.replacen('?', &format!("${number}"), 1);
        }
        let request = json!({"sql": sql, "values": values, "reads": reads});
        self.input.write_all(format!("{request}\n").as_bytes()).await.unwrap();
        loop {
            let line = self.output.next_line().await.unwrap().expect("Rails goes on");
            if let Some((_, answer)) = line.split_once(MARK) {
                return serde_json::from_str(answer).unwrap();
            }
        }
    }
}

/// What [`Rails`] starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_a_rails_app_when_asked() {
    let Ok(url) = std::env::var(URL) else { return };
    let mut driver = Driver::connect(&url).await;
    let mut requests = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = requests.next_line().await.unwrap() {
        let request: Value = serde_json::from_str(&line).unwrap();
        let values = request["values"].as_array().unwrap();
        let values: Vec<&str> = values.iter().map(|value| value.as_str().unwrap()).collect();
        let answer = driver.answer(request["sql"].as_str().unwrap(), &values);
        let (rows, count) = answer.await;
        let answer = if request["reads"] == true { json!(rows) } else { json!(count) };
        println!("{MARK}{answer}");
    }
}

enum Driver {
    Sqlite(Connection),
    Postgres(Client),
    MariaDb(Conn),
}

impl Driver {
    async fn connect(url: &str) -> Self {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let mut raw = Connection::open(path).unwrap();
            raw.busy_handler(Some(|_| true)).unwrap();
            return Self::Sqlite(raw);
        }
        if url.starts_with("postgres:") {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
            tokio::spawn(connection);
            return Self::Postgres(client);
        }
        let opts = mysql_async::Opts::from_url(url).unwrap();
        let opts = OptsBuilder::from_opts(opts).client_found_rows(true);
        Self::MariaDb(Conn::new(opts).await.unwrap())
    }

    /// The texts of its first column, and how many rows it met.
    async fn answer(&mut self, sql: &str, values: &[&str]) -> (Vec<String>, u64) {
        match self {
            Self::Sqlite(raw) => {
                let mut statement = raw.prepare(sql).unwrap();
                let values = params_from_iter(values);
                if statement.column_count() == 0 {
                    return (Vec::new(), statement.execute(values).unwrap() as u64);
                }
                let rows = statement.query_map(values, |row| row.get(0)).unwrap();
                (rows.map(Result::unwrap).collect(), 0)
            }
            Self::Postgres(client) => {
                let statement = client.prepare(sql).await.unwrap();
                let values: Vec<&(dyn ToSql + Sync)> =
                    values.iter().map(|value| value as _).collect();
                if statement.columns().is_empty() {
                    return (Vec::new(), client.execute(&statement, &values).await.unwrap());
                }
                let rows = client.query(&statement, &values).await.unwrap();
                (rows.iter().map(|row| row.get(0)).collect(), 0)
            }
            Self::MariaDb(conn) => {
                let values: Vec<mysql_async::Value> =
                    values.iter().map(|value| (*value).into()).collect();
                let values =
                    if values.is_empty() { Params::Empty } else { Params::Positional(values) };
                let rows = conn.exec(sql, values).await.unwrap();
                (rows, conn.affected_rows())
            }
        }
    }
}
