//! Codecs by name, and behind an `Arc`.

use std::sync::Arc;

use sqlbypass::{
    Changes, Codec, Content, Custom, Error, Json, JsonString, Map, Marshal, Serializer, Value,
};

#[test]
fn a_serializer_is_the_codec_of_its_name() {
    let empty = ["BAh7AA==\n", "{\"value\":{}}", "{\"value\":{}}", "{}"];
    for (name, empty) in ["marshal", "json", "hybrid", "null"].into_iter().zip(empty) {
        let serializer: Serializer = name.parse().unwrap();
        let codec = serializer.codec().unwrap();
        assert_eq!((serializer.name(), codec.name()), (name, name));
        for document in [serializer.open(None).unwrap(), codec.open(None).unwrap()] {
            let mut changes = Changes::new();
            changes.clear();
            assert_eq!(document.encode(&changes).unwrap(), empty, "{name}");
        }
    }
    assert!("yaml".parse::<Serializer>().is_err_and(|error| error.is_config()));
}

/// One `key=value` a line.
fn lines() -> Custom {
    Custom::new(
        "lines",
        |bytes| {
            let text = std::str::from_utf8(bytes);
            let text = text.map_err(|_| Error::decode("lines", None, "not UTF-8"))?;
            Ok(text.lines().filter_map(|line| line.split_once('=')).collect::<Map>())
        },
        |map| {
            let line =
                |(key, value): (&str, &Value)| format!("{key}={}\n", value.as_str().unwrap());
            Ok(map.iter().map(line).collect::<String>().into_bytes())
        },
    )
}

#[test]
fn two_functions_are_a_codec() {
    let codec = lines();
    assert_eq!(codec.name(), "lines");
    assert_eq!(format!("{codec:?}"), r#"Custom { name: "lines", .. }"#);
    assert!(codec.open(None).unwrap().keys().is_empty());
    let document = codec.open(Some("a=1\nb=2\n".into())).unwrap();
    assert_eq!(document.keys(), ["a", "b"]);
    assert_eq!(document.get("b").unwrap().unwrap().deserialize::<String>().unwrap(), "2");
    assert!(document.get("c").unwrap().is_none());
    assert_eq!(document.encode(&Changes::new()).unwrap(), "a=1\nb=2\n");
    let mut changes = Changes::new();
    changes.set("c", "3".into());
    changes.remove("a");
    assert_eq!(document.encode(&changes).unwrap(), "b=2\nc=3\n");
    assert!(codec.open(Some(b"\xff"[..].into())).is_err_and(|error| error.is_decode()));
}

#[test]
fn a_json_string_has_the_name_and_the_keys_of_what_is_in_it() {
    assert_eq!(JsonString(Marshal).name(), "marshal");
    let document = JsonString(lines()).open(Some(r#""a=1\nb=2\n""#.into())).unwrap();
    assert_eq!(document.keys(), ["a", "b"]);
}

#[test]
fn marshal_is_read_out_of_a_json_string_of_several_lines() {
    let mut changes = Changes::new();
    changes.set("k", "words ".repeat(30).into());
    let stored = Marshal.open(None).unwrap().encode(&changes).unwrap();
    let stored = std::str::from_utf8(&stored).unwrap();
    assert!(stored.trim_end().contains('\n'));
    let quoted = serde_json::to_string(stored).unwrap();
    let document = Marshal.open(Some(quoted.into())).unwrap();
    let words: String = document.get("k").unwrap().unwrap().deserialize().unwrap();
    assert_eq!(words, "words ".repeat(30));
}

#[test]
fn content_is_what_is_stored_with_the_changes_in_it() {
    let document = Json.open(Some(r#"{"value":{"a":1,"b":2}}"#.into())).unwrap();
    let mut changes = Changes::new();
    changes.set("a", 3.into());
    changes.remove("b");
    let number = |content: Content<'_>, key| {
        content.get(key).unwrap().map(|value| value.deserialize::<i64>().unwrap())
    };
    let stored = || Content::stored(&*document);
    assert_eq!([number(stored(), "a"), number(stored(), "b")], [Some(1), Some(2)]);
    let changed = || Content::changed(Some(&*document), &changes);
    assert_eq!([number(changed(), "a"), number(changed(), "b")], [Some(3), None]);
    assert_eq!(number(Content::changed(None, &changes), "a"), Some(3));
    assert_eq!(number(Content::changed(None, &changes), "c"), None);
}

fn assert_the_same(codec: impl Codec) {
    let (name, is_bound) = (codec.name(), codec.is_bound());
    let shared: Arc<dyn Codec> = Arc::new(codec);
    assert_eq!((Codec::name(&shared), Codec::is_bound(&shared)), (name, is_bound));
}

#[test]
fn an_arc_tells_what_its_codec_tells() {
    assert_the_same(Json);
    assert_the_same(Marshal);
    assert!(!Json.is_bound() && !Marshal.is_bound(), "their data are good in any row");
}

#[cfg(feature = "encryption")]
#[test]
fn what_is_encrypted_is_bound_to_its_row() {
    use sqlbypass::{Encrypted, Key, Keys};

    let codec = Encrypted::new(Json, Keys::new(Key::new("k1", [7; 32]).unwrap()));
    assert!(codec.is_bound());
    assert_the_same(codec);
}
