//! Ruby's base64: `encode64`, and `decode64` with all its leniency.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const SKIP: u8 = 0xff;
const PAD: u8 = 0xfe;

static VALUES: [u8; 256] = values();

const fn values() -> [u8; 256] {
    let mut values = [SKIP; 256];
    let mut at = 0;
    while at < ALPHABET.len() {
        values[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    values[b'=' as usize] = PAD;
    values
}

/// A newline after every 60 characters and at the end.
pub(crate) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4 + bytes.len().div_ceil(45));
    for line in bytes.chunks(45) {
        for group in line.chunks(3) {
            let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            let mut quad = [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize]);
            quad[group.len() + 1..].fill(b'=');
            text.extend_from_slice(&quad);
        }
        text.push(b'\n');
    }
    text
}

/// Skips what is not in the alphabet, stops at a `=` in third or fourth place, and drops a lone
/// last character.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut bits = 0u32;
    let mut count = 0;
    for character in text {
        match VALUES[usize::from(*character)] {
            SKIP => {}
            PAD if count >= 2 => break,
            PAD => {}
            value => {
                bits = bits << 6 | u32::from(value);
                count += 1;
                if count == 4 {
                    bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
                    bits = 0;
                    count = 0;
                }
            }
        }
    }
    match count {
        2 => bytes.push((bits >> 4) as u8),
        3 => bytes.extend_from_slice(&[(bits >> 10) as u8, (bits >> 2) as u8]),
        _ => {}
    }
    bytes
}
