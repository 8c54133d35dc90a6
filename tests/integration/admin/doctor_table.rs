//! What the doctor says of a table that is none, of its columns, and of where it lies.

use std::os::unix::fs::PermissionsExt as _;

use sqlbypass::{AnyStore, SqliteStore};

use super::cures::{cure, findings, of_nobody, text};
use super::place::{OLD, Place, private, program, said};

crate::admin::everywhere!(a_view_is_told, a_column_of_users_that_holds_no_text_is_cured);

async fn a_view_is_told(place: Place) {
    place.store().await.close().await.unwrap();
    place.sql("ALTER TABLE sessions RENAME TO kept").await;
    place.sql("CREATE VIEW sessions AS SELECT * FROM kept").await;
    let found = findings(&place, "").await;
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert_eq!(text(finding, "severity"), "wrong");
    assert!(text(finding, "what").ends_with("\"sessions\" is a view, and sessions need a table"));
    assert!(text(finding, "cure").contains("--table"), "{found:?}");
    for command in ["doctor", "trim", "stats", "list", "upgrade", "create"] {
        let output = place.run(command).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {told}");
        assert!(told.contains("\"sessions\" is a view"), "{command}: {told}");
    }
    let error = AnyStore::url(&place.url).unwrap().open().await.unwrap_err();
    assert!(error.is_schema() && error.to_string().contains("is a view"), "{error}");
    let found = findings(&place, "--table kept").await;
    assert!(!found.iter().any(|finding| text(finding, "what").contains("view")), "{found:?}");
}

/// One whose user may not see how it was made.
#[tokio::test]
async fn a_view_is_told_to_a_stranger() {
    let Some(place) = Place::mariadb().await else { return };
    place.store().await.close().await.unwrap();
    place.sql("ALTER TABLE sessions RENAME TO kept").await;
    place.sql("CREATE VIEW sessions AS SELECT * FROM kept").await;
    let stranger = place.of_a_stranger().await;
    let user = stranger.url.split_once("://").unwrap().1.split_once(':').unwrap().0;
    place.sql(&format!("GRANT SELECT ON sessions TO {user}@'%'")).await;
    let told = said(&stranger.run("doctor").await);
    assert!(told.contains("\"sessions\" is a view"), "{told}");
}

async fn a_column_of_users_that_holds_no_text_is_cured(place: Place) {
    place.store().await.close().await.unwrap();
    place.put(&[(private(), r#"{"value":{"login":42}}"#, OLD, OLD)]).await;
    place.sql("ALTER TABLE sessions ADD COLUMN user_id bigint NOT NULL DEFAULT 7").await;
    let column = "--user-column user_id --user-key login";
    let found = findings(&place, column).await;
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(text(finding, "what").contains("\"user_id\" of \"sessions\" is bigint, not text"));
    let advised = text(finding, "cure");
    assert!(advised.contains("name another column") && !advised.contains("create"), "{advised}");
    let sql = advised.split_once("where nothing else needs it: ").map(|(_, sql)| sql);
    assert_eq!(sql.is_none(), place.is_sqlite(), "{advised}");
    let Some(sql) = sql else { return };
    place.sql(sql).await;
    place.sql("UPDATE sessions SET user_id = NULL").await;
    assert_eq!(place.json(&format!("backfill {column}")).await["named"], 1);
    assert_eq!(place.count("user_id = '42'").await, 1);
    let found = findings(&place, column).await;
    assert!(!found.iter().any(|finding| text(finding, "what").contains("not text")), "{found:?}");
}

/// SQLite keeps its journal there, and with a WAL needs to do so to read.
#[tokio::test]
async fn a_folder_that_cannot_be_written_is_found() {
    let place = Place::sqlite().await.unwrap();
    let folder = place.folder.path().join("shut");
    std::fs::create_dir(&folder).unwrap();
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for journal in ["DELETE", "WAL"] {
        let file = folder.join(journal);
        SqliteStore::builder(&file).create(true).open().await.unwrap().close().await.unwrap();
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(())).unwrap();
        drop(connection);
        mode(&file, 0o666);
    }
    mode(place.folder.path(), 0o755);
    let before = names(&folder);
    mode(&folder, 0o555);
    let may_all = std::fs::File::create(folder.join("trial")).is_ok();
    if may_all {
        std::fs::remove_file(folder.join("trial")).unwrap();
    }
    for journal in ["DELETE", "WAL"] {
        let url = format!("sqlite://{}", folder.join(journal).display());
        let mut command = of_nobody(may_all, place.folder.path());
        command.args(["doctor", "--database", &url]).current_dir(place.folder.path());
        let output = command.output().await.unwrap();
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("wrong: ") && told.contains("the file and its folder writable"));
        assert_eq!(told.contains("where SQLite keeps its journal"), journal == "DELETE", "{told}");
        // Whoever may write is told nothing of it, and nothing is left behind.
        if may_all {
            let output = program(&format!("doctor --database {url}")).output().await.unwrap();
            assert!(output.status.success(), "{}", said(&output));
        }
        assert_eq!(names(&folder), before);
    }
    mode(&folder, 0o755);
}

fn names(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// Whatever else a column says of itself.
#[tokio::test]
async fn a_cure_changes_nothing_else_of_a_column() {
    let Some(place) = Place::mariadb().await else { return };
    place
        .sql(
            "CREATE TABLE sessions (id bigint AUTO_INCREMENT PRIMARY KEY, \
             session_id varchar(32) CHARACTER SET latin1 NOT NULL DEFAULT 'none' \
             COMMENT 'who, ''when''', data varchar(100) NOT NULL DEFAULT 'ab' COMMENT 'what')",
        )
        .await;
    let row = format!("INSERT INTO sessions (session_id) VALUES ('{}')", "a1".repeat(16));
    place.sql(&row).await;
    let about = async || {
        let columns = "FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() \
                       AND COLUMN_NAME NOT LIKE '%at'";
        let told =
            "CONCAT_WS('|', COLUMN_NAME, IS_NULLABLE, COLUMN_DEFAULT, COLUMN_COMMENT, EXTRA)";
        place.column(&format!("SELECT {told} {columns}")).await
    };
    let before = about().await;
    assert!(before.iter().any(|column| column == "data|NO|'ab'|what|"), "{before:?}");
    let ran = cure(&place, &place, "").await;
    assert_eq!(ran.len(), 4, "{ran:?}");
    assert_eq!(about().await, before);
    let found = findings(&place, "").await;
    assert!(
        !found.iter().any(|finding| text(finding, "severity") == "wrong"
            && !text(finding, "what").contains("cookie's own id")
            && !text(finding, "what").contains("decoded")),
        "{found:?}"
    );
}

/// A plain change of the type, as for a collation, would write the ids' bytes as hex.
#[tokio::test]
async fn ids_in_a_column_of_bytes_are_told_as_such() {
    let Some(place) = Place::postgres().await else { return };
    place.store().await.close().await.unwrap();
    place.put(&[(private(), r#"{"value":{}}"#, OLD, OLD)]).await;
    let to = |name: &str, value: &str| {
        format!("ALTER TABLE sessions ALTER COLUMN session_id TYPE {name} USING {value}")
    };
    place.sql(&to("bytea", "convert_to(session_id, 'UTF8')")).await;
    let found = findings(&place, "--any-shape").await;
    let told =
        found.iter().find(|finding| text(finding, "what").contains("the id column is bytea"));
    assert!(text(told.unwrap(), "cure").contains("convert_from(the column, 'UTF8')"), "{found:?}");
    assert!(!found.iter().any(|finding| text(finding, "what").contains("collation")), "{found:?}");
    place.sql(&to("character varying", "convert_from(session_id, 'UTF8')")).await;
    let found = findings(&place, "").await;
    assert!(!found.iter().any(|finding| text(finding, "what").contains("bytea")), "{found:?}");
}

/// What holds no sessions is told to be that, and has no sick ids.
#[tokio::test]
async fn a_table_of_something_else_is_no_sick_table_of_sessions() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    for user in 0..5 {
        place.put(&[(format!("user{user}@x.example"), r#"{"value":{}}"#, OLD, OLD)]).await;
    }
    let found = findings(&place, "").await;
    let [finding] = &found[..] else { panic!("{found:?}") };
    assert!(text(finding, "what").contains("do not look like sessions'"), "{found:?}");
    let found = findings(&place, "--any-shape").await;
    assert!(found.iter().any(|finding| text(finding, "cure").contains("sqlbypass upgrade")));
}
