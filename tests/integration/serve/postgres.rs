//! The service on PostgreSQL: as on SQLite.

use tempfile::tempdir;

use super::client::Client;
use super::process::Server;
use crate::servers::Postgres;

/// A schema of its own, which the service finds by its search path.
async fn url() -> String {
    let server = Postgres::shared();
    let schema = server.create_schema().await;
    format!("{}?options=-csearch_path%3D{schema}", server.socket_url("postgres"))
}

#[tokio::test]
async fn sessions_survive_kill_9() {
    if !Postgres::available() {
        return;
    }
    let (folder, url) = (tempdir().unwrap(), url().await);
    let arguments = ["--listen", "127.0.0.1:0", "--database", url.as_str()];
    let mut server = Server::start_with(folder.path(), &arguments).await;
    let mut client = Client::new(&server);
    let mut expected = serde_json::Map::new();
    for round in 0..3 {
        client.follow(&server);
        client.put(&format!("round{round}"), &round.to_string()).await.ok();
        server.kill().await;
        expected.insert(format!("round{round}"), round.into());
        server = Server::start_with(folder.path(), &arguments).await;
        client.follow(&server);
        let reply = client.get("/api/session").await;
        let values: serde_json::Value = serde_json::from_str(reply.ok()).unwrap();
        assert_eq!(values, serde_json::Value::Object(expected.clone()));
    }
    client.post("/api/logout").await.ok();
    let reply = client.get("/api/session").await;
    assert_eq!(reply.ok(), "{}");
    server.terminate();
    let (code, _, err) = server.end().await;
    assert_eq!((code, &*err), (Some(0), ""));
}

#[tokio::test]
async fn a_database_that_cannot_be_had_is_told_without_its_password() {
    if !Postgres::available() {
        return;
    }
    let server = Postgres::shared();
    let wrong_password = server.url("postgres").replace("p%40ss", "sentinel");
    let wrong_port = "postgres://app:sentinel@127.0.0.1:1/postgres".to_owned();
    let wrong_database = server.url("sentinel_is_no_database");
    let wrong_parameter = format!("{}?sentimental=sentinel", server.url("postgres"));
    for (url, code, problem) in [
        (wrong_password, 1, "28P01"),
        (wrong_port, 1, "connection refused"),
        (wrong_database, 1, "3D000"),
        (wrong_parameter, 2, "sentimental"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sqlbypass"));
        let output = command.args(["serve", "--listen", "127.0.0.1:0"]).env("DATABASE_URL", url);
        let output = output.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(problem), "{said}");
        assert!(!said.contains("sentinel@") && !said.contains(":sentinel"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
