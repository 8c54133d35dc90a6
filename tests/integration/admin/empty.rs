//! Data that is empty: NULL is an empty session, as in Rails, and the empty text is none at all, which
//! all commands say of it alike.

use serde_json::json;
use sqlbypass::{Hybrid, SessionId, SessionManager};

use super::place::{OLD, Place, private, said};

crate::admin::everywhere!(an_empty_text_is_no_session_and_null_is_an_empty_one);

/// `{"a"=>1}`.
const MARSHAL: &str = "BAh7BkkiBmEGOgZFVGkG\n";

async fn an_empty_text_is_no_session_and_null_is_an_empty_one(place: Place) {
    let store = place.store().await;
    let [text, null] = [(); 2].map(|()| SessionId::generate().unwrap());
    let of = |id: &SessionId| id.private().as_str().to_owned();
    place.put(&[(of(&text), "", OLD, OLD), (of(&null), "NULL", OLD, OLD)]).await;
    place.put(&[(private(), MARSHAL, OLD, OLD)]).await;
    place.sql("UPDATE sessions SET data = NULL WHERE data = 'NULL'").await;
    let row = |condition: &str| format!("SELECT id FROM sessions WHERE data {condition}");
    let row_of_text = place.column(&row("= ''")).await.remove(0);
    let row_of_null = place.column(&row("IS NULL")).await.remove(0);

    // The library's own reader decides, which goes by Rails.
    let manager = SessionManager::new(store.clone(), Hybrid::default());
    let read = manager.session(Some(text)).get::<i64>("a").await;
    assert!(read.unwrap_err().is_decode());
    assert_eq!(manager.session(Some(null)).get::<i64>("a").await.unwrap(), None);
    store.close().await.unwrap();

    let stats = place.json("stats").await;
    assert_eq!(
        stats["formats"],
        json!({"marshal": 1, "json": 0, "encrypted": 0, "empty": 1, "other": 1})
    );
    for target in ["json", "marshal"] {
        let report = place.json_of(1, &format!("convert --dry-run --to {target}")).await;
        let refused = report["refusals"].as_array().unwrap();
        assert_eq!((refused.len(), &refused[0]["row"]), (1, &json!(row_of_text)), "{report}");
    }
    let doctor = place.json_of(1, "doctor").await.to_string();
    assert!(doctor.contains("1 row cannot be decoded"), "{doctor}");
    assert!(doctor.contains(&format!("row {row_of_text}:")), "{doctor}");
    let shown = place.run(&format!("show --row {row_of_text}")).await;
    assert_eq!(shown.status.code(), Some(1), "{}", said(&shown));
    assert_eq!(place.json(&format!("show --row {row_of_null}")).await["data"], json!({}));
    let revoked = place.json_of(1, "revoke --user 1 --all").await;
    assert_eq!((&revoked["unreadable"], &revoked["seen"]), (&json!(1), &json!(3)));
    assert_eq!(place.json("list --user 1").await["unreadable"], 1);
}
