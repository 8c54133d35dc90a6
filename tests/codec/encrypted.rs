//! Encrypted sessions without a database; among them envelopes made by
//! `examples/rails/encrypted_session.rb`, for machines without Ruby: `tests/fixtures/encrypted.rb` has
//! made them.

use bytes::Bytes;
use serde_json::Value;
use sqlbypass::{
    Changes, Codec, Document, Encrypted, Hybrid, Json, Keys, Marshal, Plain, PrivateId, SessionId,
};

/// As in `encrypted.rb`.
const KEYS: &str = "
    k1:6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b
    k0:bGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGxsbGw=
";

fn rows() -> Vec<Value> {
    let text = include_str!("../fixtures/encrypted.jsonl");
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
            let value =
                |document: &dyn Document| document.get(key).unwrap().unwrap().to_value().unwrap();
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
    let codec = Encrypted::new(Marshal, Keys::parse(KEYS).unwrap()).plain(Plain::Write);
    for row in rows().iter().filter(|row| !row["data"].as_str().unwrap().starts_with('{')) {
        let text = |key: &str| row[key].as_str().unwrap();
        let id = SessionId::parse(text("id").as_bytes()).unwrap().private();
        let document = codec.open_row(&id, Some(text("stored").to_owned().into())).unwrap();
        let other = SessionId::generate().unwrap().private();
        let plain = document.encode_row(&other, &Changes::new()).unwrap();
        assert_eq!(plain, text("data"), "{}", row["name"]);
    }
}

fn codec() -> Encrypted<Json> {
    Encrypted::new(Json, Keys::parse(KEYS).unwrap())
}

fn row() -> PrivateId {
    SessionId::generate().unwrap().private()
}

/// With 2 under the key `a`.
fn changes() -> Changes {
    let mut changes = Changes::new();
    changes.set("a", 2.into());
    changes
}

fn number(document: &dyn Document) -> Option<i64> {
    let value = document.get("a").unwrap();
    value.map(|value| value.deserialize().unwrap())
}

/// What a new session of this row is stored as.
fn sealed(codec: &impl Codec, row: &PrivateId) -> Bytes {
    codec.open_row(row, None).unwrap().encode(&changes()).unwrap()
}

#[test]
fn what_was_not_changed_goes_back_as_it_came_and_another_row_has_its_own() {
    let (codec, row, other) = (codec(), row(), row());
    assert_eq!(codec.name(), "encrypted");
    let stored = sealed(&codec, &row);
    assert!(stored.starts_with(b"sbe1.k1."));
    let document = codec.open_row(&row, Some(stored.clone())).unwrap();
    assert_eq!((document.keys(), number(&*document)), (vec!["a"], Some(2)));
    assert_eq!(document.encode(&Changes::new()).unwrap(), stored);
    assert_eq!(document.encode_row(&row, &Changes::new()).unwrap(), stored);
    // What is changed is sealed anew, also where it comes to the same.
    let again = document.encode_row(&row, &changes()).unwrap();
    assert_ne!(again, stored);
    assert_eq!(number(&*codec.open_row(&row, Some(again)).unwrap()), Some(2));
    let moved = document.encode_row(&other, &Changes::new()).unwrap();
    assert_eq!(number(&*codec.open_row(&other, Some(moved.clone())).unwrap()), Some(2));
    assert!(codec.open_row(&row, Some(moved)).is_err_and(|error| error.is_decode()));
}

#[test]
fn without_a_row_nothing_is_opened_and_nothing_written() {
    let (codec, row) = (codec(), row());
    let stored = sealed(&codec, &row);
    assert!(codec.open(Some(stored)).is_err_and(|error| error.is_value()));
    let new = codec.open(None).unwrap();
    assert!(new.keys().is_empty() && number(&*new).is_none());
    assert!(new.encode(&changes()).is_err_and(|error| error.is_value()));
    let stored = new.encode_row(&row, &changes()).unwrap();
    assert_eq!(number(&*codec.open_row(&row, Some(stored)).unwrap()), Some(2));
}

#[test]
fn plain_rows_are_refused_read_or_written() {
    let (row, plain) = (row(), || Some(Bytes::from(r#"{"value":{"a":1}}"#)));
    let refused = codec().open_row(&row, plain()).err().unwrap();
    assert!(refused.is_decode() && refused.to_string().contains("not encrypted"), "{refused}");
    for (plainly, encrypts) in [(Plain::Read, true), (Plain::Write, false)] {
        let codec = codec().plain(plainly);
        let document = codec.open_row(&row, plain()).unwrap();
        assert_eq!(number(&*document), Some(1));
        assert_eq!(document.encode(&Changes::new()).unwrap(), plain().unwrap());
        let written = document.encode(&changes()).unwrap();
        assert_eq!(written.starts_with(b"sbe1."), encrypts, "{plainly:?}");
        let stored = self::sealed(&self::codec(), &row);
        assert_eq!(number(&*codec.open_row(&row, Some(stored)).unwrap()), Some(2));
    }
}

#[test]
fn in_a_json_column_the_envelope_is_a_string() {
    let (codec, row) = (codec().in_json(true), row());
    let stored = sealed(&codec, &row);
    let text: String = serde_json::from_slice(&stored).unwrap();
    assert!(text.starts_with("sbe1.k1."));
    for stored in [stored, text.into()] {
        assert_eq!(number(&*codec.open_row(&row, Some(stored)).unwrap()), Some(2));
    }
}
