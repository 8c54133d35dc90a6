//! Ruby's values read into plain types of Rust's, as `deserialize` has them.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Value as Json, json};
use sqlbypass::Object;

use super::fixtures::{dump, name, rows};

fn object(dump: &[u8]) -> Object {
    Object::from_dump([b"\x04\x08", dump].concat()).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(dump: &[u8]) -> T {
    object(dump).deserialize().unwrap()
}

fn fails<T: serde::de::DeserializeOwned>(dump: &[u8]) -> bool {
    object(dump).deserialize::<T>().is_err_and(|error| error.is_value())
}

/// The bytes and the tree that is made of them say the same.
#[test]
fn a_value_reads_alike_from_its_bytes_and_from_its_tree() {
    let mut read = 0;
    for row in rows("values.jsonl").into_iter().chain(rows("rails.jsonl")) {
        let object = Object::from_dump(dump(&row)).unwrap();
        let from_bytes = object.deserialize::<Json>();
        let from_tree = object.as_ref().to_value().and_then(|value| value.deserialize::<Json>());
        read += usize::from(from_bytes.is_ok());
        assert_eq!(from_bytes.ok(), from_tree.ok(), "{}", name(&row));
    }
    assert!(read > 100, "{read}");
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Plain,
    Sized(u8),
    Named { a: u8 },
}

#[test]
fn enums_are_names_or_hashes_of_one_pair() {
    for name in [b"I\"\x0aplain\x06:\x06ET".as_slice(), b":\x0aplain"] {
        assert_eq!(read::<Kind>(name), Kind::Plain);
        let pair = [b"{\x06", name, b"0"].concat();
        assert_eq!(read::<Kind>(&pair), Kind::Plain);
        assert!(fails::<Kind>(&[b"{\x06", name, b"i\x06"].concat()), "content where none is due");
    }
    assert_eq!(read::<Kind>(b"{\x06:\x0asizedi\x0c"), Kind::Sized(7));
    assert_eq!(read::<Kind>(b"{\x06I\"\x0asized\x06:\x06ETi\x0c"), Kind::Sized(7));
    assert_eq!(read::<Kind>(b"{\x06:\x0anamed{\x06:\x06ai\x0c"), Kind::Named { a: 7 });
    // Each is read to its end: what stands behind it is in its place.
    let list = b"[\x09I\"\x0aplain\x06:\x06ET{\x06:\x0asizedi\x0c{\x06:\x0anamed{\x06:\x06ai\x0c:\x0aplain";
    let expected = [Kind::Plain, Kind::Sized(7), Kind::Named { a: 7 }, Kind::Plain];
    assert_eq!(read::<Vec<Kind>>(list), expected);
    for other in [b"i\x06".as_slice(), b"{\x00", b"{\x06i\x06i\x06", b"[\x06:\x0aplain", b":\x06x"]
    {
        assert!(fails::<Kind>(other), "{}", other.escape_ascii());
    }
}

#[test]
fn a_set_is_a_list_and_another_class_is_a_map() {
    let members = b"\x06:\x0a@hash}\x07i\x06Ti\x07TF";
    let of = |class: &[u8]| [b"o:", class, members].concat();
    assert_eq!(read::<BTreeSet<u8>>(&of(b"\x08Set")), BTreeSet::from([1, 2]));
    assert_eq!(read::<Vec<u8>>(&of(b"\x08Set")), [1, 2]);
    assert!(fails::<Vec<u8>>(&of(b"\x08Bag")));
    let twice = [b"[\x07".as_slice(), &of(b"\x08Set"), b"i\x0c"].concat();
    assert_eq!(read::<(Vec<u8>, u8)>(&twice), (vec![1, 2], 7));
}

#[test]
fn only_a_zoned_time_is_its_first_item() {
    let of = |class: &[u8]| [b"U:", class, b"[\x07i\x06i\x07"].concat();
    let zoned = of(b"\x20ActiveSupport::TimeWithZone");
    assert_eq!(read::<u8>(&zoned), 1);
    assert!(fails::<Vec<u8>>(&zoned));
    assert_eq!(read::<Vec<u8>>(&of(b"\x08Own")), [1, 2]);
    let twice = [b"[\x07".as_slice(), &zoned, b"i\x0c"].concat();
    assert_eq!(read::<(u8, u8)>(&twice), (1, 7));
    assert!(fails::<u8>(b"U:\x20ActiveSupport::TimeWithZonei\x06"));
    assert!(fails::<u8>(b"U:\x20ActiveSupport::TimeWithZone[\x00"));
}

#[test]
fn integers_keep_their_value_up_to_128_bits() {
    // 2**31, -2**63, 2**64 - 1, 2**64.
    assert_eq!(read::<i64>(b"l+\x07\x00\x00\x00\x80"), 1 << 31);
    assert_eq!(read::<i64>(b"l-\x09\x00\x00\x00\x00\x00\x00\x00\x80"), i64::MIN);
    let most = b"l+\x09\xff\xff\xff\xff\xff\xff\xff\xff";
    assert_eq!(read::<u64>(most), u64::MAX);
    assert_eq!(read::<Json>(most), json!(u64::MAX));
    assert!(fails::<i64>(most));
    let more = b"l+\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00";
    assert_eq!(read::<i128>(more), 1 << 64);
    assert!(fails::<u64>(more));
    // 2**127 is an i128 no more.
    let too_much = [b"l+\x0d".as_slice(), &[0; 15], &[0x80]].concat();
    assert!(fails::<i128>(&too_much));
}

#[test]
fn dumps_of_other_classes_are_their_text() {
    let decimal = b"u:\x0fBigDecimal\x0e18:0.15e1";
    assert_eq!(read::<String>(decimal), "1.5");
    let other = b"u:\x0fBigDecimel\x0e18:0.15e1";
    assert_eq!(read::<Bytes>(other).0, b"18:0.15e1");
}

/// A text's bytes, however they come.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taker;

        impl Visitor<'_> for Taker {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Bytes, E> {
                Ok(Bytes(text.as_bytes().to_vec()))
            }
        }

        deserializer.deserialize_any(Taker)
    }
}

/// Takes the first pair of a map and leaves the rest.
#[derive(Debug, PartialEq)]
struct First(String);

impl<'de> Deserialize<'de> for First {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taker;

        impl<'de> Visitor<'de> for Taker {
            type Value = First;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<First, A::Error> {
                let (key, _) = map.next_entry::<String, IgnoredAny>()?.unwrap();
                Ok(First(key))
            }
        }

        deserializer.deserialize_map(Taker)
    }
}

#[test]
fn what_is_left_of_a_list_or_a_map_is_passed_over() {
    let pairs = b"\x08:\x06ai\x06:\x06bi\x07:\x06ci\x08";
    let heads: [&[u8]; 3] = [b"{", b"o:\x08Own", b"S:\x08Own"];
    for head in heads {
        let list = [b"[\x07".as_slice(), head, pairs, b"i\x0c"].concat();
        assert_eq!(read::<(First, u8)>(&list), (First("a".into()), 7), "{}", head.escape_ascii());
    }
    // With a default behind the pairs.
    let list = [b"[\x07}".as_slice(), pairs, b"i\x0di\x0c"].concat();
    assert_eq!(read::<(First, u8)>(&list), (First("a".into()), 7));
    assert_eq!(read::<((u8,), u8)>(b"[\x07[\x08i\x06i\x07i\x08i\x0c"), ((1,), 7));
}

#[test]
fn an_option_is_nil_or_a_value() {
    assert_eq!(read::<Vec<Option<u8>>>(b"[\x080i\x06i\x07"), [None, Some(1), Some(2)]);
    assert_eq!(read::<(Option<bool>, u8)>(b"[\x07Fi\x0c"), (Some(false), 7));
}
