//! The fast path and the portable one answer alike, and what was written reads back.

use sqlbypass::internals::base64::{decode, decode_portable, encode, encode_portable};

pub fn run(data: &[u8]) {
    assert_eq!(decode(data), decode_portable(data));
    let text = encode(data);
    assert_eq!(text, encode_portable(data));
    assert_eq!(decode(&text), data);
}
