//! A read of an unknown id is by the index; MariaDB's plan stands with its other tests.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::{Connection, OpenFlags};
use sqlbypass::{
    Json, Lookup, PostgresStore, SessionId, SessionLayer, SessionManager, SqliteStore, Store, Table,
};

use super::{read, send, with_id};
use crate::servers::Postgres;

const ROWS: i64 = 20_000;
const READS: i64 = 100;

async fn flood(store: impl Store) {
    let layer = SessionLayer::new(SessionManager::new(store, Json));
    for _ in 0..READS {
        send(&layer, with_id(&SessionId::generate().unwrap()), read).await;
    }
}

/// SQLite's plan of the statement that it was sent.
#[tokio::test]
async fn on_sqlite() {
    const URI: &str = "file:/indexed?vfs=memdb";
    let sent = Arc::<Mutex<String>>::default();
    let note = Arc::clone(&sent);
    let connect = move || {
        let mut connection = Connection::open_with_flags(URI, OpenFlags::default())?;
        let note = Arc::clone(&note);
        let hook = move |event: TraceEvent<'_>| {
            if let TraceEvent::Stmt(_, sql) = event
                && sql.starts_with("SELECT")
            {
                *note.lock().unwrap() = sql.to_owned();
            }
        };
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(hook))?;
        Ok(connection)
    };
    let store = SqliteStore::factory(connect).create(true).readers(1).open().await.unwrap();
    let raw = Connection::open_with_flags(URI, OpenFlags::default()).unwrap();
    sent.lock().unwrap().clear();
    flood(store).await;
    let sql = sent.lock().unwrap().clone();
    assert!(sql.contains("session_id"), "a find was seen");
    let mut plan = raw.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = plan.query_map(("", ""), |row| row.get(3)).unwrap();
    let steps: Vec<String> = steps.map(Result::unwrap).collect();
    // What is scanned is the pair of ids. Only under a timeout is there a second search, for a private
    // row that has expired.
    let by_index = |step: &&String| step.starts_with("SEARCH") && step.contains(" INDEX ");
    let is_pair = |step: &&String| ["SCAN CONSTANT ROW", "SCAN lookup"].contains(&step.as_str());
    let reads = |step: &&String| step.starts_with("SEARCH") || step.starts_with("SCAN");
    let (indexed, others): (Vec<_>, Vec<_>) =
        steps.iter().filter(reads).filter(|step| !is_pair(step)).partition(by_index);
    assert!(indexed.len() == 1 && others.is_empty(), "{steps:?}");
}

/// PostgreSQL's own counts, with many rows beside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    let schema = server.create_schema().await;
    let table = format!("{schema}.sessions");
    let builder = PostgresStore::url(&server.socket_url("postgres")).unwrap();
    let builder = builder.table(Table::new(&*table).unwrap()).max_connections(1);
    let store = builder.create(true).open().await.unwrap();
    let raw = server.connect("postgres").await;
    let fill = format!(
        "INSERT INTO {table} (session_id, data, created_at, updated_at)
         SELECT '2::' || encode(sha256(n::text::bytea), 'hex'), '{{}}', now(), now()
         FROM generate_series(1, {ROWS}) n"
    );
    raw.batch_execute(&fill).await.unwrap();
    raw.batch_execute(&format!("ANALYZE {table}")).await.unwrap();
    let scans = async || -> (i64, i64) {
        let sql = "SELECT seq_tup_read, coalesce(idx_scan, 0) FROM pg_stat_user_tables
                   WHERE schemaname = $1";
        let row = raw.query_one(sql, &[&schema]).await.unwrap();
        (row.get(0), row.get(1))
    };
    let (_, by_index) = scans().await;
    flood(store.clone()).await;
    // The count comes a moment after the statements, at the end of a later one.
    let begun = Instant::now();
    loop {
        store.find(&Lookup::new(&SessionId::generate().unwrap())).await.unwrap();
        let (read_past_it, now) = scans().await;
        if now >= by_index + READS {
            assert!(read_past_it < ROWS, "the table was read from end to end");
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "the index was not used");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
