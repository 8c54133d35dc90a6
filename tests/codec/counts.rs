//! Allocations of the hot paths: counts, not times, so that noise cannot fail them.

use std::hint::black_box;

use sqlbypass::internals::base64::{decode, encode};
use sqlbypass::{Changes, Codec, Json, Serializer};

fn allocations<T>(work: impl FnOnce() -> T) -> u64 {
    allocation_counter::measure(|| drop(black_box(work()))).count_total
}

const STORED: &str = concat!(
    r#"{"value":{"_csrf_token":"c0bXn0H5vJqv1M4Yq1rVtK2l3m4n5o6p7q8r9s0t1u8=","#,
    r#""warden.user.user.session":{"last_request_at":1700000000},"user_id":42,"locale":"de"}}"#
);

#[test]
fn a_lazy_get_of_json_allocates_twice() {
    let stored = bytes::Bytes::from_static(STORED.as_bytes());
    let opening = allocations(|| Json.open(Some(stored.clone())).unwrap());
    assert_eq!(opening, 2, "the document and its list of keys");
    let document = Json.open(Some(stored)).unwrap();
    let number = || document.get("user_id").unwrap().unwrap().deserialize::<i64>().unwrap();
    assert_eq!(allocations(number), 0);
    assert_eq!(allocations(|| document.get("nothing").unwrap().is_none()), 0);
}

#[test]
fn a_splice_of_json_allocates_twice() {
    let document = Json.open(Some(STORED.into())).unwrap();
    let mut changes = Changes::new();
    changes.set("locale", "en".into());
    let splicing = allocations(|| document.encode(&changes).unwrap());
    assert_eq!(splicing, 2, "the text and its owner");
}

#[test]
fn base64_takes_one_buffer() {
    let bytes = vec![7; 4096];
    assert_eq!(allocations(|| encode(&bytes)), 1);
    let text = encode(&bytes);
    assert_eq!(allocations(|| decode(&text)), 1);
}

/// Whatever a row holds, opening it and reading all of it takes memory in proportion to its length.
#[test]
fn hostile_texts_cost_memory_in_proportion() {
    let pairs: Vec<String> = (0..5_000).map(|n| format!("\"k{n}\":[]")).collect();
    let texts = [
        "[".repeat(50_000),
        format!(r#"{{"value":{}"#, r#"{"a":"#.repeat(20_000)),
        format!(r#"{{"value":{{"a":"{}"}}}}"#, r"\u00e9".repeat(20_000)),
        format!(r#"{{"value":{{"a":[{}0]}}}}"#, "0,".repeat(50_000)),
        format!(r#"{{"value":{{"a":[{}0]}}}}"#, "[],".repeat(50_000)),
        format!(r#"{{"value":{{{}}}}}"#, pairs.join(",")),
        format!(r#"{{"value":{{{}"a":0}}}}"#, r#""a":0,"#.repeat(20_000)),
        format!(r#"{{"value":{{"a":{}}}}}"#, "9".repeat(100_000)),
        "BAh7".repeat(20_000),
        format!("sbe1.k1.{}", "A".repeat(60_000)),
    ];
    for text in texts {
        for serializer in
            [Serializer::Marshal, Serializer::Json, Serializer::Hybrid, Serializer::Null]
        {
            let stored = bytes::Bytes::from(text.clone());
            let used = allocation_counter::measure(|| {
                let Ok(document) = serializer.open(Some(stored)) else { return };
                for key in document.keys() {
                    let _ = document.get(key).map(|value| value.map(|value| value.to_value()));
                }
            });
            let (start, length) = (&text[..20], text.len() as u64);
            let allowed = 128 * length;
            assert!(used.bytes_max < allowed, "{serializer:?}, {start}: {}", used.bytes_max);
        }
    }
}
