//! Base64 as Ruby's `Base64.encode64` writes it and `Base64.decode64` reads it (`pack("m")` of
//! RFC 2045), one pass into one buffer.
//!
//! Text has a newline after every 60 characters and at the end. Reading is lenient: bytes outside
//! the alphabet are skipped, also `=` in the first or second place of a group; the first `=` in the
//! third or fourth place ends the text; a lone last character is dropped.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

/// Bytes that make one line of text.
const LINE_BYTES: usize = 45;
/// Characters of a line, without its newline.
const LINE_CHARS: usize = 60;

/// What `Base64.encode64` answers; nothing for nothing.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if let Some(text) = avx2::encode(bytes) {
        return text;
    }
    portable::encode(bytes)
}

/// What `Base64.decode64` answers. There is no text that it refuses.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if let Some(bytes) = avx2::decode(text) {
        return bytes;
    }
    portable::decode(text)
}

/// The length of the text of so many bytes.
fn encoded_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4 + bytes.div_ceil(LINE_BYTES)
}

/// For bytes outside the alphabet.
const NO_VALUE: u8 = 0xff;

/// The six bits of each character.
static VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [NO_VALUE; 256];
    let mut value = 0;
    while value < alphabet.len() {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Both paths side by side, for tests and fuzzing.
#[doc(hidden)]
pub mod internals {
    /// The path this machine takes.
    pub fn encode(bytes: &[u8]) -> Vec<u8> {
        super::encode(bytes)
    }

    /// The path every machine can take.
    pub fn encode_portable(bytes: &[u8]) -> Vec<u8> {
        super::portable::encode(bytes)
    }

    /// The path this machine takes.
    pub fn decode(text: &[u8]) -> Vec<u8> {
        super::decode(text)
    }

    /// The path every machine can take.
    pub fn decode_portable(text: &[u8]) -> Vec<u8> {
        super::portable::decode(text)
    }
}
