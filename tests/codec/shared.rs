//! A codec behind an `Arc` is that codec.

use std::sync::Arc;

use sqlbypass::{Codec, Json, Marshal};

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
