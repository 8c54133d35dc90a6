//! The path that every machine can take, and the oracle of the others: the `base64` crate behind
//! Ruby's rules for lines and leniency.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{LINE_BYTES, LINE_CHARS, NO_VALUE, VALUES, encoded_len};

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![b'\n'; encoded_len(bytes.len())];
    for (line, text) in bytes.chunks(LINE_BYTES).zip(out.chunks_mut(LINE_CHARS + 1)) {
        // It fits: a line of 45 bytes has 60 characters, and a shorter last one has as many as
        // `encoded_len` counted.
        let fits = ENGINE.encode_slice(line, text);
        debug_assert!(fits.is_ok());
    }
    out
}

pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut rest = text;
    let mut line = [0; LINE_BYTES];
    while let Some((text, after)) = rest.split_first_chunk::<{ LINE_CHARS + 1 }>() {
        // A whole line without anything odd gives all its bytes.
        let is_whole = text[LINE_CHARS] == b'\n'
            && ENGINE.decode_slice(&text[..LINE_CHARS], &mut line) == Ok(LINE_BYTES);
        if !is_whole {
            break;
        }
        out.extend_from_slice(&line);
        rest = after;
    }
    lenient(rest, &mut out);
    out
}

/// Ruby's rules, a byte at a time, from the beginning of a group.
fn lenient(text: &[u8], out: &mut Vec<u8>) {
    // Characters that survive Ruby's rules, gathered on the stack: whole groups but for the last.
    let mut clean = [0; 1024];
    let mut held = 0;
    for &byte in text {
        // Without a branch: what is skipped is overwritten by what comes next.
        clean[held] = byte;
        held += usize::from(VALUES[usize::from(byte)] != NO_VALUE);
        if held == clean.len() {
            append(out, &clean);
            held = 0;
        } else if byte == b'=' && held % 4 >= 2 {
            break;
        }
    }
    let lone = usize::from(held % 4 == 1);
    append(out, &clean[..held - lone]);
}

fn append(out: &mut Vec<u8>, characters: &[u8]) {
    // Nothing outside the alphabet and no lone character is left that it could refuse.
    let fits = ENGINE.decode_vec(characters, out);
    debug_assert!(fits.is_ok());
}
