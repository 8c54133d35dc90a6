//! The service on MariaDB: as on SQLite.

use tempfile::tempdir;

use super::client::Client;
use super::process::Server;
use crate::servers::MariaDb;

#[tokio::test]
async fn sessions_survive_kill_9() {
    if !MariaDb::available() {
        return;
    }
    let server = MariaDb::shared();
    let (folder, database) = (tempdir().unwrap(), server.create_schema().await);
    for url in [server.socket_url(&database), server.url(&database).replace("mysql:", "mariadb:")] {
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
}

#[tokio::test]
async fn a_database_that_cannot_be_had_is_told_without_its_password() {
    if !MariaDb::available() {
        return;
    }
    let server = MariaDb::shared();
    let database = server.create_schema().await;
    let wrong_password = server.url(&database).replace("p%40ss", "sentinel");
    let wrong_port = "mysql://app:sentinel@127.0.0.1:1/app".to_owned();
    let wrong_database = server.url("sentinel_is_no_database");
    let wrong_parameter = format!("{}?sentimental=sentinel", server.url(&database));
    for (url, code, problem) in [
        (wrong_password, 1, "1045"),
        (wrong_port, 1, "connection refused"),
        (wrong_database, 1, "1049"),
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
