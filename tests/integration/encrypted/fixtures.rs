//! Envelopes made by `examples/rails/encrypted_session.rb`, for machines without Ruby:
//! `tests/fixtures/encrypted.rb` has made them.

use serde_json::Value;
use sqlbypass::{Changes, Codec, Encrypted, Hybrid, Keys, Marshal, SessionId};

/// As in `encrypted.rb`.
const KEYS: &str = "
    k1:6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b
    k0:bGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGw=
";

fn rows() -> Vec<Value> {
    let text = include_str!("../../fixtures/encrypted.jsonl");
    text.lines().map(|row| serde_json::from_str(row).unwrap()).collect()
}

#[test]
fn envelopes_of_ruby_open() {
    let codec = Encrypted::new(Hybrid::default(), Keys::parse(KEYS).unwrap());
    let rows = rows();
    assert_eq!(rows.len(), 10);
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap();
        let id = SessionId::parse(text("id").as_bytes()).unwrap().private();
        assert_eq!(id.as_str(), text("row"));
        assert!(text("stored").starts_with(&format!("sbe1.{}.", text("key"))));
        let document = codec.open_row(&id, Some(text("stored").to_owned().into())).unwrap();
        let plain = Hybrid::default().open(Some(text("data").to_owned().into())).unwrap();
        assert_eq!(document.keys(), plain.keys(), "{}", row["name"]);
        for key in plain.keys() {
            let value = |document: &dyn sqlbypass::Document| {
                document.get(key).unwrap().unwrap().to_value().unwrap()
            };
            assert!(value(&*document) == value(&*plain), "{}", row["name"]);
        }
        let other = SessionId::generate().unwrap().private();
        let moved = codec.open_row(&other, Some(text("stored").to_owned().into()));
        assert!(moved.err().unwrap().is_decode());
    }
}

/// What was sealed without its base64 is the column's text again when it is plain.
#[test]
fn the_text_under_the_seal_is_the_columns() {
    let codec = Encrypted::new(Marshal, Keys::parse(KEYS).unwrap()).plain(sqlbypass::Plain::Write);
    for row in rows().iter().filter(|row| !row["data"].as_str().unwrap().starts_with('{')) {
        let text = |key: &str| row[key].as_str().unwrap();
        let id = SessionId::parse(text("id").as_bytes()).unwrap().private();
        let document = codec.open_row(&id, Some(text("stored").to_owned().into())).unwrap();
        let other = SessionId::generate().unwrap().private();
        let plain = document.encode_row(&other, &Changes::new()).unwrap();
        assert_eq!(plain, text("data"), "{}", row["name"]);
    }
}
