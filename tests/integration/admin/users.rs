//! List, revoke and backfill: the sessions of a user, with the column of users and without.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value as Json;
use sqlbypass::{Changes, Codec as _, Encrypted, Keys, Marshal, Saved, SessionId, Store as _};

use super::place::{OLD, Place, anywhere, killed, now, private, raw, said};
use crate::promises::{data, insert, new_id, update};

crate::admin::everywhere!(
    a_users_sessions_are_listed_and_revoked,
    a_table_in_use_gets_the_column,
    what_rails_writes_is_found,
    a_table_is_made_with_the_column,
    a_backfill_may_be_killed_and_run_again,
    an_applications_own_column_is_left_alone,
    encrypted_sessions_are_found,
    what_cannot_be_read_is_told,
    the_column_comes_beside_live_saves,
);

const COLUMN: &str = "--user-column user_id";

/// What Devise leaves in a session.
fn logged_in(user: i64) -> String {
    text(&Marshal.open(None).unwrap().encode(&of_devise(user)).unwrap())
}

fn of_devise(user: i64) -> Changes {
    let mut changes = Changes::new();
    let warden = serde_json::json!([[user], "$2a$11$abcdefghijklmnopqrstuu"]);
    changes.set("warden.user.user.key", sqlbypass::Value::from(warden));
    changes.set("_csrf_token", "AbCdEf0123456789AbCdEf0123456789".into());
    changes
}

fn text(data: &[u8]) -> String {
    String::from_utf8(data.to_vec()).unwrap()
}

/// Runs SQL that the program has shown, a statement at a time, as an operator does.
async fn run_sql(place: &Place, sql: &str) {
    for statement in sql.split(";\n").filter(|text| !text.trim().is_empty()) {
        place.sql(statement).await;
    }
}

async fn add_column(place: &Place) {
    let sql = said(&place.run(&format!("create --add-user-column --print {COLUMN}")).await);
    run_sql(place, &sql).await;
}

fn rows(listed: &Json) -> Vec<String> {
    let row = |session: &Json| session["row"].as_str().unwrap().to_owned();
    listed["sessions"].as_array().unwrap().iter().map(row).collect()
}

async fn a_users_sessions_are_listed_and_revoked(place: Place) {
    place.store().await.close().await.unwrap();
    let (now, ada, bob) = (now(), logged_in(42), logged_in(4));
    let ids = [private(), raw(), private()];
    place
        .put(&[
            (ids[0].clone(), &ada, OLD, "2021-06-01 00:00:00"),
            (private(), &bob, OLD, OLD),
            (ids[1].clone(), &ada, OLD, &now),
            (ids[2].clone(), &ada, OLD, OLD),
            (private(), r#"{"value":{"login":"ada"}}"#, OLD, OLD),
        ])
        .await;
    let listed = place.json("list --user 42").await;
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    assert_eq!((&sessions[0]["secured"], &sessions[0]["user"]), (&false.into(), &"42".into()));
    assert_eq!(sessions[1]["updated_at"], "2021-06-01T00:00:00Z");
    assert_eq!(sessions[2]["size"], ada.len());
    assert_eq!(place.json("list --user 42 --limit 1").await["sessions"][0], sessions[0]);
    let named = place.json("list --user ada --user-key login").await;
    assert_eq!(rows(&named).len(), 1);
    let of_bob = rows(&place.json("list --user 4").await).remove(0);
    let of_ada = rows(&listed);

    let asked = place.run("revoke --user 42").await;
    let told = said(&asked);
    assert_eq!(asked.status.code(), Some(2), "{told}");
    assert!(told.contains("3 sessions") && of_ada.iter().all(|row| told.contains(row)), "{told}");
    let dry = place.json("revoke --user 42 --all --dry-run").await;
    assert_eq!((&dry["revoked"], &dry["seen"]), (&3.into(), &5.into()));
    assert_eq!(place.json_of(1, &format!("revoke --user 42 --row {of_bob}")).await["revoked"], 0);
    let one = format!("revoke --user 42 --row {}", of_ada[1]);
    assert_eq!(place.json(&one).await["revoked"], 1);
    assert_eq!(place.json_of(1, &one).await["revoked"], 0);
    let others = format!("revoke --user 42 --all-but {}", of_ada[0]);
    assert_eq!(place.json(&others).await["revoked"], 1);
    assert_eq!(rows(&place.json("list --user 42").await), of_ada[..1]);
    let only = place.run("revoke --user 42").await;
    assert!(only.status.success() && said(&only).contains("revoked 1 session"));
    assert_eq!(place.json("revoke --user 42").await["revoked"], 0);
    assert_eq!(place.json("revoke --user 42 --all").await["revoked"], 0);
    assert_eq!(place.count("1 = 1").await, 2);
    for told in [told, listed.to_string(), said(&place.run("list --user 4").await)] {
        assert!(ids.iter().all(|id| !told.contains(id.as_str())) && !told.contains("$2a$"));
    }
}

async fn a_table_in_use_gets_the_column(place: Place) {
    place.store().await.close().await.unwrap();
    let (ada, bob) = (logged_in(42), logged_in(4));
    let mut put: Vec<_> = (0..250).map(|_| (private(), &*bob, OLD, OLD)).collect();
    put.extend((0..3).map(|_| (private(), &*ada, OLD, OLD)));
    put.push((raw(), &ada, OLD, OLD));
    put.push((private(), r#"{"value":{}}"#, OLD, OLD));
    put.push((private(), "broken", OLD, OLD));
    place.put(&put).await;
    let doctor = said(&place.run(&format!("doctor {COLUMN}")).await);
    assert!(doctor.contains("the table has no user_id"), "{doctor}");
    assert_eq!(place.run(&format!("backfill {COLUMN}")).await.status.code(), Some(1));
    let seen = |report: &Json| report["seen"].as_u64().unwrap();
    let dry = format!("revoke --user 42 --all --dry-run {COLUMN}");
    assert_eq!(seen(&place.json_of(1, &dry).await), 256);

    add_column(&place).await;
    let doctor = said(&place.run(&format!("doctor {COLUMN}")).await);
    // Nobody has looked at any row yet.
    assert!(doctor.contains("user_id says nothing of 255 rows"), "{doctor}");
    assert!(!doctor.contains("table has no user_id") && !doctor.contains("user_id has no index"));
    let before = place.json_of(1, &dry).await;
    assert_eq!((seen(&before), &before["revoked"]), (256, &4.into()));
    let report = place.json_of(1, &format!("backfill --dry-run {COLUMN}")).await;
    assert_eq!((&report["filled"], &report["unreadable"]), (&255.into(), &1.into()));
    let updated = place.column("SELECT updated_at FROM sessions").await;
    assert_eq!(place.count("user_id IS NOT NULL").await, 0);
    assert_eq!(place.json_of(1, &format!("backfill {COLUMN}")).await["filled"], 255);
    assert_eq!(place.count("user_id = '4'").await, 250);
    assert_eq!(place.count("user_id = '42'").await, 4);
    assert_eq!(place.count("user_id = ''").await, 1);
    assert_eq!(place.column("SELECT updated_at FROM sessions").await, updated);
    let after = place.json_of(1, &dry).await;
    assert_eq!((seen(&after), &after["revoked"], &after["unreadable"]), (5, &4.into(), &1.into()));
    assert_eq!(rows(&place.json(&format!("list --user 42 {COLUMN}")).await).len(), 4);
    assert_eq!(place.json_of(1, &format!("revoke --user 42 --all {COLUMN}")).await["revoked"], 4);
    assert_eq!(place.count("1 = 1").await, 252);
}

/// What Rails inserts is found at once, and whom it changes in place by a look at every row.
async fn what_rails_writes_is_found(place: Place) {
    place.store().await.close().await.unwrap();
    add_column(&place).await;
    let (ada, bob) = (logged_in(42), logged_in(4));
    let changed = private();
    place.put(&[(private(), &ada, OLD, OLD), (changed.clone(), &bob, OLD, OLD)]).await;
    assert_eq!(place.json(&format!("backfill {COLUMN}")).await["filled"], 2);
    place.put(&[(private(), &ada, OLD, OLD)]).await;
    place.sql(&format!("UPDATE sessions SET data = '{ada}' WHERE session_id = '{changed}'")).await;
    let list = format!("list --user 42 {COLUMN}");
    assert_eq!(rows(&place.json(&list).await).len(), 2);
    assert!(rows(&place.json(&format!("list --user 4 {COLUMN}")).await).is_empty());
    assert_eq!(rows(&place.json(&format!("{list} --scan")).await).len(), 3);
    let report = place.json(&format!("backfill --recheck {COLUMN}")).await;
    assert_eq!((&report["filled"], &report["already"]), (&2.into(), &1.into()));
    assert_eq!(rows(&place.json(&list).await).len(), 3);
    let report = place.json(&format!("revoke --user 42 --all --scan {COLUMN}")).await;
    assert_eq!(report["revoked"], 3);
}

async fn a_table_is_made_with_the_column(place: Place) {
    assert_eq!(place.json(&format!("create {COLUMN}")).await["created"], true);
    let doctor = said(&place.run(&format!("doctor {COLUMN}")).await);
    assert!(!doctor.contains("user_id"), "{doctor}");
    let printed = said(&place.run(&format!("create --print --profile tuned {COLUMN}")).await);
    assert!(printed.contains("user_id"), "{printed}");
    place.sql("DROP TABLE sessions").await;
    run_sql(&place, &printed).await;
    place.put(&[(private(), &logged_in(42), OLD, OLD)]).await;
    assert_eq!(place.json(&format!("backfill {COLUMN}")).await["filled"], 1);
    let file = "20260101000000_add_user_to_sessions.rb";
    let migration = format!("create --add-user-column {COLUMN} --migration {file}");
    assert!(place.run(&migration).await.status.success());
    let migration = std::fs::read_to_string(place.folder.path().join(file)).unwrap();
    assert!(migration.contains("class AddUserToSessions < ActiveRecord"), "{migration}");
    assert!(migration.contains("remove_column 'sessions', 'user_id'"), "{migration}");
    assert!(!migration.contains("drop_table") && !migration.contains("CREATE TABLE"));
    let is_concurrent = place.url.starts_with("postgres:");
    assert_eq!(migration.contains("disable_ddl_transaction!"), is_concurrent, "{migration}");
}

async fn a_backfill_may_be_killed_and_run_again(place: Place) {
    place.store().await.close().await.unwrap();
    add_column(&place).await;
    let data = logged_in(42);
    let put: Vec<_> = (0..600).map(|_| (private(), &*data, OLD, OLD)).collect();
    place.put(&put).await;
    let task = format!("backfill --batch 25 --pause 30 {COLUMN}");
    let some = anywhere(25..450);
    let child = place.start(&task, "user_id = '42'", |rows| rows >= some).await;
    let done = killed(child, async || place.count("user_id = '42'").await).await;
    assert!(done < 600, "it was too late to kill it");
    let report = place.json(&format!("backfill {COLUMN}")).await;
    assert_eq!((&report["filled"], &report["seen"]), (&(600 - done).into(), &(600 - done).into()));
    assert_eq!(place.count("user_id = '42'").await, 600);
}

/// One that is no text is not ours, and one that was not named is not looked at.
async fn an_applications_own_column_is_left_alone(place: Place) {
    place
        .sql(
            "CREATE TABLE sessions (id integer PRIMARY KEY, session_id varchar(255) UNIQUE, \
             data text, user_id integer)",
        )
        .await;
    let (id, data) = (SessionId::generate().unwrap(), logged_in(42));
    let stored = id.private().as_str().to_owned();
    place.sql(&format!("INSERT INTO sessions VALUES (1, '{stored}', '{data}', 7)")).await;
    for command in ["list --user 42", "revoke --user 42 --all", "backfill", "doctor"] {
        let output = place.run(&format!("{command} {COLUMN}")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("\"user_id\"") && told.contains("not text"), "{told}");
    }
    assert_eq!(rows(&place.json("list --user 42").await), ["1"]);
    let store = place.store().await;
    let update = sqlbypass::Update::new(id.private().into()).data("changed");
    store.save(&sqlbypass::Save::Update(update)).await.unwrap();
    assert_eq!(place.count("user_id = 7 AND data = 'changed'").await, 1);
}

async fn encrypted_sessions_are_found(place: Place) {
    place.store().await.close().await.unwrap();
    add_column(&place).await;
    let key = "k1:bGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGw=";
    std::fs::write(place.folder.path().join("keys"), format!("{key}\n")).unwrap();
    let codec = Encrypted::new(Marshal, Keys::parse(key).unwrap());
    for user in [42, 42, 4] {
        let id = SessionId::generate().unwrap().private();
        let data = codec.open(None).unwrap().encode_row(&id, &of_devise(user)).unwrap();
        place.put(&[(id.as_str().to_owned(), &text(&data), OLD, OLD)]).await;
    }
    let with = |command: &str| format!("{command} {COLUMN} --keys-file keys");
    let listed = place.json(&format!("list --user 42 {COLUMN}")).await;
    assert_eq!((rows(&listed).len(), &listed["unreadable"]), (0, &3.into()));
    // As a service writes it with this key, and as the program reads it: by the default serializer.
    assert_eq!(rows(&place.json(&with("list --user 42 --serializer marshal")).await).len(), 2);
    assert_eq!(place.json(&with("backfill --serializer marshal")).await["filled"], 3);
    let all = with("revoke --user 42 --all --serializer marshal");
    assert_eq!(place.json(&all).await["revoked"], 2);
    // Without the keys the column's word holds.
    assert_eq!(place.json(&format!("revoke --user 4 --all {COLUMN}")).await["revoked"], 1);
}

/// Rows that nobody can read may be the user's: who revokes is not told that all have ended.
async fn what_cannot_be_read_is_told(place: Place) {
    place.store().await.close().await.unwrap();
    let ada = logged_in(42);
    place.put(&[(private(), &ada, OLD, OLD), (private(), &ada, OLD, OLD)]).await;
    // By the wrong serializer nothing can be read.
    let wrong = "--serializer json";
    for (which, unreadable) in
        [("--all", 2), ("--all --dry-run", 2), ("--row 1", 1), ("--all-but 1", 1), ("", 2)]
    {
        let report = place.json_of(1, &format!("revoke --user 42 {which} {wrong}")).await;
        let told = (&report["revoked"], &report["unreadable"]);
        assert_eq!(told, (&0.into(), &unreadable.into()), "{which}");
    }
    let told = said(&place.run(&format!("revoke --user 42 --all {wrong}")).await);
    assert!(told.contains("2 sessions cannot be read") && told.contains("--serializer"), "{told}");
    let listed = place.json(&format!("list --user 42 {wrong}")).await;
    assert_eq!((rows(&listed).len(), &listed["unreadable"]), (0, &2.into()));
    let told = said(&place.run(&format!("list --user 42 {wrong}")).await);
    assert!(told.contains("2 sessions cannot be read"), "{told}");
    assert_eq!(place.count("1 = 1").await, 2);

    // One that is broken hides behind none that are ended, and hinders none that is named.
    place.put(&[(private(), "broken", OLD, OLD), (private(), &ada, OLD, OLD)]).await;
    let one = place.json("revoke --user 42 --row 4").await;
    assert_eq!((&one["revoked"], &one["unreadable"]), (&1.into(), &0.into()));
    let report = place.json_of(1, "revoke --user 42 --all").await;
    assert_eq!((&report["revoked"], &report["unreadable"]), (&2.into(), &1.into()));

    // Where the column names somebody, it is known whose a row is.
    add_column(&place).await;
    place.sql("UPDATE sessions SET user_id = '4'").await;
    for (which, code) in [("", 0), ("--scan", 1)] {
        let report = place.json_of(code, &format!("revoke --user 42 --all {COLUMN} {which}")).await;
        let told = (&report["revoked"], &report["unreadable"]);
        assert_eq!(told, (&0.into(), &code.into()), "{which}");
    }
    let report = place.json(&format!("revoke --user 4 --all {COLUMN}")).await;
    assert_eq!((&report["revoked"], &report["unreadable"]), (&1.into(), &0.into()));
}

/// A service that was started before there was the column goes on as if there were none.
async fn the_column_comes_beside_live_saves(place: Place) {
    let store = place.store().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers = (0..4).map(|_| {
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let id = new_id();
            insert(&store, &id, "0").await.unwrap();
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) || count < 50 {
                count += 1;
                assert_eq!(update(&store, &id, count.to_string()).await.unwrap(), Saved::Applied);
                let found = data(&store, &id).await.unwrap();
                assert_eq!(found, count.to_string());
            }
            count
        })
    });
    let writers: Vec<_> = writers.collect();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    add_column(&place).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        let count = writer.await.unwrap();
        assert!(place.count(&format!("data = '{count}' AND user_id IS NULL")).await >= 1);
    }
    store.close().await.unwrap();
}

/// ActiveRecord on a table with the column: rows that it makes, changes and deletes.
const RAILS: &str = r#"
    ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ARGV[0])
    class Session < ActiveRecord::Base; self.table_name = "sessions"; end
    def text(user) = [Marshal.dump("warden.user.user.key" => [[user], "$2a$11$abcdefghijklmnopqrstuu"])].pack("m")
    case ARGV[1]
    when "make" then ARGV[2..].each { |id| Session.create!(session_id: id, data: text(42)) }
    when "change" then Session.find_by!(session_id: ARGV[2]).update!(data: text(42) + " ")
    when "delete" then Session.where(session_id: ARGV[2]).destroy_all
    end
    puts Session.order(:id).map { |row| Marshal.load(row.data.unpack1("m")).to_a.flatten[1] }.join(",")
"#;

fn rails(place: &Place, arguments: &[&str]) -> Option<String> {
    let mut ruby = Command::new("ruby");
    ruby.args(["-W0", "-ractive_record", "-rsqlite3", "-e", RAILS]);
    ruby.arg(place.url.strip_prefix("sqlite://").unwrap()).args(arguments);
    let output =
        ruby.stderr(Stdio::inherit()).output().ok().filter(|output| output.status.success());
    assert!(output.is_some() || std::env::var_os("CI").is_none(), "this test needs activerecord");
    Some(text(&output?.stdout).trim().to_owned())
}

#[tokio::test]
async fn rails_itself_works_on_a_table_with_the_column() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    add_column(&place).await;
    let [first, second] = [private(), private()];
    let Some(made) = rails(&place, &["make", &first, &second]) else {
        return eprintln!("SKIPPED: no ruby with activerecord and sqlite3");
    };
    assert_eq!(made, "42,42");
    // What Rails has made is found before a backfill, and by the column after it.
    let list = format!("list --user 42 {COLUMN}");
    assert_eq!(rows(&place.json(&list).await).len(), 2);
    assert_eq!(place.json(&format!("backfill {COLUMN}")).await["filled"], 2);
    assert_eq!(place.count("user_id = '42'").await, 2);
    // Rails changes and deletes rows whose column is filled, and reads what is left of a revocation.
    assert_eq!(rails(&place, &["change", &first]).unwrap(), "42,42");
    assert_eq!(place.count("user_id = '42'").await, 2);
    assert_eq!(rails(&place, &["delete", &second]).unwrap(), "42");
    let report = place.json(&format!("revoke --user 42 --all {COLUMN}")).await;
    assert_eq!(report["revoked"], 1);
    assert_eq!(rails(&place, &["show"]).unwrap(), "");
}
