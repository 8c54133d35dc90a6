//! Stats, list, show and doctor: what operators see, and what they never see.

use std::process::Stdio;

use serde_json::Value as Json;
use sqlbypass::{Changes, Codec as _, Encrypted, Keys, Marshal, SessionId};
use tokio::io::AsyncWriteExt as _;

use super::place::{OLD, Place, now, private, raw, said};

crate::admin::everywhere!(
    stats_count_what_is_there,
    a_list_shows_no_id,
    a_session_is_shown_with_its_secrets_masked,
    a_row_is_shown_by_every_name_that_a_list_tells,
    who_cannot_be_told_is_no_nobody,
    a_table_has_a_name_and_perhaps_a_schema,
    a_table_as_rails_makes_it_is_healthy,
    the_doctor_finds_what_is_wrong,
);

const SECRET: &str = "AbCdEf0123456789AbCdEf0123456789";

/// What Devise leaves in a session.
fn logged_in(user: i64) -> String {
    let mut changes = Changes::new();
    let warden = serde_json::json!([[user], "$2a$11$abcdefghijklmnopqrstuu"]);
    changes.set("warden.user.user.key", sqlbypass::Value::from(warden));
    changes.set("_csrf_token", SECRET.into());
    changes.set("cart", sqlbypass::Value::from(serde_json::json!(["red shoes"])));
    let data = Marshal.open(None).unwrap().encode(&changes).unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

async fn stats_count_what_is_there(place: Place) {
    place.store().await.close().await.unwrap();
    let now = now();
    let large = "x".repeat(1_000);
    let mut rows: Vec<_> = (0..30).map(|_| (private(), "BAh7AA==\n", OLD, OLD)).collect();
    rows.extend((0..20).map(|_| (private(), r#"{"value":{}}"#, OLD, &*now)));
    rows.push((raw(), &large, &now, &now));
    rows.push((private(), "", &now, &now));
    place.put(&rows).await;
    place.sql("UPDATE sessions SET data = NULL WHERE data = ''").await;
    let stats = place.json("stats --svg stats.svg").await;
    assert_eq!((&stats["rows"], &stats["live"]), (&52.into(), &22.into()));
    assert_eq!((&stats["expired"], &stats["unsecured"]), (&30.into(), &1.into()));
    assert_eq!(
        stats["formats"],
        serde_json::json!({"marshal": 30, "json": 20, "encrypted": 0, "empty": 1, "other": 1})
    );
    assert_eq!(
        (&stats["largest"], &stats["bytes"]),
        (&1_000.into(), &(30 * 9 + 20 * 12 + 1_000).into())
    );
    assert_eq!(stats["sizes"][0], serde_json::json!({"up_to": 0, "rows": 1}));
    assert_eq!(stats["sizes"][1], serde_json::json!({"up_to": 64, "rows": 50}));
    assert_eq!(stats["sizes"][2], serde_json::json!({"up_to": 1_024, "rows": 1}));
    assert_eq!(stats["days"][0], serde_json::json!({"day": "2020-01-01", "rows": 50}));
    let svg = std::fs::read_to_string(place.folder.path().join("stats.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("2020-01-01"));
    let text = said(&place.run("stats").await);
    assert!(text.contains("52 sessions\n22 live, 30 not used for 30 days"), "{text}");
    assert!(text.contains("1 id stored raw") && text.contains("█"), "{text}");
}

async fn a_list_shows_no_id(place: Place) {
    place.store().await.close().await.unwrap();
    let (now, data) = (now(), logged_in(42));
    let (user, other, unsecured) = (private(), private(), raw());
    place
        .put(&[
            (user.clone(), &data, OLD, "2021-06-01 00:00:00"),
            (other.clone(), "broken", OLD, OLD),
            (unsecured.clone(), "", OLD, &now),
        ])
        .await;
    let listed = place.json("list --limit 2").await;
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[0]["secured"], &sessions[0]["user"]), (&false.into(), &Json::Null));
    assert_eq!((&sessions[1]["secured"], &sessions[1]["user"]), (&true.into(), &"42".into()));
    assert_eq!(sessions[1]["updated_at"], "2021-06-01T00:00:00Z");
    assert_eq!(sessions[1]["size"], data.len());
    let text = said(&place.run("list").await);
    assert!(text.contains("(id stored raw)") && text.contains("2021-06-01T00:00:00Z"), "{text}");
    for told in [text, listed.to_string()] {
        assert!([&user, &other, &unsecured].iter().all(|id| !told.contains(id.as_str())));
        assert!(!told.contains(SECRET) && !told.contains("$2a$"));
    }
}

/// Shows the session whose cookie is given on standard input.
async fn show(place: &Place, arguments: &str, id: &str) -> std::process::Output {
    let mut command = place.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(id.as_bytes()).await.unwrap();
    child.wait_with_output().await.unwrap()
}

async fn a_session_is_shown_with_its_secrets_masked(place: Place) {
    place.store().await.close().await.unwrap();
    let data = logged_in(42);
    let id = SessionId::generate().unwrap();
    place.put(&[(id.private().as_str().to_owned(), &data, OLD, OLD)]).await;
    let row = place.column("SELECT id FROM sessions").await.remove(0);
    let by_id = show(&place, "show --format json", &format!("{}\n", id.as_str())).await;
    let by_row = place.run(&format!("show --row {row} --format json")).await;
    for output in [&by_id, &by_row] {
        let told = said(output);
        assert!(output.status.success(), "{told}");
        assert!(!told.contains(SECRET) && !told.contains("$2a$") && !told.contains(id.as_str()));
        let shown: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(shown["data"]["cart"], serde_json::json!(["red shoes"]));
        assert_eq!(shown["data"]["warden.user.user.key"][0][0], 42);
        assert_eq!(shown["data"]["_csrf_token"], "[masked]");
        assert_eq!(shown["created_at"], "2020-01-01T00:00:00Z");
    }
    let revealed = said(&place.run(&format!("show --row {row} --reveal")).await);
    assert!(revealed.contains(SECRET), "{revealed}");
    assert_eq!(show(&place, "show", SECRET).await.status.code(), Some(1));
    assert_eq!(show(&place, "show", id.private().as_str()).await.status.code(), Some(2));
    assert_eq!(place.run("show --row 999999").await.status.code(), Some(1));
    let two = show(&place, "show", &format!("{}\n{}", id.as_str(), id.as_str())).await;
    assert_eq!(two.status.code(), Some(2));
    assert!(said(&two).contains("several lines") && !said(&two).contains(id.as_str()));
}

async fn a_row_is_shown_by_every_name_that_a_list_tells(place: Place) {
    let uuid = if place.url.starts_with("postgres:") { "uuid" } else { "varchar(36)" };
    // In which not each text can be asked for.
    let ascii = if place.url.starts_with("mysql:") { " CHARACTER SET ascii" } else { "" };
    let ascii = format!("varchar(20){ascii}");
    let (uuids, others) = (
        ["0b8c7a1e-5f0d-4c3b-9a2e-1d6f7e8a9b0c", "ffffffff-5f0d-4c3b-9a2e-1d6f7e8a9b0c"],
        ["100", "it is ada's", "-x", "~0123456789abcdef", "~z", "99", "007", "7", "+7"],
    );
    for (kind, keys) in [
        ("bigint", vec!["1", "42", "9000000000"]),
        (uuid, uuids.to_vec()),
        (&ascii, vec!["seven", "7"]),
        ("varchar(36)", uuids.into_iter().chain(others).collect()),
        ("", vec![""; 1_200]),
    ] {
        let key = if kind.is_empty() { String::new() } else { format!("id {kind} PRIMARY KEY, ") };
        let of_id = if kind.is_empty() { " PRIMARY KEY" } else { " UNIQUE" };
        place
            .sql(&format!(
                "CREATE TABLE sessions ({key}session_id varchar(255) NOT NULL{of_id}, data text, \
                 created_at timestamp NULL, updated_at timestamp NULL)"
            ))
            .await;
        let ids: Vec<String> = keys.iter().map(|_| private()).collect();
        for (chunk, ids) in keys.chunks(300).zip(ids.chunks(300)) {
            let row = |(key, id): (&&str, &String)| {
                let key = key.replace('\'', "''");
                let key = if kind.is_empty() { String::new() } else { format!("'{key}', ") };
                format!("({key}'{id}', '{{\"value\":{{\"is\":\"{}\"}}}}')", &id[id.len() - 12..])
            };
            let rows: Vec<String> = chunk.iter().zip(ids).map(row).collect();
            let columns = if kind.is_empty() { "session_id, data" } else { "id, session_id, data" };
            let rows = rows.join(", ");
            place.sql(&format!("INSERT INTO sessions ({columns}) VALUES {rows}")).await;
        }
        every_name_shows_a_row(&place, keys.len(), &ids).await;
        for nothing in [
            "43",
            "-1",
            "99999999999999999999",
            "none",
            "",
            "~",
            "~0123456789abcde0",
            "042",
            "\u{e9}",
        ] {
            let mut command = place.command("show --format json");
            let output = command.arg(format!("--row={nothing}")).output().await.unwrap();
            let told = said(&output);
            assert_eq!(output.status.code(), Some(1), "{kind} {nothing}: {told}");
            assert!(told.contains("there is no row of this name"), "{kind} {nothing}: {told}");
        }
        place.sql("DROP TABLE sessions").await;
    }
}

async fn every_name_shows_a_row(place: &Place, count: usize, ids: &[String]) {
    let listed = place.json("list --limit 2000").await;
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), count);
    let mut shown = std::collections::HashSet::new();
    // The last rows of a walk too, and not each of many.
    for session in sessions.iter().step_by(count.div_ceil(12)).chain(sessions.last()) {
        let row = session["row"].as_str().unwrap();
        assert!(!ids.iter().any(|id| id == row));
        let mut command = place.command("show --format json");
        let output = command.arg(format!("--row={row}")).output().await.unwrap();
        assert!(output.status.success(), "{row}: {}", said(&output));
        let found: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["row"], row);
        let is = found["data"]["is"].as_str().unwrap();
        assert!(ids.iter().any(|id| id.ends_with(is)), "{found}");
        shown.insert(is.to_owned());
    }
    assert!(shown.len() >= count.min(12), "{shown:?}");
    // An id is no name, also where it is the key.
    let output = place.command("show").arg(format!("--row={}", ids[0])).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

async fn who_cannot_be_told_is_no_nobody(place: Place) {
    place.store().await.close().await.unwrap();
    let key = "k1:bGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGw=";
    std::fs::write(place.folder.path().join("keys"), format!("{key}\n")).unwrap();
    let codec = Encrypted::new(Marshal, Keys::parse(key).unwrap());
    let id = SessionId::generate().unwrap().private();
    let mut changes = Changes::new();
    let warden = serde_json::json!([[42], "$2a$11$abcdefghijklmnopqrstuu"]);
    changes.set("warden.user.user.key", sqlbypass::Value::from(warden));
    let data = codec.open(None).unwrap().encode_row(&id, &changes).unwrap();
    let data = String::from_utf8(data.to_vec()).unwrap();
    let now = now();
    place
        .put(&[
            (id.as_str().to_owned(), &data, OLD, &now),
            (private(), r#"{"value":{}}"#, OLD, OLD),
            ("an id of no shape".into(), &logged_in(4), OLD, "2020-01-02 00:00:00"),
        ])
        .await;
    let users = |listed: &Json| -> Vec<(Json, Json)> {
        let sessions = listed["sessions"].as_array().unwrap().iter();
        sessions.map(|found| (found["user"].clone(), found["unreadable"].clone())).collect()
    };
    let (nobody, known, unknown): (Json, Json, Json) = (Json::Null, false.into(), true.into());
    let (ada, bob): (Json, Json) = ("42".into(), "4".into());
    let listed = place.json("list").await;
    assert_eq!(listed["unreadable"], 1);
    assert_eq!(
        users(&listed),
        [(nobody.clone(), unknown), (bob, known.clone()), (nobody.clone(), known.clone())]
    );
    let output = place.run("list").await;
    let told = said(&output);
    assert!(output.status.success() && told.contains("1 session cannot be read"), "{told}");
    assert!(told.contains("--keys-file") && told.contains("  ?\n"), "{told}");
    let told = said(&place.run("list --user 42").await);
    assert!(told.contains("1 session cannot be read and may be the user's too"), "{told}");
    assert!(told.contains("--keys-file"), "{told}");
    place.sql("DELETE FROM sessions WHERE session_id = 'an id of no shape'").await;
    for quiet in ["list --keys-file keys", "list --user 42 --keys-file keys"] {
        let told = said(&place.run(quiet).await);
        assert!(!told.contains("cannot be read") && told.contains("  42\n"), "{told}");
    }
    let listed = place.json("list --keys-file keys").await;
    assert_eq!(listed["unreadable"], 0);
    assert_eq!(users(&listed), [(ada, known.clone()), (nobody, known)]);
    // Only what is shown is told of.
    place.put(&[(private(), "broken", OLD, "2019-01-01 00:00:00")]).await;
    let unreadable = |listed: Json| listed["unreadable"].clone();
    assert_eq!(unreadable(place.json("list --limit 2 --keys-file keys").await), 0);
    assert_eq!(unreadable(place.json("list --limit 3 --keys-file keys").await), 1);
}

async fn a_table_has_a_name_and_perhaps_a_schema(place: Place) {
    place.store().await.close().await.unwrap();
    for task in ["list", "show --row 1", "create --print", "doctor", "trim"] {
        let output = place.run(&format!("{task} --table a.b.c")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(2), "{task}: {told}");
        assert!(told.contains("3 parts") && told.contains("SCHEMA.TABLE"), "{task}: {told}");
    }
}

async fn a_table_as_rails_makes_it_is_healthy(place: Place) {
    place.store().await.close().await.unwrap();
    place.put(&[(private(), &logged_in(1), OLD, OLD)]).await;
    let output = place.run("doctor").await;
    let told = said(&output);
    // The servers of the tests may lose what they hold; that is all that may be wrong with them.
    let wrong: Vec<&str> = told.lines().filter(|line| line.starts_with("wrong:")).collect();
    let is_fsync = |line: &&str| line.contains("fsync is off");
    assert!(wrong.iter().all(is_fsync), "{told}");
    assert_eq!(output.status.code(), Some(i32::from(!wrong.is_empty())), "{told}");
    assert!(told.contains("created_at has no index, and sqlbypass needs none"), "{told}");
}

async fn the_doctor_finds_what_is_wrong(place: Place) {
    let missing = place.run("doctor --table none").await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(said(&missing).contains("sqlbypass create"), "{}", said(&missing));
    // No unique index, no updated_at, a short id.
    place
        .sql("CREATE TABLE sessions (id integer PRIMARY KEY, session_id varchar(32), data text, created_at timestamp)")
        .await;
    let id = raw();
    place.sql(&format!("INSERT INTO sessions VALUES (1, '{id}', 'sentinel', NULL)")).await;
    let output = place.run("doctor --format json").await;
    assert_eq!(output.status.code(), Some(1));
    let told = said(&output);
    assert!(!told.contains(&id) && !told.contains("sentinel"), "{told}");
    let found: Json = serde_json::from_slice(&output.stdout).unwrap();
    let found = found["findings"].as_array().unwrap();
    assert!(found.iter().all(|finding| !finding["cure"].as_str().unwrap().is_empty()));
    for what in [
        "no unique index",
        "no updated_at",
        "1 row holds the cookie's own id",
        "1 row cannot be decoded as hybrid: row 1:",
        "holds 32 characters",
    ] {
        // A type limits nothing there.
        if place.is_sqlite() && what.contains("characters") {
            assert!(!told.contains(what), "{told}");
            continue;
        }
        let is_found = |finding: &Json| finding["what"].as_str().unwrap().contains(what);
        assert!(found.iter().any(is_found), "{what}: {told}");
    }
    let without_rows = place.json_of(1, "doctor --no-rows").await;
    assert!(!without_rows.to_string().contains("decoded"));
}
