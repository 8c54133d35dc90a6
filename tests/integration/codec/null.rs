use sqlbypass::{Changes, Codec, Json, Null};

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
