//! The examples run and keep a session.

use std::path::PathBuf;
use std::process::Command;

use tempfile::tempdir;

use super::client::Client;
use super::process::{Server, eventually, skip};

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

/// What happened stands in the scrape, and ids nowhere; a guesser is told of.
#[cfg(feature = "metrics")]
#[tokio::test]
async fn the_prometheus_example_is_scraped() {
    let Some((_folder, server)) = counts_visits("prometheus").await else { return };
    let mut ids = Vec::new();
    for _ in 0..100 {
        let mut guesser = Client::new(&server);
        ids.push(sqlbypass::SessionId::generate().unwrap());
        guesser.cookie = Some(format!("_session_id={}", ids[ids.len() - 1].as_str()));
        assert_eq!(guesser.get("/").await.ok(), "visit 1\n");
    }
    let scraped = Client::new(&server).get("/metrics").await;
    let scraped = scraped.ok();
    let find = "database=\"sqlite\",operation=\"find\"";
    for line in [
        format!("sqlbypass_operations_total{{{find},outcome=\"found\"}} 2\n"),
        format!("sqlbypass_operations_total{{{find},outcome=\"missing\"}} 100\n"),
        format!("sqlbypass_operation_duration_seconds_count{{{find}}} 102\n"),
        format!("sqlbypass_operation_duration_seconds_bucket{{{find},le=\"+Inf\"}} 102\n"),
        "sqlbypass_session_events_total{event=\"created\"} 102\n".into(),
        "sqlbypass_loads_total{outcome=\"unknown\"} 100\n".into(),
        "sqlbypass_commits_total{outcome=\"saved\"} 2\n".into(),
        "sqlbypass_commit_duration_seconds_count 104\n".into(),
        "sqlbypass_unknown_ids_total 100\n".into(),
        "# TYPE sqlbypass_operation_duration_seconds histogram\n".into(),
        "# HELP sqlbypass_unknown_ids_total Well-formed ids that found no session\n".into(),
    ] {
        assert!(scraped.contains(&line), "{line}{scraped}");
    }
    assert!(ids.iter().all(|id| !scraped.contains(id.as_str())));
    eventually("a word of the guesser", || {
        server.output().1.contains("somebody guesses: 100 ids").then_some(())
    })
    .await;
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
