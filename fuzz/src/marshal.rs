//! Marshal: reading what may be anything, writing and reading back, splicing.

use bytes::Bytes;
use sqlbypass::{
    Changes, Codec, Decimal, Document, Encoding, Hash, Map, Marshal, Object, Serializer, Symbol,
    Text, Time, Value,
};

/// Any bytes: an error, or a value that can be looked at in every way and copied exactly.
pub fn read(data: &[u8]) {
    let Ok(object) = Object::from_dump(data) else { return };
    let _ = (object.class(), object.as_str());
    let _ = object.deserialize::<serde_json::Value>();
    object.as_ref().to_value().expect("every value has an owned form");
    // The links of a pathological value may be too entangled to copy.
    let Some(copy) = object.as_ref().to_object().ok().flatten() else { return };
    let again = copy.as_ref().to_object().unwrap().unwrap();
    assert_eq!(copy.dump(), again.dump(), "a copy of a copy differs");
    let text = base64(data);
    if let Ok(description) = Serializer::Marshal.to_json(&text, true) {
        let copied = Serializer::Marshal.to_json(&base64(copy.dump()), true).unwrap();
        assert_eq!(description, copied, "a copy reads differently");
    }
    if let Ok(document) = Marshal.open(Some(text.into())) {
        for key in document.keys() {
            document.get(key).unwrap().unwrap().to_value().unwrap();
        }
    }
}

/// Bytes as a recipe for a value: what is written reads back equal, also through a description.
pub fn write(data: &[u8]) {
    let value = Recipe(data).value(6);
    if value.is_nil() {
        return;
    }
    let mut changes = Changes::new();
    changes.set("k", value.clone());
    let stored = Marshal.open(None).unwrap().encode(&changes).unwrap();
    let document = Marshal.open(Some(stored.clone())).unwrap();
    let back = document.get("k").unwrap().unwrap().to_value().unwrap();
    assert!(back == value, "what was written reads differently");
    let description = Serializer::Marshal.to_json(&stored, true).unwrap();
    let composed = Serializer::Marshal.from_json(&description, true).unwrap();
    let again = Serializer::Marshal.to_json(&composed, true).unwrap();
    assert_eq!(description, again, "a composed description reads differently");
}

/// A byte that says what to change, and a dump: what was not changed is the same afterwards.
pub fn splice(data: &[u8]) {
    let Some((plan, dump)) = data.split_first() else { return };
    // A value that holds the session itself changes with it.
    if dump.windows(2).any(|link| matches!(link, [b'@', 0..=5 | 0xfb..])) {
        return;
    }
    let Ok(document) = Marshal.open(Some(base64(dump).into())) else { return };
    let keys: Vec<String> = document.keys().into_iter().map(str::to_owned).collect();
    let mut changes = Changes::new();
    changes.set("new key", Value::from(vec![1.5.into(), "new key".into(), 1.5.into()]));
    let picked = keys.get(usize::from(plan & 15));
    let moved = keys.get(usize::from(plan >> 4)).map(|key| exactly(&*document, key));
    match (picked, moved.flatten()) {
        (Some(key), None) => changes.remove(key),
        (Some(key), Some(object)) => changes.set(key, object.into()),
        _ => {}
    }
    let Ok(stored) = document.encode(&changes) else { return };
    let spliced = Marshal.open(Some(stored)).expect("a spliced document opens");
    for key in &keys {
        match changes.get(key) {
            None => {
                let (before, after) = (exactly(&*document, key), exactly(&*spliced, key));
                // Only where both could be followed.
                if let (Some(before), Some(after)) = (before, after) {
                    assert!(same(&before, &after), "an untouched key differs");
                }
            }
            Some(None) => assert!(spliced.get(key).unwrap().is_none()),
            Some(Some(Value::Object(object))) => {
                if let Some(after) = exactly(&*spliced, key) {
                    let before = object.as_ref().to_object().unwrap().unwrap();
                    assert!(same(&before, &after), "a moved value differs");
                }
            }
            Some(Some(_)) => {}
        }
    }
    assert_eq!(spliced.keys().len(), changed_keys(&keys, &changes));
}

/// The same bytes, or, where a length was packed in an odd way, the same description.
fn same(before: &Object, after: &Object) -> bool {
    let described =
        |object: &Object| Serializer::Marshal.to_json(&base64(object.dump()), true).ok();
    before.dump() == after.dump() || described(before) == described(after)
}

fn changed_keys(keys: &[String], changes: &Changes) -> usize {
    let kept = keys.iter().filter(|key| changes.get(key) != Some(None)).count();
    kept + usize::from(!keys.iter().any(|key| key == "new key"))
}

fn exactly(document: &dyn Document, key: &str) -> Option<Object> {
    document.get(key).unwrap().unwrap().to_object().ok().flatten()
}

/// Base64 in one line, which the reader takes as well.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(bytes.len() * 4 / 3 + 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digits = [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize]);
        text.extend_from_slice(&digits[..=group.len()]);
    }
    Bytes::from(text).to_vec()
}

/// Makes values out of bytes.
struct Recipe<'a>(&'a [u8]);

impl Recipe<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    fn text(&mut self) -> String {
        let length = usize::from(self.byte() % 40).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.byte() % if depth == 0 { 10 } else { 14 } {
            0 => Value::Nil,
            1 => Value::Bool(self.byte() & 1 == 1),
            2 => Value::from(i64::from_le_bytes(self.take())),
            3 => Value::Int(i128::from_le_bytes(self.take())),
            4 => {
                let float = f64::from_le_bytes(self.take());
                Value::Float(if float.is_nan() { 0.5 } else { float })
            }
            5 => Value::String(self.text()),
            6 => {
                let encoding = ["ASCII-8BIT", "US-ASCII", "Shift_JIS", "UTF-16LE"];
                let encoding = encoding[usize::from(self.byte() % 4)];
                Text::new(self.text(), Encoding::named(encoding)).into()
            }
            7 => Symbol::new(self.text()).into(),
            8 => {
                let seconds = i64::from_le_bytes(self.take()) >> 26;
                let time = Time::utc(seconds, u32::from_le_bytes(self.take()) % 1_000_000_000);
                match self.byte() {
                    0..128 => time.into(),
                    offset => time.at_offset((i32::from(offset) - 190) * 900).into(),
                }
            }
            9 => Decimal::parse(&self.text()).map_or(Value::Nil, Value::from),
            10 | 11 => {
                let count = self.byte() % 6;
                (0..count).map(|_| self.value(depth - 1)).collect::<Vec<_>>().into()
            }
            12 => {
                let count = self.byte() % 6;
                let mut map: Map =
                    (0..count).map(|_| (self.text(), self.value(depth - 1))).collect();
                map.set_indifferent(self.byte() & 1 == 1);
                map.into()
            }
            _ => {
                // A key of another kind, so that it does not read back as a map of texts.
                let key = Symbol::new(self.text()).into();
                let entries = vec![(key, self.value(depth - 1))];
                Hash::new(entries, (self.byte() & 1 == 1).then_some(Value::Nil)).into()
            }
        }
    }
}
