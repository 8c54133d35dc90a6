//! Golden data made by Ruby: one JSON object a line, see `tests/fixtures`.

use std::path::Path;

use serde_json::Value as Json;

/// The rows of a fixtures file.
pub(crate) fn rows(file: &str) -> Vec<Json> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn name(row: &Json) -> &str {
    row["name"].as_str().or(row["v"].as_str()).or(row["bits"].as_str()).unwrap()
}

pub(crate) fn dump(row: &Json) -> Vec<u8> {
    unhex(row["hex"].as_str().unwrap())
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Base64 without line breaks, which every reader takes.
pub(crate) fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=group.len() {
            text.push(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]);
        }
    }
    text
}

/// Without what only the running Ruby could know: `to_s` of an instance.
pub(crate) fn comparable(mut description: Json) -> Json {
    strip(&mut description);
    description
}

fn strip(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(strip),
        Json::Object(fields) => {
            fields.remove("to_s");
            fields.values_mut().for_each(strip);
        }
        _ => {}
    }
}

pub(crate) fn unbase64(text: &[u8]) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let values: Vec<u8> = text.iter().filter_map(|byte| value(*byte)).collect();
    let mut bytes = Vec::new();
    for group in values.chunks(4) {
        let bits = group.iter().fold(0u32, |bits, value| bits << 6 | u32::from(*value));
        let bits = bits << (6 * (4 - group.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
