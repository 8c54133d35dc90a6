//! The examples run and keep a session.

use std::path::PathBuf;
use std::process::Command;

use tempfile::tempdir;

use super::client::Client;
use super::process::{Server, skip};

#[tokio::test]
async fn the_hyper_example_counts_visits() {
    counts_visits("hyper").await;
}

#[tokio::test]
async fn the_tower_example_counts_visits() {
    counts_visits("tower").await;
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn the_axum_example_counts_visits() {
    let Some((_folder, server)) = counts_visits("axum").await else { return };
    let mut client = Client::new(&server);
    client.get("/").await.ok();
    assert_eq!(client.post("/logout").await.status, 204);
    assert!(client.cookie.is_none());
}

async fn counts_visits(name: &str) -> Option<(tempfile::TempDir, Server)> {
    let folder = tempdir().unwrap();
    let Some(program) = built(name) else {
        skip(&format!("the example {name}: run cargo build --examples first"));
        return None;
    };
    let server = Server::run(Command::new(program).arg("127.0.0.1:0"), folder.path()).await;
    let mut client = Client::new(&server);
    for visit in 1..=3 {
        assert_eq!(client.get("/").await.ok(), format!("visit {visit}\n"));
    }
    assert_eq!(Client::new(&server).get("/").await.ok(), "visit 1\n");
    Some((folder, server))
}

/// Examples lie beside the folder of test programs; `cargo test` builds them, `--test` does not.
pub(super) fn built(name: &str) -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent()?.parent()?.join("examples").join(name);
    program.exists().then_some(program)
}
