//! The floor on SQLite: one thread that loops over rusqlite's prepared statements.

use std::sync::Mutex;
use std::time::SystemTime;

use bench_kit::{Args, Data, Result, Rival, private_id};
use rusqlite::{Connection, params};

fn main() -> Result<()> {
    bench_kit::run::<Floor>()
}

struct Floor(Mutex<Connection>);

impl Floor {
    fn execute(&self, sql: &str, values: impl rusqlite::Params) -> Result<()> {
        let connection = self.0.lock().expect("a connection");
        match connection.prepare_cached(sql)?.execute(values)? {
            1 => Ok(()),
            rows => Err(format!("{rows} rows").into()),
        }
    }
}

impl Rival for Floor {
    const SERIAL: bool = true;

    async fn connect(args: &Args) -> Result<Self> {
        let connection = Connection::open(&args.url)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", args.synchronous())?;
        Ok(Self(Mutex::new(connection)))
    }

    async fn find(&self, id: &str, _: usize) -> Result<usize> {
        const SQL: &str =
            "SELECT session_id, data, created_at, updated_at FROM sessions WHERE session_id = ?1";
        let connection = self.0.lock().expect("a connection");
        let mut find = connection.prepare_cached(SQL)?;
        let data =
            find.query_row([private_id(id)], |row| Ok(row.get_ref(1)?.as_bytes()?.to_vec()))?;
        Ok(std::hint::black_box(data).len())
    }

    async fn save(&self, id: &str, _: usize, data: &Data) -> Result<()> {
        const SQL: &str = "UPDATE sessions SET data = ?1, updated_at = ?2 WHERE session_id = ?3";
        self.execute(SQL, params![data.json(), now(), private_id(id)])
    }

    async fn insert(&self, id: &str, data: &Data) -> Result<()> {
        const SQL: &str = "INSERT INTO sessions (session_id, data, created_at, updated_at) \
                           VALUES (?1, ?2, ?3, ?3)";
        self.execute(SQL, params![private_id(id), data.json(), now()])
    }

    async fn destroy(&self, id: &str) -> Result<()> {
        self.execute("DELETE FROM sessions WHERE session_id = ?1", [private_id(id)])
    }
}

/// Text as long as a time's, and later at each call of a run.
fn now() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
    let (seconds, micros) = (now.as_secs() % 86_400, now.subsec_micros());
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("2026-01-01 {hour:02}:{minute:02}:{second:02}.{micros:06}")
}
