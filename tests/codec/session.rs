//! Sessions in Marshal: opening, reading key by key, splicing, and turning into JSON.

use std::collections::HashMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;
use sqlbypass::{
    Changes, Codec, Decimal, Document, Hybrid, Json, Map, Marshal, Null, Object, Serializer,
    Symbol, Time, Value,
};

use super::fixtures::{base64, dump, name, rows, unbase64, unhex};
use super::support::Stopwatch;

pub(super) fn open(bytes: &[u8]) -> Box<dyn Document> {
    Marshal.open(Some(base64(bytes).into())).unwrap()
}

fn fixture(wanted: &str) -> Vec<u8> {
    let all = rows("values.jsonl").into_iter().chain(rows("rails.jsonl"));
    dump(&all.into_iter().find(|row| name(row) == wanted).unwrap())
}

pub(super) fn set(key: &str, value: impl Into<Value>) -> Changes {
    let mut changes = Changes::new();
    changes.set(key, value.into());
    changes
}

pub(super) fn get<T: serde::de::DeserializeOwned>(document: &dyn Document, key: &str) -> T {
    document.get(key).unwrap().unwrap().deserialize().unwrap()
}

#[test]
fn empty_sessions_open_and_are_written_as_ruby_writes_them() {
    for stored in [None, Some("BAh7AA==\n"), Some("BAgw\n"), Some("BAhG\n")] {
        let document = Marshal.open(stored.map(Bytes::from)).unwrap();
        assert!(document.keys().is_empty());
        assert!(document.get("a").unwrap().is_none());
        assert_eq!(document.encode(&set("a", 1)).unwrap(), "BAh7BkkiBmEGOgZFVGkG\n");
        let mut cleared = Changes::new();
        cleared.clear();
        assert_eq!(document.encode(&cleared).unwrap(), "BAh7AA==\n");
    }
    assert_eq!(Marshal.open(None).unwrap().encode(&Changes::new()).unwrap(), "BAh7AA==\n");
    for no_hash in ["", "BAhJIgp3b3JsZAY6BkVU", "BAhbB2kGaQc=", "not base64!", "BAg="] {
        assert!(Marshal.open(Some(no_hash.into())).map(drop).unwrap_err().is_decode());
    }
}

#[test]
fn what_was_not_touched_goes_back_as_it_came() {
    let bytes = fixture("sess_600_bytes");
    let stored = Bytes::from(base64(&bytes));
    let document = Marshal.open(Some(stored.clone())).unwrap();
    assert_eq!(document.encode(&Changes::new()).unwrap(), stored);

    // A token of the same kind: no number moves, so that only its own bytes differ.
    let token = "d1bXn0H5vJqv1M4Yq1rVtK2l3m4n5o6p7q8r9s0t1u8=";
    let spliced = unbase64(&document.encode(&set("_csrf_token", token)).unwrap());
    let differing = spliced.iter().zip(&bytes).filter(|(new, old)| new != old).count();
    assert_eq!((spliced.len(), differing), (bytes.len(), 2));

    // Set to what it was: the same bytes as a whole.
    let cart = document.get("cart").unwrap().unwrap().to_object().unwrap().unwrap();
    let same = document.encode(&set("cart", cart)).unwrap();
    assert_eq!(unbase64(&same), bytes);
}

#[test]
fn keys_are_found_however_they_are_written() {
    // A HashWithIndifferentAccess with US-ASCII keys; a key that is a link; the same key twice.
    let document = open(&fixture("hwia"));
    assert_eq!(document.keys(), ["a", "b"]);
    assert_eq!(get::<serde_json::Value>(&*document, "b"), json!({"c": [1, {"d": 2}]}));
    let spliced = document.encode(&set("a", "ü")).unwrap();
    let description = Serializer::Marshal.to_json(&spliced, true).unwrap();
    assert!(description.contains("HashWithIndifferentAccess"));

    let linked = open(&unhex(
        "04087b0749220661063a0645547b0649220662063b00546906400869"
            .to_owned()
            .replace("400869", "40086907")
            .as_str(),
    ));
    assert_eq!(linked.keys(), ["a", "b"]);
    assert_eq!(get::<i64>(&*linked, "b"), 2);

    let twice = open(&unhex("04087b0722066169062206616907"));
    assert_eq!(twice.keys(), ["a"]);
    assert_eq!(get::<i64>(&*twice, "a"), 2);
    let spliced = Marshal.open(Some(twice.encode(&set("a", 3)).unwrap())).unwrap();
    assert_eq!((spliced.keys(), get::<i64>(&*spliced, "a")), (vec!["a"], 3));

    // Rails makes strings of a session's keys when it loads it: a symbol is one, and of both the
    // last counts. {:k => 1, "k" => 2, :a => 3}
    let odd = open(&unhex("04087b083a066b69064922066b063a06455469073a06616908"));
    assert_eq!(odd.keys(), ["k", "a"]);
    assert_eq!((get::<i64>(&*odd, "k"), get::<i64>(&*odd, "a")), (2, 3));
    let spliced = odd.encode(&set("a", 4)).unwrap();
    assert_eq!(unbase64(&spliced), unhex("04087b083a066b69064922066b063a06455469073a06616909"));
    let spliced = odd.encode(&set("k", 3)).unwrap();
    assert_eq!(unbase64(&spliced), unhex("04087b073a066b69083a06616908"));

    // A key that is neither stays, unseen. {1 => 1, "k" => 2}
    let odd = open(&unhex("04087b07690669064922066b063a0645546907"));
    assert_eq!(odd.keys(), ["k"]);
    assert!(odd.get("").unwrap().is_none());
    assert_eq!(all(&*Marshal.open(Some(odd.encode(&set("", 3)).unwrap())).unwrap()).len(), 2);
    let spliced = odd.encode(&set("k", 3)).unwrap();
    assert_eq!(unbase64(&spliced), unhex("04087b07690669064922066b063a0645546908"));
}

/// Beyond a few, keys are found in an order of their own.
#[test]
fn each_of_many_keys_is_found_changed_and_dropped() {
    // Neither as they sort nor the other way round; two of them twice, where the last counts.
    let names: Vec<String> = (0..45).map(|n| format!("k{:02}", n * 17 % 45 * 2)).collect();
    let pair = |name: &str, n: u8| [b"\"\x08", name.as_bytes(), &[b'i', n + 5]].concat();
    let twice = [pair(&names[9], 99), pair(&names[40], 98)].concat();
    let pairs: Vec<u8> =
        names.iter().zip(1..).flat_map(|(name, n): (_, u8)| pair(name, n)).collect();
    let document = open(&[b"\x04\x08{\x34".as_slice(), &pairs, &twice].concat());
    let value = |n: usize| match n {
        9 => 99,
        40 => 98,
        n => n as i64 + 1,
    };
    assert_eq!(document.keys(), names);
    for absent in ["", "k", "k01", "k45", "k89", "k9", "l"] {
        assert!(document.get(absent).unwrap().is_none(), "{absent}");
        let more = Marshal.open(Some(document.encode(&set(absent, 1)).unwrap())).unwrap();
        assert_eq!(more.keys().len(), names.len() + 1, "{absent}");
    }
    for (n, name) in names.iter().enumerate() {
        assert_eq!(get::<i64>(&*document, name), value(n), "{name}");
        let changed = Marshal.open(Some(document.encode(&set(name, -1)).unwrap())).unwrap();
        let mut removal = Changes::new();
        removal.remove(name);
        let dropped = Marshal.open(Some(document.encode(&removal).unwrap())).unwrap();
        assert_eq!(changed.keys(), names);
        assert_eq!(dropped.keys().len(), names.len() - 1);
        for (m, other) in names.iter().enumerate() {
            let expected = if m == n { -1 } else { value(m) };
            assert_eq!(get::<i64>(&*changed, other), expected, "{other}, with {name} changed");
            let there = dropped.get(other).unwrap().map(|value| value.deserialize().unwrap());
            assert_eq!(there, (m != n).then_some(value(m)), "{other}, with {name} dropped");
        }
    }
}

#[test]
fn many_keys_take_time_in_proportion() {
    const COUNT: i64 = 100_000;
    let map: Map = (0..COUNT).map(|n| (format!("key {n}"), n)).collect();
    let dump =
        Serializer::Marshal.from_json(&serde_json::Value::from(Value::Map(map)).to_string(), false);
    let started = Stopwatch::start();
    let document = Marshal.open(Some(dump.unwrap().into())).unwrap();
    for (n, key) in document.keys().into_iter().enumerate() {
        assert_eq!(get::<i64>(&*document, key), n as i64);
    }
    let mut changes = set("key 70000", "a");
    changes.remove("key 5");
    let spliced = Marshal.open(Some(document.encode(&changes).unwrap())).unwrap();
    assert_eq!(spliced.keys().len(), COUNT as usize - 1);
    assert_eq!(get::<String>(&*spliced, "key 70000"), "a");
    let hybrid = Hybrid::default().open(Some(spliced.encode(&Changes::new()).unwrap())).unwrap();
    let text = hybrid.encode(&set("key 5", "b")).unwrap();
    assert!(text.ends_with(br#","key 99999":99999,"key 5":"b"}}"#));
    assert!(started.seconds() < 20.0, "{}", started.seconds());
}

#[test]
fn an_integer_of_many_digits_costs_no_more_than_its_bytes() {
    // {"k" => an integer of 4 MB}: its digits would take minutes.
    let mut bytes = unhex("04087b064922066b063a0645546c2b0380841e");
    bytes.resize(bytes.len() + 4_000_000, 7);
    let started = Stopwatch::start();
    let stored = Bytes::from(base64(&bytes));
    let document = Marshal.open(Some(stored.clone())).unwrap();
    assert!(matches!(document.get("k").unwrap().unwrap().to_value().unwrap(), Value::BigInt(_)));
    assert_eq!(Serializer::Marshal.to_json(&stored, false).unwrap(), r#"{"k":null}"#);
    assert!(Serializer::Marshal.to_json(&stored, true).unwrap_err().is_value());
    let hybrid = Hybrid::default().open(Some(stored.clone())).unwrap();
    assert!(hybrid.encode(&set("a", 1)).unwrap_err().is_value());
    let spliced = Marshal.open(Some(document.encode(&set("a", 1)).unwrap())).unwrap();
    assert!(
        spliced.get("k").unwrap().unwrap().to_value().unwrap()
            == document.get("k").unwrap().unwrap().to_value().unwrap()
    );
    assert!(started.seconds() < 20.0, "{}", started.seconds());
}

#[test]
fn values_move_between_sessions_with_all_they_refer_to() {
    // The second time's zone leads back to the first one's.
    let from = open(&fixture("twz_in_session"));
    let moved = from.get("timeout_at").unwrap().unwrap().to_value().unwrap();
    let into = open(&fixture("sess_cart"));
    let merged =
        Marshal.open(Some(into.encode(&set("timeout_at", moved.clone())).unwrap())).unwrap();
    assert_eq!(get::<String>(&*merged, "timeout_at"), "2023-11-14T23:13:20Z");
    assert!(merged.get("timeout_at").unwrap().unwrap().to_value().unwrap() == moved);
    assert!(!set("timeout_at", moved).alter(&*merged).unwrap());
}

#[derive(Deserialize, Debug, PartialEq)]
struct Line {
    sku: String,
    qty: u32,
    price: String,
    note: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Locale {
    De,
    En,
}

#[test]
fn ruby_kinds_read_into_plain_types() {
    let cart: Vec<Line> = get(&*open(&fixture("sess_cart")), "cart");
    assert_eq!((cart[0].sku.as_str(), cart[0].qty, cart[0].price.as_str()), ("A-1", 2, "19.99"));
    assert_eq!(cart[0].note, None);
    assert_eq!(get::<Locale>(&*open(&fixture("sess_return_to")), "locale"), Locale::De);
    let users = open(&fixture("sess_user_struct"));
    assert_eq!(
        get::<HashMap<String, i64>>(&*users, "user"),
        HashMap::from([("x".into(), 1), ("y".into(), 2)])
    );
    assert_eq!(get::<Vec<String>>(&*users, "roles"), ["admin", "editor"]);
    let object = |fixture: Vec<u8>| Object::from_dump(fixture).unwrap();
    let safe = object(fixture("safe_buffer"));
    assert_eq!(safe.as_str(), Some("<b>hi</b>"));
    assert_eq!(safe.class(), Some("ActiveSupport::SafeBuffer"));
    assert_eq!(safe.deserialize::<String>().unwrap(), "<b>hi</b>");
    assert_eq!(
        object(fixture("time_offset")).deserialize::<String>().unwrap(),
        "2024-07-01T09:30:15+09:00"
    );
    assert!(object(fixture("time_utc")).deserialize::<i64>().unwrap_err().is_value());
    let wrong = open(&fixture("sess_cart")).get("cart").unwrap().unwrap().deserialize::<u8>();
    assert_eq!(
        wrong.unwrap_err().to_string(),
        "reading a session value: the stored value does not fit u8"
    );
}

#[test]
fn a_lazy_get_allocates_at_most_what_it_hands_out() {
    let document = open(&fixture("sess_600_bytes"));
    let borrowed = allocation_counter::measure(|| {
        let text = document.get("_csrf_token").unwrap().unwrap().as_str().unwrap().len();
        assert_eq!(text, 44);
    });
    assert_eq!(borrowed.count_total, 0);
    let owned = allocation_counter::measure(|| {
        let _: String = get(&*document, "_csrf_token");
    });
    assert_eq!(owned.count_total, 1);
}

#[test]
fn debug_shows_no_content() {
    let secrets: [Value; 6] = [
        "s3cret".into(),
        Symbol::new("s3cret").into(),
        Decimal::parse("5317").unwrap().into(),
        Time::utc(5317, 0).into(),
        Map::from_iter([("s3cret", "s3cret")]).into(),
        Object::from_dump(fixture("struct")).unwrap().into(),
    ];
    let shown = format!("{secrets:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("5317"), "{shown}");
}

#[test]
fn hybrid_turns_marshal_into_the_json_that_ruby_dumps() {
    let groups = ["basic", "int", "string", "symbol", "array", "hash", "link", "session"];
    let mut checked = 0;
    for row in rows("values.jsonl") {
        let (Some(text), true) =
            (row["json_dump"].as_str(), groups.iter().any(|g| row["group"] == *g))
        else {
            continue;
        };
        // Ruby writes all digits with an exponent where Rails has plain decimal text.
        let decimal = row["ruby"].as_str().unwrap().contains("BigDecimal");
        let mut session = Changes::new();
        session.set("k", Object::from_dump(dump(&row)).unwrap().into());
        let stored = Marshal.open(None).unwrap().encode(&session).unwrap();
        let document = Hybrid::default().open(Some(stored)).unwrap();
        let Ok(ours) = document.encode(&set("other", 1)) else { continue };
        let ours: serde_json::Value = serde_json::from_slice(&ours).unwrap();
        let theirs: serde_json::Value = serde_json::from_str(text).unwrap();
        if !decimal {
            assert_eq!(ours["value"]["k"], theirs["value"], "{}", name(&row));
        }
        checked += 1;
    }
    assert!(checked > 150, "{checked}");
}

/// A time is what the gem writes since 2.2, whichever codec writes it and wherever it came from.
#[test]
fn a_time_is_written_as_ruby_writes_it_under_every_codec_of_json() {
    let golden = rows("rails_json.jsonl");
    let golden = |wanted: &str| -> serde_json::Value {
        let row = golden.iter().find(|row| row["name"] == wanted).unwrap();
        serde_json::from_str(row["json_dump"].as_str().unwrap()).unwrap()
    };
    // What the golden rows were made of: 2024-02-29 12:00:00.5 UTC, and 1700000000 in Tokyo.
    let time = Time::utc(1_709_208_000, 500_000_000);
    let session = open(&fixture("twz_in_session"));
    let zoned = session.get("last_seen").unwrap().unwrap().to_object().unwrap().unwrap();
    let whole = |key: &str, value: Value, codec: &dyn Codec| -> serde_json::Value {
        let text = codec.open(None).unwrap().encode(&set(key, value)).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let hybrid = Hybrid::default();
    for codec in [&Json as &dyn Codec, &hybrid, &Null] {
        let plain = |row: &str| match codec.name() {
            "null" => json!({"t": golden(row)["value"]}),
            _ => json!({"value": {"t": golden(row)["value"]}}),
        };
        assert_eq!(whole("t", time.clone().into(), codec), plain("time"), "{}", codec.name());
        assert_eq!(whole("t", zoned.clone().into(), codec), plain("twz"), "{}", codec.name());
        // Deep within, too.
        let nested = whole("t", vec![Value::from(time.clone())].into(), codec).to_string();
        assert!(nested.contains(r#"["2024-02-29 12:00:00 UTC"]"#), "{nested}");
    }
    // From Marshal into JSON by hybrid.
    let mut session = set("t", time);
    session.set("z", zoned.into());
    let stored = Marshal.open(None).unwrap().encode(&session).unwrap();
    let text = hybrid.open(Some(stored)).unwrap().encode(&set("a", 1)).unwrap();
    let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(text["value"]["t"], golden("time")["value"]);
    assert_eq!(text["value"]["z"], golden("twz")["value"]);
}

#[test]
fn hybrid_turns_what_rails_stores_into_the_json_that_ruby_dumps() {
    // Ruby writes addresses and inspections of these, or the text of an object unknown here.
    const REFUSED: [&str; 8] = [
        "multibyte_chars",
        "duration",
        "duration_mixed",
        "duration_zero",
        "flash_hash_object",
        "action_controller_parameters",
        "ar_new",
        "ar_persisted",
    ];
    for row in rows("rails.jsonl") {
        let mut session = Changes::new();
        session.set("k", Object::from_dump(dump(&row)).unwrap().into());
        let stored = Marshal.open(None).unwrap().encode(&session).unwrap();
        let document = Hybrid::default().open(Some(stored)).unwrap();
        let encoded = document.encode(&set("other", 1));
        if REFUSED.contains(&name(&row)) {
            assert!(encoded.is_err_and(|error| error.is_value()), "{}", name(&row));
            continue;
        }
        let ours: serde_json::Value = serde_json::from_slice(&encoded.unwrap()).unwrap();
        let theirs: serde_json::Value =
            serde_json::from_str(row["json_dump"].as_str().unwrap()).unwrap();
        assert_eq!(ours["value"]["k"], theirs["value"], "{}", name(&row));
    }
}

#[test]
fn what_is_set_after_a_clear_stands_in_the_order_it_was_set_in() {
    let marshal = Marshal.open(None).unwrap();
    let mut changes = Changes::new();
    changes.set("a", 1.into());
    changes.set("b", 2.into());
    let stored = marshal.encode(&changes).unwrap();
    let mut changes = Changes::new();
    changes.clear();
    changes.set("b", 3.into());
    changes.set("a", 4.into());
    let text = Hybrid::default().open(Some(stored)).unwrap().encode(&changes).unwrap();
    assert_eq!(text, r#"{"value":{"b":3,"a":4}}"#);
}

#[test]
fn a_clear_leaves_nothing_of_before() {
    for serializer in [Serializer::Marshal, Serializer::Json, Serializer::Hybrid, Serializer::Null]
    {
        let open = |stored| serializer.open(stored).unwrap();
        let mut changes = Changes::new();
        changes.set("a", 1.into());
        changes.set("b", 2.into());
        let document = open(Some(open(None).encode(&changes).unwrap()));
        assert_eq!(all(&*document).len(), 2);
        let mut changes = Changes::new();
        changes.clear();
        assert!(all(&*open(Some(document.encode(&changes).unwrap()))).is_empty());
        changes.set("b", 3.into());
        let left = all(&*open(Some(document.encode(&changes).unwrap())));
        assert_eq!((left.len(), left.get("b")), (1, Some(&3.into())), "{serializer:?}");
    }
}

#[test]
fn hybrid_refuses_what_json_cannot_say_unless_asked() {
    let bytes = fixture("sess_user_struct");
    let changes = set("a", 1);
    let strict = Hybrid::default().open(Some(base64(&bytes).into())).unwrap();
    assert!(strict.encode(&changes).unwrap_err().is_value());
    let lossy = Hybrid::default().lossy().open(Some(base64(&bytes).into())).unwrap();
    let text = lossy.encode(&changes).unwrap();
    let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(text["value"]["user"], json!({"x": 1, "y": 2}));
    assert_eq!(text["value"]["a"], 1);
    // Unchanged, it stays what it is; and JSON stays JSON.
    assert_eq!(strict.encode(&Changes::new()).unwrap(), base64(&bytes));
    let json = Hybrid::default().open(Some(r#"{"value":{"a":1}}"#.into())).unwrap();
    assert_eq!(json.encode(&set("b", 2)).unwrap(), r#"{"value":{"a":1,"b":2}}"#);
}

#[test]
fn what_hybrid_makes_of_each_kind_when_it_may_lose_something() {
    // The dump of a value; its JSON, where nothing is lost; and otherwise.
    let cases: [(&[u8], Option<&str>, &str); 7] = [
        (b"f\x081.5", Some("1.5"), "1.5"),
        (b"f\x08nan", None, "null"),
        (b"\"\x06\xff", None, "\"\u{fffd}\""),
        (b"{\x06i\x06i\x07", Some(r#"{"1":2}"#), r#"{"1":2}"#),
        (b"{\x060i\x06", Some(r#"{"":1}"#), r#"{"":1}"#),
        (b"{\x06:\x06si\x06", Some(r#"{"s":1}"#), r#"{"s":1}"#),
        (b"{\x06[\x06i\x06i\x07", None, r#"{"[1]":2}"#),
    ];
    for (dumped, strict, lossy) in cases {
        let stored = base64(&[b"\x04\x08{\x06I\"\x06k\x06:\x06ET", dumped].concat());
        let encode = |hybrid: Hybrid| {
            let encoded = hybrid.open(Some(stored.clone().into())).unwrap().encode(&set("n", 0));
            encoded.map(|text| String::from_utf8(text.to_vec()).unwrap())
        };
        let text = |value| format!(r#"{{"value":{{"k":{value},"n":0}}}}"#);
        assert_eq!(encode(Hybrid::default()).ok(), strict.map(text), "{lossy}");
        assert_eq!(encode(Hybrid::default().lossy()).unwrap(), text(lossy));
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i128>().prop_map(Value::Int),
        (-1e300..1e300).prop_map(Value::from),
        prop_oneof![Just(0.5), Just(1.5)].prop_map(Value::from),
        "[a-cE]{0,3}|\\PC{0,8}".prop_map(Value::from),
        "[a-cE]{0,3}|\\PC{0,4}".prop_map(|name| Symbol::new(name).into()),
        (-1i64 << 36..1 << 36, 0u32..1_000_000_000).prop_map(|(s, n)| Time::utc(s, n).into()),
        (-9999..9999i32).prop_map(|n| Decimal::parse(&format!("{n}e-2")).unwrap().into()),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            map(inner).prop_map(Value::from),
        ]
    })
}

fn map(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Map> {
    let entries = prop::collection::vec(("[a-dE]|\\PC{0,4}", value), 0..6);
    (entries, any::<bool>()).prop_map(|(entries, indifferent)| {
        let mut map: Map = entries.into_iter().collect();
        map.set_indifferent(indifferent);
        map
    })
}

fn all(document: &dyn Document) -> Map {
    let value = |key: &&str| document.get(key).unwrap().unwrap().to_value().unwrap();
    document.keys().iter().map(|key| (*key, value(key))).collect()
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let dump = [b"\x04\x08".as_slice(), &bytes].concat();
        if let Ok(object) = Object::from_dump(dump) {
            object.as_ref().to_value().unwrap();
        }
        let _ = Marshal.open(Some(bytes.into()));
    }

    #[test]
    fn what_is_spliced_reads_as_what_was_meant(
        before in map(value()),
        steps in prop::collection::vec(("[a-dE]", prop::option::of(value())), 0..6),
        again in prop::collection::vec(("[a-dE]", prop::option::of(value())), 0..6),
        clear in any::<bool>(),
    ) {
        let mut changes = Changes::new();
        for (key, value) in before.iter() {
            changes.set(key, value.clone());
        }
        let mut expected = Map::new();
        changes.apply(&mut expected);
        let mut stored = Marshal.open(None).unwrap().encode(&changes).unwrap();
        for (round, steps) in [steps, again].into_iter().enumerate() {
            let mut changes = Changes::new();
            if clear && round == 1 {
                changes.clear();
            }
            for (key, value) in steps {
                match value {
                    Some(value) => changes.set(key, value),
                    None => changes.remove(key),
                }
            }
            changes.apply(&mut expected);
            stored = Marshal.open(Some(stored)).unwrap().encode(&changes).unwrap();
        }
        let document = Marshal.open(Some(stored)).unwrap();
        prop_assert!(all(&*document) == expected);
        let order: Vec<&str> = expected.iter().map(|(key, _)| key).collect();
        prop_assert_eq!(document.keys(), order);
    }
}
