//! One operation many times over, for counting its instructions: `count.sh` runs this under
//! callgrind. `count <operation> <rounds>`; the difference between two numbers of rounds is the
//! operation's own.

use std::hint::black_box;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sqlbypass::{Changes, Codec, Document, Json, Marshal, Object};

#[path = "../../../session.rs"]
mod session;

/// A row of the fixtures: its Marshal bytes and its text.
fn fixture(name: &str) -> (Vec<u8>, Bytes) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/fixtures/values.jsonl");
    let rows = std::fs::read_to_string(fixtures).expect("the fixtures are there");
    let named = format!(r#""name":"{name}""#);
    let row = rows.lines().find(|row| row.contains(&named)).expect("the row is there");
    let row: serde_json::Value = serde_json::from_str(row).expect("a row is JSON");
    let text = row["base64"].as_str().expect("a row has its base64");
    (STANDARD.decode(text.replace('\n', "")).expect("it is base64"), text.to_owned().into())
}

fn encode64(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() * 3 / 2);
    for line in bytes.chunks(45) {
        text.extend_from_slice(STANDARD.encode(line).as_bytes());
        text.push(b'\n');
    }
    text
}

fn setting(key: &str) -> Changes {
    let mut changes = Changes::new();
    changes.set(key, "a new value".into());
    changes
}

fn all(document: &dyn Document) -> Changes {
    let mut changes = Changes::new();
    for key in document.keys() {
        let value = document.get(key).expect("it reads").expect("it is there");
        changes.set(key, value.to_value().expect("it reads"));
    }
    changes
}

fn repeat<T>(rounds: usize, mut work: impl FnMut() -> T) {
    for _ in 0..rounds {
        black_box(work());
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let operation = arguments.next().expect("an operation");
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).expect("a number");
    let (bytes, text) = fixture("sess_600_bytes");
    let document = Marshal.open(Some(text.clone())).expect("it opens");
    let empty = Marshal.open(None).expect("it opens");
    let (late, early) = (setting("locale"), setting(document.keys()[1]));
    let fresh = all(&*document);
    let json = Bytes::from(session::session());
    let arena = marshal_rs::load(&bytes).expect("it loads");
    match operation.as_str() {
        "decode" => repeat(rounds, || Object::from_dump(black_box(&bytes[..]))),
        "decode/marshal-rs" => repeat(rounds, || marshal_rs::load(black_box(&bytes)).is_ok()),
        "open" => repeat(rounds, || Marshal.open(Some(black_box(&text).clone()))),
        "save/late" => repeat(rounds, || document.encode(black_box(&late))),
        "save/early" => repeat(rounds, || document.encode(black_box(&early))),
        "save/encode" => repeat(rounds, || empty.encode(black_box(&fresh))),
        "save/marshal-rs" => repeat(rounds, || encode64(&marshal_rs::dump(black_box(&arena)))),
        "json" => repeat(rounds, || {
            let document = Json.open(Some(black_box(&json).clone())).expect("valid");
            let locale = document.get("locale").expect("read").expect("there");
            locale.deserialize::<String>()
        }),
        "json/serde_json" => repeat(rounds, || {
            let whole: serde_json::Value = serde_json::from_slice(black_box(&json)).expect("valid");
            whole["value"]["locale"].as_str().map(str::to_owned)
        }),
        _ => panic!("there is no such operation"),
    }
}
