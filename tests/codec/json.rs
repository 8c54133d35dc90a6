use bytes::Bytes;
use serde_json::Value as Row;
use sqlbypass::{Changes, Codec, Hybrid, Json, Map, Null, Serializer, Value};

use super::interpreter::ruby;
use super::support::{Stopwatch, hex, rows};
use crate::random::Random;

fn open(text: &str) -> sqlbypass::Result<Box<dyn sqlbypass::Document>> {
    Json.open(Some(text.to_owned().into()))
}

/// The value under the key `value`, whatever it is.
fn read(text: &str) -> sqlbypass::Result<Value> {
    let document = Null.open(Some(text.to_owned().into()))?;
    document.get("value")?.expect("it has this key").to_value()
}

/// `{"value":…}` as Ruby writes it.
fn write(value: &Value) -> sqlbypass::Result<String> {
    let mut changes = Changes::new();
    changes.set("value", value.clone());
    let text = Null.open(None)?.encode(&changes)?;
    Ok(String::from_utf8(text.to_vec()).expect("JSON is UTF-8"))
}

/// A value from the fixtures' typed description.
fn described(row: &Row) -> Value {
    match row["t"].as_str().unwrap() {
        "nil" => Value::Nil,
        "bool" => Value::Bool(row["v"].as_bool().unwrap()),
        "int" => Value::Int(row["v"].as_str().unwrap().parse().unwrap()),
        "float" => Value::Float(bits(row)),
        "str" => Value::String(String::from_utf8(hex(row, "hex")).unwrap()),
        "array" => Value::Array(row["v"].as_array().unwrap().iter().map(described).collect()),
        "hash" => {
            let entry = |pair: &Row| {
                (described(&pair[0]).as_str().unwrap().to_owned(), described(&pair[1]))
            };
            Value::Map(row["v"].as_array().unwrap().iter().map(entry).collect())
        }
        other => panic!("no JSON text reads as {other}"),
    }
}

fn bits(row: &Row) -> f64 {
    f64::from_bits(u64::from_str_radix(row["bits"].as_str().unwrap(), 16).unwrap())
}

/// Reads like Ruby, and writes what it read like Ruby.
fn check(name: &Row, text: &str, expected: Option<Value>) {
    let Some(expected) = expected else {
        assert!(Json.open(Some(text.to_owned().into())).is_err_and(|e| e.is_decode()), "{name}");
        return;
    };
    assert!(read(text).unwrap() == expected, "{name}");
    // Two spellings of one value: duplicate keys, and the escapes of older versions of the gem.
    let respelt = name == "dup_key_sym_str" || text.contains("\\u003") || text.contains("\\u2028");
    if !respelt && !expected.is_nil() {
        assert_eq!(write(&expected).unwrap(), text, "{name}");
    }
    let as_session = open(text).map(|document| document.keys().len());
    match expected {
        Value::Map(map) => assert_eq!(as_session.unwrap(), map.len(), "{name}"),
        Value::Nil | Value::Bool(false) => assert_eq!(as_session.unwrap(), 0, "{name}"),
        _ => assert!(as_session.is_err_and(|error| error.is_decode()), "{name}"),
    }
}

#[test]
fn reads_and_writes_every_fixture_as_ruby_does() {
    let rows = rows("json.jsonl");
    assert_eq!(rows.len(), 28);
    for row in rows.iter().filter(|row| row.get("dump_error").is_none()) {
        let text = String::from_utf8(hex(row, "json_dump_hex")).unwrap();
        let parsed = match row["name"].as_str() {
            // The file does not describe it: 98 arrays and the wrapper's object around them.
            Some("deep_100") => Some(nested(98)),
            _ => row.get("parsed").map(|parsed| described(&parsed["v"][0][1])),
        };
        assert!(parsed.is_some() || row.get("parse_error").is_some(), "{}", row["name"]);
        check(&row["name"], &text, parsed);
    }
}

#[test]
fn reads_what_every_version_of_the_gem_wrote() {
    let rows = rows("rails_json.jsonl");
    assert_eq!(rows.len(), 22);
    for row in &rows {
        for key in ["json_dump", "multi_json_dump"] {
            let Some(text) = row.get(key).and_then(Row::as_str) else { continue };
            check(&row["name"], text, row.get(format!("{key}_loads_as")).map(described));
        }
    }
}

#[test]
fn every_json_text_of_the_marshal_fixtures_is_rubys() {
    let mut checked = 0;
    for row in rows("values.jsonl") {
        let Some(text) = row.get("json_dump").and_then(Row::as_str) else { continue };
        let unreadable = ["NaN", "Infinity"].iter().any(|word| text.contains(word));
        match read(text) {
            Ok(Value::Nil) => {}
            // Keys that differ only to Ruby: `{:a=>1, "a"=>2}`.
            Ok(value) if write(&value).unwrap() != text => {
                let same = |a: &str| serde_json::from_str::<Row>(a).unwrap();
                assert_eq!(same(&write(&value).unwrap()), same(text), "{}", row["name"]);
                assert!(row["name"].as_str().unwrap().starts_with("hash_"), "{}", row["name"]);
            }
            Ok(_) => checked += 1,
            Err(_) => assert!(unreadable || text.matches('[').count() > 99, "{}", row["name"]),
        }
    }
    assert!(checked > 200, "{checked}");
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(Value::Int(1), |inner, _| Value::Array(vec![inner]))
}

#[test]
fn floats_have_rubys_text_and_come_back_exactly() {
    let rows = rows("floats_bulk.jsonl");
    assert_eq!(rows.len(), 2541);
    for row in rows {
        let float = bits(&row);
        let Some(text) = row["json"].as_str() else {
            assert!(write(&Value::Float(float)).is_err_and(|e| e.is_value()), "{float}");
            continue;
        };
        let text = format!("{{\"value\":{text}}}");
        assert_eq!(write(&Value::Float(float)).unwrap(), text);
        assert_eq!(read(&text).unwrap().as_f64().unwrap().to_bits(), float.to_bits());
        let document = Null.open(Some(text.into())).unwrap();
        let typed: f64 = document.get("value").unwrap().unwrap().deserialize().unwrap();
        assert_eq!(typed.to_bits(), float.to_bits());
    }
}

#[test]
fn random_floats_have_rubys_text() {
    let mut random = Random(6);
    let mut float = || match random.below(3) {
        0 => f64::from_bits(random.next()),
        // Halves, quarters and so on: here two shortest texts can be equally near.
        1 => (random.next() >> random.below(20)) as f64 / (1_u64 << random.below(60)) as f64,
        _ => (random.next() >> 11) as f64 * 10_f64.powi(random.below(40) as i32 - 20),
    };
    let floats: Vec<f64> = (0..100_000).map(|_| float()).filter(|f| f.is_finite()).collect();
    let input: String = floats.iter().map(|float| format!("{:016x}\n", float.to_bits())).collect();
    let script = r#"STDIN.each_line { |line| puts [line.to_i(16)].pack("Q").unpack1("D") }"#;
    let Some(answers) = ruby(script, input.as_bytes()) else { return };
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.lines().count(), floats.len());
    for (float, answer) in floats.into_iter().zip(answers.lines()) {
        assert_eq!(write(&Value::Float(float)).unwrap(), format!("{{\"value\":{answer}}}"));
    }
}

#[test]
fn what_json_cannot_say_and_ruby_cannot_read_is_not_written() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(write(&Value::Array(vec![value.into()])).is_err_and(|error| error.is_value()));
    }
    let mut changes = Changes::new();
    changes.set("a", nested(98));
    let text = open("{}").unwrap().encode(&changes).unwrap();
    assert!(Json.open(Some(text)).is_ok());
    changes.set("a", nested(99));
    assert!(open("{}").unwrap().encode(&changes).is_err_and(|error| error.is_value()));
    changes.set("a", nested(100_000));
    assert!(open("{}").unwrap().encode(&changes).is_err_and(|error| error.is_value()));
    // So deep a value is dropped one level at a time, each on top of the other.
    let deep = std::thread::Builder::new().stack_size(256 << 20);
    deep.spawn(move || drop(changes)).unwrap().join().unwrap();
}

/// Ruby reads 100 levels, of which the wrapper takes its own.
#[test]
fn nothing_is_written_deeper_than_ruby_reads() {
    let marshal = Bytes::from_static(b"BAh7BkkiBmEGOgZFVGkG\n");
    let hybrid = Hybrid::default();
    let cases: [(&dyn Codec, Option<Bytes>, usize); 4] =
        [(&Json, None, 98), (&Null, None, 99), (&hybrid, None, 98), (&hybrid, Some(marshal), 98)];
    for (codec, stored, deepest) in cases {
        let document = codec.open(stored).unwrap();
        let mut changes = Changes::new();
        changes.set("b", nested(deepest));
        let text = document.encode(&changes).unwrap();
        assert_eq!(
            codec.open(Some(text)).unwrap().get("b").unwrap().unwrap().to_value().unwrap(),
            nested(deepest)
        );
        changes.set("b", nested(deepest + 1));
        assert!(document.encode(&changes).is_err_and(|error| error.is_value()), "{}", codec.name());
    }
}

#[test]
fn errors_name_the_format_the_offset_and_what_was_expected() {
    let cases = [
        ("", "json at byte 0: expected a value"),
        (r#"{"value":"#, "json at byte 9: expected a value"),
        (r#"{"value":{"a" 1}}"#, "json at byte 14: expected a colon"),
        (r#"{"value":{"a":1,}}"#, "json at byte 16: expected a key in quotes"),
        (r#"{"value":{"a":[1 2]}}"#, "json at byte 17: expected a comma or the array's end"),
        (r#"{"value":{"a":NaN}}"#, "json at byte 14: expected a value"),
        (r#"{"value":{"a":01}}"#, "json at byte 15: expected a comma or the object's end"),
        (r#"{"value":{"a":"\ud800"}}"#, "json at byte 21: expected a low surrogate"),
        (r#"{"value":{}} x"#, "json at byte 13: expected the end"),
        (r#"{"value":[]}"#, "json at byte 9: expected an object"),
        (r#"{"value":true}"#, "json at byte 9: expected an object"),
        ("7", "json at byte 0: expected an object"),
        (r#""text""#, "json at byte 0: expected a value"),
        (
            "{\"value\":{\"a\":\"\n\"}}",
            "json at byte 15: expected an escape for a control character",
        ),
    ];
    for (text, message) in cases {
        let error = open(text).err().expect(text);
        assert!(error.to_string().ends_with(message), "{error}, not {message}");
    }
    let error = Json.open(Some(b"{\"value\":\"\xff\"}"[..].into())).err().unwrap();
    assert!(error.to_string().ends_with("json at byte 10: expected UTF-8"), "{error}");
}

/// Strings are looked through many bytes at a time; the end of one is seen wherever it stands.
#[test]
fn what_ends_a_string_is_seen_at_every_place() {
    for length in 0..140 {
        for at in 0..=length {
            let (before, after) = ("x".repeat(at), "é".repeat(length - at));
            for escape in [r#"\""#, r"\\", r"\n", r"\u00e9"] {
                let text = format!(r#"{{"value":"{before}{escape}{after}","n":1}}"#);
                let expected: Row = serde_json::from_str(&text).unwrap();
                let expected = expected["value"].as_str().unwrap();
                assert_eq!(read(&text).unwrap().as_str(), Some(expected), "{text}");
            }
            for broken in ["\n", "\0", "\u{1f}"] {
                let text = format!(r#"{{"value":"{before}{broken}{after}"}}"#);
                assert!(read(&text).unwrap_err().is_decode(), "{text}");
            }
            let text = format!(r#"{{"value":"{before}","n":"{after}"}}"#);
            assert_eq!(read(&text).unwrap().as_str(), Some(&*before));
            let text = format!(r#"{{"value":"{before}{after}"#);
            assert!(read(&text).unwrap_err().is_decode(), "{text}");
        }
    }
}

#[test]
fn nothing_loads_as_an_empty_session() {
    for text in ["null", " false", "{}", r#"{"value":null}"#, r#"{"value":false}"#, r#"{"a":1}"#] {
        assert!(open(text).unwrap().keys().is_empty(), "{text}");
    }
    assert!(Json.open(None).unwrap().keys().is_empty());
}

#[test]
fn the_last_of_duplicate_keys_wins_in_the_place_of_the_first() {
    let text = r#"{"value":{"x":0},"value":{"a":1,"b":2,"\u0061":3,"b":4}}"#;
    let document = open(text).unwrap();
    assert_eq!(document.keys(), ["a", "b"]);
    let mut changes = Changes::new();
    changes.set("c", 5.into());
    let encoded = document.encode(&changes).unwrap();
    assert_eq!(encoded, r#"{"value":{"\u0061":3,"b":4,"c":5}}"#);
}

#[test]
fn what_was_not_touched_goes_back_as_it_came() {
    let text = r#"{ "value" : {"a": 1.50, "b\n":[ 1,/* no */2 ],"c":"\u0041","d":{"x":1e2}} }"#;
    let document = open(text).unwrap();
    let mut changes = Changes::new();
    changes.set("c", "z".into());
    let encoded = document.encode(&changes).unwrap();
    assert_eq!(encoded, r#"{"value":{"a": 1.50,"b\n":[ 1,/* no */2 ],"c":"z","d":{"x":1e2}}}"#);
    changes.remove("a");
    changes.remove("d");
    changes.set("e", Value::Array(vec![]));
    let encoded = document.encode(&changes).unwrap();
    assert_eq!(encoded, r#"{"value":{"b\n":[ 1,/* no */2 ],"c":"z","e":[]}}"#);
    changes.clear();
    changes.set("a", 1.into());
    assert_eq!(document.encode(&changes).unwrap(), r#"{"value":{"a":1}}"#);
}

#[test]
fn what_only_ruby_takes_can_be_read_as_a_type_too() {
    let text = r#"{"value":{"n":[1/* one */,-0, 2 // two
    ],"s":"\a\/\é","f":1e400}}"#;
    let document = open(text).unwrap();
    let numbers: Vec<i64> = document.get("n").unwrap().unwrap().deserialize().unwrap();
    assert_eq!(numbers, [1, 0, 2]);
    let string: String = document.get("s").unwrap().unwrap().deserialize().unwrap();
    assert_eq!(string, "a/é");
    let float = document.get("f").unwrap().unwrap().to_value().unwrap();
    assert_eq!(float.as_f64(), Some(f64::INFINITY));
}

#[test]
fn a_stored_text_can_be_shown_and_made_by_rubys_rules() {
    let stored = br#"{"value":{"a":1180591620717411303424 /* big */,"b":"\q","b":1e2}}"#;
    let shown = Serializer::Json.to_json(stored, false).unwrap();
    assert_eq!(shown, r#"{"a":1180591620717411303424,"b":100.0}"#);
    assert_eq!(Serializer::Null.from_json(&shown, false).unwrap(), shown.as_bytes());
    let made = Serializer::Json.from_json(&shown, false).unwrap();
    assert_eq!(made, format!("{{\"value\":{shown}}}").into_bytes());
    let digits = |count| Value::from(sqlbypass::BigInt::from_decimal(&"9".repeat(count)).unwrap());
    assert_eq!(read(&write(&digits(10_000)).unwrap()).unwrap(), digits(10_000));
    assert!(write(&digits(10_001)).is_err_and(|error| error.is_value()));
    let error = Serializer::Null.to_json(b"[1,]", false).unwrap_err();
    assert!(error.to_string().ends_with("not valid null at byte 3: expected a value"), "{error}");
}

#[test]
fn many_keys_take_time_in_proportion() {
    let entry = |n: usize| format!("\"key{}\":{{\"k{n}\":1}}", n % 150_000);
    let list = (0..200_000).map(entry).collect::<Vec<_>>().join(",");
    let started = Stopwatch::start();
    let document = open(&format!("{{\"value\":{{{list}}}}}")).unwrap();
    let keys = document.keys();
    assert_eq!(keys.len(), 150_000);
    assert_eq!(keys[10], "key10");
    for key in keys {
        document.get(key).unwrap().expect("it is there");
    }
    let nested = document.get("key10").unwrap().unwrap().to_value().unwrap();
    assert!(nested.as_map().unwrap().get("k150010").is_some());
    let whole = read(&format!("{{\"value\":{{{list}}}}}")).unwrap();
    assert_eq!(whole.as_map().map(Map::len), Some(150_000));
    assert!(started.seconds() < 20.0, "{}", started.seconds());
}

/// Up to 32 keys are compared one by one, more are found in an index: the last of equal ones counts, in the
/// place of the first.
#[test]
fn of_equal_keys_the_last_counts_in_the_place_of_the_first() {
    for names in [1, 5, 16, 31, 32, 33, 40, 500] {
        // Each name twice, in another order the second time; one is long, and one has an escape.
        let name = |n: usize| match n {
            0 => "k".repeat(10_000),
            3 => "caf\\u00e9".to_owned(),
            n => format!("key{n}"),
        };
        let first = (0..names).map(|n| (n, n));
        let pairs: Vec<_> = first.chain((0..names).rev().map(|n| (n, 1_000 + n))).collect();
        let list: Vec<_> = pairs.iter().map(|(n, v)| format!("\"{}\":{v}", name(*n))).collect();
        let document = open(&format!("{{\"value\":{{{}}}}}", list.join(","))).unwrap();
        let keys: Vec<_> = (0..names).map(|n| name(n).replace("\\u00e9", "\u{e9}")).collect();
        assert_eq!(document.keys(), keys, "{names}");
        for (n, key) in keys.iter().enumerate() {
            let value: usize = document.get(key).unwrap().unwrap().deserialize().unwrap();
            assert_eq!(value, 1_000 + n, "{names}: {n}");
        }
        assert!(document.get("none").unwrap().is_none());
        // Without the second of each the same is found.
        let half = format!("{{\"value\":{{{}}}}}", list[..names].join(","));
        let document = open(&half).unwrap();
        assert_eq!(document.keys(), keys);
        for (n, key) in keys.iter().enumerate() {
            let value: usize = document.get(key).unwrap().unwrap().deserialize().unwrap();
            assert_eq!(value, n, "{names}");
        }
    }
}

#[test]
fn control_characters_are_written_as_ruby_writes_them() {
    let text = Value::from("\u{8}\t\n\u{c}\r\u{0}\u{1f}\u{7f}\"\\/");
    assert_eq!(
        write(&text).unwrap(),
        "{\"value\":\"\\b\\t\\n\\f\\r\\u0000\\u001f\u{7f}\\\"\\\\/\"}"
    );
}

/// Documents, most of them legal, with what people and attackers do to them.
fn odd_text(random: &mut Random) -> String {
    const PARTS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "\"\\u00e9\"",
        "\"\\x\"",
        "\"\\/\"",
        "\"\\u12\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "0",
        "-",
        "-0",
        "1",
        "01",
        "1.5",
        "1.",
        "1e5",
        "2E-7",
        "1e",
        "-1.0e+20",
        "12345678901234567890",
        "null",
        "true",
        "false",
        "nul",
        "NaN",
        "Infinity",
        "-Infinity",
        " ",
        "\n",
        "\t",
        "\r",
        "\x0c",
        "/**/",
        "/* a */",
        "/*",
        "//x\n",
        "//",
        "/",
        "é",
        "\x01",
        "\"b\":1",
        ",\"c\":[]",
        "\u{2028}",
    ];
    let mut text = String::new();
    element(random, 4, &mut text);
    for _ in 0..random.below(3) {
        let mut at = random.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        match random.below(3) {
            0 if at < text.len() => drop(text.remove(at)),
            _ => text.insert_str(at, PARTS[random.below(PARTS.len())]),
        }
    }
    text
}

fn element(random: &mut Random, depth: usize, out: &mut String) {
    let blanks = ["", "", "", " ", "\n", "/*c*/", "//c\n"];
    let blank = |random: &mut Random| blanks[random.below(blanks.len())];
    out.push_str(blank(random));
    match random.below(if depth == 0 { 5 } else { 7 }) {
        0 => out.push_str(["null", "true", "false"][random.below(3)]),
        1 => out.push_str(&(random.next() as i64 >> random.below(64)).to_string()),
        2 => out.push_str(&float(random)),
        3 | 4 => string(random, out),
        5 => {
            out.push('[');
            for at in 0..random.below(4) {
                out.push_str(if at > 0 { "," } else { "" });
                element(random, depth - 1, out);
            }
            out.push_str(blank(random));
            out.push(']');
        }
        _ => {
            out.push('{');
            for at in 0..random.below(4) {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(blank(random));
                string(random, out);
                out.push_str(blank(random));
                out.push(':');
                element(random, depth - 1, out);
            }
            out.push_str(blank(random));
            out.push('}');
        }
    }
    out.push_str(blank(random));
}

fn float(random: &mut Random) -> String {
    let float = f64::from_bits(random.next());
    if !float.is_finite() || random.below(2) == 0 {
        return format!("{}.{}", random.below(1000), random.next());
    }
    format!("{float:e}")
}

fn string(random: &mut Random, out: &mut String) {
    const PIECES: &[&str] = &[
        "a",
        "bc",
        "key",
        "é",
        "世界",
        "😀",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u0041",
        "\\u2028",
        "\\ud83d\\ude00",
        "\\q",
        "\\é",
        "\u{7f}",
        "<b>&",
        "/",
        " ",
    ];
    out.push('"');
    for _ in 0..random.below(5) {
        out.push_str(PIECES[random.below(PIECES.len())]);
    }
    out.push('"');
}

#[test]
fn agrees_with_ruby_on_random_texts() {
    let mut random = Random(3);
    let texts: Vec<String> =
        (0..10_000).map(|_| format!("{{\"value\":{}}}", odd_text(&mut random))).collect();
    let input: String = texts.iter().map(|text| const_hex::encode(text) + "\n").collect();
    let script = r#"
        require "json"
        STDIN.each_line do |line|
          text = [line.chomp].pack("H*").force_encoding("UTF-8")
          value = JSON.parse(text) rescue (puts "error"; next)
          out = JSON.dump("value" => value["value"]) rescue (puts "no UTF-8"; next)
          puts out.unpack1("H*")
        end"#;
    let Some(answers) = ruby(script, input.as_bytes()) else { return };
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.lines().count(), texts.len());
    let mut accepted = 0;
    for (text, answer) in texts.iter().zip(answers.lines()) {
        match (read(text), answer) {
            (Err(_), "error" | "no UTF-8") => {}
            // Ruby joins a high surrogate to any unit that follows it.
            (Err(_), _) => assert!(text.contains("\\ud8"), "ruby takes {text}"),
            (Ok(_), "error") => panic!("ruby refuses {text}"),
            (Ok(Value::Nil), answer) => assert_eq!(answer, const_hex::encode(r#"{"value":null}"#)),
            (Ok(value), answer) => match write(&value) {
                Ok(written) => {
                    accepted += 1;
                    assert_eq!(const_hex::encode(written), answer, "{text}");
                }
                // A number too large for a float is read as infinity; only Ruby writes that.
                Err(_) => assert!(answer.contains(&const_hex::encode("Infinity")), "{text}"),
            },
        }
    }
    assert!(accepted > 4_000, "only {accepted} texts were legal");
}

#[test]
fn sessions_made_by_ruby_and_changed_here_load_in_ruby() {
    const COUNT: usize = 10_000;
    let maker = include_str!("../fixtures/random_json.rb");
    let Some(made) = ruby(&format!("{maker}\nmake({COUNT})"), b"") else { return };
    let made = String::from_utf8(made).unwrap();
    let mut random = Random(4);
    let mut answers = String::new();
    for line in made.lines() {
        let document = open(line).unwrap();
        let keys: Vec<String> = document.keys().into_iter().map(str::to_owned).collect();
        let mut changes = Changes::new();
        let at = random.below(keys.len() + 1);
        let key = keys.get(at).cloned().unwrap_or_else(|| "new \"key\"\n".into());
        let value = match random.below(4) {
            0 => Value::Nil,
            1 => Value::Float(f64::from_bits(random.next() & !(1 << 62))),
            // Another key's value, through our model and back.
            2 if !keys.is_empty() => {
                let other = &keys[random.below(keys.len())];
                document.get(other).unwrap().unwrap().to_value().unwrap()
            }
            _ => "a\u{1}\u{2028}</é😀".into(),
        };
        let said =
            String::from_utf8_lossy(write(&value).unwrap_or_default().as_bytes()).into_owned();
        let said = if value.is_nil() { r#"{"value":null}"#.to_owned() } else { said };
        changes.set(key.as_str(), value);
        let changed = document.encode(&changes).unwrap();
        let changed = std::str::from_utf8(&changed).unwrap();
        let key = serde_json::to_string(&key).unwrap();
        answers.push_str(&format!("{line}\t{key}\t{said}\t{changed}\n"));
    }
    let verdict = ruby(&format!("{maker}\ncheck"), answers.as_bytes()).unwrap();
    assert_eq!(String::from_utf8_lossy(&verdict), format!("{COUNT} equal\n"));
}
