//! Bench: measures in a table of its own, and leaves nothing behind.

use std::process::Stdio;
use std::time::Duration;

use super::place::{Place, now, private, said, signal};

crate::admin::everywhere!(
    each_load_is_measured_by_each_number_of_tasks,
    a_run_that_is_stopped_removes_its_table,
    how_far_it_is_is_told,
);

/// How many tables of ours there are.
async fn tables(place: &Place) -> usize {
    let catalog = match place.url.split(':').next().unwrap() {
        "sqlite" => "sqlite_master WHERE name",
        "postgres" => "pg_tables WHERE schemaname = current_schema() AND tablename",
        _ => "information_schema.tables WHERE table_schema = DATABASE() AND table_name",
    };
    place.column(&format!("SELECT 1 FROM {catalog} LIKE 'sqlbypass_bench_%'")).await.len()
}

async fn each_load_is_measured_by_each_number_of_tasks(place: Place) {
    place.store().await.close().await.unwrap();
    place.put(&[(private(), "x", &now(), &now())]).await;
    let report = place.json("bench --rows 700 --seconds 0.1 --tasks 1,7 --profile tuned").await;
    assert_eq!((&report["rows"], &report["bytes"]), (&700.into(), &600.into()));
    assert_eq!(report["ended"], "done");
    let measured = report["measured"].as_array().unwrap();
    let loads: Vec<_> =
        measured.iter().map(|line| (line["load"].as_str().unwrap(), &line["tasks"])).collect();
    let (one, seven) = (&1.into(), &7.into());
    assert_eq!(
        loads,
        [
            ("find", one),
            ("find", seven),
            ("save", one),
            ("save", seven),
            ("90/10", one),
            ("90/10", seven)
        ]
    );
    for line in measured.iter().map(|line| (&line["latency_us"], &line["per_second"])) {
        let at = |quantile: &str| line.0[quantile].as_f64().unwrap();
        assert!(at("p50") > 0.0 && at("p50") <= at("p99") && at("p99") <= at("p99.9"), "{line:?}");
        assert!(line.1.as_f64().unwrap() > 0.0, "{line:?}");
    }
    assert!(report["round_trip_us"]["p50"].as_f64().unwrap() > 0.0);
    assert_eq!((place.count("data = 'x'").await, tables(&place).await), (1, 0));
    let text = said(&place.run("bench --rows 100 --seconds 0.02 --tasks 2").await);
    assert!(
        text.contains("per second") && text.contains("p99.9") && text.contains("90/10"),
        "{text}"
    );
}

/// Also in the midst of a measurement, of which nothing is told.
async fn a_run_that_is_stopped_removes_its_table(place: Place) {
    let mut command = place.command("bench --rows 100 --seconds 600 --tasks 1,2 --format json");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while tables(&place).await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A hundred rows are written by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    signal(&child, "INT");
    let ended = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output());
    let output = ended.await.expect("it measures on").unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ended"], "stopped");
    assert_eq!(report["measured"], serde_json::json!([]));
    assert_eq!(tables(&place).await, 0);
}

/// A table that is filled is not all that there is to do.
async fn how_far_it_is_is_told(place: Place) {
    let bench = "bench --rows 100 --seconds 1.1 --tasks 1,2";
    let output = place.run(&format!("{bench} --format json")).await;
    assert!(output.status.success(), "{}", said(&output));
    let told = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<serde_json::Value> =
        told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let measuring = lines.iter().filter(|line| line["step"] == "measuring");
    let done: Vec<_> = measuring.clone().map(|line| line["seen"].as_u64().unwrap()).collect();
    assert!(done.len() >= 3 && done.is_sorted() && done.last() >= Some(&3), "{told}");
    for line in measuring {
        assert!(line["total"] == 6 && line["seen"].as_u64() < Some(6), "{told}");
        assert!(line["load"].is_string() && line["tasks"].is_u64(), "{told}");
    }
    let told = said(&place.run(bench).await);
    assert!(told.contains(" of 6 measurements, now ") && !told.contains("100 %"), "{told}");
}
