use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use sqlbypass::{BigInt, Value};

fn build<T: Serialize>(value: T) -> Value {
    Value::from_serialize(&value).unwrap()
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Wrapped(u8);

#[derive(Serialize)]
struct Pair(u8, &'static str);

#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Unit,
    Newtype(char),
    Tuple(u8, Option<bool>),
    Struct { zulu: i8, alpha: () },
}

struct Bytes(&'static [u8]);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[derive(Serialize)]
struct Everything {
    zulu: Vec<Kind>,
    alpha: (Option<u8>, Option<u8>, Unit, Wrapped, Pair),
    mike: BTreeMap<char, BTreeMap<i64, BTreeMap<bool, f32>>>,
    names: BTreeMap<Kind, BTreeMap<String, u64>>,
    bytes: Bytes,
    floats: [f64; 3],
    empty: (Vec<u8>, BTreeMap<u8, u8>),
    raw: Box<serde_json::value::RawValue>,
    bravo: char,
}

fn everything() -> Everything {
    let tenth = BTreeMap::from([(true, 0.1_f32), (false, f32::MIN_POSITIVE)]);
    Everything {
        zulu: vec![
            Kind::Unit,
            Kind::Newtype('é'),
            Kind::Tuple(1, None),
            Kind::Struct { zulu: -1, alpha: () },
        ],
        alpha: (None, Some(1), Unit, Wrapped(2), Pair(3, "text")),
        mike: BTreeMap::from([('z', BTreeMap::from([(i64::MIN, tenth)])), ('\0', BTreeMap::new())]),
        names: BTreeMap::from([(Kind::Unit, BTreeMap::from([("max".to_owned(), u64::MAX)]))]),
        bytes: Bytes(b"\x00\xffa"),
        floats: [-0.0, 1.0, f64::MAX],
        empty: Default::default(),
        raw: serde_json::value::to_raw_value(&serde_json::json!({"z": [1.5], "a": null})).unwrap(),
        bravo: '"',
    }
}

#[test]
fn a_value_is_what_serde_json_makes_of_it() {
    let ours = build(everything());
    let theirs = serde_json::to_value(everything()).unwrap();
    assert!(ours == Value::from(theirs.clone()));
    // The texts also say the order, the sign of zero, and whether a number is a float.
    assert_eq!(serde_json::Value::from(ours.clone()).to_string(), theirs.to_string());
    let keys: Vec<&str> = ours.as_map().unwrap().iter().map(|(key, _)| key).collect();
    assert_eq!(keys[..4], ["zulu", "alpha", "mike", "names"]);
    // A value goes through its own implementation and stays what it is.
    assert!(build(&ours) == ours);
}

#[test]
fn a_float_that_is_not_finite_is_an_error_that_names_the_type_alone() {
    #[derive(Serialize)]
    struct Deep {
        secret: &'static str,
        kind: Option<Vec<BTreeMap<u8, f32>>>,
    }
    let deep = Deep { secret: "hunter2", kind: Some(vec![BTreeMap::from([(7, f32::NAN)])]) };
    let raw = serde_json::value::RawValue::from_string("[1e999]".to_owned()).unwrap();
    let failed = [
        (Value::from_serialize(&f64::NAN), "f64"),
        (Value::from_serialize(&f64::INFINITY), "f64"),
        (Value::from_serialize(&f32::NEG_INFINITY), "f32"),
        (Value::from_serialize(&Some([0.0, f64::NAN])), "f64"),
        (Value::from_serialize(&deep), "Deep"),
        (Value::from_serialize(&Value::from(vec![Value::from(f64::NAN)])), "Value"),
        (Value::from_serialize(&raw), "RawValue"),
    ];
    for (result, name) in failed {
        let error = result.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("not finite"), "{text}");
        assert!(!text.contains(deep.secret) && !text.contains("NaN"), "{text}");
    }
}

#[test]
fn integers_keep_all_their_digits() {
    for integer in [i128::MIN, i128::MAX, u64::MAX.into(), i64::MIN.into(), -1] {
        let value = build(integer);
        assert!(value == Value::Int(integer), "{integer}");
        assert_eq!(value.deserialize::<i128>().unwrap(), integer);
        assert!(build(&value) == value, "{integer}");
    }
    assert_eq!(build(u64::MAX).deserialize::<u64>().unwrap(), u64::MAX);
    assert_eq!(build(7_u128).deserialize::<u128>().unwrap(), 7);
    let big = Value::from(BigInt::from_decimal(&u128::MAX.to_string()).unwrap());
    assert!(build(u128::MAX) == big);
    assert!(build(&big) == big);
    let keys = build(BTreeMap::from([(u128::MAX, ())]));
    assert!(keys.as_map().unwrap().get(&u128::MAX.to_string()).is_some());
}

#[test]
fn keys_without_a_text_are_an_error() {
    fn refused<K: Serialize + Ord>(key: K) -> bool {
        Value::from_serialize(&BTreeMap::from([(key, 1)])).is_err()
    }
    assert!(refused(()) && refused(Some("a")) && refused(None::<u8>));
    assert!(refused([1, 2]) && refused(Kind::Newtype('a')) && refused(BTreeMap::from([(1, 1)])));
}
