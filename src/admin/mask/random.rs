//! Words that nobody has chosen: tokens, digests, UUIDs, numbers of cards.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};

use super::MASKED;
use super::letters::{has_rare_pairs, is_jumbled};

/// Shorter words are no tokens.
pub(super) const TOKEN: usize = 16;
/// Shorter parts of a word have to change more often: `i18n` is a name, `5b7e` is none.
const PIECE: usize = 8;
const CHANGES: usize = 3;
/// So many pieces that are too short to tell make a token together.
const PIECES: usize = 4;
/// The digits of a card's number.
const CARD: RangeInclusive<usize> = 13..=19;

/// Whether a text may be a token: a long word in which letters and digits take turns, as they do not
/// in `my-article-2026` and `20261127T102030Z`, or whose letters are jumbled, and a code in groups.
pub(super) fn looks_random(word: &str) -> bool {
    is_code(word) || (word.len() >= TOKEN && (is_token(word) || is_uuid(word) || is_jumbled(word)))
}

fn is_token(word: &str) -> bool {
    let (mut pieces, mut mixed) = (0, 0);
    for piece in word.split(|c: char| !c.is_ascii_alphanumeric()).filter(|piece| !piece.is_empty())
    {
        if is_mixed(piece) && is_random(piece) {
            return true;
        }
        pieces += 1;
        mixed += usize::from(is_mixed(piece));
    }
    mixed >= PIECES && mixed * 2 > pieces
}

fn is_mixed(piece: &str) -> bool {
    has_digits(piece) && has_letters(piece)
}

/// Groups of one length: `WKLQ-89GK-N95C-Q5ZW`, `k3j9-x7q2`, `wqkz-pfhb-xjvn-tgrd`.
fn is_code(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let length = word.find('-').unwrap_or(0);
    length >= 4
        && word.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric())
        && word.split('-').all(|group| group.len() == length)
        && has_groups_of_code(word)
}

/// Small letters are those of words, too: `2026-road-trip-plan`, `this-that`.
fn has_groups_of_code(word: &str) -> bool {
    let mixed = word.split('-').filter(|group| is_mixed(group));
    let is_long = word.len() >= TOKEN;
    let is_of_capitals = !word.bytes().any(|byte| byte.is_ascii_lowercase());
    let changes = |group: &str| group.as_bytes().windows(2).filter(|pair| is_change(pair)).count();
    (is_long && is_of_capitals && has_digits(word) && has_letters(word))
        || (is_long && !has_digits(word) && has_rare_pairs(word))
        || (mixed.clone().count() >= 2 && (is_long || mixed.clone().any(|g| changes(g) >= CHANGES)))
}

/// Whether letters and digits change places too often for a name.
fn is_random(piece: &str) -> bool {
    let changes = piece.as_bytes().windows(2).filter(|pair| is_change(pair)).count();
    let is_often = changes * 4 >= piece.len() && (piece.len() >= PIECE || changes >= CHANGES);
    let is_likely = piece.len() >= TOKEN || is_often || is_framed(piece);
    is_likely && !is_numbered(piece) && !is_time(piece)
}

/// From letters to digits, back, or to a capital that begins a word.
fn is_change(pair: &[u8]) -> bool {
    let &[first, second] = pair else { return false };
    first.is_ascii_digit() != second.is_ascii_digit()
        || (first.is_ascii_lowercase() && second.is_ascii_uppercase())
}

/// Digits before and behind: `91c4`, but neither `800x600` nor `27T10`.
fn is_framed(piece: &str) -> bool {
    let inner = piece.trim_matches(|c: char| c.is_ascii_digit());
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    piece.len() >= 4
        && !matches!(inner, "x" | "T")
        && is_digit(piece.as_bytes().first())
        && is_digit(piece.as_bytes().last())
}

/// `MyArticle2026`.
fn is_numbered(piece: &str) -> bool {
    let name = piece.trim_end_matches(|c: char| c.is_ascii_digit());
    !has_digits(name) && piece.len() - name.len() <= 8
}

/// `20261127T102030Z`.
fn is_time(piece: &str) -> bool {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    piece.split_once('T').is_some_and(|(day, time)| {
        let time = time.strip_suffix('Z').unwrap_or(time);
        day.len() == 8 && is_number(day) && (4..=9).contains(&time.len()) && is_number(time)
    })
}

/// Also one without letters.
fn is_uuid(word: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    word.len() == 36
        && word.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && word.split('-').all(is_hex)
}

fn has_digits(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

fn has_letters(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Whether digits are a card's number: as many, and right by Luhn's test. Times since 1970 are none,
/// whose first digit is a one for long.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let is_time = digits.first() == Some(&b'1') && matches!(digits.len(), 13 | 16 | 19);
    let sum: u32 = digits.iter().rev().enumerate().map(|(at, digit)| luhn(at, *digit)).sum();
    CARD.contains(&digits.len())
        && digits.first() != Some(&b'0')
        && digits.iter().all(u8::is_ascii_digit)
        && !is_time
        && sum.is_multiple_of(10)
}

fn luhn(at: usize, digit: u8) -> u32 {
    let digit = u32::from(digit.saturating_sub(b'0'));
    if at.is_multiple_of(2) { digit } else { digit * 2 / 10 + digit * 2 % 10 }
}

/// Masks numbers of cards, in one or in groups.
pub(super) fn without_cards(text: &str) -> Cow<'_, str> {
    if text.bytes().filter(u8::is_ascii_digit).count() < *CARD.start() {
        return text.into();
    }
    let groups = groups(text);
    let (mut out, mut shown, mut at) = (String::new(), 0, 0);
    while let Some(first) = groups.get(at) {
        let Some(count) = card(text, &groups[at..]) else {
            at += 1;
            continue;
        };
        out.push_str(&text[shown..first.start]);
        out.push_str(MASKED);
        shown = groups[at + count - 1].end;
        at += count;
    }
    out.push_str(&text[shown..]);
    out.into()
}

/// Where digits stand.
fn groups(text: &str) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match groups.last_mut().filter(|group| group.end == at) {
            Some(group) => group.end += 1,
            None => groups.push(at..at + 1),
        }
    }
    groups
}

/// Of how many of the first groups a card's number is made, if it is.
fn card(text: &str, groups: &[Range<usize>]) -> Option<usize> {
    let first = groups.first()?.start;
    // The digits behind a point are part of a number.
    let is_fraction = |text: &str| text.ends_with(|c: char| c.is_ascii_digit());
    if text[..first].strip_suffix('.').is_some_and(is_fraction) {
        return None;
    }
    let (mut digits, mut found, mut end) = (Vec::new(), None, first);
    for (at, group) in groups.iter().enumerate() {
        digits.extend(text[group.clone()].bytes().take(*CARD.end() + 1));
        if !is_between(&text[end..group.start]) || digits.len() > *CARD.end() {
            break;
        }
        if is_card(&digits) {
            found = Some(at + 1);
        }
        // A date has groups of two.
        if group.len() < 3 {
            break;
        }
        end = group.end;
    }
    found
}

/// What people write between groups of digits.
fn is_between(text: &str) -> bool {
    text.len() <= 3 && text.chars().all(|c| matches!(c, ' ' | '-' | '+' | '\u{a0}'))
}
