//! What a splice does to the numbers of symbols and objects behind what it changes.

use serde_json::json;
use sqlbypass::{Changes, Codec, Marshal, Symbol, Value};

use super::fixtures::{unbase64, unhex};
use super::session::{get, open, set};

#[test]
fn a_first_key_that_goes_takes_no_symbol_or_object_with_it() {
    // {"a" => s = "x", "b" => [s, s, :E]}: the key `E` is spelled out under "a", s begins there.
    let bytes = unhex(concat!(
        "04087b07",
        "49220661063a064554",
        "49220678063b0054",
        "49220662063b0054",
        "5b0840074007",
        "3b00"
    ));
    let document = open(&bytes);
    let mut changes = Changes::new();
    changes.remove("a");
    let spliced = document.encode(&changes).unwrap();
    // As Ruby writes {"b" => [s, s, :E]}.
    let expected = "04087b0649220662063a0645545b0849220678063b005440083b00";
    assert_eq!(unbase64(&spliced), unhex(expected));
    let spliced = Marshal.open(Some(spliced)).unwrap();
    assert_eq!(get::<Vec<String>>(&*spliced, "b"), ["x", "x", "E"]);
}

#[test]
fn what_two_keys_share_stays_one_object_when_its_first_holder_goes() {
    // t = Time.at(1_700_000_000, 591_618_307, :nsec).utc; l = [t]; {"a" => l, "b" => t, "c" => l}
    let time = "5449753a0954696d650dd6e91ec002074935093a0d6e616e6f5f6e756d690233013a0d6e616e6f5f64\
                656e69063a0d7375626d6963726f220730703a097a6f6e65492208555443063b0046";
    let first = time.strip_prefix("54").unwrap();
    let document = open(&unhex(&format!(
        "04087b0849220661063a0645545b06{first}49220662063b0054400a49220663063b00544007"
    )));
    // {"a" => 1, "b" => t, "c" => [t]}: a time takes its number behind what its variables hold.
    let expected =
        format!("04087b0849220661063a064554690649220662063b00{time}49220663063b00545b06400a");
    let spliced = document.encode(&set("a", 1)).unwrap();
    assert_eq!(unbase64(&spliced), unhex(&expected));
}

/// A new value that takes as many numbers as the old one is not what others referred to.
#[test]
fn what_others_refer_to_is_spelled_out_when_its_first_holder_is_replaced() {
    // {"a" => t = [1], "b" => [t], "c" => 3}
    let document = open(&unhex(
        "04087b0849220661063a0645545b06690649220662063b00545b06400749220663063b00546908",
    ));
    assert_eq!(get::<serde_json::Value>(&*document, "b"), json!([[1]]));
    for replacement in [json!([2]), json!({}), json!("s"), json!([[2]]), json!(2)] {
        let spliced = document.encode(&set("a", Value::from(replacement.clone()))).unwrap();
        let spliced = Marshal.open(Some(spliced)).unwrap();
        assert_eq!(get::<serde_json::Value>(&*spliced, "a"), replacement);
        assert_eq!(get::<serde_json::Value>(&*spliced, "b"), json!([[1]]), "{replacement}");
        assert_eq!(get::<i64>(&*spliced, "c"), 3);
    }
}

/// Numbers behind a value that is replaced move with what the new one takes.
#[test]
fn links_lead_to_what_they_led_to_whatever_a_new_value_takes() {
    let behind =
        |symbols: &str| format!("49220662063b00545b06690e49220663063b00545b084009{symbols}");
    let of = |a: &str, symbols: &str| {
        open(&unhex(&format!("04087b0849220661063a064554{a}{}", behind(symbols))))
    };
    // {"a" => [1], "b" => t = [9], "c" => [t, :x, :x]}, and with [:z] and [t, :z, :x].
    let documents = [
        (of("5b066906", "3a06783b06"), json!([[9], "x", "x"])),
        (of("5b063a067a", "3b063a0678"), json!([[9], "z", "x"])),
    ];
    let symbols = |names: &[&str]| {
        Value::Array(names.iter().map(|name| Value::Symbol(Symbol::new(*name))).collect())
    };
    let plain = [json!([2]), json!({}), json!("s"), json!([[2]]), json!([[2], [3]]), json!(2)];
    let replacements: Vec<Value> = plain.into_iter().map(Value::from).collect();
    let named = [symbols(&["y"]), symbols(&["y", "w"]), symbols(&["z"]), symbols(&["x"])];
    for (document, c) in documents {
        assert_eq!(get::<serde_json::Value>(&*document, "c"), c);
        for replacement in replacements.iter().chain(&named) {
            let spliced = document.encode(&set("a", replacement.clone())).unwrap();
            let spliced = Marshal.open(Some(spliced)).unwrap();
            assert_eq!(get::<serde_json::Value>(&*spliced, "b"), json!([9]), "{replacement:?}");
            assert_eq!(get::<serde_json::Value>(&*spliced, "c"), c, "{replacement:?}");
        }
    }
}

/// A link where a part that is kept begins, and one where it ends.
#[test]
fn links_at_the_edges_of_what_is_kept_are_told_apart() {
    // {"a" => {"b" => 1}, (the same "b") => 2}
    let document = open(&unhex("04087b0749220661063a0645547b0649220662063b0054690640086907"));
    assert_eq!(document.keys(), ["a", "b"]);
    for replacement in [json!([[2]]), json!([2]), json!(2)] {
        let spliced = document.encode(&set("a", Value::from(replacement.clone()))).unwrap();
        let spliced = Marshal.open(Some(spliced)).unwrap();
        assert_eq!(spliced.keys(), ["a", "b"], "{replacement}");
        assert_eq!(get::<i64>(&*spliced, "b"), 2);
    }
    // {"x" => t = [1], "a" => 0, "b" => t, "c" => t}
    let document = open(&unhex(
        "04087b0949220678063a0645545b06690649220661063b0054690049220662063b0054400749220663063b00544007",
    ));
    let mut changes = set("b", 5);
    changes.remove("a");
    let spliced = Marshal.open(Some(document.encode(&changes).unwrap())).unwrap();
    assert_eq!(spliced.keys(), ["x", "b", "c"]);
    assert_eq!(get::<i64>(&*spliced, "b"), 5);
    assert_eq!(get::<serde_json::Value>(&*spliced, "c"), json!([1]));
}

/// A symbol with an encoding cannot be a link there: its variables stand behind it.
#[test]
fn a_symbol_with_an_encoding_is_spelled_out_again() {
    // {"a" => 1, "b" => [:é, 2]}
    let document =
        open(&unhex("04087b0749220661063a064554690649220662063b00545b07493a07c3a9063b00546907"));
    assert_eq!(get::<serde_json::Value>(&*document, "b"), json!(["é", 2]));
    let spliced = document.encode(&set("a", Value::Symbol(Symbol::new("é")))).unwrap();
    let spliced = Marshal.open(Some(spliced)).unwrap();
    assert_eq!(get::<String>(&*spliced, "a"), "é");
    assert_eq!(get::<serde_json::Value>(&*spliced, "b"), json!(["é", 2]));
}
