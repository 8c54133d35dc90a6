//! The grammar: one walk over a text that checks it and gives its parts as slices.

use std::borrow::Cow;

use super::MAX_DEPTH;

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

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn fault<T>(&self, expected: &'static str) -> Checked<T> {
        Err(Fault { offset: self.at, expected })
    }

    /// Whitespace and comments, if any.
    pub(crate) fn blank(&mut self) -> Checked {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'/') => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    /// The end of the text, after a blank.
    pub(crate) fn end(&mut self) -> Checked {
        self.blank()?;
        if self.at == self.text.len() { Ok(()) } else { self.fault("expected the end") }
    }

    /// Any value, only checked.
    pub(crate) fn skip(&mut self) -> Checked {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(|scanner, _| scanner.skip()),
            Some(b'[') => self.array(Self::skip),
            Some(b'-' | b'0'..=b'9') => self.number().map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.fault("expected a value"),
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
            if self.peek() != Some(b'"') {
                return self.fault("expected a key in quotes");
            }
            let key = self.string()?;
            self.blank()?;
            if self.peek() != Some(b':') {
                return self.fault("expected a colon");
            }
            self.at += 1;
            self.blank()?;
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
        let mut escaped = false;
        self.at = start;
        loop {
            self.at += plain(&self.text.as_bytes()[self.at..]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fault("expected an escape for a control character"),
                None => return self.fault("expected the string's end"),
            }
        }
        let raw = self.since(start);
        self.at += 1;
        Ok(Text { raw, escaped })
    }

    /// A number.
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

    pub(crate) fn word(&mut self, word: &'static str) -> Checked {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.fault("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn enter(&mut self) -> Checked {
        if self.depth == MAX_DEPTH {
            return self.fault("expected at most 100 levels of nesting");
        }
        self.depth += 1;
        self.at += 1;
        self.blank()
    }

    fn leave(&mut self) -> Checked {
        self.depth -= 1;
        self.at += 1;
        Ok(())
    }

    fn digits(&mut self) -> Checked {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.fault("expected a digit") } else { Ok(()) }
    }

    fn comment(&mut self) -> Checked {
        let rest = &self.text[self.at..];
        let length = match rest.as_bytes().get(1) {
            Some(b'*') => rest[2..].find("*/").map(|end| end + 4),
            Some(b'/') => rest.find('\n').map(|end| end + 1),
            _ => return self.fault("expected a value or a comment"),
        };
        match length {
            Some(length) => self.at += length,
            None => return self.fault("expected a comment that ends"),
        }
        Ok(())
    }

    /// A backslash and what belongs to it.
    fn escape(&mut self) -> Checked {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'u') => {}
            // Ruby takes a backslash before any other character for that character. Its first
            // byte is behind the backslash; the rest of it is plain.
            Some(0x20..) => {
                self.at += 2;
                return Ok(());
            }
            _ => return self.fault("expected an escape"),
        }
        match self.unit()? {
            0xd800..=0xdbff => {
                let low = self.at;
                match self.unit() {
                    Ok(0xdc00..=0xdfff) => Ok(()),
                    _ => Err(Fault { offset: low, expected: "expected a low surrogate" }),
                }
            }
            0xdc00..=0xdfff => {
                Err(Fault { offset: self.at - 6, expected: "expected a high surrogate before" })
            }
            _ => Ok(()),
        }
    }

    /// `\u` and four digits.
    fn unit(&mut self) -> Checked<u16> {
        let unit = self.text.as_bytes()[self.at..].strip_prefix(b"\\u").and_then(hex4);
        match unit {
            Some(unit) => {
                self.at += 6;
                Ok(unit)
            }
            None => self.fault("expected an escape of four hexadecimal digits"),
        }
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
    digits.first_chunk::<4>()?.iter().try_fold(0, |unit, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | value as u16)
    })
}

/// How many bytes come before the first quote, backslash or control character: eight at a time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // A byte below n borrows from its high bit in a subtraction of n. A borrow may run on into
        // higher bytes, so only the lowest mark is exact, and only that is used.
        let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let marks = (below(word, 0x20) | quote | backslash) & HIGHS;
        if marks != 0 {
            return index * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    words.len() * 8 + rest.iter().position(is_special).unwrap_or(rest.len())
}
