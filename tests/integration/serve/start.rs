//! Starting: what is made, what is printed, and how a failure reads.

use std::process::{Command, Output};

use tempfile::tempdir;

use super::client::Client;
use super::process::Server;

#[tokio::test]
async fn the_database_is_made_when_missing_and_kept_when_there() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("other.db");
    let url = format!("sqlite://{}", path.display());
    let arguments = ["--listen", "127.0.0.1:0", "--database", &url];
    let server = Server::start_with(folder.path(), &arguments).await;
    assert!(path.exists());
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    server.terminate();
    assert_eq!(server.end().await.0, Some(0));

    let server = Server::start_with(folder.path(), &arguments).await;
    client.follow(&server);
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
}

/// What is stored plain is read on, and encrypted when it is next written; who has other keys reads
/// nothing and loses nothing.
#[tokio::test]
async fn with_keys_what_is_stored_is_encrypted() {
    const OURS: &str = "k1:6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b";
    const OTHERS: &str = "k1:6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c6c";
    let folder = tempdir().unwrap();
    let stored = || {
        let database = rusqlite::Connection::open(folder.path().join("sessions.db")).unwrap();
        database.query_one("SELECT data FROM sessions", (), |row| row.get::<_, String>(0)).unwrap()
    };
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    server.kill().await;
    assert_eq!(stored(), r#"{"value":{"a":1}}"#);

    let with_keys = ["--listen", "127.0.0.1:0", "--keys-file", "keys"];
    std::fs::write(folder.path().join("keys"), OURS).unwrap();
    let server = Server::start_with(folder.path(), &with_keys).await;
    client.follow(&server);
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1}"#);
    client.put("b", "2").await.ok();
    server.kill().await;
    let sealed = stored();
    assert!(sealed.starts_with("sbe1.k1."), "{sealed}");

    std::fs::write(folder.path().join("keys"), OTHERS).unwrap();
    let server = Server::start_with(folder.path(), &with_keys).await;
    client.follow(&server);
    assert!(client.get("/api/session").await.status.is_server_error());
    assert!(client.put("c", "3").await.status.is_server_error());
    assert_eq!(stored(), sealed);
    server.terminate();
    let (_, out, err) = server.end().await;
    assert!(!format!("{out}{err}").contains("6c6c6c"), "{out}{err}");

    std::fs::write(folder.path().join("keys"), OURS).unwrap();
    let server = Server::start_with(folder.path(), &with_keys).await;
    client.follow(&server);
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1,"b":2}"#);
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let error = refused(&["--listen", &server.address]);
    assert!(error.contains(&server.address) && error.contains("stop it, or take a free one"));
}

#[test]
fn what_cannot_be_opened_is_told() {
    for (database, code, advice) in [
        ("sqlite:///nowhere/at/all.db", 1, "its folder has to exist and to be writable"),
        ("sqlite:///proc/sessions.db", 1, "its folder has to exist and to be writable"),
        ("sqlite:///dev", 1, "its folder has to exist and to be writable"),
        ("sqlite://missing.db?mode=rw", 1, "its folder has to exist"),
        ("sqlite://sessions.db?cache=1", 2, "known are mode=ro|rw|rwc"),
        ("sqlite://", 2, "write sqlite://sessions.db"),
        ("oracle://db", 2, "write sqlite://sessions.db"),
    ] {
        let error = told(code, &["--listen", "127.0.0.1:0", "--database", database]);
        assert!(error.contains(advice), "{database}: {error}");
    }
}

#[test]
fn a_file_that_is_no_database_or_holds_another_table_is_left_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let text = "no database, ".repeat(100);
    std::fs::write(&path, &text).unwrap();
    let url = format!("sqlite://{}", path.display());
    let error = refused(&["--listen", "127.0.0.1:0", "--database", &url]);
    assert!(error.contains("the file is no SQLite database"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);

    let path = folder.path().join("other.db");
    let create = "CREATE TABLE sessions (id integer PRIMARY KEY, session_id varchar)";
    rusqlite::Connection::open(&path).unwrap().execute_batch(create).unwrap();
    let url = format!("sqlite://{}", path.display());
    let error = refused(&["--listen", "127.0.0.1:0", "--database", &url]);
    assert!(error.contains("has no column \"data\""), "{error}");
}

#[test]
fn keys_that_cannot_be_had_are_told() {
    for (arguments, advice) in [
        (["--keys-file", "nowhere"], "nowhere cannot be read"),
        (["--keys-env", "NO_SUCH_KEYS"], "--keys-env takes the name of a variable"),
    ] {
        let output = run(&arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(advice) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn a_bad_address_is_told() {
    for (address, code) in
        [("3000", 2), ("127.0.0.1:99999", 2), ("", 2), ("256.0.0.1:1", 1), ("words", 2)]
    {
        let error = told(code, &["--listen", address]);
        assert!(error.contains("ADDRESS:PORT"), "{address}: {error}");
        // What is none may stand in the wrong place.
        assert!(address.is_empty() || !error.contains(&format!("{address}:")), "{error}");
    }
}

#[test]
fn a_usage_error_exits_2_and_offers_what_works() {
    for arguments in
        [&["--serializer", "yaml"][..], &["--cookie-name", ""], &["--unknown"], &["extra"]]
    {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let error = String::from_utf8(run(&["--serializer", "yaml"]).stderr).unwrap();
    assert!(error.contains("json") && error.contains("null"), "{error}");
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for part in ["sqlite://sessions.db", "127.0.0.1:3000", "_session_id", "[default: json]"] {
        assert!(help.contains(part), "{help}");
    }
}

/// Runs a start that fails, and answers its one line.
fn refused(arguments: &[&str]) -> String {
    told(1, arguments)
}

/// The same where it exits with this code.
fn told(code: i32, arguments: &[&str]) -> String {
    let output = run(arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(output.stdout.is_empty());
    assert!(error.starts_with("sqlbypass: ") && error.lines().count() == 1, "{error}");
    error
}

fn run(arguments: &[&str]) -> Output {
    let folder = tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sqlbypass"));
    command.current_dir(&folder).arg("serve").args(arguments).output().unwrap()
}
