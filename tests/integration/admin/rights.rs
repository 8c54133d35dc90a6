//! Users who may not do what is asked.

use sqlbypass::{AnyStore, Marshal, SessionManager};

use super::cures::cure;
use super::place::{OLD, Place, private, said};

crate::admin::everywhere!(@on postgres: who_may_make_no_table_is_told_what_to_grant, the_doctor_finds_that_it_may_not_look, rights_that_are_missing_are_named_and_granted);
crate::admin::everywhere!(@on mariadb: who_may_make_no_table_is_told_what_to_grant, the_doctor_finds_that_it_may_not_look, rights_that_are_missing_are_named_and_granted);

async fn who_may_make_no_table_is_told_what_to_grant(place: Place) {
    let stranger = place.of_a_stranger().await;
    let output = stranger.run("create").await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("creating the sessions table: "), "{told}");
    assert!(told.contains("GRANT CREATE ON ") && told.contains("create --print"), "{told}");
    assert!(!told.contains("SELECT, INSERT"), "{told}");
}

async fn the_doctor_finds_that_it_may_not_look(place: Place) {
    place.store().await.close().await.unwrap();
    let stranger = place.of_a_stranger().await;
    let found = stranger.json_of(1, "doctor").await;
    let found = found["findings"].as_array().unwrap();
    let is_about_rights = |finding: &serde_json::Value| {
        let (what, cure) = (finding["what"].as_str().unwrap(), finding["cure"].as_str().unwrap());
        finding["severity"] == "wrong" && what.contains("may not do this") && cure.contains("grant")
    };
    assert!(found.iter().any(is_about_rights), "{found:?}");
}

/// What Rails' and our own saves need, from a user who may only look.
async fn rights_that_are_missing_are_named_and_granted(place: Place) {
    place.store().await.close().await.unwrap();
    place.put(&[(private(), "BAh7AA==", OLD, OLD)]).await;
    let stranger = place.of_a_stranger().await;
    let (_, rest) = stranger.url.split_once("://").unwrap();
    let user = rest.split_once(':').unwrap().0;
    let grantee = if place.url.starts_with("mysql") { format!("{user}@'%'") } else { user.into() };
    place.sql(&format!("GRANT SELECT ON sessions TO {grantee}")).await;
    let output = stranger.run("doctor").await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("lacks INSERT, UPDATE, DELETE on the table"), "{told}");
    let ran = cure(&stranger, &place, "").await;
    assert!(ran[0].starts_with("GRANT "), "{ran:?}");
    let store = AnyStore::url(&stranger.url).unwrap().open().await.unwrap();
    let manager = SessionManager::new(store.clone(), Marshal);
    let session = manager.session(None);
    session.insert("a", 1).unwrap();
    session.commit().await.unwrap();
    let session = manager.session(session.id().await.unwrap());
    session.destroy().unwrap();
    session.commit().await.unwrap();
    store.close().await.unwrap();
    place.sql(&format!("REVOKE DELETE ON sessions FROM {grantee}")).await;
    let told = said(&stranger.run("doctor --no-rows").await);
    assert!(told.contains("lacks DELETE on the table"), "{told}");
}
