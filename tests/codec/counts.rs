//! Allocations of the hot paths: counts, not times, so that noise cannot fail them.

use std::hint::black_box;

use sqlbypass::internals::base64::{decode, encode};
use sqlbypass::{Changes, Codec, Json};

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
