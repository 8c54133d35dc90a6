//! Codecs by name, and behind an `Arc`.

use std::sync::Arc;

use sqlbypass::{Changes, Codec, Json, Marshal, Serializer};

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
