//! Users who may not do what is asked.

use super::place::{Place, said};

crate::admin::everywhere!(@on postgres: who_may_make_no_table_is_told_what_to_grant, the_doctor_finds_that_it_may_not_look);
crate::admin::everywhere!(@on mariadb: who_may_make_no_table_is_told_what_to_grant, the_doctor_finds_that_it_may_not_look);

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
