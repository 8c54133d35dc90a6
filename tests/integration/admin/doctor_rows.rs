//! What the doctor finds in the rows that nobody else sees.

use std::ops::ControlFlow;

use serde_json::Value as Json;
use sqlbypass::admin::{self, DoctorOptions, Ended, Progress};
use sqlbypass::{SessionId, SqliteStore};

use super::cures::{cure, findings, text};
use super::place::{OLD, Place, now, private, raw, said};
use crate::promises::data;

crate::admin::everywhere!(times_that_cannot_be_read_are_told_with_what_becomes_of_them);

/// What a finding says, by a part of it.
fn of<'a>(found: &'a [Json], part: &str) -> Option<&'a Json> {
    found.iter().find(|finding| text(finding, "what").contains(part))
}

async fn times_that_cannot_be_read_are_told_with_what_becomes_of_them(place: Place) {
    place.store().await.close().await.unwrap();
    // Each kind of time that is none: one that is never past, and one that always is.
    let (never, always) = match &place.url {
        url if url.starts_with("postgres") => {
            place.sql("ALTER TABLE sessions ALTER COLUMN updated_at DROP NOT NULL").await;
            (["NULL", "'infinity'"], "'-infinity'")
        }
        url if url.starts_with("mysql") => {
            place.sql("ALTER TABLE sessions MODIFY updated_at datetime(6) NULL").await;
            place.sql("SET SESSION sql_mode = ''").await;
            (["NULL", "NULL"], "'0000-00-00 00:00:00'")
        }
        _ => (["'yesterday'", "x'00'"], "1795382341"),
    };
    let (empty, now) = (r#"{"value":{}}"#, now());
    let ids: Vec<String> = (0..4).map(|_| private()).collect();
    let rows: Vec<_> = ids.iter().map(|id| (id.clone(), empty, &*now, &*now)).collect();
    place.put(&rows).await;
    assert!(of(&findings(&place, "").await, "that can be read").is_none());
    let set = async |id: &str, time: &str| {
        let set = format!("UPDATE sessions SET updated_at = {time} WHERE session_id = '{id}'");
        place.sql(&set).await;
    };
    set(&ids[0], never[0]).await;
    set(&ids[1], never[1]).await;
    set(&ids[2], always).await;

    assert_eq!(place.json("stats").await["undated"], 3);
    let found = findings(&place, "").await;
    let unread: Vec<_> =
        found.iter().filter(|finding| text(finding, "what").contains("can be read")).collect();
    let [told] = &unread[..] else { panic!("one cure is told once: {found:?}") };
    assert_eq!(text(told, "severity"), "wrong", "{found:?}");
    let (fleeting, lasting) = text(told, "what").split_once("; of 2 rows, ").unwrap();
    assert!(lasting.contains("no trim deletes them"), "{found:?}");
    assert!(fleeting.starts_with("3 rows have no updated_at that can be read; of 1 row, "));
    assert!(fleeting.contains("the next trim deletes them"), "{found:?}");
    assert!(!found.iter().any(|finding| text(finding, "what").contains("created_at that")));

    // So it is.
    let planned = place.json("trim --by updated --dry-run").await;
    assert_eq!([&planned["deleted"], &planned["undated"]], [0, 3], "{planned}");
    assert_eq!(place.json("trim --by updated").await["deleted"], 1);
    assert_eq!(place.count(&format!("session_id = '{}'", ids[2])).await, 0);

    place.put(&rows[2..3]).await;
    set(&ids[2], always).await;
    let ran = cure(&place, &place, "").await;
    assert_eq!(ran.len(), 1, "{ran:?}");
    assert!(of(&findings(&place, "").await, "that can be read").is_none());
    assert_eq!(place.json("trim --by updated").await["deleted"], 0);
    assert_eq!(place.count("1 = 1").await, 4);
}

/// The second look at them, too, ends when its watch says so, or its time is up.
#[tokio::test]
async fn what_is_looked_at_again_heeds_the_watch() {
    let place = Place::sqlite().await.unwrap();
    let store = place.store().await;
    place.put(&[(private(), r#"{"value":{}}"#, OLD, "yesterday")]).await;
    let told = async |is_enough: fn(&Progress) -> bool| {
        let watch = |progress: &Progress| match is_enough(progress) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        admin::doctor(&store, &DoctorOptions::default(), watch).await.unwrap()
    };
    // All rows were read by then.
    let (found, ended) = told(|progress| progress.seen == 1).await;
    assert_eq!(ended, Ended::Stopped);
    assert!(!found.iter().any(|finding| finding.what.contains("can be read")), "{found:?}");
    let (found, ended) = told(|_| false).await;
    assert_eq!(ended, Ended::Done);
    assert!(found.iter().any(|finding| finding.what.contains("can be read")), "{found:?}");
    store.close().await.unwrap();
}

/// Texts in a column of times sort as texts do, and trim goes by that.
#[tokio::test]
async fn times_that_sort_as_times_are_noted() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    let empty = r#"{"value":{}}"#;
    for zone in [" UTC", "Z", "z"] {
        place.put(&[(private(), empty, OLD, &format!("2020-01-01 00:00:00{zone}"))]).await;
    }
    let found = findings(&place, "").await;
    let noted = of(&found, "3 rows have no updated_at that can be read").unwrap();
    assert_eq!(text(noted, "severity"), "note", "{found:?}");
    assert!(text(noted, "what").contains("as it is written"), "{found:?}");
    assert_eq!(cure(&place, &place, "").await.len(), 1);
    assert!(of(&findings(&place, "").await, "that can be read").is_none());
}

#[tokio::test]
async fn a_column_of_no_times_is_told() {
    let Some(place) = Place::postgres().await else { return };
    place
        .sql("CREATE TABLE sessions (id bigserial PRIMARY KEY, session_id varchar UNIQUE, data text, \
             created_at timestamp, updated_at text)")
        .await;
    let empty = r#"{"value":{}}"#;
    place.put(&[(private(), empty, OLD, OLD)]).await;
    let found = findings(&place, "").await;
    let told = of(&found, "1 row has no updated_at that can be read").unwrap();
    assert!(text(told, "what").contains("trim fails"), "{found:?}");
    assert!(text(told, "cure").contains("a type of times"), "{found:?}");
    assert_eq!(place.run("trim").await.status.code(), Some(1));
}

#[tokio::test]
async fn ids_that_are_stored_as_bytes_are_found_and_mended() {
    let place = Place::sqlite().await.unwrap();
    let store = place.store().await;
    let ids: Vec<SessionId> = (0..2).map(|_| SessionId::generate().unwrap()).collect();
    let hidden = ids[1].private();
    for id in [ids[0].as_str(), hidden.as_str()] {
        let row = format!("(CAST('{id}' AS blob), '\"kept\"', '{OLD}', '{OLD}')");
        let into = "INSERT INTO sessions (session_id, data, created_at, updated_at) VALUES";
        place.sql(&format!("{into} {row}")).await;
    }
    place.put(&[(private(), "{}", OLD, OLD)]).await;
    for id in &ids {
        assert!(data(&store, id).await.is_none());
    }
    let found = findings(&place, "").await;
    let told = of(&found, "2 ids are stored as bytes").unwrap();
    assert_eq!(text(told, "severity"), "wrong");

    // A raw one is secured as any other.
    let report = place.json("upgrade").await;
    assert_eq!((&report["upgraded"], &report["overtaken"]), (&1.into(), &0.into()), "{report}");
    assert_eq!(data(&store, &ids[0]).await.unwrap(), "\"kept\"");

    assert!(of(&findings(&place, "").await, "1 id is stored as bytes").is_some());
    cure(&place, &place, "").await;
    assert!(of(&findings(&place, "").await, "as bytes").is_none());
    assert_eq!(data(&store, &ids[1]).await.unwrap(), "\"kept\"");
    store.close().await.unwrap();
}

/// A page of the file is destroyed, far behind the first rows.
#[tokio::test]
async fn that_not_all_rows_could_be_read_is_told() {
    let place = Place::sqlite().await.unwrap();
    let file = place.folder.path().join("torn.db");
    SqliteStore::builder(&file).create(true).open().await.unwrap().close().await.unwrap();
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).unwrap();
    let filler = "x".repeat(400);
    connection.execute_batch("BEGIN").unwrap();
    for row in 0..2_000 {
        let id = if row == 0 { raw() } else { private() };
        let data = if row == 1_500 { "sentinel" } else { &filler };
        let sql =
            "INSERT INTO sessions (session_id, data, created_at, updated_at) VALUES (?, ?, ?, ?)";
        connection.execute(sql, [&id, data, OLD, OLD]).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    drop(connection);
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(8).position(|bytes| bytes == b"sentinel").unwrap();
    let page = at / 4_096 * 4_096;
    bytes[page..page + 4_096].fill(0xff);
    std::fs::write(&file, bytes).unwrap();

    let url = format!("sqlite://{}", file.display());
    for format in ["text", "json"] {
        let mut command = super::place::program(&format!("doctor --format {format}"));
        let output = command.args(["--database", &url]).output().await.unwrap();
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("not all rows could be read: reading rows: "), "{told}");
        assert!(told.contains("malformed") && told.contains("--no-rows"), "{told}");
        // What was found until then is told too.
        assert!(told.contains("1 row holds the cookie's own id"), "{told}");
        if format == "json" {
            let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(answer["ended"], "failed");
        } else {
            assert!(told.contains("failed half-way: not every row was looked at"), "{told}");
        }
    }
}

/// Whatever is wrong with the data is told in an operator's words, and nothing of the data is.
#[tokio::test]
async fn broken_data_is_told_in_plain_words() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    let deep = format!(r#"{{"value":{{"a":{}}}}}"#, "[".repeat(200));
    let broken = [
        "sentinel",
        r#"{"value":"sentinel"}"#,
        r#"{"value":{"sentinel":1}"#,
        r#"{"value":{"sentinel":01}}"#,
        r#"{"value":{"sentinel":"\u12"}}"#,
        r#""sentinel"#,
        &deep,
        "BAh",
        "BAh7Bg==",
        "BAhpBg==",
        "BAh7BjoGYVs=",
        "BAh7BkAG",
        "BAh7BjoGYXo=",
    ];
    for data in broken {
        place.put(&[(private(), data, OLD, OLD)]).await;
    }
    place.put(&[(private(), "bytes", OLD, OLD)]).await;
    place.sql("UPDATE sessions SET data = x'7b22ff73656e74696e656c' WHERE data = 'bytes'").await;
    let rows = broken.len() + 1;
    for serializer in ["hybrid", "json", "marshal", "null"] {
        let mut told = said(&place.run(&format!("doctor --serializer {serializer}")).await);
        for row in 1..=rows {
            told += &said(&place.run(&format!("show --row {row} --serializer {serializer}")).await);
        }
        for to in ["json", "marshal"] {
            let convert = format!("convert --to {to} --dry-run --serializer {serializer}");
            told += &said(&place.run(&convert).await);
        }
        for foreign in
            ["serde", "Utf8", "invalid ", "::", "`", "Some(", "None", "Err(", "[1", "more bytes"]
        {
            assert!(!told.contains(foreign), "{foreign}: {told}");
        }
        let unmasked = told.replace("\"value\": \"sentinel\"", "");
        assert!(!unmasked.contains("sentinel"), "{told}");
        assert!(told.contains("cut short") || serializer == "json", "{told}");
    }
}

/// What SQLite's functions take for a time and Rails does not, or the other way round, is mended as it was
/// found, and what can be read stays.
#[tokio::test]
async fn times_are_mended_row_by_row_on_sqlite() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    let (empty, now) = (r#"{"value":{}}"#, now());
    let bad = ["2026-11-27 24:00:00", "2026-02-31 00:00:00", "2026-11-27  10:00:00", "yesterday"];
    let good = ["2026-11-27 10:00:00-0500", "2026-11-27 10:00:00", "2026-11-27T10:00:00.5"];
    for time in bad.iter().chain(&good) {
        place.put(&[(private(), empty, &*now, *time)]).await;
    }
    let found = findings(&place, "").await;
    let count = |found: &[Json]| {
        let about = found.iter().map(|finding| text(finding, "what"));
        about.filter(|what| what.contains("no updated_at that can be read")).count()
    };
    assert!(count(&found) > 0, "{found:?}");
    cure(&place, &place, "").await;
    assert_eq!(count(&findings(&place, "").await), 0);
    let after = place.column("SELECT updated_at FROM sessions").await;
    let stays = |time: &&str| after.iter().any(|after| after == time);
    assert!(good.iter().all(stays) && !bad.iter().any(stays), "{after:?}");
}
