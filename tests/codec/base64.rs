use proptest::prelude::*;
use sqlbypass::internals::base64::{decode, decode_portable, encode, encode_portable};

use super::interpreter::ruby;
use super::support::{hex, rows};
use crate::random::Random;

#[test]
fn reads_and_writes_every_fixture_as_ruby_does() {
    let rows = rows("base64.jsonl");
    assert_eq!(rows.len(), 125);
    for row in rows {
        let bytes = hex(&row, "hex");
        if row["kind"] == "encode64" {
            let text = row["base64"].as_str().unwrap();
            assert_eq!(encode(&bytes), text.as_bytes(), "{}", row["name"]);
            assert_eq!(encode_portable(&bytes), text.as_bytes(), "{}", row["name"]);
            assert_eq!(decode(text.as_bytes()), bytes, "{}", row["name"]);
        } else {
            let text = row["text"].as_str().unwrap().as_bytes();
            assert_eq!(decode(text), bytes, "{}", row["name"]);
            assert_eq!(decode_portable(text), bytes, "{}", row["name"]);
        }
    }
}

#[test]
fn every_length_goes_there_and_back() {
    let mut random = Random(1);
    for len in 0..700 {
        let bytes = random.bytes(len);
        let text = encode(&bytes);
        assert_eq!(text, encode_portable(&bytes), "{len} bytes");
        assert_eq!(decode(&text), bytes, "{len} bytes");
        assert_eq!(decode_portable(&text), bytes, "{len} bytes");
        assert_eq!(text.len(), text.capacity(), "one buffer of the right size");
    }
}

/// Mostly text as it is stored, with every kind of disturbance.
fn odd_text(random: &mut Random) -> Vec<u8> {
    let len = random.below(400);
    let mut text = encode(&random.bytes(len));
    for _ in 0..random.below(6) {
        let at = random.below(text.len() + 1);
        match random.below(5) {
            0 => text.insert(at, b'='),
            1 => text.insert(at, random.next() as u8),
            2 => text.truncate(at),
            3 => text.retain(|&byte| byte != b'\n'),
            _ => text = String::from_utf8_lossy(&text).replace('\n', "\r\n").into_bytes(),
        }
    }
    text
}

#[test]
fn agrees_with_ruby_on_random_texts() {
    let mut random = Random(2);
    let texts: Vec<Vec<u8>> = (0..10_000).map(|_| odd_text(&mut random)).collect();
    let input: String = texts.iter().map(|text| const_hex::encode(text) + "\n").collect();
    let script = r#"
        require "base64"
        STDIN.each_line do |line|
          text = [line.chomp].pack("H*")
          puts Base64.decode64(text).unpack1("H*") + " " + Base64.encode64(text).unpack1("H*")
        end"#;
    let Some(answers) = ruby(script, input.as_bytes()) else { return };
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.lines().count(), texts.len());
    for (text, answer) in texts.iter().zip(answers.lines()) {
        let (decoded, encoded) = answer.split_once(' ').unwrap();
        assert_eq!(const_hex::encode(decode(text)), decoded, "{:?}", text.escape_ascii());
        assert_eq!(const_hex::encode(decode_portable(text)), decoded);
        assert_eq!(const_hex::encode(encode(text)), encoded);
    }
}

proptest! {
    #[test]
    fn both_paths_read_alike(text in prop::collection::vec(
        prop_oneof![8 => prop::sample::select(&b"ABCxyz019+/"[..]), 1 => Just(b'\n'), 1 => Just(b'='), 1 => any::<u8>()],
        0..300,
    )) {
        prop_assert_eq!(decode(&text), decode_portable(&text));
    }

    #[test]
    fn both_paths_write_alike(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(encode(&bytes), encode_portable(&bytes));
    }
}
