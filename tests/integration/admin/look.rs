//! Stats, list, show and doctor: what operators see, and what they never see.

use std::process::Stdio;

use serde_json::Value as Json;
use sqlbypass::{Changes, Codec as _, Marshal, SessionId};
use tokio::io::AsyncWriteExt as _;

use super::place::{OLD, Place, now, private, raw, said};

crate::admin::everywhere!(
    stats_count_what_is_there,
    a_list_shows_no_id,
    a_session_is_shown_with_its_secrets_masked,
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
