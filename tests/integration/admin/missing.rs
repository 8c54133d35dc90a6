//! What is not there: every command says what, and what makes it.

use super::place::{Place, said};

crate::admin::everywhere!(a_missing_table_is_told_with_what_makes_it, a_missing_schema_is_told);

const COMMANDS: [&str; 9] = [
    "trim",
    "clear --yes",
    "upgrade",
    "convert --to json",
    "stats",
    "list",
    "revoke --user 1 --all",
    "show --row 1",
    "doctor",
];

async fn a_missing_table_is_told_with_what_makes_it(place: Place) {
    place.sql("CREATE TABLE other (id integer)").await;
    for command in COMMANDS {
        let output = place.run(command).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {told}");
        assert!(told.contains("there is no table \"sessions\""), "{command}: {told}");
        assert!(told.contains("sqlbypass create"), "{command}: {told}");
    }
}

async fn a_missing_schema_is_told(place: Place) {
    place.store().await.close().await.unwrap();
    for command in COMMANDS.iter().chain(&["create"]) {
        let output = place.run(&format!("{command} --table nosuch.sessions")).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {told}");
        assert!(told.contains("the schema \"nosuch\" does not exist"), "{command}: {told}");
        assert!(told.contains("--table"), "{command}: {told}");
    }
}

#[tokio::test]
async fn a_missing_file_is_told_with_what_makes_it() {
    let place = Place::sqlite().await.unwrap();
    std::fs::remove_file(place.folder.path().join("sessions.db")).unwrap();
    for command in COMMANDS {
        let output = place.run(command).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {told}");
        assert!(told.contains("sqlbypass create"), "{command}: {told}");
    }
    assert!(!place.folder.path().join("sessions.db").exists());
}
