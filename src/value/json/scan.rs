//! The grammar: one walk over a text that checks it and gives its parts as slices.

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::plain::plain;

/// Where a text is wrong, and what should stand there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) expected: &'static str,
}

type Checked<T = ()> = Result<T, Fault>;

/// A place in a JSON text.
///
/// Every method begins at the first byte of what it is named after and ends behind its last.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

/// What stands between the quotes of a string, already checked.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a str,
    pub(crate) escaped: bool,
}

/// The text of a number, already checked.
pub(crate) struct Number<'a> {
    pub(crate) text: &'a str,
    pub(crate) is_float: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// Where a part of this text begins.
    pub(crate) fn offset_of(&self, part: &'a str) -> usize {
        part.as_ptr() as usize - self.text.as_ptr() as usize
    }

    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline(always)]
    pub(crate) fn fault<T>(&self, expected: &'static str) -> Checked<T> {
        Err(Fault { offset: self.at, expected })
    }

    /// Whitespace and comments, if any.
    #[inline(always)]
    pub(crate) fn blank(&mut self) -> Checked {
        match self.peek() {
            Some(b' ' | b'\t' | b'\r' | b'\n' | b'/') => {
                self.at = blank_end(self.text, self.at)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The end of the text, after a blank.
    pub(crate) fn end(&mut self) -> Checked {
        self.blank()?;
        if self.at == self.text.len() { Ok(()) } else { self.fault("expected the end") }
    }

    /// Any value, only checked: the hot path of opening a document, a loop without recursion.
    pub(crate) fn skip(&mut self) -> Checked {
        let mut local = Scanner { ..*self };
        let result = local.skip_value();
        *self = local;
        result
    }

    #[inline(always)]
    fn skip_value(&mut self) -> Checked {
        let outside = self.depth;
        // One bit a level inside the value, the innermost lowest: whether it is an object.
        let mut objects = 0_u128;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string_end()?;
                }
                Some(open @ (b'{' | b'[')) => {
                    self.enter()?;
                    let is_object = open == b'{';
                    objects = objects << 1 | u128::from(is_object);
                    // `]` and `}` stand two behind `[` and `{`.
                    if self.peek() != Some(open + 2) {
                        if is_object {
                            self.key_end()?;
                        }
                        continue;
                    }
                    objects >>= 1;
                    self.leave()?;
                }
                Some(b'-' | b'0'..=b'9') => {
                    self.number()?;
                }
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                _ => return self.fault("expected a value"),
            }
            loop {
                if self.depth == outside {
                    return Ok(());
                }
                self.blank()?;
                let is_object = objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        self.blank()?;
                        if is_object {
                            self.key_end()?;
                        }
                        break;
                    }
                    Some(b'}') if is_object => self.leave()?,
                    Some(b']') if !is_object => self.leave()?,
                    _ if is_object => return self.fault("expected a comma or the object's end"),
                    _ => return self.fault("expected a comma or the array's end"),
                }
                objects >>= 1;
            }
        }
    }

    /// An object; `value` is called at the first byte of each value and moves behind it.
    pub(crate) fn object(
        &mut self,
        mut value: impl FnMut(&mut Self, Text<'a>) -> Checked,
    ) -> Checked {
        self.enter()?;
        if self.peek() == Some(b'}') {
            return self.leave();
        }
        loop {
            let key = self.key()?;
            value(self, key)?;
            self.blank()?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => return self.leave(),
                _ => return self.fault("expected a comma or the object's end"),
            }
            self.blank()?;
        }
    }

    /// An array; `item` is called at the first byte of each item and moves behind it.
    pub(crate) fn array(&mut self, mut item: impl FnMut(&mut Self) -> Checked) -> Checked {
        self.enter()?;
        if self.peek() == Some(b']') {
            return self.leave();
        }
        loop {
            item(self)?;
            self.blank()?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => return self.leave(),
                _ => return self.fault("expected a comma or the array's end"),
            }
            self.blank()?;
        }
    }

    /// A string.
    pub(crate) fn string(&mut self) -> Checked<Text<'a>> {
        let start = self.at + 1;
        let escaped = self.string_end()?;
        Ok(Text { raw: &self.text[start..self.at - 1], escaped })
    }

    /// A string, only checked; whether it has escapes.
    #[inline(always)]
    fn string_end(&mut self) -> Checked<bool> {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at += plain(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at = escape_end(self.text, self.at)?;
                }
                Some(_) => return self.fault("expected an escape for a control character"),
                None => return self.fault("expected the string's end"),
            }
        }
        self.at += 1;
        Ok(escaped)
    }

    /// A key, its colon, and the blanks around that.
    fn key(&mut self) -> Checked<Text<'a>> {
        let start = self.at + 1;
        let (end, escaped) = self.key_end()?;
        Ok(Text { raw: &self.text[start..end], escaped })
    }

    /// The same, only checked; where the key ends, and whether it has escapes.
    #[inline(always)]
    fn key_end(&mut self) -> Checked<(usize, bool)> {
        if self.peek() != Some(b'"') {
            return self.fault("expected a key in quotes");
        }
        let escaped = self.string_end()?;
        let end = self.at - 1;
        self.blank()?;
        if self.peek() != Some(b':') {
            return self.fault("expected a colon");
        }
        self.at += 1;
        self.blank()?;
        Ok((end, escaped))
    }

    /// A number.
    #[inline(always)]
    pub(crate) fn number(&mut self) -> Checked<Number<'a>> {
        let start = self.at;
        let mut is_float = false;
        self.at += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            is_float = true;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_float = true;
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Number { text: self.since(start), is_float })
    }

    #[inline(always)]
    pub(crate) fn word(&mut self, word: &'static str) -> Checked {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.fault("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    #[inline(always)]
    fn enter(&mut self) -> Checked {
        if self.depth == MAX_DEPTH {
            return self.fault("expected at most 100 levels of nesting");
        }
        self.depth += 1;
        self.at += 1;
        self.blank()
    }

    #[inline(always)]
    fn leave(&mut self) -> Checked {
        self.depth -= 1;
        self.at += 1;
        Ok(())
    }

    #[inline(always)]
    fn digits(&mut self) -> Checked {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.fault("expected a digit") } else { Ok(()) }
    }
}

// What is rare takes a place and answers one, so that a scanner's own stays in a register.

/// The end of whitespace and comments.
#[cold]
fn blank_end(text: &str, mut at: usize) -> Checked<usize> {
    loop {
        let rest = &text[at..];
        let fault = |expected| Err(Fault { offset: at, expected });
        at += match rest.as_bytes() {
            [b' ' | b'\t' | b'\r' | b'\n', ..] => 1,
            [b'/', b'*', ..] => match rest[2..].find("*/") {
                Some(end) => end + 4,
                None => return fault("expected a comment that ends"),
            },
            [b'/', b'/', ..] => match rest.find('\n') {
                Some(end) => end + 1,
                None => return fault("expected a comment that ends"),
            },
            [b'/', ..] => return fault("expected a value or a comment"),
            _ => return Ok(at),
        };
    }
}

/// The end of a backslash and what belongs to it.
#[cold]
fn escape_end(text: &str, at: usize) -> Checked<usize> {
    let fault = |offset, expected| Err(Fault { offset, expected });
    let rest = &text.as_bytes()[at..];
    match rest.get(1) {
        Some(b'u') => {}
        // Ruby takes a backslash before any other character for that character. Its first byte is
        // behind the backslash; the rest of it is plain.
        Some(0x20..) => return Ok(at + 2),
        _ => return fault(at, "expected an escape"),
    }
    let unit = |at: usize| rest.get(at..)?.strip_prefix(b"\\u").and_then(hex4);
    match (unit(0), unit(6)) {
        (None, _) => fault(at, "expected an escape of four hexadecimal digits"),
        (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => Ok(at + 12),
        (Some(0xd800..=0xdbff), _) => fault(at + 6, "expected a low surrogate"),
        (Some(0xdc00..=0xdfff), _) => fault(at, "expected a high surrogate before"),
        (Some(_), _) => Ok(at + 6),
    }
}

impl<'a> Text<'a> {
    /// The characters that it stands for.
    pub(crate) fn decode(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut out = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some((plain, escape)) = rest.split_once('\\') {
            out.push_str(plain);
            rest = unescape(escape, &mut out);
        }
        out.push_str(rest);
        Cow::Owned(out)
    }
}

/// Appends what the escape stands for, given what is behind its backslash; answers what follows.
fn unescape<'a>(escape: &'a str, out: &mut String) -> &'a str {
    let mut characters = escape.chars();
    let character = match characters.next() {
        Some('b') => '\x08',
        Some('f') => '\x0c',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unescape_units(escape, out),
        Some(other) => other,
        None => return escape,
    };
    out.push(character);
    characters.as_str()
}

/// `uXXXX`, or `uXXXX\uXXXX` for a pair of surrogates.
fn unescape_units<'a>(escape: &'a str, out: &mut String) -> &'a str {
    let unit = |at: usize| escape.as_bytes().get(at..).and_then(hex4);
    let first = unit(1).unwrap_or_default();
    let pair = [first, unit(7).unwrap_or_default()];
    let is_pair = matches!(first, 0xd800..=0xdbff);
    let units = if is_pair { &pair[..] } else { &pair[..1] };
    // The scanner has checked the pairs: nothing is replaced.
    out.extend(char::decode_utf16(units.iter().copied()).map(|c| c.unwrap_or('\u{fffd}')));
    &escape[if is_pair { 11 } else { 5 }..]
}

fn hex4(digits: &[u8]) -> Option<u16> {
    let digits = digits.first_chunk::<4>()?.map(|digit| u16::from(HEX[usize::from(digit)]));
    let unit = digits.iter().fold(0, |unit, digit| unit << 4 | digit);
    // One that is none has bits beyond four.
    let is_hex = digits.iter().fold(0, |all, digit| all | digit) < 16;
    is_hex.then_some(unit)
}

/// What a hexadecimal digit stands for; 255 for what is none.
const HEX: [u8; 256] = {
    let mut table = [255; 256];
    let (digits, mut value) = (b"0123456789abcdef", 0);
    while value < 16 {
        table[digits[value] as usize] = value as u8;
        table[digits[value].to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    table
};
