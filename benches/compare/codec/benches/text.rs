//! Rivals that would weigh on the main package's own build: base64-simd and sonic-rs.
//!
//! `cargo bench` in this folder; ids as in the main package's `benches/codec.rs`.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use sonic_rs::JsonValueTrait;
use sqlbypass::internals::base64::{decode, encode};
use sqlbypass::{Codec, Json};

#[path = "../../../session.rs"]
mod session;

fn base64(criterion: &mut Criterion) {
    let bytes: Vec<u8> =
        (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let text = encode(&bytes);
    let mut group = criterion.benchmark_group("codec/base64");
    group.bench_function("decode/4kb", |b| b.iter(|| decode(black_box(&text))));
    group.bench_function("decode/4kb/base64-simd", |bencher| {
        bencher.iter(|| base64_simd::forgiving_decode_to_vec(black_box(&text)));
    });
    group.bench_function("encode/4kb", |b| b.iter(|| encode(black_box(&bytes))));
    group.bench_function("encode/4kb/base64-simd", |bencher| {
        bencher.iter(|| {
            let text = base64_simd::STANDARD.encode_to_string(black_box(&bytes));
            let mut lines = Vec::with_capacity(text.len() + text.len() / 60 + 1);
            for line in text.as_bytes().chunks(60) {
                lines.extend_from_slice(line);
                lines.push(b'\n');
            }
            lines
        });
    });
    group.finish();
}

fn json(criterion: &mut Criterion) {
    let stored = Bytes::from(session::session());
    let mut group = criterion.benchmark_group("codec/json/get");
    group.bench_function("2kb", |bencher| {
        bencher.iter(|| -> String {
            let document = Json.open(Some(black_box(&stored).clone())).expect("valid");
            document.get("locale").expect("read").expect("there").deserialize().expect("a text")
        });
    });
    group.bench_function("2kb/serde_json", |bencher| {
        bencher.iter(|| {
            let whole: serde_json::Value =
                serde_json::from_slice(black_box(&stored)).expect("valid");
            whole["value"]["locale"].as_str().expect("a text").to_owned()
        });
    });
    // Checks what comes before the key, and nothing behind it.
    group.bench_function("2kb/sonic-rs-get", |bencher| {
        bencher.iter(|| {
            let found = sonic_rs::get(black_box(&*stored), ["value", "locale"]).expect("there");
            found.as_str().expect("a text").to_owned()
        });
    });
    // Checks the whole text.
    group.bench_function("2kb/sonic-rs-lazy", |bencher| {
        bencher.iter(|| {
            let whole: sonic_rs::OwnedLazyValue =
                sonic_rs::from_slice(black_box(&stored)).expect("valid");
            let found = whole.get("value").and_then(|value| value.get("locale"));
            found.and_then(|value| value.as_str()).expect("a text").to_owned()
        });
    });
    group.bench_function("2kb/sonic-rs-value", |bencher| {
        bencher.iter(|| {
            let whole: sonic_rs::Value = sonic_rs::from_slice(black_box(&stored)).expect("valid");
            whole["value"]["locale"].as_str().expect("a text").to_owned()
        });
    });
    group.finish();
}

criterion_group!(benches, base64, json);
criterion_main!(benches);
