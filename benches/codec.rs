//! What the data column costs to read and write, beside what the usual crates take.
//!
//! `cargo bench --no-default-features --bench codec`; ids read `codec/<format>/<what>/<size>`, and
//! a rival's figure stands beside ours as `codec/<format>/<what>/<size>/<rival>`.

use std::hint::black_box;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sqlbypass::internals::base64::{decode, decode_portable, encode, encode_portable};

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
    let stripped: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'\n').collect();
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

criterion_group!(benches, base64);
criterion_main!(benches);
