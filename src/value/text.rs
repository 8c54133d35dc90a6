//! Texts with their encodings, and symbols.

use std::fmt;

/// The encoding of a Ruby string.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8, which does not say that the bytes are valid.
    #[default]
    Utf8,
    /// US-ASCII: the keys of a `HashWithIndifferentAccess` that were symbols, for instance.
    Ascii,
    /// ASCII-8BIT: bytes without an encoding.
    Binary,
    /// Any other, by Ruby's name for it.
    Other(Box<str>),
}

impl Encoding {
    /// Ruby's name for it.
    pub fn name(&self) -> &str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Ascii => "US-ASCII",
            Self::Binary => "ASCII-8BIT",
            Self::Other(name) => name,
        }
    }

    /// The encoding that Ruby knows by this name.
    pub fn named(name: &str) -> Self {
        EncodingRef::named(name.as_bytes()).to_owned()
    }
}

/// A string that is more than a Rust `String`: bytes and an encoding.
///
/// `Debug` shows the encoding and the length.
///
/// # Examples
///
/// ```
/// use sqlbypass::{Encoding, Text, Value};
///
/// let bytes = Text::new(b"\xff\x00".to_vec(), Encoding::Binary);
/// assert_eq!(bytes.as_str(), None);
/// assert_eq!(Value::from(bytes).as_bytes(), Some(&b"\xff\x00"[..]));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text {
    bytes: Vec<u8>,
    encoding: Encoding,
}

impl Text {
    /// Puts bytes and an encoding together; nothing is converted or checked.
    pub fn new(bytes: impl Into<Vec<u8>>, encoding: Encoding) -> Self {
        Self { bytes: bytes.into(), encoding }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoding.
    pub fn encoding(&self) -> &Encoding {
        &self.encoding
    }

    /// The text, where it can be read as UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.borrowed().as_str()
    }

    pub(crate) fn borrowed(&self) -> TextRef<'_> {
        let encoding = match &self.encoding {
            Encoding::Utf8 => EncodingRef::Utf8,
            Encoding::Ascii => EncodingRef::Ascii,
            Encoding::Binary => EncodingRef::Binary,
            Encoding::Other(name) => EncodingRef::Other(name.as_bytes()),
        };
        TextRef { bytes: &self.bytes, encoding }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({}, {})", self.encoding.name(), self.bytes.len())
    }
}

/// A Ruby symbol.
///
/// It reads as a string and is written as a symbol. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Symbol(Text);

impl Symbol {
    /// The symbol of this name.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let encoding = if name.is_ascii() { Encoding::Ascii } else { Encoding::Utf8 };
        Self(Text::new(name, encoding))
    }

    pub(crate) fn from_text(text: Text) -> Self {
        Self(text)
    }

    /// Its name, where it can be read as UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_str()
    }

    /// Its name with its encoding.
    pub fn text(&self) -> &Text {
        &self.0
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({})", self.0.as_bytes().len())
    }
}

/// A text as it lies in the bytes.
#[derive(Clone, Copy)]
pub(crate) struct TextRef<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) encoding: EncodingRef<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodingRef<'a> {
    Utf8,
    Ascii,
    Binary,
    Other(&'a [u8]),
}

impl<'a> TextRef<'a> {
    /// The text where it can be read as UTF-8: by its encoding, or because ASCII reads the same in
    /// nearly all of them. Bytes without an encoding count as text where they are ASCII, which is
    /// how Ruby compares them.
    pub(crate) fn as_str(self) -> Option<&'a str> {
        let readable = match self.encoding {
            EncodingRef::Utf8 => true,
            other => self.bytes.is_ascii() && other.reads_ascii(),
        };
        if readable { std::str::from_utf8(self.bytes).ok() } else { None }
    }

    pub(crate) fn to_owned(self) -> Text {
        Text::new(self.bytes, self.encoding.to_owned())
    }
}

impl<'a> EncodingRef<'a> {
    pub(crate) fn named(name: &'a [u8]) -> Self {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("UTF-8") {
            Self::Utf8
        } else if is("US-ASCII") || is("ASCII") {
            Self::Ascii
        } else if is("ASCII-8BIT") || is("BINARY") {
            Self::Binary
        } else {
            Self::Other(name)
        }
    }

    /// Whether bytes of ASCII are the same text in it.
    pub(crate) fn reads_ascii(self) -> bool {
        match self {
            Self::Other(name) => !name.starts_with(b"UTF-16") && !name.starts_with(b"UTF-32"),
            _ => true,
        }
    }

    pub(crate) fn to_owned(self) -> Encoding {
        match self {
            Self::Utf8 => Encoding::Utf8,
            Self::Ascii => Encoding::Ascii,
            Self::Binary => Encoding::Binary,
            Self::Other(name) => Encoding::Other(String::from_utf8_lossy(name).into()),
        }
    }
}
