//! What an operator may get wrong: it is refused or told, and nothing is lost.

use sqlbypass::{Changes, Codec as _, Marshal, Value};

use super::place::{OLD, Place, private, raw, said};

crate::admin::everywhere!(
    a_column_has_one_part,
    what_holds_no_ids_is_not_upgraded,
    a_wrong_key_fills_nothing,
    logouts_in_place_are_no_reason_to_doubt,
    a_row_of_nobodys_is_not_kept,
    users_of_every_scope_are_found,
    that_there_is_more_is_told,
    who_looks_changes_nothing,
    a_column_that_is_not_unique_is_no_key,
    a_column_of_something_else_is_not_filled,
    what_holds_no_sessions_is_left_alone,
    odd_ids_among_sessions_are_no_reason_to_refuse,
    the_command_that_adds_a_column_is_named,
    a_forgotten_serializer_hides_nobodys_sessions,
    what_cannot_be_read_may_be_another_of_the_users
);

const COLUMN: &str = "--user-column user_id";

/// What Devise leaves in a session for one of its scopes.
fn logged_in(scope: &str, user: i64) -> String {
    let mut changes = Changes::new();
    let warden = serde_json::json!([[user], "$2a$11$abcdefghijklmnopqrstuu"]);
    changes.set(format!("warden.user.{scope}.key"), Value::from(warden));
    String::from_utf8(Marshal.open(None).unwrap().encode(&changes).unwrap().to_vec()).unwrap()
}

/// Everything that rows have, as one text each.
async fn rows(place: &Place) -> Vec<String> {
    let mut all = Vec::new();
    for column in ["session_id", "data", "created_at", "updated_at"] {
        all.extend(place.column(&format!("SELECT {column} FROM sessions")).await);
    }
    all
}

async fn add_column(place: &Place) {
    place.sql("ALTER TABLE sessions ADD COLUMN user_id varchar(255)").await;
}

async fn a_column_has_one_part(place: Place) {
    place.store().await.close().await.unwrap();
    let ada = logged_in("user", 42);
    place.put(&[(raw(), &ada, OLD, OLD), (private(), r#"{"value":{}}"#, OLD, OLD)]).await;
    let before = rows(&place).await;
    for (task, clashes) in [
        ("convert --to json", "--data-column session_id"),
        ("convert --to marshal", "--data-column updated_at"),
        ("upgrade", "--session-id-column data"),
        ("upgrade", "--session-id-column CREATED_AT"),
        ("backfill", "--user-column data"),
        ("backfill --recheck", "--user-column Session_Id"),
        ("backfill", "--user-column expires_at"),
        ("backfill", "--user-column id"),
        ("backfill --dry-run", "--user-column ID"),
        ("list --user 42", "--user-column id"),
        ("trim", "--primary-key data"),
        ("clear --yes", "--data-column created_at"),
        ("revoke --user 42 --all", "--user-column updated_at"),
        ("create --print", "--data-column session_id"),
        ("stats", "--session-id-column data"),
    ] {
        let output = place.run(&format!("{task} {clashes}")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(2), "{task} {clashes}: {told}");
        assert!(told.contains("is named as the column of"), "{told}");
    }
    assert_eq!(rows(&place).await, before);
}

async fn what_holds_no_ids_is_not_upgraded(place: Place) {
    place.store().await.close().await.unwrap();
    place.put(&[(raw(), "x", OLD, OLD), (raw(), "x", OLD, OLD)]).await;
    place.sql("ALTER TABLE sessions ADD COLUMN agent varchar(255)").await;
    place.sql("UPDATE sessions SET agent = 'Mozilla/5.0 (X11; Linux x86_64)'").await;
    for task in ["upgrade", "upgrade --dry-run"] {
        let output = place.run(&format!("{task} --session-id-column agent")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("2 of the first 2 ids do not look like sessions'"), "{told}");
        assert!(!told.contains("Mozilla"), "{told}");
    }
    assert_eq!(place.count("agent = 'Mozilla/5.0 (X11; Linux x86_64)'").await, 2);
    assert_eq!(place.json("upgrade").await["upgraded"], 2);
    place.put(&[("odd".into(), "x", OLD, OLD)]).await;
    place.sql("DELETE FROM sessions WHERE session_id <> 'odd'").await;
    assert_eq!(place.run("upgrade").await.status.code(), Some(1));
    assert_eq!(place.json("upgrade --any-shape").await["upgraded"], 1);
}

async fn a_wrong_key_fills_nothing(place: Place) {
    place.store().await.close().await.unwrap();
    add_column(&place).await;
    let (ada, empty) = (logged_in("user", 42), r#"{"value":{}}"#);
    assert_eq!(place.json(&format!("backfill {COLUMN}")).await["seen"], 0);
    let ids = [private(), private(), private()];
    let row = |id: usize, data| (ids[id].clone(), data, OLD, OLD);
    place.put(&[row(0, &*ada), row(1, &*ada), row(2, empty)]).await;
    for wrong in ["--user-key login", "--user-key warden.user.admin.key"] {
        let task = format!("backfill {COLUMN} {wrong}");
        let report = place.json_of(1, &task).await;
        assert_eq!((&report["filled"], &report["doubtful"]), (&0.into(), &3.into()), "{wrong}");
        let told = said(&place.run(&task).await);
        assert!(told.contains("no session names a user") && told.contains("--user-key"), "{told}");
    }
    assert_eq!(place.count("user_id IS NULL").await, 3);
    let told = said(&place.run(&format!("backfill {COLUMN} --dry-run")).await);
    assert!(told.contains("would fill 3 of 3 sessions: 2 with a user, 1 with nobody"), "{told}");
    let report = place.json(&format!("backfill {COLUMN}")).await;
    assert_eq!((&report["filled"], &report["named"]), (&3.into(), &2.into()));

    // What is right is not taken away by what is wrong.
    let recheck = format!("backfill {COLUMN} --recheck");
    let report = place.json_of(1, &format!("{recheck} --user-key login")).await;
    assert_eq!((&report["filled"], &report["doubtful"]), (&0.into(), &3.into()));
    assert_eq!(place.count("user_id = '42'").await, 2);
    // A key that one session has is no reason to doubt.
    place
        .sql(&format!("UPDATE sessions SET data = '{empty}' WHERE session_id = '{}'", ids[0]))
        .await;
    let report = place.json(&recheck).await;
    assert_eq!((&report["filled"], &report["kept"]), (&0.into(), &1.into()));
    assert_eq!(place.count("user_id = '42'").await, 2);
    // One session that has the wrong key takes no name away from the others.
    let other = r#"{"value":{"login":"eve"}}"#;
    place.put(&[(private(), other, OLD, OLD)]).await;
    let output = place.run(&format!("{recheck} --user-key login")).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("says otherwise than the data in each of 2 rows"));
    assert_eq!(place.count("user_id = '42'").await, 2);
    assert_eq!(place.count("user_id IS NULL").await, 1);
    assert_eq!(place.json(&format!("revoke --user 42 --all {COLUMN}")).await["revoked"], 1);
}

/// The column still names who has signed out within the row; whoever comes later is filled in.
async fn logouts_in_place_are_no_reason_to_doubt(place: Place) {
    place.store().await.close().await.unwrap();
    add_column(&place).await;
    let (ada, empty) = (logged_in("user", 42), r#"{"value":{}}"#);
    let put: Vec<_> = (0..3).map(|_| (private(), empty, OLD, OLD)).collect();
    place.put(&put).await;
    place.sql("UPDATE sessions SET user_id = '9'").await;
    // Only behind the first batch stands one whom the column names rightly.
    place.put(&[(private(), &*ada, OLD, OLD), (private(), &*ada, OLD, OLD)]).await;
    place.sql("UPDATE sessions SET user_id = '42' WHERE id = 5").await;
    let report = place.json(&format!("backfill {COLUMN} --batch 4")).await;
    assert_eq!((&report["filled"], &report["named"]), (&1.into(), &1.into()));
    let report = place.json(&format!("backfill --recheck {COLUMN} --batch 2")).await;
    assert_eq!((&report["kept"], &report["already"]), (&3.into(), &2.into()));
    let doctor = said(&place.run(&format!("doctor {COLUMN}")).await);
    assert!(!doctor.contains("than their data") && !doctor.contains("backfill"), "{doctor}");
}

async fn a_row_of_nobodys_is_not_kept(place: Place) {
    place.store().await.close().await.unwrap();
    add_column(&place).await;
    let (ada, bob) = (logged_in("user", 42), logged_in("user", 4));
    place.put(&[(private(), &ada, OLD, OLD), (private(), &ada, OLD, OLD)]).await;
    place.put(&[(private(), &bob, OLD, OLD)]).await;
    let of_bob = &place.json("list --user 4").await["sessions"][0]["row"];
    for row in [of_bob.as_str().unwrap(), "99999", "~0123456789abcdef", "no row"] {
        for more in ["", COLUMN, "--dry-run"] {
            let mut command = place.command(&format!("revoke --user 42 --format json {more}"));
            let output = command.arg(format!("--all-but={row}")).output().await.unwrap();
            let told = said(&output);
            assert_eq!(output.status.code(), Some(1), "{told}");
            assert!(told.contains("none was ended") && told.contains("\"revoked\":0"), "{told}");
        }
    }
    assert_eq!(place.count("1 = 1").await, 3);
    let told = said(&place.run("revoke --user 43 --all").await);
    assert!(told.contains("no session of this user's was found"), "{told}");
}

async fn users_of_every_scope_are_found(place: Place) {
    place.store().await.close().await.unwrap();
    add_column(&place).await;
    let (admin, user) = (logged_in("admin", 5), logged_in("user", 5));
    place.put(&[(private(), &admin, OLD, OLD), (private(), &user, OLD, OLD)]).await;
    place.put(&[(private(), &admin, OLD, OLD)]).await;
    assert_eq!(place.json(&format!("backfill {COLUMN}")).await["filled"], 3);
    let listed = place.json("list").await;
    let users = listed["sessions"].as_array().unwrap().iter().map(|found| &found["user"]);
    let mut users: Vec<_> = users.map(|user| user.as_str().unwrap()).collect();
    users.sort_unstable();
    assert_eq!(users, ["5", "admin:5", "admin:5"]);
    for more in ["", COLUMN] {
        let found = place.json(&format!("list --user admin:5 {more}")).await;
        assert_eq!(found["sessions"].as_array().unwrap().len(), 2, "{more}");
        assert_eq!(found["sessions"][0]["user"], "admin:5");
    }
    let report = place.json(&format!("revoke --user admin:5 --all {COLUMN}")).await;
    assert_eq!(report["revoked"], 2);
    assert_eq!(place.json("revoke --user other:5 --all").await["revoked"], 0);
    // The column says nothing of other scopes, so what cannot be read may be theirs.
    place.put(&[(private(), "broken", OLD, OLD)]).await;
    place.sql("UPDATE sessions SET user_id = '7' WHERE data = 'broken'").await;
    let report = place.json_of(1, &format!("revoke --user admin:5 --all {COLUMN}")).await;
    assert_eq!((&report["revoked"], &report["unreadable"]), (&0.into(), &1.into()));
    place.sql("DELETE FROM sessions WHERE data = 'broken'").await;
    let left = place.json("list --user-key warden.user.user.key").await;
    assert_eq!(
        (left["sessions"].as_array().unwrap().len(), &left["sessions"][0]["user"]),
        (1, &"5".into())
    );
}

async fn that_there_is_more_is_told(place: Place) {
    place.store().await.close().await.unwrap();
    let put: Vec<_> =
        (0..5).map(|_| (private(), r#"{"value":{"login":"ada"}}"#, OLD, OLD)).collect();
    place.put(&put).await;
    for user in ["", "--user ada --user-key login"] {
        for (limit, more) in [(4, true), (5, false)] {
            let list = format!("list {user} --limit {limit}");
            let listed = place.json(&list).await;
            assert_eq!(listed["sessions"].as_array().unwrap().len(), limit, "{user}");
            assert_eq!(listed["more"], more);
            let told = said(&place.run(&list).await);
            assert_eq!(told.contains("there are more sessions: --limit"), more, "{told}");
        }
    }
    let named = place.json("list --user-key login").await;
    assert_eq!(named["sessions"][4]["user"], "ada");
    let told = said(&place.run("trim --days 9 --by created --dry-run").await);
    assert!(told.contains("would delete 5 of 5 sessions, older than 9 days"), "{told}");
}

/// Not even how SQLite keeps its journal.
async fn who_looks_changes_nothing(place: Place) {
    place.store().await.close().await.unwrap();
    add_column(&place).await;
    place.put(&[(raw(), &logged_in("user", 42), OLD, OLD)]).await;
    if place.is_sqlite() {
        place.sql("PRAGMA journal_mode = DELETE").await;
    }
    let before = rows(&place).await;
    for look in [
        "stats",
        "list",
        "show --row 1",
        "doctor",
        "trim --dry-run",
        "clear --dry-run",
        "upgrade --dry-run",
        "convert --to json --dry-run",
        "revoke --user 42 --all --dry-run",
        "backfill --user-column user_id --dry-run",
    ] {
        let told = said(&place.run(look).await);
        assert!(!told.contains("read only") && !told.contains("read-only"), "{look}: {told}");
        if place.is_sqlite() {
            assert_eq!(place.column("PRAGMA journal_mode").await, ["delete"], "{look}");
        }
    }
    assert_eq!(rows(&place).await, before);
    assert_eq!(place.count("user_id IS NOT NULL").await, 0);
}

async fn a_column_that_is_not_unique_is_no_key(place: Place) {
    place.store().await.close().await.unwrap();
    let ada = logged_in("user", 42);
    let put: Vec<_> = (0..60).map(|_| (private(), &*ada, OLD, OLD)).collect();
    place.put(&put).await;
    place.sql("ALTER TABLE sessions ADD COLUMN email varchar(255)").await;
    place.sql("UPDATE sessions SET email = 'a'").await;
    for task in ["revoke --user 42 --all", "convert --to json", "trim", "list", "clear --yes"] {
        let output = place.run(&format!("{task} --primary-key email")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{task}: {told}");
        assert!(told.contains("\"email\"") && told.contains("is not unique"), "{task}: {told}");
    }
    assert_eq!(place.json("revoke --user 42 --all --primary-key id").await["revoked"], 60);
}

async fn a_column_of_something_else_is_not_filled(place: Place) {
    place.store().await.close().await.unwrap();
    place.sql("ALTER TABLE sessions ADD COLUMN email varchar(255)").await;
    let ada = logged_in("user", 42);
    place.put(&[(private(), &ada, OLD, OLD), (private(), &ada, OLD, OLD)]).await;
    place.sql("UPDATE sessions SET email = 'ada@example.com'").await;
    place.put(&[(private(), &ada, OLD, OLD)]).await;
    for task in ["backfill", "backfill --recheck", "backfill --dry-run"] {
        let output = place.run(&format!("{task} --user-column email")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{task}: {told}");
        assert!(told.contains("says otherwise than the data in each of 2 rows"), "{told}");
        assert!(!told.contains("example.com"), "{told}");
    }
    assert_eq!(place.count("email = 'ada@example.com'").await, 2);
    assert_eq!(place.count("email IS NULL").await, 1);

    for look in ["list --user 42", "revoke --user 42 --all --dry-run"] {
        let told = said(&place.run(&format!("{look} --user-column nosuch")).await);
        assert!(told.contains("the table has no column \"nosuch\": every row is read"), "{told}");
    }
}

/// Every task that changes or deletes, in a form that says so and in one that only looks.
const CHANGING: [&str; 10] = [
    "clear --yes",
    "clear --dry-run",
    "trim --by updated",
    "trim --dry-run",
    "upgrade",
    "convert --to json",
    "convert --to marshal --dry-run",
    "convert --encrypt --keys-file keys",
    "convert --decrypt --keys-file keys",
    "convert --rotate --dry-run --keys-file keys",
];

fn put_keys(place: &Place) {
    std::fs::write(place.folder.path().join("keys"), format!("k1:{}", "6b".repeat(32))).unwrap();
}

/// As where `--table users --session-id-column email` was said.
async fn what_holds_no_sessions_is_left_alone(place: Place) {
    place.store().await.close().await.unwrap();
    put_keys(&place);
    let ada = logged_in("user", 42);
    place.put(&[(private(), &ada, OLD, OLD), (private(), &ada, OLD, OLD)]).await;
    // Nobody is old enough to go but one, behind the others.
    place.sql("UPDATE sessions SET updated_at = '2999-01-01 00:00:00'").await;
    place.put(&[(private(), &ada, OLD, OLD)]).await;
    place.sql("ALTER TABLE sessions ADD COLUMN email varchar(255)").await;
    place.sql("UPDATE sessions SET email = 'ada@example.com'").await;
    let before = rows(&place).await;
    for task in CHANGING {
        let output = place.run(&format!("{task} --session-id-column email")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{task}: {told}");
        assert!(told.contains("3 of the first 3 ids do not look like sessions'"), "{task}: {told}");
        assert!(told.contains("--any-shape") && told.contains("nothing was changed"), "{told}");
        assert!(!told.contains("example.com"), "{told}");
    }
    assert_eq!(rows(&place).await, before);
    let some = "--session-id-column email --any-shape";
    assert_eq!(place.json(&format!("trim --by updated {some}")).await["deleted"], 1);
    assert_eq!(place.json(&format!("clear --yes {some}")).await["deleted"], 2);
}

async fn odd_ids_among_sessions_are_no_reason_to_refuse(place: Place) {
    place.store().await.close().await.unwrap();
    put_keys(&place);
    for task in CHANGING {
        place.json(task).await;
    }
    let ada = logged_in("user", 42);
    for odd in ["odd", "another odd one"] {
        place.put(&[(odd.into(), &ada, OLD, OLD), (private(), &ada, OLD, OLD)]).await;
    }
    // However few rows are taken at once.
    assert_eq!(place.json("trim --dry-run --batch 1").await["deleted"], 4);
    assert_eq!(place.json("upgrade --dry-run --batch 1").await["upgraded"], 2);
    let told = said(&place.run("convert --to json --batch 1").await);
    assert!(told.contains("of 4 sessions"), "{told}");
    assert_eq!(place.json("clear --yes --batch 1").await["deleted"], 4);
}

async fn the_command_that_adds_a_column_is_named(place: Place) {
    place.store().await.close().await.unwrap();
    for task in ["backfill", "backfill --recheck --dry-run"] {
        let output = place.run(&format!("{task} --user-column user_id")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let command = "sqlbypass create --add-user-column --user-column user_id --print";
        assert!(told.contains(command) && !told.contains("AnyBuilder"), "{told}");
    }
}

/// Plain objects are no sessions of Rails' `hybrid`, which would read them as empty.
async fn a_forgotten_serializer_hides_nobodys_sessions(place: Place) {
    place.store().await.close().await.unwrap();
    let (plain, empty) = (r#"{"login":3}"#, r#"{"value":{}}"#);
    place
        .put(&[
            (private(), plain, OLD, OLD),
            (private(), plain, OLD, OLD),
            (private(), empty, OLD, OLD),
        ])
        .await;
    let revoke = "revoke --user 3 --all --user-key login";
    let report = place.json_of(1, revoke).await;
    assert_eq!((&report["revoked"], &report["unreadable"]), (&0.into(), &2.into()), "{report}");
    let told = said(&place.run("doctor").await);
    assert!(told.contains("2 rows cannot be decoded as hybrid") && told.contains("null"), "{told}");
    let list = said(&place.run("list --user-key login").await);
    assert_eq!(list.lines().filter(|line| line.ends_with('?')).count(), 2, "{list}");
    let report = place.json(&format!("{revoke} --serializer null")).await;
    assert_eq!((&report["revoked"], &report["unreadable"]), (&2.into(), &0.into()), "{report}");
    assert_eq!(place.count("1 = 1").await, 1);
}

async fn what_cannot_be_read_may_be_another_of_the_users(place: Place) {
    place.store().await.close().await.unwrap();
    let ada = logged_in("user", 42);
    place.put(&[(private(), &ada, OLD, OLD), (private(), "broken", OLD, OLD)]).await;
    let report = place.json_of(1, "revoke --user 42").await;
    assert_eq!((&report["revoked"], &report["unreadable"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(place.count("data = 'broken'").await, 1);
}

/// A name may hold whatever a visitor has typed.
#[tokio::test]
async fn names_of_users_move_no_cursor() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    let data = r#"{"value":{"login":"eve\\n  4711 admin\\u001b[2J\\u0007"}}"#.replace("\\\\", "\\");
    place.put(&[(private(), &data, OLD, OLD)]).await;
    let output = place.run("list --user-key login").await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(told.lines().count(), 2, "{told:?}");
    assert!(
        told.contains("eve\\n") && !told.contains('\u{1b}') && !told.contains('\u{7}'),
        "{told:?}"
    );
}
