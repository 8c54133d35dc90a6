//! What the doctor says of columns and engines with which a service has trouble, and of who it is.

use super::cures::{cure, findings, text};
use super::place::{OLD, Place, private, raw, said};
use serde_json::Value as Json;
use sqlbypass::{AnyStore, Hybrid, SessionId, SessionManager};

crate::admin::everywhere!(
    a_column_that_nobody_fills_is_told,
    a_raw_row_beside_its_secured_one_is_named,
    columns_of_no_times_are_told,
    a_wrong_password_is_no_missing_right,
);

const EMPTY: &str = r#"{"value":{}}"#;

fn says(found: &[Json], part: &str) -> bool {
    found.iter().any(|finding| text(finding, "what").contains(part))
}

async fn a_column_that_nobody_fills_is_told(place: Place) {
    let id = match &place.url {
        url if url.starts_with("postgres") => "bigserial PRIMARY KEY",
        url if url.starts_with("mysql") => "bigint AUTO_INCREMENT PRIMARY KEY",
        _ => "integer NOT NULL PRIMARY KEY",
    };
    place
        .sql(&format!(
            "CREATE TABLE sessions (id {id}, session_id varchar(255) NOT NULL UNIQUE, data text NOT NULL, \
             created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL, \
             region varchar(9) NOT NULL DEFAULT 'eu', note varchar(9), tenant varchar(9) NOT NULL)"
        ))
        .await;
    let begin = async || {
        let store = AnyStore::url(&place.url).unwrap().open().await.unwrap();
        let session = SessionManager::new(store.clone(), Hybrid::default()).session(None);
        session.insert("a", 1).unwrap();
        let begun = session.commit().await;
        store.close().await.unwrap();
        begun
    };
    assert!(begin().await.is_err());
    let found = findings(&place, "").await;
    let told: Vec<_> =
        found.iter().filter(|finding| text(finding, "what").contains("takes no NULL")).collect();
    let [told] = told[..] else { panic!("{found:?}") };
    assert_eq!(text(told, "severity"), "wrong");
    assert!(text(told, "what").contains("\"tenant\"") && text(told, "cure").contains("default"));
    if !place.is_sqlite() {
        let change = if place.url.starts_with("mysql") {
            "MODIFY tenant varchar(9) NULL"
        } else {
            "ALTER COLUMN tenant SET DEFAULT ''"
        };
        place.sql(&format!("ALTER TABLE sessions {change}")).await;
        assert!(!says(&findings(&place, "").await, "takes no NULL"));
        begin().await.unwrap();
    }
}

async fn a_raw_row_beside_its_secured_one_is_named(place: Place) {
    place.store().await.close().await.unwrap();
    let twin = raw();
    let secured = SessionId::parse(twin.as_bytes()).unwrap().private().as_str().to_owned();
    let row = |id: &str| (id.to_owned(), EMPTY, OLD, OLD);
    place.put(&[row(&raw()), row(&secured), row(&twin), row(&private())]).await;
    let report = place.json("upgrade --dry-run").await;
    assert_eq!((&report["upgraded"], &report["duplicates"]), (&1.into(), &1.into()), "{report}");
    let found = findings(&place, "").await;
    assert!(says(&found, "1 row holds the cookie's own id: whoever"), "{found:?}");
    assert!(says(&found, "1 row holds the cookie's own id beside the secured row"), "{found:?}");
    assert_eq!(place.json("upgrade").await["upgraded"], 1);
    let found = findings(&place, "").await;
    assert!(!says(&found, "cookie's own id: whoever"), "{found:?}");
    let told = found.iter().find(|finding| text(finding, "what").contains("beside the secured"));
    let told = told.unwrap();
    let row =
        &place.column(&format!("SELECT id FROM sessions WHERE session_id = '{twin}'")).await[0];
    assert!(text(told, "what").ends_with(&format!(": row {row}")), "{told}");
    assert!(text(told, "cure").contains("delete them by their key"), "{told}");
    assert!(!told.to_string().contains(&twin) && !told.to_string().contains(&secured));
    place.sql(&format!("DELETE FROM sessions WHERE id = {row}")).await;
    assert!(!says(&findings(&place, "").await, "cookie's own id"));
}

/// SQLite keeps texts in a column of any type.
async fn columns_of_no_times_are_told(place: Place) {
    if place.is_sqlite() {
        return;
    }
    place.store().await.close().await.unwrap();
    let change = |column: &str, kind: &str| match place.url.starts_with("mysql") {
        true => format!("ALTER TABLE sessions MODIFY {column} {kind}"),
        false => format!("ALTER TABLE sessions ALTER COLUMN {column} TYPE {kind}"),
    };
    place.sql(&change("created_at", "date")).await;
    place.sql(&change("updated_at", "varchar(40)")).await;
    let found = findings(&place, "").await;
    let of =
        |part: &str| found.iter().find(|finding| text(finding, "what").contains(part)).unwrap();
    assert_eq!(text(of("created_at keeps the day alone"), "severity"), "warning");
    let updated = of("no trim and no timeout can go by it");
    assert!(
        text(updated, "what").contains("updated_at is ") && text(updated, "severity") == "wrong"
    );
}

/// SQLite has no users.
async fn a_wrong_password_is_no_missing_right(place: Place) {
    if place.is_sqlite() {
        return;
    }
    place.store().await.close().await.unwrap();
    let mut stranger = place.of_a_stranger().await;
    stranger.url = stranger.url.replace(":plain@", ":wrong-words@");
    let output = stranger.run("doctor").await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("password") && !told.to_lowercase().contains("grant"), "{told}");
    assert!(!told.contains("wrong-words"), "{told}");
}

#[tokio::test]
async fn an_engine_that_takes_nothing_back_is_told_and_cured() {
    let Some(place) = Place::mariadb().await else { return };
    place.store().await.close().await.unwrap();
    place.sql("ALTER TABLE sessions ENGINE = MyISAM").await;
    let found = findings(&place, "").await;
    assert!(says(&found, "the table's engine is MyISAM"), "{found:?}");
    assert_eq!(cure(&place, &place, "").await, ["ALTER TABLE `sessions` ENGINE = InnoDB"]);
    assert!(!says(&findings(&place, "").await, "engine"));
}

/// Which a column has from its table and does not tell.
#[tokio::test]
async fn a_binary_collation_of_the_table_is_the_columns() {
    let Some(place) = Place::mariadb().await else { return };
    place
        .sql(
            "CREATE TABLE sessions (id bigint AUTO_INCREMENT PRIMARY KEY, session_id varchar(300) NOT NULL, \
             data mediumtext, created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL) \
             DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_bin",
        )
        .await;
    let ran = cure(&place, &place, "").await;
    assert_eq!(ran.len(), 1, "{ran:?}");
    assert!(!ran[0].contains("MODIFY") && !ran[0].contains("ascii"), "{ran:?}");
}

/// What is written into a TIMESTAMP is taken for a time of the session's zone.
#[tokio::test]
async fn times_are_cured_in_any_zone() {
    let Some(place) = Place::mariadb().await else { return };
    place.store().await.close().await.unwrap();
    place.sql("ALTER TABLE sessions MODIFY updated_at timestamp(6) NULL").await;
    place.put(&[(private(), EMPTY, OLD, OLD)]).await;
    place.sql("UPDATE sessions SET updated_at = NULL").await;
    place.sql("SET time_zone = '+05:00'").await;
    assert_eq!(cure(&place, &place, "").await.len(), 1);
    place.sql("SET time_zone = '+00:00'").await;
    let near = "ABS(TIMESTAMPDIFF(SECOND, updated_at, UTC_TIMESTAMP())) < 600";
    assert_eq!(place.count(near).await, 1);
}

/// A default of the column's former type would name everybody's sessions.
#[tokio::test]
async fn a_column_of_users_loses_its_default() {
    let Some(place) = Place::postgres().await else { return };
    place.store().await.close().await.unwrap();
    place.sql("ALTER TABLE sessions ADD COLUMN user_id bigint NOT NULL DEFAULT 7").await;
    let found = findings(&place, "--user-column user_id").await;
    let advised = text(&found[0], "cure");
    place.sql(advised.split_once("where nothing else needs it: ").unwrap().1).await;
    place.put(&[(private(), EMPTY, OLD, OLD)]).await;
    assert_eq!(place.count("user_id IS NULL").await, 1);
}

/// Whoever writes to the file just now keeps nobody else from it for good.
#[tokio::test]
async fn a_busy_file_is_writable() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    place.put(&[(private(), EMPTY, OLD, OLD)]).await;
    place.sql("BEGIN IMMEDIATE; DELETE FROM sessions").await;
    let found = findings(&place, "").await;
    assert!(!says(&found, "may not write"), "{found:?}");
    place.sql("ROLLBACK").await;
}
