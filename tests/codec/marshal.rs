//! Every row of the Marshal fixtures.

use serde_json::{Value as Json, json};
use sqlbypass::{Changes, Codec, Encoding, Error, Hash, Marshal, Object, Serializer, Text, Value};

use super::fixtures::{base64, comparable, dump, name, rows, unbase64, unhex};
use super::support::Stopwatch;

fn describe(bytes: &[u8]) -> Result<Json, Error> {
    let json = Serializer::Marshal.to_json(&base64(bytes), true)?;
    Ok(serde_json::from_str(&json).unwrap())
}

/// The bytes that a description stands for.
fn compose(description: &Json) -> Result<Vec<u8>, Error> {
    let text = Serializer::Marshal.from_json(&description.to_string(), true)?;
    Ok(Object::from_dump(unbase64(&text))?.dump().to_vec())
}

/// Carries a dump through a session: set beside other keys, stored, opened, taken out again.
fn carried(bytes: &[u8]) -> Vec<u8> {
    let mut changes = Changes::new();
    changes.set("before", Value::from(json!({"k": ["s", 1.5, "s"], "before": {}})));
    changes.set("it", Object::from_dump(bytes).unwrap().into());
    changes.set("behind", "s".into());
    let stored = Marshal.open(None).unwrap().encode(&changes).unwrap();

    let mut changes = Changes::new();
    changes.set("before", Value::from(json!([0, {"x": "y"}])));
    let document = Marshal.open(Some(stored)).unwrap();
    let document = Marshal.open(Some(document.encode(&changes).unwrap())).unwrap();
    assert_eq!(document.keys(), ["before", "it", "behind"]);
    let it = document.get("it").unwrap().unwrap();
    it.to_object().unwrap().unwrap().dump().to_vec()
}

/// Collects what differs, so that one run shows all of it.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn check(&mut self, name: &str, ours: String, theirs: String) {
        if ours != theirs {
            let start: String = ours.chars().take(600).collect();
            let wanted: String = theirs.chars().take(600).collect();
            self.0.push(format!("{name}\n  ours   {start}\n  theirs {wanted}"));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{} differ:\n{}", self.0.len(), self.0.join("\n"));
    }
}

/// Only the running Ruby knows: `did_you_mean` gives every NameError a list of corrections that is
/// in no dump.
const WITHOUT_CORRECTIONS: [&str; 2] = ["exc_keyerror", "exc_nameerror"];

/// A zoned time in its dump (moment, zone's name, wall clock) and as Rails builds it from its time
/// zone data says the same: moment and offset. Both are brought to that.
fn zoned(json: &mut Json) {
    const CLASS: &str = "ActiveSupport::TimeWithZone";
    if json["class"] == CLASS {
        let second = |time: &Json| time["sec"].as_str().unwrap().parse::<i64>().unwrap();
        *json = match json["t"].as_str() {
            Some("umarshal") => {
                let (utc, local) = (&json["v"]["v"][0], &json["v"]["v"][2]);
                let local =
                    local.get("sec").map_or(Json::Null, |_| json!(second(local) - second(utc)));
                json!({"zoned": utc["sec"], "nsec": utc["nsec"], "offset": local})
            }
            _ => json!({"zoned": json["sec"], "nsec": json["nsec"], "offset": json["offset"]}),
        };
    }
    match json {
        Json::Array(items) => items.iter_mut().for_each(zoned),
        Json::Object(fields) => fields.values_mut().for_each(zoned),
        _ => {}
    }
}

#[test]
fn every_value_reads_as_ruby_describes_it() {
    let mut differences = Differences::default();
    for row in rows("values.jsonl").into_iter().chain(rows("rails.jsonl")) {
        // Deep ones have a depth in place of a description: see below.
        if row["value"].is_null() {
            assert!(row["depth"].as_u64().is_some_and(|depth| depth >= 100), "{}", name(&row));
            continue;
        }
        let mut ours = describe(&dump(&row)).unwrap();
        let mut theirs = comparable(row["value"].clone());
        if WITHOUT_CORRECTIONS.contains(&name(&row)) {
            theirs.as_object_mut().unwrap().remove("iv");
        }
        zoned(&mut ours);
        zoned(&mut theirs);
        let same = ours == theirs;
        let shown = if same { theirs.to_string() } else { ours.to_string() };
        differences.check(name(&row), shown, theirs.to_string());
    }
    differences.none();
}

#[test]
fn every_value_goes_back_byte_for_byte() {
    let mut differences = Differences::default();
    for row in rows("values.jsonl").into_iter().chain(rows("rails.jsonl")) {
        // Also where Ruby's own load and dump would differ: nothing is instantiated here.
        let theirs = dump(&row);
        differences.check(name(&row), format!("{:?}", carried(&theirs)), format!("{theirs:?}"));
    }
    differences.none();
}

#[test]
fn bulk_numbers_read_and_write_as_ruby_has_them() {
    let mut differences = Differences::default();
    for row in rows("ints_bulk.jsonl") {
        let ours = describe(&dump(&row)).unwrap();
        differences.check("int", ours["v"].to_string(), row["v"].to_string());
        let bytes = compose(&json!({"t": "int", "v": row["v"]})).unwrap();
        differences.check("int", format!("{bytes:?}"), format!("{:?}", dump(&row)));
    }
    for row in rows("floats_bulk.jsonl") {
        let ours = describe(&dump(&row)).unwrap();
        differences.check("float bits", ours["bits"].to_string(), row["bits"].to_string());
        differences.check("float text", ours["v"].to_string(), row["to_s"].to_string());
        let bytes = compose(&json!({"t": "float", "bits": row["bits"]})).unwrap();
        differences.check("float", format!("{bytes:?}"), format!("{:?}", dump(&row)));
    }
    differences.none();
}

/// A value by itself, as a session writes it that holds nothing else.
fn alone(value: Value) -> Vec<u8> {
    let mut changes = Changes::new();
    changes.set("it", value);
    unbase64(&Marshal.open(None).unwrap().encode(&changes).unwrap())
}

/// What a value does not say: which of its parts are one object, and that Rails wrote the keys of
/// an indifferent hash as US-ASCII. `nil` at the top of a session removes its key.
const UNSAID: [&str; 20] = [
    "arr_bigfix_link_index",
    "arr_bignum_same_object",
    "hash_default_self_ref",
    "hwia",
    "link_bigdecimal",
    "link_class",
    "link_floats_count",
    "link_object_and_ivars",
    "link_past_one_byte",
    "link_past_two_bytes",
    "link_rational_date",
    "link_regexp_shared",
    "link_shared_array",
    "link_shared_string",
    "link_symbols_do_not_count",
    "link_time",
    "nil",
    "sess_omniauth_auth_like",
    "str_mixed_encodings_links",
    "twz_in_session",
];

#[test]
fn every_value_writes_as_ruby_does() {
    let mut differences = Differences::default();
    for row in rows("values.jsonl").into_iter().chain(rows("rails.jsonl")) {
        if row["redump_equal"] != true || row["value"].is_null() {
            continue;
        }
        let theirs = alone(Object::from_dump(dump(&row)).unwrap().into());
        let document = Marshal.open(Some(base64(&theirs).into())).unwrap();
        let ours = alone(document.get("it").unwrap().unwrap().to_value().unwrap());
        if UNSAID.contains(&name(&row)) {
            assert_ne!(ours, theirs, "{}", name(&row));
            continue;
        }
        let [ours, theirs] = [ours, theirs].map(|dump| dump.escape_ascii().to_string());
        differences.check(name(&row), ours, theirs);
    }
    differences.none();
}

/// Whether two equal big integers are one object: a description does not say it.
const UNDETERMINED: &str = "arr_bignum_same_object";

#[test]
fn every_description_writes_as_ruby_does() {
    let mut differences = Differences::default();
    for row in rows("values.jsonl").into_iter().chain(rows("rails.jsonl")) {
        let said = row["redump_equal"] == true && !row["value"].is_null();
        if !said || name(&row) == UNDETERMINED {
            continue;
        }
        // From our description and from Ruby's.
        for description in [describe(&dump(&row)).unwrap(), row["value"].clone()] {
            let ours = compose(&description).map_err(|error| error.to_string());
            let ours = ours.map(|bytes| bytes.escape_ascii().to_string());
            let theirs: Result<_, String> = Ok(dump(&row).escape_ascii().to_string());
            differences.check(name(&row), format!("{ours:?}"), format!("{theirs:?}"));
        }
    }
    differences.none();
}

/// Ruby refuses these because of what it finds, or does not find, under the name of a class.
/// Nothing is looked up here, so they are inert values.
fn is_about_classes(row: &Json) -> bool {
    let message = row["message"].as_str().unwrap();
    [
        "undefined class/module",
        "does not refer to",
        "not compatible",
        "not a struct",
        "needs to have method",
        "differs from class",
        "marshaled time format differ",
    ]
    .iter()
    .any(|part| message.contains(part))
        || name(row) == "object_of_string_class"
}

/// Rows that Ruby reads and describes by its classes.
const BY_CLASS: [(&str, &str); 2] = [
    ("old_module_M_module", "M does not say whether it is a class or a module"),
    ("regexp_1_8_escape", "Ruby takes away escapes that its regexps of 1.8 did not need"),
];

#[test]
fn odd_and_broken_dumps_read_or_fail_as_in_ruby() {
    let mut differences = Differences::default();
    for row in rows("handmade.jsonl").into_iter().chain(rows("malformed.jsonl")) {
        let ours = describe(&dump(&row));
        if row["ok"] == false {
            if !is_about_classes(&row) {
                let fails = ours.as_ref().is_err_and(Error::is_decode);
                differences.check(
                    name(&row),
                    format!("{fails} {ours:?}"),
                    format!("true {ours:?}"),
                );
            }
            continue;
        }
        let Ok(ours) = ours else {
            differences.check(name(&row), format!("{ours:?}"), row["value"].to_string());
            continue;
        };
        if BY_CLASS.iter().any(|(known, _)| *known == name(&row)) || row["value"].is_null() {
            continue;
        }
        let theirs = comparable(row["value"].clone());
        if ours != theirs {
            differences.check(name(&row), ours.to_string(), theirs.to_string());
        }
    }
    differences.none();
}

#[test]
fn broken_dumps_cost_memory_in_proportion() {
    for row in rows("malformed.jsonl").into_iter().chain(rows("handmade.jsonl")) {
        let stored = base64(&dump(&row));
        let bytes = dump(&row);
        let used = allocation_counter::measure(|| {
            let _ = Marshal.open(Some(bytes::Bytes::copy_from_slice(&stored)));
            if let Ok(object) = Object::from_dump(bytes.as_slice()) {
                let _ = object.as_ref().to_value();
                let _ = object.deserialize::<Json>();
            }
        });
        let allowed = 24 * bytes.len() as u64 + (32 << 10);
        assert!(used.bytes_max <= allowed, "{}: {} of {allowed}", name(&row), used.bytes_max);
    }
}

#[test]
fn what_ruby_does_not_dump_has_no_description_either() {
    for row in rows("dump_errors.jsonl") {
        assert_eq!(row["error"], "TypeError", "{}", name(&row));
        let kind = json!({"t": row["name"], "class": "Proc", "v": []});
        assert!(compose(&kind).unwrap_err().is_value());
    }
}

#[test]
fn nesting_and_bombs_are_harmless() {
    let deep = [b"\x04\x08".to_vec(), b"[\x06".repeat(100_000), b"0".to_vec()].concat();
    let object = Object::from_dump(deep.as_slice()).unwrap();
    // Too deep for an owned tree: it stays inert, and goes back as it is.
    assert_eq!(object.as_ref().to_value().unwrap(), Value::Object(object.clone()));
    assert!(object.deserialize::<Json>().unwrap_err().is_value());
    assert_eq!(carried(&deep), deep);
    assert!(describe(&deep).is_err());
    for wrapper in ["I", "I:\x06a\x06", "e:\x06a", "C:\x06a", "U:\x06a", "Iu:\x06a\x00\x06:\x06b"] {
        let bytes = [b"\x04\x08".to_vec(), wrapper.repeat(100_000).into_bytes()].concat();
        assert!(Object::from_dump(bytes).unwrap_err().is_decode(), "{wrapper}");
    }

    // [[0,0], [@1,@1], [@2,@2] …]: thirty doublings in 131 bytes.
    let mut bomb = b"\x04\x08[\x24[\x0700".to_vec();
    for link in 0..30u8 {
        bomb.extend_from_slice(&[b'[', 7, b'@', 6 + link, b'@', 6 + link]);
    }
    let bomb = Object::from_dump(bomb).unwrap();
    let used = allocation_counter::measure(|| {
        assert_eq!(bomb.as_ref().to_value().unwrap(), Value::Object(bomb.clone()));
        assert!(bomb.deserialize::<Json>().unwrap_err().is_value());
    });
    assert!(used.bytes_max < 1 << 20, "{}", used.bytes_max);
    assert_eq!(carried(bomb.dump()), bomb.dump());

    // Many links to one large value, to one with many variables, and to one with many modules.
    let one =
        |large: &[u8]| [b"\x04\x08[\x03\x51\xc3\x00", large, &b"@\x06".repeat(50_000)].concat();
    let variables = [b"I\"\x06a\x02\xff\x7f".to_vec(), b":\x06@0".repeat(32_767)].concat();
    let modules = [b"e:\x06M".repeat(30_000), b"[\x00".to_vec()].concat();
    let list = [b"[\x02\xff\x7f".to_vec(), b"0".repeat(32_767)].concat();
    for large in [variables, modules, list] {
        let started = Stopwatch::start();
        let object = Object::from_dump(one(&large)).unwrap();
        object.as_ref().to_value().unwrap();
        let _ = object.deserialize::<Json>();
        let _ = describe(object.dump());
        assert!(started.seconds() < 20.0, "{}", started.seconds());
    }

    for claim in ["[", "{", "\"", "l+", "o:\x06a", "S:\x06a", "I\"\x00", "u:\x06a"] {
        let bytes = [b"\x04\x08", claim.as_bytes(), b"\x04\xff\xff\xff\x3f00"].concat();
        let used = allocation_counter::measure(|| {
            assert!(Object::from_dump(bytes.as_slice()).unwrap_err().is_decode(), "{claim}");
        });
        assert!(used.bytes_max < 2048, "{claim}: {}", used.bytes_max);
    }
}

/// A session's hash may have instance variables of its own and a default, as any object of Ruby's.
#[test]
fn what_a_sessions_hash_has_beside_its_pairs_stays() {
    // {"a" => 1} with the variable @x = 2; with the default 3; with both.
    let pair = b"I\"\x06a\x06:\x06ETi\x06";
    let variables = b"\x06:\x07@xi\x07";
    let plain = [b"{\x06".as_slice(), pair].concat();
    let with_variable = [b"I".as_slice(), &plain, variables].concat();
    let with_default = [b"}\x06".as_slice(), pair, b"i\x08"].concat();
    let with_both = [b"I".as_slice(), &with_default, variables].concat();
    for hash in [plain, with_variable, with_default, with_both] {
        let dump = [b"\x04\x08".as_slice(), &hash].concat();
        let document = Marshal.open(Some(base64(&dump).into())).unwrap();
        assert_eq!(document.keys(), ["a"]);
        assert_eq!(document.get("a").unwrap().unwrap().deserialize::<i64>().unwrap(), 1);
        assert_eq!(document.encode(&Changes::new()).unwrap(), base64(&dump));
        // A key is changed, and another comes: the rest is as it was.
        let mut changes = Changes::new();
        changes.set("a", 5.into());
        let changed = document.encode(&changes).unwrap();
        let expected = String::from_utf8_lossy(&dump).replacen("i\u{6}", "i\u{a}", 1);
        assert_eq!(unbase64(&changed), expected.as_bytes(), "{}", dump.escape_ascii());
        let mut changes = Changes::new();
        changes.set("b", 4.into());
        let more = document.encode(&changes).unwrap();
        let document = Marshal.open(Some(more.clone())).unwrap();
        assert_eq!(document.keys(), ["a", "b"]);
        assert_eq!(document.get("b").unwrap().unwrap().deserialize::<i64>().unwrap(), 4);
        let mut changes = Changes::new();
        changes.remove("b");
        assert_eq!(unbase64(&document.encode(&changes).unwrap()), dump);
    }
    let list = base64(b"\x04\x08[\x06i\x06");
    let error = Marshal.open(Some(list.into())).err().unwrap().to_string();
    assert!(error.contains("at byte 2") && error.contains("a hash"), "{error}");
}

#[test]
fn a_frozen_value_has_no_variables_and_may_say_so() {
    assert_eq!(describe(b"\x04\x08Ii\x06\x00").unwrap(), json!({"t": "int", "v": "1"}));
    let error = describe(b"\x04\x08Ii\x06\x06:\x07@xi\x06").unwrap_err().to_string();
    assert!(error.contains("no variables on a frozen value"), "{error}");
}

#[test]
fn a_plain_value_has_its_kind_and_one_that_is_extended_stays_inert() {
    let value = |dump: Vec<u8>| Object::from_dump(dump).unwrap().as_ref().to_value().unwrap();
    assert!(matches!(value(b"\x04\x08I\"\x06k\x06:\x06ET".to_vec()), Value::String(_)));
    let ruby = rows("values.jsonl").into_iter().find(|row| name(row) == "time_utc").unwrap();
    let time = dump(&ruby);
    let extended = [&time[..3], b"e:\x06M", &time[3..]].concat();
    assert!(time.starts_with(b"\x04\x08Iu") && matches!(value(time), Value::Time(_)));
    assert!(matches!(value(extended), Value::Object(_)));
}

#[test]
fn a_link_leads_back() {
    // To a symbol and to an object that are not there, or not there yet.
    let links =
        [b"\x04\x08;\x00".as_slice(), b"\x04\x08[\x07:\x06a;\x06", b"\x04\x08[\x07;\x00:\x06a"];
    for dump in links {
        let error = Object::from_dump(dump).unwrap_err().to_string();
        assert!(error.contains("a link to an earlier symbol"), "{error}");
    }
    for dump in [b"\x04\x08@\x00".as_slice(), b"\x04\x08[\x07\"\x06a@\x07"] {
        let error = Object::from_dump(dump).unwrap_err().to_string();
        assert!(error.contains("a link to an earlier object"), "{error}");
    }
}

/// A symbol that says that it has no variables has none of its neighbours'.
#[test]
fn a_symbol_without_variables_is_binary() {
    let described = describe(b"\x04\x08[\x08I:\x07\xc3\xa9\x00:\x06ET").unwrap();
    let encodings = [0, 1].map(|n| described["v"][n]["enc"].clone());
    assert_eq!(encodings, ["ASCII-8BIT", "US-ASCII"]);
}

#[test]
fn a_dump_that_is_cut_anywhere_is_refused() {
    for row in rows("values.jsonl").into_iter().chain(rows("rails.jsonl")) {
        let whole = dump(&row);
        for length in 0..whole.len().min(400) {
            let error = Object::from_dump(&whole[..length]).map(drop).unwrap_err();
            assert!(error.is_decode(), "{}, {length} bytes: {error}", name(&row));
        }
    }
}

#[test]
fn a_type_that_is_not_known_is_told_with_its_place() {
    for (dump, at) in [(b"\x04\x08?".as_slice(), 2), (b"\x04\x08[\x07i\x06?", 6)] {
        let error = Object::from_dump(dump).unwrap_err().to_string();
        assert!(error.contains(&format!("at byte {at}:")), "{error}");
        assert!(error.contains("a type that Marshal 4.8 knows"), "{error}");
    }
    let error = Object::from_dump(b"\x04\x08o:\x06A\x06I\"\x06ai\x06").unwrap_err().to_string();
    assert!(error.contains("at byte 7:") && error.contains("a symbol"), "{error}");
}

/// Ruby's own fractions have no common divisor; 2002/6 is 1001/3 all the same.
#[test]
fn a_fraction_is_described_in_lowest_terms() {
    let ruby =
        rows("values.jsonl").into_iter().find(|row| name(row) == "time_utc_subnano").unwrap();
    let of = |numerator: &str, denominator: &str| {
        let hex = ruby["hex"].as_str().unwrap();
        assert!(hex.contains("6902e803") && hex.contains("6908"));
        describe(&unhex(&hex.replace("6902e803", numerator).replace("6908", denominator))).unwrap()
    };
    let (lowest, other) = (of("6902e903", "6908"), of("6902d207", "690b"));
    assert_eq!(other["subnsec"], "2/3");
    assert_eq!(other, lowest);
}

#[test]
fn what_a_description_may_say_has_bounds() {
    let integer = |digits: usize| json!({"t": "int", "v": "7".repeat(digits)});
    assert_eq!(describe(&compose(&integer(20_000)).unwrap()).unwrap(), integer(20_000));
    assert!(compose(&integer(100_000)).is_ok());
    assert!(compose(&integer(100_001)).unwrap_err().to_string().contains("100,000 digits"));
    let time = |nsec: u32| json!({"t": "time", "sec": "0", "nsec": nsec, "utc": true});
    assert!(compose(&time(999_999_999)).is_ok());
    assert!(compose(&time(1_000_000_000)).unwrap_err().to_string().contains("nanoseconds"));
    let exception = |message: Json| json!({"t": "exception", "class": "E", "message": message});
    for message in [json!("m"), Json::Null] {
        let there = describe(&compose(&exception(message.clone())).unwrap()).unwrap();
        assert_eq!(there["message"], message);
    }
    assert!(compose(&exception(json!(7))).unwrap_err().to_string().contains("a text or null"));
    // #<F: m> with @x = 1.
    let varied = b"\x04\x08o:\x06F\x08:\x09mesgI\"\x06m\x06:\x06ET:\x07bt0:\x07@xi\x06";
    assert_eq!(compose(&describe(varied).unwrap()).unwrap(), varied);
}

fn hash(hash: Hash) -> Value {
    Value::Hash(Box::new(hash))
}

/// A hash that compares by identity keeps equal strings apart; in any other, keys that are equal are one
/// object.
#[test]
fn equal_keys_are_one_object_unless_a_hash_compares_by_identity() {
    let texts: [Value; 2] = ["k".into(), Value::Text(Text::new("k", Encoding::Ascii))];
    for key in texts {
        let inner = Hash::new(vec![(key.clone(), 1.into()), (2.into(), 3.into())], None);
        let mut outer = Hash::new(vec![(key.clone(), hash(inner)), (key, 4.into())], None);
        let shared = alone(hash(outer.clone()));
        outer.set_by_identity(true);
        let apart = alone(hash(outer));
        let spelled = |dump: &[u8]| dump.windows(3).filter(|bytes| bytes == b"\"\x06k").count();
        // The inner one does not compare by identity, and its key is the first of its kind.
        assert_eq!((spelled(&shared), spelled(&apart)), (1, 3), "{}", shared.escape_ascii());
    }
}

#[test]
fn what_nests_too_deep_is_not_written() {
    let wraps: [fn(Value) -> Value; 5] = [
        |value| Value::Array(vec![value]),
        |value| Value::Map([("k", value)].into_iter().collect()),
        |value| hash(Hash::new(vec![(1.into(), value)], None)),
        |value| hash(Hash::new(vec![(value, 1.into())], None)),
        |value| hash(Hash::new(Vec::new(), Some(value))),
    ];
    for (kind, wrap) in wraps.into_iter().enumerate() {
        let nested = |depth: usize| (1..depth).fold(Value::Int(1), |value, _| wrap(value));
        let encode = |value: Value| {
            let mut changes = Changes::new();
            changes.set("it", value);
            Marshal.open(None).unwrap().encode(&changes)
        };
        assert!(encode(nested(500)).is_ok(), "{kind}");
        let error = encode(nested(501)).unwrap_err();
        assert!(error.is_value() && error.to_string().contains("too deep"), "{kind}: {error}");
    }
}

/// A key is described as a value is, with its class and its variables.
#[test]
fn a_key_has_its_class_and_variables() {
    let plain = b"I\"\x06k\x06:\x06ET".as_slice();
    let of_class = b"IC:\x0aMyStr\"\x06k\x06:\x06ET".as_slice();
    let with_variable = b"I\"\x06k\x07:\x06ET:\x07@xi\x06".as_slice();
    let mut described = Vec::new();
    for key in [plain, of_class, with_variable] {
        let value = describe(&[b"\x04\x08", key].concat()).unwrap();
        let hash = describe(&[b"\x04\x08{\x06", key, b"i\x06"].concat()).unwrap();
        assert_eq!(hash["v"][0][0], value);
        described.push(value);
    }
    assert_eq!(described[1]["class"], "MyStr", "{described:?}");
    assert_ne!(described[2], described[0]);
}

#[test]
fn errors_name_format_and_offset() {
    let stored = base64(&unhex("04087b064922066106"));
    let error = Marshal.open(Some(stored.into())).map(drop).unwrap_err();
    let text = error.to_string();
    assert!(error.is_decode() && text.contains("not valid marshal at byte 10"), "{text}");
}
