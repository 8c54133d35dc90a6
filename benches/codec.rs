//! What the data column costs to read and write, beside what the usual crates take.
//!
//! `cargo bench --no-default-features --bench codec`; ids read `codec/<format>/<what>/<size>`, and
//! a rival's figure stands beside ours as `codec/<format>/<what>/<size>/<rival>`.

use std::hint::black_box;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simd_json::prelude::*;
use sqlbypass::internals::base64::{decode, decode_portable, encode, encode_portable};
use sqlbypass::{Changes, Codec, Json, Map, Null, Value};

mod session;

const SIZES: [(&str, usize); 3] = [("600b", 600), ("4kb", 4096), ("32kb", 32 * 1024)];

/// Bytes without a pattern, the same in every run.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// The base64 crate with newlines stripped and inserted around it.
fn plain_decode(text: &[u8]) -> Vec<u8> {
    let mut stripped = Vec::with_capacity(text.len());
    for line in text.split(|byte| *byte == b'\n') {
        stripped.extend_from_slice(line);
    }
    STANDARD.decode(stripped).expect("it was encoded")
}

fn plain_encode(bytes: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(bytes);
    let mut lines = Vec::with_capacity(text.len() + text.len() / 60 + 1);
    for line in text.as_bytes().chunks(60) {
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    lines
}

fn base64(criterion: &mut Criterion) {
    type Function = fn(&[u8]) -> Vec<u8>;
    let ways: [(&str, [(&str, Function); 3]); 2] = [
        ("decode", [("", decode), ("/portable", decode_portable), ("/base64", plain_decode)]),
        ("encode", [("", encode), ("/portable", encode_portable), ("/base64", plain_encode)]),
    ];
    for (way, functions) in ways {
        let mut group = criterion.benchmark_group(format!("codec/base64/{way}"));
        for (size, len) in SIZES {
            let bytes = noise(len);
            let input = if way == "decode" { encode(&bytes) } else { bytes };
            group.throughput(Throughput::Bytes(len as u64));
            for (rival, function) in functions {
                let id = format!("{size}{rival}");
                group.bench_function(id, |bencher| bencher.iter(|| function(black_box(&input))));
            }
        }
        group.finish();
    }
}

/// One key of the whole, by the usual ways.
mod rivals {
    use serde::Deserialize;
    use serde_json::value::RawValue;
    use simd_json::prelude::*;

    #[derive(Deserialize)]
    struct Wrapper<'a> {
        #[serde(borrow)]
        value: std::collections::HashMap<&'a str, &'a RawValue>,
    }

    pub(super) fn serde_json(text: &[u8]) -> String {
        let whole: serde_json::Value = serde_json::from_slice(text).expect("valid");
        whole["value"]["locale"].as_str().expect("a text").to_owned()
    }

    pub(super) fn raw_value(text: &[u8]) -> String {
        let whole: Wrapper<'_> = serde_json::from_slice(text).expect("valid");
        serde_json::from_str(whole.value["locale"].get()).expect("a text")
    }

    pub(super) fn simd_json(text: &[u8]) -> String {
        let mut text = text.to_vec();
        let tape = simd_json::to_tape(&mut text).expect("valid");
        let whole = tape.as_value();
        let object = whole.as_object().and_then(|object| object.get("value"));
        let object = object.and_then(|object| object.as_object()).expect("an object");
        object.get("locale").and_then(|value| value.as_str().map(str::to_owned)).expect("a text")
    }
}

fn json(criterion: &mut Criterion) {
    let text = session::session();
    let stored = Bytes::from(text.clone());
    let open = || Json.open(Some(black_box(&stored).clone())).expect("valid");
    let get = |key: &str| -> String {
        open().get(key).expect("read").expect("there").deserialize().expect("a text")
    };
    let mut group = criterion.benchmark_group("codec/json/get");
    group.bench_function("2kb", |bencher| bencher.iter(|| get("locale")));
    group.bench_function("2kb/serde_json", |b| b.iter(|| rivals::serde_json(black_box(&stored))));
    group.bench_function("2kb/raw_value", |b| b.iter(|| rivals::raw_value(black_box(&stored))));
    group.bench_function("2kb/simd_json", |b| b.iter(|| rivals::simd_json(black_box(&stored))));
    group.finish();

    let mut group = criterion.benchmark_group("codec/json/splice");
    let mut changes = Changes::new();
    changes.set("locale", "en".into());
    let document = open();
    group.bench_function("2kb", |b| b.iter(|| document.encode(black_box(&changes))));
    group.bench_function("2kb/opened", |b| b.iter(|| open().encode(black_box(&changes))));
    group.bench_function("2kb/serde_json", |bencher| {
        bencher.iter(|| {
            let mut whole: serde_json::Value = serde_json::from_slice(&stored).expect("valid");
            whole["value"]["locale"] = "en".into();
            serde_json::to_vec(&whole).expect("it is JSON")
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("codec/json/whole");
    let whole = || {
        let document = open();
        let value = |key: &str| document.get(key).expect("read").expect("there").to_value();
        document.keys().into_iter().map(|key| (key, value(key).expect("valid"))).collect::<Map>()
    };
    group.bench_function("2kb", |bencher| bencher.iter(whole));
    group.bench_function("2kb/serde_json", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&stored)));
    });
    group.bench_function("2kb/simd_json", |bencher| {
        bencher.iter(|| simd_json::to_owned_value(&mut black_box(&stored).to_vec()));
    });
    group.bench_function("2kb/simd_json_into_value", |bencher| {
        bencher.iter(|| simd_value(&mut black_box(&stored).to_vec()));
    });
    let large = format!(r#"{{"list":[{}]}}"#, vec![text; 16].join(","));
    let stored = Bytes::from(large);
    let read = || {
        let document = Null.open(Some(black_box(&stored).clone())).expect("valid");
        document.get("list").expect("read").expect("there").to_value()
    };
    group.bench_function("32kb", |bencher| bencher.iter(read));
    group.bench_function("32kb/serde_json", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&stored)));
    });
    group.bench_function("32kb/simd_json_into_value", |bencher| {
        bencher.iter(|| simd_value(&mut black_box(&stored).to_vec()));
    });
    group.finish();
}

/// The value that this crate reads, made from simd-json's tape.
fn simd_value(text: &mut [u8]) -> Value {
    fn value(tape: simd_json::tape::Value<'_, '_>) -> Value {
        if let Some(text) = tape.as_str() {
            Value::String(text.to_owned())
        } else if let Some(object) = tape.as_object() {
            Value::Map(object.iter().map(|(key, item)| (key, value(item))).collect())
        } else if let Some(items) = tape.as_array() {
            Value::Array(items.iter().map(value).collect())
        } else if let Some(integer) = tape.as_i64() {
            integer.into()
        } else if let Some(float) = tape.as_f64() {
            float.into()
        } else {
            tape.as_bool().map_or(Value::Nil, Value::Bool)
        }
    }
    value(simd_json::to_tape(text).expect("valid").as_value())
}

criterion_group!(benches, base64, json);
criterion_main!(benches);
