//! The database in trouble: a clear answer, nothing lost, and no id or data in what is written.

use std::path::Path;

use rusqlite::Connection;
use tempfile::tempdir;

use super::client::Client;
use super::process::Server;

fn database(folder: &Path) -> Connection {
    Connection::open(folder.join("sessions.db")).unwrap()
}

/// A session whose row somebody else has overwritten.
async fn spoilt(folder: &Path, server: &Server, data: &str) -> Client {
    let mut client = Client::new(server);
    client.put("a", "1").await.ok();
    database(folder).execute("UPDATE sessions SET data = ?", [data]).unwrap();
    client
}

#[tokio::test]
async fn a_row_that_cannot_be_decoded_is_told_and_kept() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let data = r#"{"value":{"a":hunter2}}"#;
    let mut client = spoilt(folder.path(), &server, data).await;
    for reply in [
        client.get("/api/session").await,
        client.put("b", "2").await,
        client.send("DELETE", "/api/session/a", "").await,
    ] {
        let error = reply.error(500);
        assert!(error.contains("not valid json at byte 14"), "{error}");
        assert!(error.contains("POST /api/reset or /api/logout"), "{error}");
        assert!(!error.contains("hunter2"));
        assert!(reply.cookie().is_none());
    }
    let reply = client.get("/api/life").await;
    assert!(reply.ok().contains("\"stored\":true"), "its life is known all the same");
    let kept: String = database(folder.path())
        .query_row("SELECT data FROM sessions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, data);
}

#[tokio::test]
async fn a_row_that_cannot_be_decoded_can_be_parted_with() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = spoilt(folder.path(), &server, "BAh7AA==").await;
    client.post("/api/renew").await.ok();
    client.get("/api/session").await.error(500);
    client.post("/api/reset").await.ok();
    assert_eq!(client.get("/api/session").await.ok(), "{}");

    let mut client = spoilt(folder.path(), &server, "BAh7AA==").await;
    client.post("/api/logout").await.ok();
    assert!(client.cookie.is_none());
    assert_eq!(client.get("/api/session").await.ok(), "{}");
}

#[tokio::test]
async fn a_null_row_is_an_empty_session() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    database(folder.path()).execute("UPDATE sessions SET data = NULL", []).unwrap();
    assert_eq!(client.get("/api/session").await.ok(), "{}");
    client.put("b", "2").await.ok();
    assert_eq!(client.get("/api/session").await.ok(), r#"{"b":2}"#);
}

#[tokio::test]
async fn a_commit_that_fails_is_no_success() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    let database = database(folder.path());
    database.execute_batch("ALTER TABLE sessions RENAME TO elsewhere").unwrap();
    for reply in [Client::new(&server).put("a", "2").await, client.put("a", "2").await] {
        assert!(reply.error(500).contains("table"));
        assert!(reply.cookie().is_none());
    }
    database.execute_batch("ALTER TABLE elsewhere RENAME TO sessions").unwrap();
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
    client.put("a", "2").await.ok();
}

#[tokio::test]
async fn a_read_only_database_is_read_and_a_change_is_refused() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    server.terminate();
    server.end().await;

    let arguments = ["--listen", "127.0.0.1:0", "--database", "sqlite://sessions.db?mode=ro"];
    let server = Server::start_with(folder.path(), &arguments).await;
    client.follow(&server);
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
    assert!(
        client.put("a", "2").await.error(500).contains("make the file and its folder writable")
    );
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
}

#[tokio::test]
async fn a_locked_database_is_tried_again_later() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    let database = database(folder.path());
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    client.put("a", "2").await.error(503);
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#, "readers do not wait");
    database.execute_batch("ROLLBACK").unwrap();
    client.put("a", "3").await.ok();
}

#[tokio::test]
async fn neither_ids_nor_data_are_written_out() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("keyword", "\"hunter2\"").await.ok();
    let id = client.cookie.clone().unwrap().split_once('=').unwrap().1.to_owned();
    let private: String = database(folder.path())
        .query_row("SELECT session_id FROM sessions", [], |row| row.get(0))
        .unwrap();
    client.put("keyword", "hunter2").await.error(400);
    let spoilt = r#"{"value":{"keyword":hunter2}}"#;
    database(folder.path()).execute("UPDATE sessions SET data = ?", [spoilt]).unwrap();
    client.get("/api/session").await.error(500);
    client.put("keyword", "\"hunter2\"").await.error(500);
    server.terminate();
    let (code, out, err) = server.end().await;
    assert_eq!(code, Some(0));
    assert_eq!(err.lines().count(), 2, "each failure is one line: {err}");
    assert!(err.lines().all(|line| line.starts_with("sqlbypass: ")), "{err}");
    for secret in [&*id, &private, &private[3..], "hunter2", "keyword"] {
        assert!(!out.contains(secret) && !err.contains(secret), "{out}{err}");
    }
}
