//! A round trip through the Ruby that is installed: random sessions made by Ruby, changed here,
//! loaded and compared by Ruby. `SQLBYPASS_SEED` says which ones.

use std::io::Write;
use std::process::{Command, Stdio};

use bytes::Bytes;
use serde_json::json;
use sqlbypass::{Changes, Codec, Document, Marshal, Value};

use crate::random::Random;

const COUNT: u64 = 10_000;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/live.rb");

/// Ruby, or a loud skip; where `CI` is set its absence is a failure.
fn has_ruby() -> bool {
    let found =
        Command::new("ruby").arg("--version").output().is_ok_and(|out| out.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "this test needs ruby");
    if !found {
        eprintln!("SKIPPED: no ruby found, the round trip through Ruby was not tested");
    }
    found
}

fn seed() -> u64 {
    std::env::var("SQLBYPASS_SEED").map_or(20_240_229, |seed| seed.parse().unwrap())
}

fn ruby(mode: &str, input: Vec<u8>) -> String {
    let mut child = Command::new("ruby")
        .args(["-W0", SCRIPT, mode, &seed().to_string(), &COUNT.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn replacement(random: &mut Random) -> serde_json::Value {
    match random.below(6) {
        0 => json!(42),
        1 => json!("größe"),
        2 => json!([1.5, 1.5, "x", {"E": null, "zone": [true]}]),
        3 => json!({"k": {"k": "v"}, "user": "a"}),
        4 => json!(-1_234_567_890_123_i64),
        _ => json!({}),
    }
}

/// Changes a session at random; answers the stored text and what was done, in JSON.
fn change(
    random: &mut Random,
    document: &dyn Document,
    earlier: Option<&dyn Document>,
) -> (Bytes, serde_json::Value) {
    let mut changes = Changes::new();
    let mut done = serde_json::Map::new();
    let mut identity = true;
    for _ in 0..1 + random.below(3) {
        let keys = document.keys();
        let key = match random.below(3) {
            0 => ["new", "größe", "user"][random.below(3)].to_owned(),
            _ if keys.is_empty() => "first".to_owned(),
            _ => keys[random.below(keys.len())].to_owned(),
        };
        if done.contains_key(&key) {
            continue;
        }
        let moved = earlier.and_then(|earlier| {
            let keys = earlier.keys();
            let from = (*keys.get(random.below(keys.len().max(1)))?).to_owned();
            Some((earlier.get(&from).unwrap()?, from))
        });
        let step = match (random.below(4), moved) {
            (0, _) => {
                changes.remove(&key);
                json!({"do": "remove"})
            }
            (1 | 2, Some((value, from))) => {
                let as_object = random.below(2) == 0;
                let value = match value.to_object().unwrap() {
                    Some(object) if as_object => Value::Object(object),
                    _ => {
                        identity = false;
                        value.to_value().unwrap()
                    }
                };
                // A nil that is set is a key removed, as Rails does it at commit.
                let removed = value.is_nil();
                changes.set(&key, value);
                if removed { json!({"do": "remove"}) } else { json!({"do": "move", "key": from}) }
            }
            _ => {
                let value = replacement(random);
                changes.set(&key, Value::from(value.clone()));
                json!({"do": "set", "value": value})
            }
        };
        done.insert(key, step);
    }
    let stored = document.encode(&changes).unwrap();
    (stored, json!({"keys": done, "identity": identity}))
}

#[test]
fn what_ruby_made_and_we_changed_ruby_loads_as_meant() {
    if !has_ruby() {
        return;
    }
    let mut random = Random(seed());
    let mut input = Vec::new();
    let mut earlier: Option<Box<dyn Document>> = None;
    for line in ruby("make", Vec::new()).lines() {
        let document = Marshal.open(Some(Bytes::copy_from_slice(line.as_bytes()))).unwrap();
        let (stored, done) = change(&mut random, &*document, earlier.as_deref());
        input.extend(stored.iter().filter(|byte| **byte != b'\n'));
        writeln!(input, "\t{done}").unwrap();
        earlier = Some(document);
    }
    assert_eq!(ruby("check", input).trim(), "bad 0");
}
