//! The rows of the table, as somebody else sees and changes them.

use std::path::Path;

use sqlbypass::rusqlite::{Connection, OptionalExtension, params, types::Value};
use tempfile::TempDir;

/// A connection beside the store's.
pub struct Rows {
    raw: Connection,
    /// Goes with the last run.
    _folder: TempDir,
}

const NOW: &str = "strftime('%Y-%m-%d %H:%M:%f000', 'now')";

impl Rows {
    pub fn open(path: &Path, folder: TempDir) -> Self {
        let raw = Connection::open(path).expect("the store has made it");
        raw.execute_batch("PRAGMA busy_timeout = 10000; PRAGMA synchronous = OFF")
            .expect("they are settings");
        Self { raw, _folder: folder }
    }

    pub fn clear(&self) {
        self.run("DELETE FROM sessions");
    }

    /// Takes the lock on writing, which the store's writer waits for.
    pub fn lock(&self) {
        self.run("BEGIN IMMEDIATE");
    }

    pub fn unlock(&self) {
        self.run("COMMIT");
    }

    pub fn is_locked(&self) -> bool {
        !self.raw.is_autocommit()
    }

    pub fn count(&self) -> usize {
        let count = self.raw.query_row("SELECT count(*) FROM sessions", (), |row| row.get(0));
        usize::try_from(count.unwrap_or(0_i64)).expect("there are few")
    }

    /// As gem 1.x does.
    pub fn insert(&self, id: &str, data: &str) -> bool {
        let sql = format!("INSERT OR IGNORE INTO sessions VALUES (NULL, ?1, ?2, {NOW}, {NOW})");
        self.raw.execute(&sql, params![id, data]).expect("an INSERT that waits") == 1
    }

    pub fn data(&self, id: &str) -> Option<String> {
        let sql = "SELECT data FROM sessions WHERE session_id = ?1";
        self.raw.query_row(sql, [id], |row| row.get(0)).optional().expect("a SELECT")
    }

    /// As Rails does: the whole row, without a look at what it holds now.
    pub fn write(&self, id: &str, data: &str) -> bool {
        let sql =
            format!("UPDATE sessions SET data = ?2, updated_at = {NOW} WHERE session_id = ?1");
        self.raw.execute(&sql, params![id, data]).expect("an UPDATE that waits") == 1
    }

    pub fn delete(&self, id: &str) -> bool {
        let sql = "DELETE FROM sessions WHERE session_id = ?1";
        self.raw.execute(sql, [id]).expect("a DELETE that waits") == 1
    }

    /// Puts anything into a column, of any type; what was there before.
    pub fn spoil(&self, id: &str, column: &str, value: &Value) -> Option<Value> {
        let sql = format!("SELECT {column} FROM sessions WHERE session_id = ?1");
        let before = self.raw.query_row(&sql, [id], |row| row.get(0)).optional();
        let before = before.expect("a SELECT")?;
        let sql = format!("UPDATE sessions SET {column} = ?2 WHERE session_id = ?1");
        self.raw.execute(&sql, params![id, value]).expect("an UPDATE that waits");
        Some(before)
    }

    fn run(&self, sql: &str) {
        self.raw.execute_batch(sql).expect("it waits for the store's writer");
    }
}
