//! The formats that read two others: Rails' `hybrid`, a JSON string that holds a session, and JSON for
//! people made into stored data.

use bytes::Bytes;
use sqlbypass::{
    Changes, Codec, Document, Hybrid, Json, JsonString, Map, Marshal, Serializer, ValueRef,
};

pub fn run(data: &[u8]) {
    let stored = Bytes::copy_from_slice(data);
    for codec in [Hybrid::default(), Hybrid::default().lossy()] {
        hybrid(&codec, &stored);
    }
    in_a_string(&stored);
    let text = String::from_utf8_lossy(data);
    for serializer in [Serializer::Marshal, Serializer::Json, Serializer::Hybrid, Serializer::Null]
    {
        for faithful in [true, false] {
            described(serializer, &text, faithful);
        }
    }
}

/// It reads as the format does that it is in, and what is changed is JSON.
fn hybrid(codec: &Hybrid, stored: &Bytes) {
    let Ok(document) = codec.open(Some(stored.clone())) else { return };
    let marshal = stored.starts_with(b"BAh").then(|| Marshal.open(Some(stored.clone())));
    if let Some(marshal) = marshal {
        assert!(marshal.expect("it was opened").keys() == document.keys());
    }
    let mut changes = Changes::new();
    changes.set("new key", 1.into());
    let Ok(changed) = document.encode(&changes) else { return };
    let again = Json.open(Some(changed.clone())).or_else(|_| codec.open(Some(changed)));
    let again = again.expect("it was written");
    let new = again.get("new key").expect("it was written").expect("it is there");
    assert!(new.to_value().is_ok_and(|value| value == 1.into()));
    let is_left = |key: &&str| *key == "new key" || document.keys().contains(key);
    assert!(again.keys().iter().all(is_left), "a key from nowhere");
}

/// A session in a JSON string is the same session.
fn in_a_string(stored: &Bytes) {
    let codec = JsonString(Json);
    let Ok(document) = codec.open(Some(stored.clone())) else { return };
    let mut changes = Changes::new();
    changes.set("new key", "\"é\n".into());
    let Ok(changed) = document.encode(&changes) else { return };
    let again = codec.open(Some(changed)).expect("it was written");
    let new = again.get("new key").expect("it was written").expect("it is there");
    assert!(new.to_value().is_ok_and(|value| value == "\"é\n".into()));
    if let (Some(before), Some(after)) = (map(&*document), map(&*again)) {
        assert!(
            before.iter().all(|(key, value)| { key == "new key" || after.get(key) == Some(value) })
        );
    }
}

fn map(document: &dyn Document) -> Option<Map> {
    let value = |key| document.get(key).ok()?.map(ValueRef::to_value)?.ok();
    document.keys().into_iter().map(|key| Some((key, value(key)?))).collect()
}

/// What people write becomes data that can be read, or an error.
fn described(serializer: Serializer, text: &str, faithful: bool) {
    let Ok(stored) = serializer.from_json(text, faithful) else { return };
    let description = serializer.to_json(&stored, faithful).expect("it was composed");
    let composed = serializer.from_json(&description, faithful).expect("it was described");
    let again = serializer.to_json(&composed, faithful).expect("it was composed");
    assert_eq!(description, again, "a description of a description differs");
}
