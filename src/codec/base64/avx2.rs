//! A line at a time with AVX2. Every answer equals `portable`'s.
//!
//! A line of 60 characters is two vectors of 32 that overlap in four characters (three bytes), so
//! that lines need no state between them. Only loads and stores are unsafe; each goes through a
//! slice of exactly its size.
#![allow(unsafe_code, reason = "6 to 10 times the speed of the portable path")]

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

use super::{LINE_BYTES, LINE_CHARS, NO_VALUE, VALUES, encoded_len};

/// Characters in a vector, and the bytes they stand for.
const CHARS: usize = 32;
const BYTES: usize = 24;

pub(super) fn encode(bytes: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: called only where the processor has AVX2.
    is_x86_feature_detected!("avx2").then(|| unsafe { encode_avx2(bytes) })
}

pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    // SAFETY: called only where the processor has AVX2.
    is_x86_feature_detected!("avx2").then(|| unsafe { decode_avx2(text) })
}

#[target_feature(enable = "avx2")]
fn encode_avx2(bytes: &[u8]) -> Vec<u8> {
    let len = encoded_len(bytes.len());
    let mut text = Vec::with_capacity(len);
    let lines = bytes.len() / LINE_BYTES;
    let (out, last) = text.spare_capacity_mut()[..len].split_at_mut(lines * (LINE_CHARS + 1));
    let (whole, rest) = bytes.split_at(lines * LINE_BYTES);
    for (line, text) in whole.chunks_exact(LINE_BYTES).zip(out.chunks_exact_mut(LINE_CHARS + 1)) {
        // Bytes 0..12 and 12..24 lie in 0..16 and 8..24; 21..33 and 33..45 in 17..33 and 29..45.
        let first = characters(lanes(&line[..16], &line[8..24]), spread(0, 4));
        let second = characters(lanes(&line[17..33], &line[29..]), spread(4, 4));
        store(&mut text[..CHARS], first);
        store(&mut text[LINE_CHARS - CHARS..LINE_CHARS], second);
        text[LINE_CHARS].write(b'\n');
    }
    if let Some((newline, characters)) = last.split_last_mut() {
        encode_short(rest, characters);
        newline.write(b'\n');
    }
    // SAFETY: every whole line was written, and the rest of the `len` bytes after them.
    unsafe { text.set_len(len) };
    text
}

/// A line of fewer than 45 bytes, by way of a padded copy.
#[target_feature(enable = "avx2")]
fn encode_short(line: &[u8], out: &mut [MaybeUninit<u8>]) {
    let mut padded = [0; 2 * BYTES];
    padded[..line.len()].copy_from_slice(line);
    let mut text = [MaybeUninit::new(b'='); 2 * CHARS];
    let first = characters(lanes(&padded[..16], &padded[8..24]), spread(0, 4));
    let second = characters(lanes(&padded[20..36], &padded[32..]), spread(4, 4));
    store(&mut text[..CHARS], first);
    store(&mut text[CHARS..], second);
    text[(line.len() * 4).div_ceil(3)..].fill(MaybeUninit::new(b'='));
    out.copy_from_slice(&text[..out.len()]);
}

/// Where a lane's twelve bytes begin: the shuffle that spreads 3 bytes over 4 as `b a c b`.
#[target_feature(enable = "avx2")]
fn spread(low: i8, high: i8) -> __m256i {
    let each = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
    let (low, high) = (_mm_set1_epi8(low), _mm_set1_epi8(high));
    _mm256_set_m128i(_mm_add_epi8(each, high), _mm_add_epi8(each, low))
}

/// Two times twelve bytes to 32 characters.
#[target_feature(enable = "avx2")]
fn characters(lanes: __m256i, spread: __m256i) -> __m256i {
    let bytes = _mm256_shuffle_epi8(lanes, spread);
    // Multiplications as shifts: six bits into each byte.
    let ac = _mm256_and_si256(bytes, _mm256_set1_epi32(0x0fc0_fc00));
    let ac = _mm256_mulhi_epu16(ac, _mm256_set1_epi32(0x0400_0040));
    let bd = _mm256_and_si256(bytes, _mm256_set1_epi32(0x003f_03f0));
    let bd = _mm256_mullo_epi16(bd, _mm256_set1_epi32(0x0100_0010));
    let sixes = _mm256_or_si256(ac, bd);
    // 0..=25 select 13, 26..=51 select 0, digits and signs 1..=12: what to add for the character.
    let over = _mm256_subs_epu8(sixes, _mm256_set1_epi8(51));
    let upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), sixes);
    let class = _mm256_or_si256(over, _mm256_and_si256(upper, _mm256_set1_epi8(13)));
    let shifts = _mm_setr_epi8(71, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, -19, -16, 65, 0, 0);
    let shifts = _mm256_broadcastsi128_si256(shifts);
    _mm256_add_epi8(sixes, _mm256_shuffle_epi8(shifts, class))
}

#[target_feature(enable = "avx2")]
fn decode_avx2(text: &[u8]) -> Vec<u8> {
    // A group gives three bytes, and a store writes eight more than it keeps.
    let mut bytes = Vec::with_capacity(text.len().div_ceil(4) * 3 + CHARS);
    let out = bytes.spare_capacity_mut();
    let (mut at, mut len) = (0, 0);
    // Invariant: `at` is at the beginning of a group, and `len` ≤ 3 × groups before it.
    loop {
        at += junk(&text[at..]);
        let rest = &text[at..];
        if let Some((first, second)) = line(rest) {
            store(&mut out[len..len + CHARS], first);
            store(&mut out[len + LINE_BYTES - BYTES..][..CHARS], second);
            (at, len) = (at + LINE_CHARS, len + LINE_BYTES);
            continue;
        }
        let group = group(rest);
        for &byte in &group.bytes[..group.len] {
            out[len].write(byte);
            len += 1;
        }
        if group.len < 3 {
            break;
        }
        at += group.taken;
    }
    // SAFETY: the first `len` bytes were written, in order and without gaps.
    unsafe { bytes.set_len(len) };
    bytes
}

/// How many bytes outside the alphabet stand before the next group.
fn junk(text: &[u8]) -> usize {
    text.iter().take_while(|&&byte| VALUES[usize::from(byte)] == NO_VALUE).count()
}

/// 60 characters without a gap: 0..32 and 28..60.
#[target_feature(enable = "avx2")]
fn line(text: &[u8]) -> Option<(__m256i, __m256i)> {
    let line = text.get(..LINE_CHARS)?;
    Some((values(load(&line[..CHARS]))?, values(load(&line[LINE_CHARS - CHARS..]))?))
}

/// Four characters as three bytes, and how much text they took.
struct Group {
    bytes: [u8; 3],
    len: usize,
    taken: usize,
}

/// The next group by Ruby's rules; one of fewer than three bytes ends the text.
fn group(text: &[u8]) -> Group {
    let (mut bits, mut found) = (0_u32, 0);
    for (at, &byte) in text.iter().enumerate() {
        match VALUES[usize::from(byte)] {
            NO_VALUE if byte == b'=' && found >= 2 => break,
            NO_VALUE => {}
            value => {
                bits = bits << 6 | u32::from(value);
                found += 1;
                if found == 4 {
                    let [_, bytes @ ..] = bits.to_be_bytes();
                    return Group { bytes, len: 3, taken: at + 1 };
                }
            }
        }
    }
    let [_, bytes @ ..] = (bits << (6 * (4 - found))).to_be_bytes();
    Group { bytes, len: usize::saturating_sub(found, 1), taken: text.len() }
}

/// 32 characters to 24 bytes at the front; `None` if one is not of the alphabet.
#[target_feature(enable = "avx2")]
fn values(text: __m256i) -> Option<__m256i> {
    let both = |lane| _mm256_broadcastsi128_si256(lane);
    let nibble = _mm256_set1_epi8(0x0f);
    let high = _mm256_and_si256(_mm256_srli_epi32(text, 4), nibble);
    let low = _mm256_and_si256(text, nibble);
    // A character is of the alphabet if the classes of its two nibbles have no bit in common.
    let of_low = both(_mm_setr_epi8(
        0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b,
        0x1a,
    ));
    let of_high = both(_mm_setr_epi8(
        0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10,
        0x10,
    ));
    let (of_low, of_high) = (_mm256_shuffle_epi8(of_low, low), _mm256_shuffle_epi8(of_high, high));
    if _mm256_testz_si256(of_low, of_high) == 0 {
        return None;
    }
    // The high nibble says what to add for the value; `/` shares its nibble with `+`.
    let shifts = both(_mm_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0));
    let slash = _mm256_cmpeq_epi8(text, _mm256_set1_epi8(b'/' as i8));
    let sixes = _mm256_add_epi8(text, _mm256_shuffle_epi8(shifts, _mm256_add_epi8(slash, high)));
    // Six bits of four characters into three bytes, then both lanes' twelve bytes to the front.
    let twelves = _mm256_maddubs_epi16(sixes, _mm256_set1_epi32(0x0140_0140));
    let words = _mm256_madd_epi16(twelves, _mm256_set1_epi32(0x0001_1000));
    let order = both(_mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
    let packed = _mm256_shuffle_epi8(words, order);
    Some(_mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7)))
}

#[target_feature(enable = "avx2")]
fn load(from: &[u8]) -> __m256i {
    let from: &[u8] = &from[..CHARS];
    // SAFETY: the slice has 32 bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn lanes(low: &[u8], high: &[u8]) -> __m256i {
    let (low, high) = (&low[..16], &high[..16]);
    // SAFETY: both slices have 16 bytes, and the loads need no alignment.
    unsafe { _mm256_loadu2_m128i(high.as_ptr().cast(), low.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
fn store(to: &mut [MaybeUninit<u8>], vector: __m256i) {
    let to = &mut to[..CHARS];
    // SAFETY: the slice has 32 bytes, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), vector) }
}
