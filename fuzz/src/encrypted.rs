//! Whatever stands in a row is answered: never a panic, never data that the key has not sealed. What
//! is sealed opens in its row alone, and any change of it is found.

use std::sync::LazyLock;

use sqlbypass::{Changes, Codec, Encrypted, Json, Key, Keys, Plain, PrivateId, SessionId};

struct Rig {
    codec: Encrypted<Json>,
    row: PrivateId,
    other: PrivateId,
}

static RIG: LazyLock<Rig> = LazyLock::new(|| {
    let keys = Keys::new(Key::new("k", [7; 32]).expect("the id fits"));
    let row = |id: &[u8]| SessionId::parse(id).expect("it is an id").private();
    Rig { codec: Encrypted::new(Json, keys), row: row(b"mine"), other: row(b"another") }
});

pub fn run(data: &[u8]) {
    let Rig { codec, row, other } = &*RIG;
    // What nobody has sealed.
    for head in [&b""[..], b"sbe1.", b"sbe1.k.", b"\"sbe1.k."] {
        let stored = [head, data].concat();
        let error = codec.open_row(row, Some(stored.into())).err().expect("it was not sealed");
        assert!(error.is_decode());
    }
    let reads = codec.clone().plain(Plain::Read);
    let _ = reads.open_row(row, Some(data.to_vec().into()));
    // What was sealed, and is changed where the input says.
    let mut changes = Changes::new();
    changes.set("k", String::from_utf8_lossy(data).into_owned().into());
    let new = codec.open(None).expect("nothing is stored");
    let sealed = new.encode_row(row, &changes).expect("a text can be written");
    let opened = codec.open_row(row, Some(sealed.clone())).expect("it is this row's");
    let text = opened.get("k").expect("it is there").expect("it is there");
    assert_eq!(
        text.to_value().expect("it is a text").as_str(),
        Some(&*String::from_utf8_lossy(data))
    );
    assert!(codec.open_row(other, Some(sealed.clone())).is_err());
    if let [first, second, bit, ..] = *data {
        let mut changed = sealed.to_vec();
        let at = usize::from(u16::from_be_bytes([first, second])) % changed.len();
        changed[at] ^= 1 << (bit % 8);
        assert!(codec.open_row(row, Some(changed.into())).is_err());
        assert!(codec.open_row(row, Some(sealed.slice(..at))).is_err());
    }
}
