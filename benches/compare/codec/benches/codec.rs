//! Marshal beside the published crates, on one Rails session.
//!
//! `decode` starts from Marshal bytes, `open` from the text of the data column; `save` ends in that
//! text, after one key was changed, and `encode` a whole new session. Rivals have no splice: they
//! write the whole value again, here even without having changed it.

use std::hint::black_box;

use base64::Engine;
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use sqlbypass::{Changes, Codec, Marshal, Object};

/// The fixture `sess_600_bytes`: its Marshal bytes and its text.
fn session() -> (Vec<u8>, Bytes) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/fixtures/values.jsonl");
    let rows = std::fs::read_to_string(fixtures).unwrap();
    let row = rows.lines().find(|row| row.contains(r#""sess_600_bytes""#)).unwrap();
    let row: serde_json::Value = serde_json::from_str(row).unwrap();
    let text = Bytes::from(row["base64"].as_str().unwrap().to_owned());
    (decode64(&text), text)
}

fn decode64(text: &[u8]) -> Vec<u8> {
    let plain: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\n').collect();
    base64::engine::general_purpose::STANDARD.decode(plain).unwrap()
}

fn encode64(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len() * 3 / 2);
    for line in bytes.chunks(45) {
        text.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(line).as_bytes());
        text.push(b'\n');
    }
    text
}

fn decode(c: &mut Criterion) {
    let (bytes, text) = session();
    let mut group = c.benchmark_group(format!("codec/marshal/decode/rails_{}b", bytes.len()));
    group.bench_function("sqlbypass", |b| b.iter(|| Object::from_dump(black_box(&bytes[..]))));
    group.bench_function("marshal-rs", |b| b.iter(|| marshal_rs::load(black_box(&bytes)).unwrap()));
    group.bench_function("alox-48", |b| {
        b.iter(|| alox_48::from_bytes::<alox_48::Value>(black_box(&bytes)).unwrap())
    });
    group.bench_function("thurgood", |b| {
        b.iter(|| thurgood::rc::from_reader(black_box(&bytes[..])).unwrap())
    });
    group.finish();

    let mut group = c.benchmark_group(format!("codec/marshal/open/rails_{}b", bytes.len()));
    group.bench_function("sqlbypass", |b| b.iter(|| Marshal.open(Some(black_box(&text).clone()))));
    group.bench_function("marshal-rs", |b| {
        b.iter(|| {
            let bytes = decode64(black_box(&text));
            marshal_rs::load(&bytes).unwrap().into_owned()
        })
    });
    group.finish();
}

fn save(c: &mut Criterion) {
    let (bytes, text) = session();
    let document = Marshal.open(Some(text)).unwrap();
    let mut changes = Changes::new();
    changes.set("locale", "de".into());
    let key = document.keys()[1].to_owned();
    let mut early = Changes::new();
    early.set(key, "a new value".into());

    let mut group = c.benchmark_group(format!("codec/marshal/save/rails_{}b", bytes.len()));
    group.bench_function("sqlbypass/late", |b| b.iter(|| document.encode(black_box(&changes))));
    group.bench_function("sqlbypass/early", |b| b.iter(|| document.encode(black_box(&early))));
    let mut all = Changes::new();
    for key in document.keys() {
        let value = document.get(key).unwrap().unwrap();
        all.set(key, value.to_value().unwrap());
    }
    let empty = Marshal.open(None).unwrap();
    group.bench_function("sqlbypass/encode", |b| b.iter(|| empty.encode(black_box(&all))));
    let arena = marshal_rs::load(&bytes).unwrap();
    group.bench_function("marshal-rs", |b| {
        b.iter(|| encode64(&marshal_rs::dump(black_box(&arena))))
    });
    group.bench_function("marshal-rs/raw", |b| b.iter(|| marshal_rs::dump(black_box(&arena))));
    let value: alox_48::Value = alox_48::from_bytes(&bytes).unwrap();
    group.bench_function("alox-48", |b| {
        b.iter(|| encode64(&alox_48::to_bytes(black_box(&value)).unwrap()))
    });
    let value = thurgood::rc::from_reader(&bytes[..]).unwrap();
    group.bench_function("thurgood", |b| {
        b.iter(|| {
            let mut bytes = Vec::new();
            thurgood::rc::to_writer(&mut bytes, black_box(&value)).unwrap();
            encode64(&bytes)
        })
    });
    group.finish();
}

criterion_group!(benches, decode, save);
criterion_main!(benches);
