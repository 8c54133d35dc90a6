use sqlbypass::{Changes, Codec, Hybrid, Json, JsonString, Marshal, Null};

fn open(text: &str) -> sqlbypass::Result<Box<dyn sqlbypass::Document>> {
    Null.open(Some(text.to_owned().into()))
}

fn rewritten(text: &str) -> String {
    let encoded = open(text).unwrap().encode(&Changes::new()).unwrap();
    String::from_utf8(encoded.to_vec()).unwrap()
}

#[test]
fn the_object_is_the_session() {
    // As PostgreSQL's jsonb gives it back, with its spaces.
    let document = open(r#"{"a": 1, "user": {"id": 7}}"#).unwrap();
    assert_eq!(document.keys(), ["a", "user"]);
    let mut changes = Changes::new();
    changes.set("a", 2.into());
    assert_eq!(document.encode(&changes).unwrap(), r#"{"a":2,"user": {"id": 7}}"#);
    assert!(open("null").unwrap().keys().is_empty());
    assert!(open("[]").is_err_and(|error| error.is_decode()));
}

#[test]
fn a_string_holds_the_text_of_another_serializer() {
    assert_eq!(rewritten(r#""{\"value\":{\"a\":\"\\u00e9\"}}""#), r#"{"a":"\u00e9"}"#);
    assert_eq!(rewritten(r#""null""#), "{}");
    assert_eq!(rewritten(r#" "BAh7BkkiBmEGOgZFVGkG\n""#), r#"{"a":1}"#);
    assert!(open(r#""BAh7""#).is_err_and(|error| error.is_decode()));
    assert!(open(r#""{\"value\":""#).is_err_and(|error| error.is_decode()));
    assert!(open(r#""world""#).is_err_and(|error| error.is_decode()));
}

#[test]
fn an_object_with_the_key_value_is_ambiguous_and_stays_as_it_is() {
    let text = r#"{"value":{"a":1}}"#;
    assert_eq!(open(text).unwrap().keys(), ["value"]);
    assert_eq!(rewritten(text), text);
    assert_eq!(Json.open(Some(text.into())).unwrap().keys(), ["a"]);
}

/// What is left of a column's value when the key `a` becomes 2.
fn changed(codec: &dyn Codec, stored: Option<&str>) -> String {
    let document = codec.open(stored.map(|text| text.to_owned().into())).unwrap();
    if stored.is_some() {
        let a: i64 = document.get("a").unwrap().unwrap().deserialize().unwrap();
        assert_eq!(a, 1, "{}", codec.name());
    }
    let mut changes = Changes::new();
    changes.set("a", 2.into());
    String::from_utf8(document.encode(&changes).unwrap().to_vec()).unwrap()
}

#[test]
fn each_codec_writes_the_shape_of_its_class_whichever_it_reads() {
    let (json, marshal) = (r#"{"value":{"a":1}}"#, "BAh7BkkiBmEGOgZFVGkG\n");
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (json_string, marshal_string) = (quoted(json), quoted(marshal));
    let (to_json, to_marshal) = (r#"{"value":{"a":2}}"#, "BAh7BkkiBmEGOgZFVGkH\n");
    let hybrid = Hybrid::default();
    let (in_json, in_hybrid) = (JsonString(Json), JsonString(hybrid));
    let codecs: [(&dyn Codec, &[&str], &str); 7] = [
        (&Marshal, &[marshal, &marshal_string], to_marshal),
        (&Json, &[json, &json_string], to_json),
        (&hybrid, &[json, marshal, &json_string, &marshal_string], to_json),
        (&Null, &[r#"{"a": 1}"#, &json_string, &marshal_string], r#"{"a":2}"#),
        (&JsonString(Marshal), &[&marshal_string, marshal], &quoted(to_marshal)),
        (&in_json, &[&json_string, json], &quoted(to_json)),
        (&in_hybrid, &[&json_string, &marshal_string, json, marshal], &quoted(to_json)),
    ];
    for (codec, readable, written) in codecs {
        for stored in readable {
            assert_eq!(changed(codec, Some(stored)), written, "{} of {stored}", codec.name());
        }
        assert_eq!(changed(codec, None), written, "{}", codec.name());
    }
}

#[test]
fn a_json_string_goes_back_as_it_came_or_is_an_error() {
    // As jsonb gives it back; also with escapes that need none.
    for stored in [r#" "{\"value\":{\"a\":\"\\u0000\u003c\"}}" "#, "\"null\"", "null"] {
        let document = JsonString(Json).open(Some(stored.into())).unwrap();
        assert_eq!(document.encode(&Changes::new()).unwrap(), stored);
    }
    // JSON's own nothing is an empty session under each.
    for nothing in ["null", " false\n"] {
        for codec in [&JsonString(Marshal) as &dyn Codec, &JsonString(Json), &JsonString(Null)] {
            let document = codec.open(Some(nothing.into())).unwrap();
            assert!(document.keys().is_empty(), "{} of {nothing}", codec.name());
        }
    }
    // What stands in the inner text as an escape stays one: jsonb takes no U+0000.
    let mut changes = Changes::new();
    changes.set("a", "\0\"é\n".into());
    let written = JsonString(Json).open(None).unwrap().encode(&changes).unwrap();
    assert_eq!(written, r#""{\"value\":{\"a\":\"\\u0000\\\"é\\n\"}}""#);
    for broken in [r#""{\"value\":""#, r#""{}"#, r#""{}" x"#, "\"a\nb\"", "[]", "7", "\"7\""] {
        for codec in [&JsonString(Json) as &dyn Codec, &JsonString(Hybrid::default()), &Json] {
            let opened = codec.open(Some(broken.to_owned().into()));
            assert!(opened.is_err_and(|error| error.is_decode()), "{} of {broken}", codec.name());
        }
    }
    assert!(JsonString(Marshal).open(Some(r#""BAh7""#.into())).is_err());
    // A codec of bytes that are no text does not fit into a string.
    let bytes = sqlbypass::Custom::new("bytes", |_| Ok(Default::default()), |_| Ok(vec![0xff]));
    let document = JsonString(bytes).open(None).unwrap();
    assert!(document.encode(&changes).is_err_and(|error| error.is_value()));
}
