//! What the doctor says where it does not get at the table, and that it waits for nobody.

use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::cures::{findings, text};
use super::place::{Place, program, said};

crate::admin::everywhere!(@on postgres: who_is_not_let_in_is_told_why);
crate::admin::everywhere!(@on mariadb: who_is_not_let_in_is_told_why);

async fn who_is_not_let_in_is_told_why(place: Place) {
    place.store().await.close().await.unwrap();
    let stranger = place.of_a_stranger().await;
    let (scheme, rest) = stranger.url.split_once("://").unwrap();
    let wrong = stranger.url.replacen(":plain@", ":wrong@", 1);
    // Where the database's name ends, there may be options.
    let (host, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, _) = host.rsplit_once('/').unwrap();
    let unknown = format!("{scheme}://{host}/no_such_place?{options}");
    for (url, part) in [(wrong, "check user, password"), (unknown, "database")] {
        let output = program("doctor --format json --database").arg(&url).output().await.unwrap();
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
        let [finding] = &answer["findings"].as_array().unwrap()[..] else { panic!("{told}") };
        assert_eq!(text(finding, "severity"), "wrong", "{told}");
        assert!(text(finding, "cure").contains(part), "{told}");
        assert!(!text(finding, "cure").contains("grant"), "{told}");
        assert!(!text(finding, "what").contains(text(finding, "cure")), "told twice: {told}");
    }
    let url = format!("{scheme}://nobody:plain@127.0.0.1:1/sessions");
    let output = program("doctor --database").arg(&url).output().await.unwrap();
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("connection refused") && !told.contains("grant"), "{told}");
}

/// Whoever writes just now shows that the file can be written.
#[tokio::test]
async fn a_writer_keeps_the_doctor_waiting_for_nothing() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    for journal in ["WAL", "DELETE"] {
        place.sql(&format!("PRAGMA journal_mode = {journal}")).await;
        place.sql("BEGIN IMMEDIATE; DELETE FROM sessions").await;
        let begun = Instant::now();
        let found = findings(&place, "").await;
        let took = begun.elapsed();
        place.sql("ROLLBACK").await;
        assert!(took < Duration::from_secs(4), "{journal}: {took:?}");
        let is_wrong = |finding: &Json| text(finding, "what").contains("may not write");
        assert!(!found.iter().any(is_wrong), "{found:?}");
    }
}
