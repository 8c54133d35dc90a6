//! Create: the table, its SQL, or a migration.

use sqlbypass::Maintenance as _;

use super::place::{Place, said};
use crate::promises::{new_id, works};

crate::admin::everywhere!(
    it_makes_the_table_once,
    it_tells_the_sql_that_makes_it,
    a_column_that_the_table_lacks_is_told,
);

async fn it_makes_the_table_once(place: Place) {
    for profile in ["rails", "tuned"] {
        let create = format!("create --table {profile} --profile {profile} --data-column payload");
        assert_eq!(place.json(&create).await["created"], true);
        assert_eq!(said(&place.run(&create).await), "the table is there already\n");
        let table = sqlbypass::Table::new(profile).unwrap().data_column("payload").unwrap();
        let store = sqlbypass::AnyStore::url(&place.url).unwrap().table(table);
        let store = store.open().await.unwrap();
        let schema = store.inspect().await.unwrap();
        assert!(schema.unique_id && schema.updated_at && schema.created_at);
        let facts = store.facts().await.unwrap();
        assert_eq!(facts.is_indexed("updated_at"), Some(profile == "rails"));
        assert_eq!(facts.is_indexed("session_id"), Some(true));
        let id = new_id();
        crate::promises::insert(&store, &id, "x").await.unwrap();
        works(&store, &id).await;
    }
}

async fn a_column_that_the_table_lacks_is_told(place: Place) {
    assert_eq!(place.json("create").await["created"], true);
    let create = "create --user-column user_id";
    let lacks = place.json_of(1, create).await["error"].as_str().unwrap().to_owned();
    assert!(lacks.contains("has no column user_id"), "{lacks}");
    assert!(lacks.contains("create --add-user-column --user-column user_id --print"), "{lacks}");
    place.sql("DROP TABLE sessions").await;
    for created in [true, false] {
        assert_eq!(place.json(create).await["created"], created);
    }
}

async fn it_tells_the_sql_that_makes_it(place: Place) {
    let output = place.run("create --print --profile tuned").await;
    assert!(output.status.success());
    let sql = String::from_utf8(output.stdout).unwrap();
    if place.is_sqlite() {
        assert!(!place.folder.path().join("other.db").exists());
    }
    place.sql(&sql).await;
    place.store().await.inspect().await.unwrap();
    place.sql("DROP TABLE sessions").await;

    let file = place.folder.path().join("20260101_sessions.sql");
    let written = place.run("create --migration 20260101_sessions.sql").await;
    assert!(written.status.success(), "{}", said(&written));
    place.sql(&std::fs::read_to_string(&file).unwrap()).await;
    let schema = place.store().await.inspect().await.unwrap();
    assert!(schema.unique_id);
    // What is there is not written over.
    let again = place.run("create --migration 20260101_sessions.sql").await;
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
    assert!(said(&again).contains("is there already"), "{}", said(&again));
    let nowhere = place.run("create --migration nosuch/20260101_sessions.sql").await;
    assert_eq!(nowhere.status.code(), Some(1), "{}", said(&nowhere));

    let ruby = place.run("create --migration 20260101000000_add_web_sessions.rb").await;
    assert!(ruby.status.success());
    let file = place.folder.path().join("20260101000000_add_web_sessions.rb");
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.starts_with("class AddWebSessions < ActiveRecord::Migration"), "{text}");
    assert!(text.contains("drop_table 'sessions'"), "{text}");
}

/// Answers in JSON, like every other command.
#[tokio::test]
async fn programs_are_answered_too() {
    let place = Place::sqlite().await.unwrap();
    let statements = place.json("create --print").await["statements"].take();
    let statements = statements.as_array().unwrap();
    assert!(statements[0].as_str().unwrap().starts_with("CREATE TABLE"), "{statements:?}");
    assert_eq!(place.json("create --migration a.sql").await["wrote"], "a.sql");
    assert!(place.folder.path().join("a.sql").exists());
    let answer = place.json_of(1, "create --migration nosuch/a.sql").await;
    assert!(answer["error"].as_str().unwrap().contains("a.sql"), "{answer}");
}

/// Ruby reads the migration.
#[tokio::test]
async fn the_ruby_migration_is_ruby() {
    let place = Place::sqlite().await.unwrap();
    assert!(place.run("create --migration 1_a.rb --table o'clock").await.status.success());
    let Ok(checked) = std::process::Command::new("ruby")
        .args(["-c", "1_a.rb"])
        .current_dir(place.folder.path())
        .output()
    else {
        assert!(std::env::var_os("CI").is_none(), "missing: ruby");
        return;
    };
    assert!(checked.status.success(), "{}", said(&checked));
}
