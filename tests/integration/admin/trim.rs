//! Trim: what is old goes, and nothing else.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlbypass::admin::{Ended, Pace, TrimOptions, Trimmer, trim};
use sqlbypass::{AnyStore, Maintenance, SessionId, Store, Table, Timeouts};

use super::place::{OLD, Place, anywhere, killed, now, private, said, signal};
use crate::promises::{data, insert, new_id, update};
use crate::servers::{PgBouncer, Postgres};

crate::admin::everywhere!(
    what_is_old_goes_and_nothing_else,
    the_environment_says_how_old,
    it_may_be_killed_and_run_again,
    ctrl_c_ends_it_between_batches,
    ctrl_c_is_heard_while_it_rests,
    live_traffic_goes_on,
    a_session_that_is_used_meanwhile_stays,
    a_trimmer_trims_by_itself,
    time_is_up,
);

/// So many rows that are old by their last save, by their beginning, and by neither.
async fn fill(place: &Place, unused: usize, begun: usize, fresh: usize) {
    place.store().await.close().await.unwrap();
    let now = now();
    let mut rows = Vec::new();
    for (count, created, updated) in
        [(unused, OLD, OLD), (begun, OLD, now.as_str()), (fresh, now.as_str(), now.as_str())]
    {
        rows.extend((0..count).map(|_| (private(), "x", created, updated)));
    }
    place.put(&rows).await;
}

async fn what_is_old_goes_and_nothing_else(place: Place) {
    fill(&place, 1_100, 300, 200).await;
    let report = place.json("trim --dry-run").await;
    assert_eq!(report["deleted"], 1_400);
    assert_eq!(report["dry_run"], true);
    assert_eq!(place.count("TRUE").await, 1_600);
    let report = place.json("trim --by updated --batch 300").await;
    assert_eq!((&report["deleted"], &report["seen"]), (&1_100.into(), &1_600.into()));
    assert_eq!(report["lacks_created_index"], false);
    assert_eq!(place.count("TRUE").await, 500);
    let output = place.run("trim").await;
    assert!(output.status.success());
    let said = said(&output);
    assert!(said.contains("deleted 300 of 500 sessions"), "{said}");
    assert!(said.contains("note: created_at has no index: this trim needs none"), "{said}");
    assert_eq!(place.count("TRUE").await, 200);
    place.sql("CREATE INDEX by_created ON sessions (created_at)").await;
    let report = place.json("trim --by created --days 1").await;
    assert_eq!((&report["deleted"], &report["lacks_created_index"]), (&0.into(), &false.into()));
}

async fn the_environment_says_how_old(place: Place) {
    fill(&place, 0, 0, 5).await;
    let three = std::time::SystemTime::now() - Duration::from_secs(3 * 86_400);
    let three = time::OffsetDateTime::from(three).date().to_string() + " 12:00:00";
    place.put(&[(private(), "x", &three, &three)]).await;
    for (threshold, refused) in [("abc", true), ("", true), ("0", true), ("-1", true), ("2", false)]
    {
        let mut command = place.command("trim --format json");
        let output = command.env("SESSION_DAYS_TRIM_THRESHOLD", threshold).output().await.unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(if refused { 2 } else { 0 }), "{threshold}: {said}");
        assert_eq!(said.contains("would delete every session"), refused, "{said}");
        assert_eq!(place.count("TRUE").await, if refused { 6 } else { 5 });
    }
    assert_eq!(place.run("trim --days 0").await.status.code(), Some(2));
    assert_eq!(place.count("TRUE").await, 5);
}

async fn it_may_be_killed_and_run_again(place: Place) {
    fill(&place, 900, 0, 100).await;
    let some = anywhere(250..960);
    let child = place.start("trim --batch 40 --pause 30", "TRUE", |left| left <= some).await;
    let left = killed(child, async || place.count("TRUE").await).await;
    assert!(left > 100, "it was too late to kill it");
    let report = place.json("trim").await;
    let deleted = report["deleted"].as_u64().unwrap();
    assert!(deleted > 0 && deleted <= left - 100);
    assert_eq!(place.count("TRUE").await, 100);
    assert_eq!(place.json("trim").await["deleted"], 0);
}

async fn ctrl_c_ends_it_between_batches(place: Place) {
    fill(&place, 2_000, 0, 0).await;
    let enough = |left| left <= 1_900;
    let child = place.start("trim --batch 20 --pause 20 --format json", "TRUE", enough).await;
    signal(&child, "INT");
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ended"], "stopped");
    let deleted = report["deleted"].as_u64().unwrap();
    assert!((100..2_000).contains(&deleted) && deleted.is_multiple_of(20));
    assert_eq!(place.count("TRUE").await, 2_000 - deleted);
}

async fn ctrl_c_is_heard_while_it_rests(place: Place) {
    fill(&place, 100, 0, 0).await;
    let trim = "trim --batch 40 --pause 600000 --format json";
    let child = place.start(trim, "TRUE", |left| left == 60).await;
    signal(&child, "INT");
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output());
    let output = ended.await.expect("it rests on").unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["ended"], &report["deleted"]), (&"stopped".into(), &40.into()));
    assert_eq!(place.count("TRUE").await, 60);
}

async fn live_traffic_goes_on(place: Place) {
    fill(&place, 1_500, 0, 0).await;
    let store = place.store().await;
    let rounds = Arc::new(AtomicU64::new(0));
    let traffic: Vec<_> = (0..4)
        .map(|_| {
            let (store, rounds) = (store.clone(), Arc::clone(&rounds));
            tokio::spawn(async move {
                let id = new_id();
                insert(&store, &id, "0").await.unwrap();
                for round in 1_u32.. {
                    update(&store, &id, round.to_string()).await.unwrap();
                    assert_eq!(data(&store, &id).await.unwrap(), round.to_string());
                    rounds.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            })
        })
        .collect();
    let report = place.json("trim --batch 100 --pause 2").await;
    assert_eq!((&report["deleted"], &report["ended"]), (&1_500.into(), &"done".into()));
    for task in &traffic {
        assert!(!task.is_finished(), "a service met an error");
        task.abort();
    }
    assert!(rounds.load(Ordering::Relaxed) > 4);
    assert_eq!(place.count("TRUE").await, 4);
}

async fn a_session_that_is_used_meanwhile_stays(place: Place) {
    fill(&place, 0, 0, 0).await;
    let ids: Vec<SessionId> = (0..30).map(|_| new_id()).collect();
    let rows: Vec<_> =
        ids.iter().map(|id| (id.private().as_str().to_owned(), "x", OLD, OLD)).collect();
    place.put(&rows).await;
    let store = place.store().await;
    let options = TrimOptions {
        by: sqlbypass::admin::By::Updated,
        pace: Pace { batch: 10, ..Pace::default() },
        ..TrimOptions::default()
    };
    let report = {
        let (toucher, last) = (store.clone(), ids[29].private());
        let touch = move || {
            let last = last.into();
            let touched = toucher.touch(&last, Timeouts::default());
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(touched))
        };
        trim(&store, &options, move |progress| {
            if progress.seen == 10 {
                assert!(touch().unwrap());
            }
            ControlFlow::Continue(())
        })
        .await
        .unwrap()
    };
    assert_eq!((report.deleted, report.seen, report.ended), (29, 30, Ended::Done));
    assert!(data(&store, &ids[29]).await.is_some());
}

async fn a_trimmer_trims_by_itself(place: Place) {
    fill(&place, 50, 0, 5).await;
    let store = place.store().await;
    let (told, mut reports) = tokio::sync::mpsc::unbounded_channel();
    let trimmer = Trimmer::new(store).every(Duration::from_millis(20)).on_end(move |result| {
        // Nobody may listen any more.
        let _ = told.send(result.unwrap());
    });
    let task = tokio::spawn(trimmer.run());
    let mut deleted = 0;
    for _ in 0..3 {
        deleted += reports.recv().await.unwrap().deleted;
    }
    task.abort();
    assert_eq!(deleted, 50);
    assert_eq!(place.count("TRUE").await, 5);
}

/// Unless it is told that ids may look like anything.
#[tokio::test]
async fn a_trimmer_leaves_what_holds_no_sessions() {
    let place = Place::sqlite().await.unwrap();
    fill(&place, 50, 0, 5).await;
    place.sql("ALTER TABLE sessions ADD COLUMN email varchar(255) DEFAULT 'ada@example.com'").await;
    let table = Table::default().session_id_column("email").unwrap();
    for any_shape in [false, true] {
        let store = AnyStore::url(&place.url).unwrap().table(table.clone()).open().await.unwrap();
        let (told, mut reports) = tokio::sync::mpsc::unbounded_channel();
        let options = TrimOptions { any_shape, ..TrimOptions::default() };
        let trimmer = Trimmer::new(store).options(options).every(Duration::from_millis(20));
        let task = tokio::spawn(trimmer.on_end(move |result| drop(told.send(result))).run());
        let result = reports.recv().await.unwrap();
        task.abort();
        match any_shape {
            false => assert!(result.unwrap_err().to_string().contains("any_shape")),
            true => assert_eq!(result.unwrap().deleted, 50),
        }
    }
    assert_eq!(place.count("TRUE").await, 5);
}

async fn time_is_up(place: Place) {
    fill(&place, 300, 0, 0).await;
    let begun = std::time::Instant::now();
    let report = place.json("trim --batch 100 --pause 600000 --for 1s").await;
    assert_eq!((&report["ended"], &report["deleted"]), (&"out_of_time".into(), &100.into()));
    assert_eq!((&report["finished"], &report["next"]), (&false.into(), &"run it again".into()));
    assert!((1..60).contains(&begun.elapsed().as_secs()));
    let output = place.run("trim --batch 100 --pause 600000 --for 1s").await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("not finished: the time is up, run it again to go on"), "{told}");
    let report = place.json("trim").await;
    assert_eq!((&report["finished"], report.get("next")), (&true.into(), None));
    let help = said(&place.run("trim --help").await);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("it exits with 0 and says that it is not finished"), "{help}");
}

/// A row that somebody holds keeps the first trimmer within its batch; the second one leaves.
/// `waits` counts the trimmers that wait for a row.
async fn one_trims_at_a_time(place: Place, waits: &str) {
    fill(&place, 30, 0, 0).await;
    let store = place.store().await;
    let first = place.column("SELECT min(id) FROM sessions").await.remove(0);
    place.sql(&format!("BEGIN;\nUPDATE sessions SET data = 'y' WHERE id = {first}")).await;
    let task = {
        let store = store.clone();
        tokio::spawn(async move {
            trim(&store, &TrimOptions::default(), |_| ControlFlow::Continue(())).await.unwrap()
        })
    };
    let waiting = async {
        while place.column(waits).await[0] == "0" {
            // MariaDB refreshes what it tells when nobody has asked for 100 ms.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    let keys = store.scan(&page()).await.unwrap();
    let key = vec![keys.last().unwrap().key.clone()];
    let filter = sqlbypass::Filter { idle_for: Some(Duration::MAX), older_than: None };
    assert_eq!(store.delete_alone(&key, &filter).await.unwrap(), None);
    let report = place.json("trim").await;
    assert_eq!((&report["ended"], &report["deleted"]), (&"elsewhere".into(), &0.into()));
    assert_eq!(place.json("trim --dry-run").await["deleted"], 30);
    place.sql("ROLLBACK").await;
    assert_eq!(task.await.unwrap().deleted, 30);
    assert_eq!(place.json("trim").await["ended"], "done");
}

fn page() -> sqlbypass::Scan {
    let filter = sqlbypass::Filter::default();
    sqlbypass::Scan { filter, ..sqlbypass::Scan::new(100) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trims_at_a_time_on_postgres() {
    if let Some(place) = Place::postgres().await {
        let waits = "SELECT count(*) FROM pg_locks AS lock JOIN pg_locks AS wait USING (pid)
                     WHERE lock.locktype = 'advisory' AND lock.granted AND NOT wait.granted";
        one_trims_at_a_time(place, waits).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trims_at_a_time_on_mariadb() {
    if let Some(place) = Place::mariadb().await {
        let waits = "SELECT count(*) FROM information_schema.innodb_trx
                     JOIN information_schema.processlist ON id = trx_mysql_thread_id
                     WHERE trx_state = 'LOCK WAIT' AND db = DATABASE()";
        one_trims_at_a_time(place, waits).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trims_at_a_time_behind_a_pooler() {
    if !Postgres::available() || !PgBouncer::available() {
        return;
    }
    let server = Postgres::shared();
    let place = Place::postgres().await.unwrap();
    let pooler = PgBouncer::start(server, 3);
    let schema = place.column("SELECT current_schema()").await.remove(0);
    fill(&place, 30, 0, 0).await;
    let first = place.column("SELECT min(id) FROM sessions").await.remove(0);
    place.sql(&format!("BEGIN; UPDATE sessions SET data = 'y' WHERE id = {first}")).await;
    let url = server.url_through(pooler.port(), "postgres");
    let trim = || {
        let mut command = super::place::program("trim --format json");
        command.args(["--database", &url, "--table", &format!("{schema}.sessions")]);
        command
    };
    let held = trim().stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut word = serde_json::Value::Null;
    // Until the first is within its batch, the second would wait in its place.
    let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted";
    for _ in 0..1_000 {
        if place.column(waits).await[0] != "0" {
            let output = trim().output().await.unwrap();
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            word = report["ended"].clone();
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(word, "elsewhere");
    place.sql("ROLLBACK").await;
    let output = held.wait_with_output().await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["deleted"], 30);
}
