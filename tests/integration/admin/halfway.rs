//! A task that fails half-way says what is done.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::place::{OLD, Place, raw, said};
use crate::servers::proxy::Mode;
use crate::servers::{Postgres, Proxy};

crate::admin::everywhere!(what_is_done_is_told, what_was_left_alone_is_told);

/// `{"a"=>1}`.
const MARSHAL: &str = "BAh7BkkiBmEGOgZFVGkG\n";
const ROWS: u64 = 200;

/// Rows that every task has something to do with.
async fn fill(place: &Place) {
    place.store().await.close().await.unwrap();
    let rows: Vec<_> = (0..ROWS).map(|_| (raw(), MARSHAL, OLD, OLD)).collect();
    place.put(&rows).await;
}

/// The table goes while the task rests, and comes back.
async fn what_is_done_is_told(place: Place) {
    fill(&place).await;
    for (task, to_do, verb) in [
        ("upgrade", "session_id NOT LIKE '2::%'", "secured"),
        ("convert --to json", &*format!("data = '{MARSHAL}'"), "converted"),
        ("trim", "TRUE", "deleted"),
    ] {
        for format in ["text", "json"] {
            let before = place.count(to_do).await;
            let task = format!("{task} --batch 20 --pause 2000 --format {format}");
            let child = place.start(&task, to_do, |left| left + 20 <= before).await;
            place.sql("ALTER TABLE sessions RENAME TO elsewhere").await;
            let output = child.wait_with_output().await.unwrap();
            place.sql("ALTER TABLE elsewhere RENAME TO sessions").await;
            let done = before - place.count(to_do).await;
            let said = said(&output);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(done > 0 && done.is_multiple_of(20), "{done}");
            let words =
                format!("; {done} sessions {verb} before the batch that failed, run it again");
            assert!(said.contains(&words), "{said}");
            assert_eq!(output.stdout.is_empty(), format == "text", "{said}");
            if format == "json" {
                let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
                let told = (&answer["changed"], &answer["seen"], &answer["total"]);
                let total = if task.starts_with("trim") { before } else { ROWS };
                assert_eq!(told.0, done, "{said}");
                assert_eq!(told.2, total, "{said}");
                assert!(told.1.as_u64().unwrap() >= done && answer["error"].is_string(), "{said}");
            }
        }
    }
    // What would have been done is not done.
    let mut command = place.command("trim --dry-run --batch 20 --pause 3000");
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(line.ends_with(" rows, 20 to be deleted)"), "{line}");
    place.sql("ALTER TABLE sessions RENAME TO elsewhere").await;
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(line.starts_with("sqlbypass: ") && !line.contains("run it again to go on"), "{line}");
}

/// Rows that a conversion could not read before it failed.
async fn what_was_left_alone_is_told(place: Place) {
    place.store().await.close().await.unwrap();
    let data = |n: usize| if n % 10 == 3 { "sentinel is no session" } else { MARSHAL };
    let rows: Vec<_> = (0..100).map(|n| (raw(), data(n), OLD, OLD)).collect();
    place.put(&rows).await;
    std::fs::write(place.folder.path().join("keys"), format!("k1:{}", "6b".repeat(32))).unwrap();
    let to_do = format!("data = '{MARSHAL}'");
    for (task, format) in
        [("--to json", "text"), ("--to json", "json"), ("--encrypt --keys-file keys", "json")]
    {
        let before = place.count(&to_do).await;
        let task = format!("convert {task} --batch 20 --pause 2000 --format {format}");
        let child = place.start(&task, &to_do, |left| left + 18 <= before).await;
        place.sql("ALTER TABLE sessions RENAME TO elsewhere").await;
        let output = child.wait_with_output().await.unwrap();
        place.sql("ALTER TABLE elsewhere RENAME TO sessions").await;
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!said.contains("sentinel"), "{said}");
        let all = "SELECT id FROM sessions WHERE data LIKE 'sentinel%'";
        let first = place.column(&format!("{all} AND id < 20")).await;
        for row in &first {
            let is_named = |line: &str| {
                line.contains("left as") && line.split([' ', ',']).any(|word| word == row)
            };
            assert!(said.lines().any(is_named), "{row}: {said}");
        }
        assert!(first.len() == 2, "{first:?}");
        if format == "json" {
            let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
            let refusals = answer["refusals"].as_array().unwrap();
            assert_eq!(answer["refused"], refusals.len(), "{answer}");
            assert!(first.iter().all(|row| refusals.iter().any(|told| told["row"] == **row)));
            assert!(answer["error"].is_string() && answer["seen"].as_u64() > Some(0), "{answer}");
        }
    }
}

/// The server dies under it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_is_told() {
    if !Postgres::available() {
        return;
    }
    let place = Place::postgres().await.unwrap();
    fill(&place).await;
    let proxy = Proxy::start(Postgres::shared().port()).await;
    let schema = place.column("SELECT current_schema()").await.remove(0);
    let url = Postgres::shared().url_through(proxy.port(), "postgres");
    let clear = "clear --yes --batch 20 --pause 2000 --format json";
    let mut command = super::place::program(&format!("{clear} --table {schema}.sessions"));
    command.args(["--database", &url]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    while place.count("TRUE").await == ROWS {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // It rests now, and has heard of it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    proxy.set(Mode::Refuse);
    proxy.cut();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    let done = ROWS - place.count("TRUE").await;
    assert_eq!((&answer["changed"], &answer["total"]), (&json!(done), &json!(ROWS)));
    assert!(said(&output).contains("run it again to go on"), "{}", said(&output));
}
