//! A table goes into encryption, from key to key, and out again.

use std::time::Duration;

use serde_json::json;
use sqlbypass::{Encrypted, Hybrid, Key, Keys, Plain, SessionManager};

use super::place::{OLD, Place, anywhere, killed, now, private, raw, said};
use crate::promises::new_id;

crate::admin::everywhere!(
    in_over_and_out_again,
    it_may_be_killed_and_run_again,
    writers_beside_it_lose_nothing,
    tools_know_the_envelope,
    what_no_serializer_reads_is_not_sealed,
    a_column_of_something_else_is_not_sealed,
    one_row_that_can_be_read_is_enough,
    an_object_without_the_wrapper_is_no_session_of_json,
);

/// `{"a"=>1}`.
const MARSHAL: &str = "BAh7BkkiBmEGOgZFVGkG\n";
const JSON: &str = r#"{"value":{"a":1}}"#;
const OLD_KEY: &str = "sentinel:6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b";
const NEW_KEY: &str = "k2:bGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGw=";

/// The program's answer to these arguments with these keys, one a line.
async fn with(place: &Place, keys: &[&str], code: i32, arguments: &str) -> serde_json::Value {
    let file = place.folder.path().join("keys");
    std::fs::write(&file, keys.join("\n")).unwrap();
    place.json_of(code, &format!("{arguments} --keys-file {}", file.display())).await
}

fn key(line: &str) -> Key {
    let (id, secret) = line.split_once(':').unwrap();
    Key::parse(id, secret).unwrap()
}

async fn encrypted(place: &Place, by: &str) -> u64 {
    place.count(&format!("data LIKE 'sbe1.{by}.%'")).await
}

async fn in_over_and_out_again(place: Place) {
    place.store().await.close().await.unwrap();
    let mut rows: Vec<_> = (0..230).map(|_| (private(), MARSHAL, OLD, OLD)).collect();
    rows.push((raw(), JSON, OLD, OLD));
    // By the serializer null.
    rows.push((private(), r#"{"a": 1}"#, OLD, OLD));
    rows.push((private(), "NULL", OLD, OLD));
    place.put(&rows).await;
    place.sql("UPDATE sessions SET data = NULL WHERE data = 'NULL'").await;
    let times = place.column("SELECT updated_at FROM sessions").await;
    let before = place.column("SELECT data FROM sessions").await;

    let report = with(&place, &[OLD_KEY], 0, "convert --encrypt --dry-run").await;
    assert_eq!((&report["converted"], encrypted(&place, "%").await), (&json!(232), 0));
    let report = with(&place, &[OLD_KEY], 0, "convert --encrypt").await;
    assert_eq!((&report["converted"], &report["already"]), (&json!(232), &json!(1)));
    assert_eq!(encrypted(&place, "sentinel").await, 232);
    let report = with(&place, &[OLD_KEY], 0, "convert --encrypt").await;
    assert_eq!((&report["converted"], &report["already"]), (&json!(0), &json!(233)));

    // The raw row is encrypted for the id that an upgrade gives it.
    assert_eq!(place.json("upgrade").await["upgraded"], 1);
    // Who lacks a key, or finds a row moved, says which rows and leaves them.
    let refused = with(&place, &[NEW_KEY], 1, "convert --rotate").await;
    assert_eq!(refused["refused"], 232);
    let first = "(SELECT * FROM (SELECT min(id) FROM sessions) AS a)";
    let second = "(SELECT * FROM (SELECT min(id) + 1 FROM sessions) AS b)";
    let row = place.column("SELECT min(id) FROM sessions").await.remove(0);
    let kept =
        place.column(&format!("SELECT data FROM sessions WHERE id = {first}")).await.remove(0);
    let moved = format!(
        "UPDATE sessions SET data = (SELECT data FROM (SELECT data FROM sessions WHERE id = {second}) AS c) WHERE id = {first}"
    );
    place.sql(&moved).await;
    for (keys, task) in [
        (&[OLD_KEY][..], "convert --encrypt"),
        (&[NEW_KEY, OLD_KEY][..], "convert --rotate --dry-run"),
        (&[OLD_KEY][..], "convert --decrypt --dry-run"),
    ] {
        let refused = with(&place, keys, 1, task).await;
        assert_eq!(refused["refused"], 1, "{task}");
        assert_eq!(refused["refusals"][0]["row"], row.as_str());
        let problem = refused["refusals"][0]["problem"].as_str().unwrap();
        assert!(problem.contains("its seal does not fit"), "{problem}");
    }
    place.sql(&format!("UPDATE sessions SET data = '{kept}' WHERE id = {first}")).await;

    let report = with(&place, &[NEW_KEY, OLD_KEY], 0, "convert --rotate").await;
    assert_eq!((&report["converted"], encrypted(&place, "k2").await), (&json!(232), 232));
    let report = with(&place, &[NEW_KEY], 0, "convert --decrypt").await;
    assert_eq!(report["converted"], 232);
    assert_eq!(place.column("SELECT data FROM sessions").await, before, "byte for byte");
    assert_eq!(place.column("SELECT updated_at FROM sessions").await, times);
}

async fn it_may_be_killed_and_run_again(place: Place) {
    place.store().await.close().await.unwrap();
    let now = now();
    let rows: Vec<_> = (0..600).map(|_| (private(), MARSHAL, &*now, &*now)).collect();
    place.put(&rows).await;
    let file = place.folder.path().join("keys");
    std::fs::write(&file, OLD_KEY).unwrap();
    let task = format!("convert --encrypt --batch 25 --pause 30 --keys-file {}", file.display());
    let some = anywhere(25..450);
    let child = place.start(&task, "data LIKE 'sbe1.%'", |rows| rows >= some).await;
    let done = killed(child, async || encrypted(&place, "%").await).await;
    assert!(done < 600, "it was too late to kill it");
    let report = with(&place, &[OLD_KEY], 0, "convert --encrypt").await;
    assert_eq!(report["converted"], 600 - done);
    assert_eq!(encrypted(&place, "%").await, 600);
}

/// Requests that count in their sessions, and renew them, while the table goes in, over and out.
async fn writers_beside_it_lose_nothing(place: Place) {
    let store = place.store().await;
    let now = now();
    let ids: Vec<_> = (0..3).map(|_| new_id()).collect();
    let mut rows: Vec<_> = (0..150).map(|_| (private(), MARSHAL, &*now, &*now)).collect();
    rows.extend(ids.iter().map(|id| (id.private().as_str().to_owned(), MARSHAL, &*now, &*now)));
    place.put(&rows).await;
    let keys = Keys::new(key(NEW_KEY)).reads(key(OLD_KEY)).unwrap();
    let manager = |plain| {
        let codec = Encrypted::new(Hybrid::default(), keys.clone()).plain(plain);
        SessionManager::new(store.clone(), codec)
    };
    let mut writers = Vec::new();
    for mut id in ids {
        let manager = manager(Plain::Read);
        writers.push(tokio::spawn(async move {
            for round in 1..=60_i64 {
                let session = manager.session(Some(id.clone()));
                assert_eq!(session.get::<i64>("a").await.unwrap(), Some(round));
                session.insert("a", round + 1).unwrap();
                if round % 10 == 0 {
                    session.renew().unwrap();
                }
                session.commit().await.unwrap();
                id = session.id().await.unwrap().unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            id
        }));
    }
    for task in ["--encrypt", "--rotate", "--decrypt", "--encrypt"] {
        let task = format!("convert {task} --batch 50");
        let report = with(&place, &[NEW_KEY, OLD_KEY], 0, &task).await;
        assert_eq!(report["refused"], 0, "{report}");
    }
    let mut ids = Vec::new();
    for writer in writers {
        ids.push(writer.await.unwrap());
    }
    with(&place, &[NEW_KEY, OLD_KEY], 0, "convert --encrypt").await;
    assert_eq!(encrypted(&place, "%").await, 153);
    for id in ids {
        let session = manager(Plain::Refuse).session(Some(id));
        assert_eq!(session.get::<i64>("a").await.unwrap(), Some(61));
    }
}

async fn tools_know_the_envelope(place: Place) {
    place.store().await.close().await.unwrap();
    let now = now();
    let user = r#"{"value":{"warden.user.user.key":[[42],"$2a$11$abcdefghijklmnopqrstuu"]}}"#;
    place.put(&[(private(), user, &*now, &*now)]).await;
    with(&place, &[OLD_KEY], 0, "convert --encrypt").await;
    place.put(&[(private(), JSON, &*now, &*now)]).await;
    let row = place.column("SELECT min(id) FROM sessions").await.remove(0);

    let stats = place.json("stats").await;
    assert_eq!((&stats["formats"]["encrypted"], &stats["formats"]["json"]), (&json!(1), &json!(1)));
    assert_eq!(stats["keys"], json!({"sentinel": 1}));
    let doctor = place.json_of(1, "doctor").await.to_string();
    assert!(doctor.contains("it is encrypted with the key sentinel"), "{doctor}");
    assert!(doctor.contains("1 rows are encrypted and 1 are not"), "{doctor}");
    // The server may have settings of a test's.
    let file = place.folder.path().join("keys");
    let doctor = said(&place.run(&format!("doctor --keys-file {}", file.display())).await);
    assert!(doctor.contains("1 rows are encrypted and 1 are not"), "{doctor}");
    assert!(!doctor.contains("cannot be decoded"), "{doctor}");
    let shown = place.run(&format!("show --row {row}")).await;
    assert!(said(&shown).contains("give the keys"), "{}", said(&shown));
    let shown = with(&place, &[OLD_KEY], 0, &format!("show --row {row}")).await;
    assert_eq!(shown["data"]["warden.user.user.key"][0], json!([42]));
    let listed = with(&place, &[OLD_KEY], 0, "list").await["sessions"].to_string();
    assert!(listed.contains(r#""user":"42""#), "{listed}");
}

async fn what_no_serializer_reads_is_not_sealed(place: Place) {
    place.store().await.close().await.unwrap();
    let data = [MARSHAL, JSON, r#"{"a":1}"#, "sentinel is no session", ""];
    let rows: Vec<_> = data.iter().map(|data| (private(), *data, OLD, OLD)).collect();
    place.put(&rows).await;
    let before = place.column("SELECT data FROM sessions").await;
    let unread = place
        .column("SELECT id FROM sessions WHERE data = '' OR data LIKE 'sentinel%' ORDER BY id")
        .await;
    for task in ["convert --encrypt --dry-run", "convert --encrypt"] {
        let report = with(&place, &[OLD_KEY], 1, task).await;
        assert_eq!((&report["converted"], &report["refused"]), (&json!(3), &json!(2)), "{report}");
        let named = |at: usize| report["refusals"][at]["row"].as_str().unwrap();
        assert_eq!([named(0), named(1)], *unread, "{report}");
        assert!(!report.to_string().contains("sentinel"), "{report}");
    }
    assert_eq!(encrypted(&place, "%").await, 3);
    assert_eq!(place.count("data = '' OR data = 'sentinel is no session'").await, 2);
    with(&place, &[OLD_KEY], 0, "convert --decrypt").await;
    assert_eq!(place.column("SELECT data FROM sessions").await, before);
    // What is named alone decides.
    let report = with(&place, &[OLD_KEY], 1, "convert --encrypt --serializer marshal").await;
    assert_eq!((&report["converted"], &report["refused"]), (&json!(1), &json!(4)), "{report}");
}

/// Where the column's type does not tell that it takes JSON alone.
#[tokio::test]
async fn a_column_of_json_is_told_by_hand() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    place.put(&[(private(), JSON, OLD, OLD)]).await;
    let report = with(&place, &[OLD_KEY], 0, "convert --encrypt --json-column").await;
    assert_eq!((&report["converted"], encrypted(&place, "%").await), (&json!(1), 0));
    assert_eq!(place.count("data LIKE '\"sbe1.%\"'").await, 1);
}

/// MariaDB's json is longtext with a check, which refuses what is no JSON; the error says what helps.
#[tokio::test]
async fn a_check_for_json_names_what_seals_for_it() {
    let Some(place) = Place::mariadb().await else { return };
    place.store().await.close().await.unwrap();
    place.sql("ALTER TABLE sessions MODIFY data json").await;
    place.put(&[(private(), JSON, OLD, OLD)]).await;
    let answer = with(&place, &[OLD_KEY], 1, "convert --encrypt").await;
    assert!(answer["error"].as_str().unwrap().contains("convert --json-column"), "{answer}");
    let report = with(&place, &[OLD_KEY], 0, "convert --encrypt --json-column").await;
    assert_eq!(report["converted"], 1, "{report}");
    assert_eq!(place.count("data LIKE '\"sbe1.%\"'").await, 1);
}

async fn a_column_of_something_else_is_not_sealed(place: Place) {
    place.store().await.close().await.unwrap();
    let rows: Vec<_> = (0..150).map(|_| (private(), MARSHAL, OLD, OLD)).collect();
    place.put(&rows).await;
    place.sql("ALTER TABLE sessions ADD COLUMN agent varchar(4000)").await;
    place.sql("UPDATE sessions SET agent = 'Mozilla/5.0 (X11)' WHERE id > 2").await;
    for task in ["--data-column agent", "--data-column agent --dry-run", "--serializer null"] {
        let answer = with(&place, &[OLD_KEY], 1, &format!("convert --encrypt {task}")).await;
        let problem = answer["error"].as_str().unwrap();
        let rows = if task.contains("agent") { 148 } else { 150 };
        let words = format!("the data of the first {rows} rows cannot be read");
        assert!(problem.contains(&words) && !problem.contains("Mozilla"), "{problem}");
        assert!(problem.contains("--data-column") && problem.contains("--serializer"), "{problem}");
    }
    assert_eq!(place.count("agent = 'Mozilla/5.0 (X11)'").await, 148);
    assert_eq!(place.count(&format!("data = '{MARSHAL}'")).await, 150);
}

async fn an_object_without_the_wrapper_is_no_session_of_json(place: Place) {
    place.store().await.close().await.unwrap();
    let bare = r#"{"a":1}"#;
    place.put(&[(private(), JSON, OLD, OLD), (private(), bare, OLD, OLD)]).await;
    for task in ["convert --encrypt --serializer json", "convert --to marshal --serializer json"] {
        let report = with(&place, &[OLD_KEY], 1, &format!("{task} --dry-run")).await;
        let refusal = report["refusals"][0].to_string();
        assert_eq!((&report["converted"], &report["refused"]), (&json!(1), &json!(1)), "{report}");
        assert!(refusal.contains("without the key") && refusal.contains("null"), "{report}");
    }
    let report = with(&place, &[OLD_KEY], 0, "convert --encrypt --serializer null").await;
    assert_eq!(report["converted"], json!(2), "{report}");
    assert_eq!(encrypted(&place, "%").await, 2);
}

/// It says how far it looked.
#[tokio::test]
async fn not_more_than_ten_thousand_rows_are_looked_at_for_one_that_can_be_read() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    place.put(&[(private(), "of an older release", OLD, OLD)]).await;
    place
        .sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
             INSERT INTO sessions (session_id, data, created_at, updated_at) SELECT \
             '2::' || lower(hex(randomblob(32))), data, created_at, updated_at FROM sessions, n",
        )
        .await;
    place.put(&[(private(), JSON, OLD, OLD)]).await;
    let answer = with(&place, &[OLD_KEY], 1, "convert --encrypt").await;
    let problem = answer["error"].as_str().unwrap();
    let words =
        "the data of the first 10000 rows that have any cannot be read; more are not looked at";
    assert!(problem.contains(words) && problem.contains("delete these rows first"), "{problem}");
    place.sql("DELETE FROM sessions WHERE id = 1").await;
    let report = with(&place, &[OLD_KEY], 1, "convert --encrypt").await;
    assert_eq!((&report["converted"], &report["refused"]), (&json!(1), &json!(9999)), "{report}");
    assert_eq!(report["refusals"].as_array().unwrap().len(), 1000);
    // People are told of each problem once.
    let told = said(&place.run("convert --to marshal").await);
    let lines = told.lines().filter(|line| line.contains("left as")).count();
    assert!(
        lines <= 3 && told.contains("rows 2, 3, 4, ") && told.contains("and 990 more"),
        "{told}"
    );
}

async fn one_row_that_can_be_read_is_enough(place: Place) {
    place.store().await.close().await.unwrap();
    let mut rows: Vec<_> = (0..120).map(|_| (private(), "of an older release", OLD, OLD)).collect();
    rows.push((private(), JSON, OLD, OLD));
    place.put(&rows).await;
    let report = with(&place, &[OLD_KEY], 1, "convert --encrypt --batch 50").await;
    assert_eq!((&report["converted"], &report["refused"]), (&json!(1), &json!(120)), "{report}");
}

/// SQLite keeps texts apart from bytes, and a save by a text finds no bytes.
#[tokio::test]
async fn rows_that_no_save_finds_are_told() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    place.put(&[(private(), JSON, OLD, OLD), (private(), JSON, OLD, OLD)]).await;
    place.sql("UPDATE sessions SET session_id = CAST(session_id AS blob) WHERE id = 1").await;
    let marshal = place.json_of(1, "convert --to marshal").await;
    let sealed = with(&place, &[OLD_KEY], 1, "convert --encrypt").await;
    for report in [marshal, sealed] {
        let expected = (&json!(1), &json!(1), &json!("1"));
        let refusal = &report["refusals"][0];
        assert_eq!(
            (&report["converted"], &report["refused"], &refusal["row"]),
            expected,
            "{report}"
        );
        assert!(refusal.to_string().contains("stored as bytes"), "{report}");
    }
    assert_eq!(encrypted(&place, "%").await, 1);
}

/// Keys that cannot be read are wrong use, and nothing of them is said.
#[tokio::test]
async fn keys_are_read_from_a_file_or_a_variable_and_never_said() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    let secret = OLD_KEY.split_once(':').unwrap().1;
    for (task, keys, code) in [
        ("convert --encrypt --keys-env SESSION_KEYS", OLD_KEY, 0),
        ("convert --encrypt", OLD_KEY, 2),
        ("convert --encrypt --keys-env NONE_OF_THIS", OLD_KEY, 2),
        ("convert --encrypt --keys-file none", OLD_KEY, 2),
        ("convert --encrypt --rotate --keys-env SESSION_KEYS", OLD_KEY, 2),
        ("convert --encrypt --lossy --keys-env SESSION_KEYS", OLD_KEY, 2),
        ("convert --keys-env SESSION_KEYS", OLD_KEY, 2),
        ("convert --to json --keys-file none", OLD_KEY, 2),
        ("stats --keys-env SESSION_KEYS", OLD_KEY, 0),
        ("stats --keys-file none", OLD_KEY, 2),
        ("doctor --keys-file none", OLD_KEY, 2),
        ("convert --encrypt --keys-env SESSION_KEYS", &OLD_KEY[..40], 2),
        ("show --row 1 --keys-env SESSION_KEYS", &OLD_KEY.replace(':', " "), 2),
    ] {
        let output = place.command(task).env("SESSION_KEYS", keys).output().await.unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{task}: {said}");
        assert!(!said.contains(&secret[..16]), "{task}: {said}");
    }
}
