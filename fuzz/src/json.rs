//! Opening never panics; what serde_json takes is read as it reads it; what was read can be
//! written and reads back the same.

use sqlbypass::{Changes, Codec, Document, Json, Map, Null, Value};

pub fn run(data: &[u8]) {
    let _ = Json.open(Some(data.to_vec().into())).map(|document| check(&*document, &Json));
    read_alike(data);
    let theirs = serde_json::from_slice::<serde_json::Value>(data);
    match Null.open(Some(data.to_vec().into())) {
        Ok(document) => {
            check(&*document, &Null);
            if let Ok(theirs @ serde_json::Value::Object(_)) = theirs
                && !reads_otherwise(data)
            {
                assert!(Value::from(theirs) == Value::Map(map(&*document)), "read otherwise");
            }
        }
        Err(error) => {
            assert!(error.is_decode());
            assert!(
                !matches!(theirs, Ok(serde_json::Value::Object(_))) || is_deep(data),
                "{error}"
            );
        }
    }
}

/// A value reads the same whether it is short or part of a long text, which another reader takes.
fn read_alike(data: &[u8]) {
    let read = |beside: &str| {
        let text = [b"{\"k\":[", data, b",\"", beside.as_bytes(), b"\"]}"].concat();
        let document = Null.open(Some(text.into())).ok()?;
        document.get("k").expect("it was checked")?.to_value().ok()
    };
    let first = |value: &Value| value.as_array().and_then(|items| items.first().cloned());
    if let Some(short) = read("") {
        let long = read(&"x".repeat(9_000)).expect("it was read before");
        assert!(first(&short) == first(&long), "read otherwise");
    }
}

fn map(document: &dyn Document) -> Map {
    let value = |key| document.get(key).expect("it was checked").expect("it is a key").to_value();
    document.keys().into_iter().map(|key| (key, value(key).expect("it was checked"))).collect()
}

fn check(document: &dyn Document, codec: &dyn Codec) {
    let before = map(document);
    let same = document.encode(&Changes::new()).expect("nothing new is written");
    let same = codec.open(Some(same)).expect("it can be read again");
    assert!(map(&*same) == before, "changed by nothing");
    let Some((first, value)) = before.iter().next() else { return };
    let mut changes = Changes::new();
    changes.set("new \"key\"\n", value.clone());
    changes.set(first, "\u{1}é".into());
    let mut expected = before.clone();
    changes.apply(&mut expected);
    // A number beyond a float's range is read as infinity, which JSON cannot say, and a value of
    // the deepest kind does not always fit elsewhere.
    if let Ok(spliced) = document.encode(&changes) {
        let spliced = codec.open(Some(spliced)).expect("it can be read again");
        assert!(map(&*spliced) == expected, "spliced otherwise");
    }
}

/// Long integers, which serde_json rounds, and -0, an integer only to Ruby.
fn reads_otherwise(data: &[u8]) -> bool {
    data.windows(2).any(|pair| pair == b"-0")
        || data.windows(18).any(|run| run.iter().all(u8::is_ascii_digit))
}

/// serde_json takes more than Ruby's 100 levels.
fn is_deep(data: &[u8]) -> bool {
    data.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() > 100
}
