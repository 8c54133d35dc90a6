//! Where a string's plain text ends: the bytes before the first quote, backslash or control character.

/// Bytes that are compared at once.
const WIDTH: usize = 16;
/// Most strings are shorter.
const SHORT: usize = 2 * WIDTH;

/// How many bytes come before the first such byte: sixteen at a time, and behind the first 32 as many as
/// the processor compares at once.
#[inline(always)]
pub(super) fn plain(bytes: &[u8]) -> usize {
    let Some((start, rest)) = bytes.split_at_checked(SHORT) else { return plain_short(bytes) };
    let found = plain_short(start);
    if found < SHORT { found } else { SHORT + plain_long(rest) }
}

#[inline(never)]
fn plain_long(bytes: &[u8]) -> usize {
    let mut clean = plain_chunks::<128>(bytes);
    clean += plain_chunks::<32>(&bytes[clean..]);
    clean + plain_short(&bytes[clean..])
}

/// The length of the chunks that come before the first one with such a byte.
#[inline(always)]
fn plain_chunks<const SIZE: usize>(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<SIZE>();
    // Without an early exit, so that the compiler makes vectors of it.
    let is_plain =
        |chunk: &&[u8; SIZE]| !chunk.iter().fold(false, |any, byte| any | is_special(*byte));
    chunks.iter().take_while(is_plain).count() * SIZE
}

#[inline(always)]
fn plain_short(bytes: &[u8]) -> usize {
    let (chunks, rest) = bytes.as_chunks::<WIDTH>();
    for (index, chunk) in chunks.iter().enumerate() {
        if let Some(at) = special(chunk) {
            return index * WIDTH + at;
        }
    }
    chunks.len() * WIDTH + rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len())
}

fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
#[allow(unsafe_code, reason = "a tenth fewer instructions of opening a session")]
fn special(chunk: &[u8; WIDTH]) -> Option<usize> {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { special_sse2(chunk) }
}

/// The first such byte.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn special_sse2(chunk: &[u8; WIDTH]) -> Option<usize> {
    use std::arch::x86_64::*;
    let [low, high] = halves(chunk);
    let bytes = _mm_set_epi64x(high as i64, low as i64);
    let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
    let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
    let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
    let marks = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control));
    (marks != 0).then_some(marks.trailing_zeros() as usize)
}

/// The same eight at a time.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn special(chunk: &[u8; WIDTH]) -> Option<usize> {
    let [low, high] = halves(chunk);
    special_of_word(low).or_else(|| Some(8 + special_of_word(high)?))
}

#[inline(always)]
fn halves(chunk: &[u8; WIDTH]) -> [u64; 2] {
    let number = u128::from_le_bytes(*chunk);
    [number as u64, (number >> 64) as u64]
}

#[cfg(any(test, not(target_arch = "x86_64")))]
fn special_of_word(word: u64) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // A byte below n borrows from its high bit in a subtraction of n. A borrow may run on into
    // higher bytes, so only the lowest mark is exact, and only that is used.
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    let marks = (below(word, 0x20) | quote | backslash) & HIGHS;
    (marks != 0).then_some(marks.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        let specials = (0..=255_u8).filter(|byte| is_special(*byte));
        for special in specials {
            for len in [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 64, 200, 300] {
                for at in 0..len {
                    let mut text = vec![0xC3; len];
                    text[at] = special;
                    // What stands behind does not count.
                    text[at + 1..].fill(b'\\');
                    assert_eq!(plain(&text), at, "{special} of {len}");
                }
            }
        }
        for byte in (0..=255_u8).filter(|byte| !is_special(*byte)) {
            assert_eq!(plain(&[byte; 300]), 300);
        }
    }

    #[test]
    fn words_are_compared_as_chunks_are() {
        for byte in 0..=255_u8 {
            for at in 0..8 {
                let mut word = [b'a'; 8];
                word[at] = byte;
                let found = special_of_word(u64::from_le_bytes(word));
                assert_eq!(found, is_special(byte).then_some(at), "{byte}");
            }
        }
    }
}
