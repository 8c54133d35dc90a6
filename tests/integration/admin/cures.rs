//! What the doctor prints as a cure works as it is printed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value as Json;
use sqlbypass::{AnyStore, Marshal, SessionManager, Table};
use tokio::process::Command;

use super::place::{OLD, Place, private, program, said};

crate::admin::everywhere!(
    a_sick_table_is_cured_by_what_is_printed,
    the_column_of_users_is_compared
);

const NAMES: &str = "--session-id-column sid --data-column Payload";

pub(super) async fn findings(place: &Place, arguments: &str) -> Vec<Json> {
    let output = place.run(&format!("doctor --format json {arguments}")).await;
    let found: Json = serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| {
        panic!("{fault}: {}", said(&output));
    });
    found["findings"].as_array().unwrap().clone()
}

pub(super) fn text<'a>(finding: &'a Json, field: &str) -> &'a str {
    finding[field].as_str().unwrap()
}

/// The first cure that is SQL about the table.
fn statement(found: &[Json]) -> Option<&str> {
    let is_sql = |cure: &&str| {
        let begins = |word| cure.starts_with(word);
        ["CREATE ", "ALTER TABLE ", "GRANT ", "UPDATE ", "SET time_zone "].iter().any(begins)
    };
    found.iter().map(|finding| text(finding, "cure")).find(is_sql)
}

/// Runs what is printed, one after the other, until nothing more is.
pub(super) async fn cure(patient: &Place, owner: &Place, arguments: &str) -> Vec<String> {
    let mut ran = Vec::new();
    loop {
        let found = findings(patient, arguments).await;
        let Some(sql) = statement(&found) else { return ran };
        assert!(!ran.iter().any(|before| before == sql), "{sql} did not help: {found:?}");
        owner.sql(sql).await;
        ran.push(sql.to_owned());
    }
}

async fn a_sick_table_is_cured_by_what_is_printed(place: Place) {
    let columns = match &place.url {
        // The first one takes `a` and `a ` for equal.
        url if url.starts_with("postgres") => r#"sid char(40), "Payload" varchar(100)"#,
        url if url.starts_with("mysql") => "sid varchar(32), Payload varchar(100)",
        _ => "sid varchar(32), Payload text",
    };
    place.sql(&format!("CREATE TABLE sessions ({columns})")).await;
    place
        .sql(&format!(
            "INSERT INTO sessions (sid) VALUES ('{}'), ('{}')",
            "a1".repeat(16),
            "b2".repeat(16)
        ))
        .await;
    let found = findings(&place, NAMES).await;
    let says = |what: &str| found.iter().any(|finding| text(finding, "what").contains(what));
    assert!(says("no unique index") && says("no created_at") && says("no updated_at"), "{found:?}");
    assert!(place.is_sqlite() || says("collation") && says("holds 100 at most"), "{found:?}");
    assert!(place.is_sqlite() || says("no primary key"), "{found:?}");
    let ran = cure(&place, &place, NAMES).await;
    assert!(ran.len() >= 3, "{ran:?}");

    let found = findings(&place, NAMES).await;
    for what in
        ["no unique index", "no created_at", "no updated_at", "collation", "at most", "characters"]
    {
        let is_there = |finding: &Json| {
            let is_note = finding["severity"] == "note";
            !is_note && text(finding, "what").contains(what)
        };
        assert!(!found.iter().any(is_there), "{what}: {found:?}");
    }
    let table = Table::default().session_id_column("sid").unwrap().data_column("Payload").unwrap();
    let store = AnyStore::url(&place.url).unwrap().table(table).open().await.unwrap();
    let manager = SessionManager::new(store.clone(), Marshal);
    let session = manager.session(None);
    session.insert("a", "x".repeat(200)).unwrap();
    session.commit().await.unwrap();
    let id = session.id().await.unwrap();
    let read: Option<String> = manager.session(id).get("a").await.unwrap();
    assert_eq!(read, Some("x".repeat(200)));
    store.close().await.unwrap();
    let long_ago = place.count("created_at < '2026-01-01 00:00:00'").await;
    assert_eq!(long_ago, 0, "the rows that were there began just now");
}

async fn the_column_of_users_is_compared(place: Place) {
    let column = "--user-column user_id";
    place.store().await.close().await.unwrap();
    place.sql("ALTER TABLE sessions ADD COLUMN user_id varchar(255)").await;
    let of = |user: &str| format!(r#"{{"value":{{"login":"{user}"}}}}"#);
    let (ada, bob) = (of("ada"), of("bob"));
    // Of a row that cannot be read nobody knows, which a backfill says by its exit code.
    let rows = [&*ada, &*ada, &*bob, r#"{"value":{}}"#, "broken"];
    place.put(&rows.map(|data| (private(), data, OLD, OLD))).await;
    let about = async |arguments: &str| {
        let mut found = findings(&place, &format!("{column} {arguments}")).await;
        found.retain(|finding| {
            text(finding, "what").contains("user_id") && !text(finding, "what").contains("index")
        });
        found
    };
    let login = "--user-key login";

    // Nothing was filled in: that can be read, and costs time.
    let found = about(login).await;
    assert_eq!((found.len(), text(&found[0], "severity")), (1, "note"), "{found:?}");
    assert!(text(&found[0], "what").contains("says nothing of 4 rows"), "{found:?}");
    let backfill = text(&found[0], "cure").strip_prefix("sqlbypass ").unwrap().to_owned();
    place.json_of(1, &format!("{backfill} {login}")).await;
    assert!(about(login).await.is_empty());

    // By another key nothing can be said, and nothing is to be emptied.
    let found = about("").await;
    assert_eq!((found.len(), text(&found[0], "severity")), (1, "warning"), "{found:?}");
    assert!(text(&found[0], "cure").contains("--user-key"), "{found:?}");
    assert!(!text(&found[0], "cure").contains("backfill"), "{found:?}");

    // One that says another user than the data.
    place.sql(&format!("UPDATE sessions SET user_id = 'eve' WHERE data = '{bob}'")).await;
    let found = about(login).await;
    assert_eq!((found.len(), text(&found[0], "severity")), (1, "wrong"), "{found:?}");
    assert!(text(&found[0], "what").contains("says another user of 1 row"), "{found:?}");
    assert!(!text(&found[0], "what").contains("eve"), "{found:?}");
    let (recheck, _) = text(&found[0], "cure").split_once(',').unwrap();
    let recheck = recheck.strip_prefix("sqlbypass ").unwrap();
    place.json_of(1, &format!("{recheck} {login}")).await;
    assert!(about(login).await.is_empty());

    // As a wrong key leaves the column.
    place.sql("UPDATE sessions SET user_id = '' WHERE data <> 'broken'").await;
    let found = about(login).await;
    assert_eq!((found.len(), text(&found[0], "severity")), (1, "wrong"), "{found:?}");
    assert!(text(&found[0], "what").contains("names nobody in any row"), "{found:?}");
}

/// The program as somebody to whom permissions say something; to root, who may all, they do not.
pub(super) fn of_nobody(may_all: bool, folder: &Path) -> Command {
    let command = Command::from(program("").into_std());
    if !may_all {
        return command;
    }
    let copy = folder.join("sqlbypass");
    // By a process of its own: what this one writes, its children may hold open, and cannot be run then.
    let copied =
        std::process::Command::new("cp").arg(command.as_std().get_program()).arg(&copy).status();
    assert!(copied.unwrap().success());
    let mut command = Command::new(copy);
    command.env_remove("DATABASE_URL").uid(65_534);
    command
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_found() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    // A WAL needs to be written even by who reads.
    place.sql("PRAGMA journal_mode = DELETE").await;
    let (folder, file) = (place.folder.path(), place.folder.path().join("sessions.db"));
    assert!(place.run("doctor").await.status.success());
    let mode = |path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(folder, 0o755);
    mode(&file, 0o444);
    let may_all = std::fs::OpenOptions::new().append(true).open(&file).is_ok();
    let mut command = of_nobody(may_all, folder);
    command.args(["doctor", "--database", &place.url]).current_dir(folder);
    let output = command.output().await.unwrap();
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("may not write to the database's file"), "{told}");
}
