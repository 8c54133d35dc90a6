//! Marshal, on sessions that Rails wrote. Rivals stand beside it in `benches/compare/codec`.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use sqlbypass::{Changes, Codec, Marshal, Object};

/// A row of the fixtures: its text, and the number of bytes below the base64.
fn session(name: &str) -> (Bytes, Vec<u8>) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/values.jsonl");
    let rows = std::fs::read_to_string(fixtures).expect("the fixtures are there");
    let named = format!("\"name\":\"{name}\"");
    let row = rows.lines().find(|row| row.contains(&named)).expect("the row is there");
    let row: serde_json::Value = serde_json::from_str(row).expect("a row is JSON");
    let text = row["base64"].as_str().expect("a row has its base64").to_owned();
    let hex = row["hex"].as_str().expect("a row has its bytes").as_bytes();
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap_or(0) as u8;
    let dump = hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
    (text.into(), dump)
}

fn marshal(c: &mut Criterion) {
    for (name, fixture) in [("rails_585b", "sess_600_bytes"), ("list_15kb", "sess_20k")] {
        let (text, dump) = session(fixture);
        c.bench_function(&format!("codec/marshal/decode/{name}"), |b| {
            b.iter(|| Object::from_dump(black_box(&dump[..])));
        });
        c.bench_function(&format!("codec/marshal/open/{name}"), |b| {
            b.iter(|| Marshal.open(Some(black_box(&text).clone())));
        });
    }

    let document = Marshal.open(Some(session("sess_600_bytes").0)).expect("it opens");
    c.bench_function("codec/marshal/get/borrowed", |b| {
        b.iter(|| document.get(black_box("_csrf_token")).ok()??.as_str().map(|text| text.len()));
    });
    c.bench_function("codec/marshal/get/tree", |b| {
        b.iter(|| document.get(black_box("cart")).ok()??.to_value().ok());
    });

    let mut splice = |name: &str, key: &str, value: sqlbypass::Value| {
        let mut changes = Changes::new();
        changes.set(key, value);
        c.bench_function(&format!("codec/marshal/splice/{name}"), |b| {
            b.iter(|| document.encode(black_box(&changes)));
        });
    };
    splice("same_numbers", "_csrf_token", "d1bXn0H5vJqv1M4Yq1rVtK2l3m4n5o6p7q8r9s0t1u8=".into());
    splice("renumbered", "warden.user.user.key", "other".into());
    splice("added", "new", 1.into());

    let mut fresh = Changes::new();
    for key in document.keys() {
        let value = document.get(key).ok().flatten().and_then(|value| value.to_value().ok());
        fresh.set(key, value.expect("it reads"));
    }
    let empty = Marshal.open(None).expect("it opens");
    c.bench_function("codec/marshal/encode/rails_585b", |b| {
        b.iter(|| empty.encode(black_box(&fresh)));
    });
}

criterion_group!(benches, marshal);
criterion_main!(benches);
