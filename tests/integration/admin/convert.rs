//! Convert: both formats, both ways, and what cannot be said stays.

use std::time::Duration;

use sqlbypass::{Hybrid, Json, Marshal, SessionManager};

use super::place::{OLD, Place, anywhere, killed, now, private, said};
use crate::promises::new_id;

crate::admin::everywhere!(
    there_and_back_again,
    it_may_be_killed_and_run_again,
    writers_beside_it_lose_nothing,
    what_is_refused_says_why,
);

/// `{"a"=>1}`.
const MARSHAL: &str = "BAh7BkkiBmEGOgZFVGkG\n";
const JSON: &str = r#"{"value":{"a":1}}"#;
/// `{"a"=>NaN}`, which JSON cannot say.
const NAN: &str = "BAh7BkkiBmEGOgZFVGYIbmFu\n";

async fn there_and_back_again(place: Place) {
    place.store().await.close().await.unwrap();
    let now = now();
    let mut rows: Vec<_> = (0..450).map(|_| (private(), MARSHAL, OLD, &*now)).collect();
    let sentinel = private();
    for data in [NAN, "sentinel is no session", "NULL", JSON] {
        rows.push((private(), data, OLD, OLD));
    }
    rows.push((sentinel.clone(), NAN, OLD, OLD));
    rows.push(("an id of no shape".into(), MARSHAL, OLD, OLD));
    place.put(&rows).await;
    place.sql("UPDATE sessions SET data = NULL WHERE data = 'NULL'").await;
    let times = place.column("SELECT updated_at FROM sessions").await;

    let output = place.run("convert --to json --dry-run --format json").await;
    assert_eq!(output.status.code(), Some(1), "what cannot be converted is no success");
    assert_eq!(place.count(&format!("data = '{MARSHAL}'")).await, 451);
    let output = place.run("convert --to json --format json").await;
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["converted"], 450, "{report}");
    assert_eq!((&report["already"], &report["refused"]), (&2.into(), &4.into()));
    let listed: Vec<&str> = report["refusals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refusal| refusal["row"].as_str().unwrap())
        .collect();
    let mut listed: Vec<String> = listed.into_iter().map(str::to_owned).collect();
    listed.sort();
    let left = format!(
        "SELECT id FROM sessions WHERE data = '{NAN}' OR data = '{MARSHAL}' OR data LIKE 'sent%'"
    );
    assert_eq!(listed, place.column(&left).await);
    let told = said(&output);
    assert!(
        !told.contains(&sentinel) && !told.contains("sentinel") && !told.contains("no shape\"")
    );
    assert_eq!(place.count(&format!("data = '{JSON}'")).await, 451);
    assert_eq!(place.column("SELECT updated_at FROM sessions").await, times);

    let output = place.run("convert --to json --lossy --format json").await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["converted"], &report["refused"]), (&2.into(), &2.into()), "{report}");
    place.sql("DELETE FROM sessions WHERE data LIKE 'sent%'").await;
    let report = place.json("convert --to marshal").await;
    assert_eq!(report["converted"], 453);
    assert_eq!(place.count(&format!("data = '{MARSHAL}'")).await, 452);
    assert_eq!(place.column("SELECT updated_at FROM sessions").await.len(), times.len() - 1);
}

async fn it_may_be_killed_and_run_again(place: Place) {
    place.store().await.close().await.unwrap();
    let now = now();
    let rows: Vec<_> = (0..600).map(|_| (private(), MARSHAL, &*now, &*now)).collect();
    place.put(&rows).await;
    let converted = format!("data = '{JSON}'");
    let some = anywhere(25..450);
    let task = "convert --to json --batch 25 --pause 30";
    let child = place.start(task, &converted, |rows| rows >= some).await;
    let done = killed(child, async || place.count(&converted).await).await;
    assert!(done < 600, "it was too late to kill it");
    let report = place.json("convert --to json").await;
    assert_eq!(report["converted"], 600 - done);
    assert_eq!(place.count(&converted).await, 600);
}

/// Requests that count in their sessions all the while: not one of their changes is lost.
async fn writers_beside_it_lose_nothing(place: Place) {
    let store = place.store().await;
    let manager = SessionManager::new(store.clone(), Marshal);
    let ids: Vec<_> = (0..3).map(|_| new_id()).collect();
    let now = now();
    let mut rows: Vec<_> = (0..200).map(|_| (private(), MARSHAL, &*now, &*now)).collect();
    rows.extend(ids.iter().map(|id| (id.private().as_str().to_owned(), MARSHAL, &*now, &*now)));
    place.put(&rows).await;
    drop(manager);
    let writers: Vec<_> = ids
        .iter()
        .map(|id| {
            let (manager, id) = (SessionManager::new(store.clone(), Hybrid::default()), id.clone());
            tokio::spawn(async move {
                for round in 1..=60_i64 {
                    let session = manager.session(Some(id.clone()));
                    let count: i64 = session.get("a").await.unwrap().unwrap();
                    assert_eq!(count, round);
                    session.insert("a", round + 1).unwrap();
                    session.commit().await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let report = place.json("convert --to json --batch 50").await;
        assert_eq!(report["refused"], 0, "{report}");
    }
    for writer in writers {
        writer.await.unwrap();
    }
    place.json("convert --to json").await;
    assert_eq!(place.count("data LIKE '{%'").await, 203);
    let manager = SessionManager::new(store, Json);
    for id in ids {
        let session = manager.session(Some(id));
        assert_eq!(session.get::<i64>("a").await.unwrap(), Some(61));
    }
}

async fn what_is_refused_says_why(place: Place) {
    place.store().await.close().await.unwrap();
    // {"a"=>NaN}, an envelope, and an envelope in a JSON string.
    let data = [NAN, "sbe1.k.AAAA", r#""sbe1.k.AAAA""#];
    let rows: Vec<_> = data.iter().map(|data| (private(), *data, OLD, OLD)).collect();
    place.put(&rows).await;
    for task in ["--to json", "--to json --dry-run", "--to marshal"] {
        let report = place.json_of(1, &format!("convert {task}")).await;
        let refusals = report["refusals"].as_array().unwrap();
        let says = |at: usize| refusals[at]["problem"].as_str().unwrap();
        let encrypted = if task == "--to marshal" { 0 } else { 1 };
        assert_eq!(refusals.len(), 2 + encrypted, "{report}");
        assert!(encrypted == 0 || says(0).contains("--lossy"), "{report}");
        for at in encrypted..refusals.len() {
            assert!(says(at).contains("it is encrypted"), "{report}");
            assert!(says(at).contains("convert --decrypt"), "{report}");
        }
    }
    let report = place.json_of(1, "convert --to json --lossy").await;
    assert_eq!((&report["converted"], &report["refused"]), (&1.into(), &2.into()));
}

/// Rows that are too many to be named are told by their number.
#[tokio::test]
async fn more_refusals_than_are_named_are_counted() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    let rows: Vec<_> = (0..1_003).map(|_| (private(), "broken", OLD, OLD)).collect();
    place.put(&rows).await;
    let output = place.run("convert --to json --dry-run --share 100").await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.matches("are left as they are: ").count(), 1, "{told}");
    assert!(told.contains("rows 1, 2, 3, ") && told.contains(", 10 and 990 more are"), "{told}");
    assert!(told.contains("warning: and 3 more"), "{told}");
    assert!(told.contains("1003 left as they are"), "{told}");
}
