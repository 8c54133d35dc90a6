//! Marshal bytes in the making, with the numbers that their symbols and objects have taken.

use std::collections::HashMap;
use std::hash::Hash;

use crate::value::text::{EncodingRef, TextRef};

/// The version, which every dump begins with.
pub(crate) const VERSION: &[u8] = b"\x04\x08";

/// Bytes to write to. Names are borrowed from what is written (`'a`).
pub(crate) struct Out<'a> {
    pub(crate) bytes: Vec<u8>,
    objects: usize,
    symbols: usize,
    names: Table<(&'a [u8], bool)>,
    /// The packed number of the symbol that nearly every string has for its encoding, once it is
    /// spelled out, if that takes one byte.
    e: Option<u8>,
    encodings: Table<&'a [u8]>,
    /// Strings that Ruby keeps once, and whether they are ASCII rather than UTF-8.
    pub(crate) strings: Table<(&'a [u8], bool)>,
    /// Floats that Ruby keeps once, by their bits.
    pub(crate) floats: Table<u64>,
}

impl<'a> Out<'a> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(VERSION);
        Self {
            bytes,
            objects: 0,
            symbols: 0,
            names: Table::default(),
            e: None,
            encodings: Table::default(),
            strings: Table::default(),
            floats: Table::default(),
        }
    }

    /// Takes the next object number.
    pub(crate) fn object(&mut self) -> usize {
        self.objects += 1;
        self.objects - 1
    }

    /// Numbers up to this one were taken by what was copied as it is.
    pub(crate) fn skip_objects(&mut self, taken: usize) {
        self.objects = taken;
    }

    pub(crate) fn symbols(&self) -> usize {
        self.symbols
    }

    pub(crate) fn objects(&self) -> usize {
        self.objects
    }

    /// A packed integer of at most four bytes.
    #[inline]
    pub(crate) fn int(&mut self, value: i64) {
        match short_int(value) {
            Some(byte) => self.bytes.push(byte),
            None => self.long_int(value),
        }
    }

    #[cold]
    fn long_int(&mut self, value: i64) {
        let end = if value < 0 { -1 } else { 0 };
        let width = (1..4).find(|width| value >> (8 * width) == end).unwrap_or(4);
        let head = if value < 0 { -(width as i8) as u8 } else { width as u8 };
        self.bytes.push(head);
        self.bytes.extend_from_slice(&value.to_le_bytes()[..width]);
    }

    /// A length and the bytes.
    pub(crate) fn text(&mut self, bytes: &[u8]) {
        self.int(bytes.len() as i64);
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn link(&mut self, number: usize) {
        self.marked_int(b'@', number);
    }

    pub(crate) fn symlink(&mut self, number: usize) {
        self.marked_int(b';', number);
    }

    #[inline]
    fn marked_int(&mut self, mark: u8, number: usize) {
        match short_int(number as i64) {
            Some(byte) => self.bytes.extend_from_slice(&[mark, byte]),
            None => {
                self.bytes.push(mark);
                self.long_int(number as i64);
            }
        }
    }

    /// A string of its own, with its encoding.
    pub(crate) fn string(&mut self, text: TextRef<'a>) {
        self.object();
        let length = text.bytes.len() as i64;
        if let (EncodingRef::Utf8, Some(e), Some(short)) =
            (text.encoding, self.e, short_int(length))
        {
            self.bytes.extend_from_slice(&[b'I', b'"', short]);
            self.bytes.extend_from_slice(text.bytes);
            return self.bytes.extend_from_slice(&[ONE, b';', e, b'T']);
        }
        let binary = text.encoding == EncodingRef::Binary;
        self.bytes.extend_from_slice(if binary { b"\"" } else { b"I\"" });
        self.text(text.bytes);
        if !binary {
            self.encoding(text.encoding);
        }
    }

    /// A symbol: spelled out where it is new, else a link to it.
    pub(crate) fn symbol(&mut self, name: TextRef<'a>) {
        if let Some(number) = self.symbol_number(name) {
            return self.symlink(number);
        }
        let plain = name.bytes.is_ascii() || name.encoding == EncodingRef::Binary;
        self.bytes.extend_from_slice(if plain { b":" } else { b"I:" });
        self.text(name.bytes);
        self.name_symbol(Some(name));
        if !plain {
            self.encoding(name.encoding);
        }
    }

    /// An ASCII symbol.
    pub(crate) fn ascii_symbol(&mut self, name: &'a str) {
        self.symbol(TextRef { bytes: name.as_bytes(), encoding: EncodingRef::Ascii });
    }

    /// The variables of a text that holds nothing but its encoding.
    pub(crate) fn encoding(&mut self, encoding: EncodingRef<'a>) {
        self.int(i64::from(encoding != EncodingRef::Binary));
        self.encoding_variable(encoding);
    }

    /// The variable that an encoding takes; `Binary` takes none.
    pub(crate) fn encoding_variable(&mut self, encoding: EncodingRef<'a>) {
        match encoding {
            EncodingRef::Binary => {}
            EncodingRef::Utf8 | EncodingRef::Ascii => {
                match self.e {
                    Some(number) => self.bytes.extend_from_slice(&[b';', number]),
                    None => self.ascii_symbol("E"),
                }
                self.bytes.push(if encoding == EncodingRef::Utf8 { b'T' } else { b'F' });
            }
            EncodingRef::Other(name) => {
                self.ascii_symbol("encoding");
                // Ruby keeps one name of each.
                if let Some(number) = self.encodings.get(&name) {
                    return self.link(number);
                }
                self.encodings.insert(name, self.objects);
                self.bytes.push(b'"');
                self.object();
                self.text(name);
            }
        }
    }

    pub(crate) fn symbol_number(&self, name: TextRef<'a>) -> Option<usize> {
        self.names.get(&key(name)?)
    }

    /// Gives the next symbol number to a name, if it is one that can be found again.
    pub(crate) fn name_symbol(&mut self, name: Option<TextRef<'a>>) -> usize {
        if let Some(key) = name.and_then(key) {
            if key == (b"E", false) {
                self.e = short_int(self.symbols as i64);
            }
            self.names.insert(key, self.symbols);
        }
        self.symbols += 1;
        self.symbols - 1
    }
}

/// 1, packed.
const ONE: u8 = 6;

/// A packed integer that takes one byte.
#[inline]
fn short_int(value: i64) -> Option<u8> {
    match value {
        0 => Some(0),
        1..=122 => Some(value as u8 + 5),
        -123..=-1 => Some((value - 5) as u8),
        _ => None,
    }
}

/// Symbols of the same bytes differ by encoding; those in rare encodings are spelled out anew.
fn key(name: TextRef<'_>) -> Option<(&[u8], bool)> {
    match name.encoding {
        EncodingRef::Utf8 => Some((name.bytes, !name.bytes.is_ascii())),
        EncodingRef::Ascii | EncodingRef::Binary => Some((name.bytes, false)),
        EncodingRef::Other(_) => None,
    }
}

/// A map to numbers. A map of its own hashing, which no choice of keys can slow down, begins only
/// behind the first few.
pub(crate) struct Table<K> {
    list: Vec<Known<K>>,
    /// For each slot the last entry of the list that is in it, one above its place; 0 for none.
    last: [u8; SLOTS],
    map: Option<HashMap<K, usize>>,
}

struct Known<K> {
    tag: u64,
    key: K,
    number: usize,
    /// The entry before it in its slot, as `last` has it.
    before: u8,
}

const SLOTS: usize = 32;
const SHORT: usize = 48;

/// A key of a table.
pub(crate) trait Key: Hash + Eq {
    /// Equal for equal keys, cheap, and mostly another for another key.
    fn tag(&self) -> u64;
}

impl Key for u64 {
    fn tag(&self) -> u64 {
        *self
    }
}

impl Key for &[u8] {
    fn tag(&self) -> u64 {
        let end = match (self.last_chunk(), self.first_chunk(), self.last_chunk()) {
            (Some(end), _, _) => u64::from_le_bytes(*end),
            (_, Some(start), Some(end)) => {
                u64::from(u32::from_le_bytes(*start)) << 32 | u64::from(u32::from_le_bytes(*end))
            }
            _ => self.iter().fold(0, |tag, byte| tag << 8 | u64::from(*byte)),
        };
        end ^ (self.len() as u64) << 56
    }
}

impl Key for (&[u8], bool) {
    fn tag(&self) -> u64 {
        self.0.tag() ^ u64::from(self.1)
    }
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { list: Vec::new(), last: [0; SLOTS], map: None }
    }
}

impl<K: Key> Table<K> {
    pub(crate) fn get(&self, key: &K) -> Option<usize> {
        self.find(key.tag(), key)
    }

    pub(crate) fn insert(&mut self, key: K, number: usize) {
        self.add(key.tag(), key, number);
    }

    /// The number of a key. One that is new takes the given number, and there is none to answer.
    pub(crate) fn get_or_insert(&mut self, key: K, number: usize) -> Option<usize> {
        let tag = key.tag();
        let found = self.find(tag, &key);
        if found.is_none() {
            self.add(tag, key, number);
        }
        found
    }

    #[inline]
    fn find(&self, tag: u64, key: &K) -> Option<usize> {
        let mut place = self.last[slot(tag)];
        while let Some(known) = self.list.get(usize::from(place).wrapping_sub(1)) {
            if known.tag == tag && known.key == *key {
                return Some(known.number);
            }
            place = known.before;
        }
        self.map.as_ref()?.get(key).copied()
    }

    fn add(&mut self, tag: u64, key: K, number: usize) {
        if self.list.len() == SHORT {
            self.map.get_or_insert_default().insert(key, number);
            return;
        }
        if self.list.is_empty() {
            self.list.reserve(16);
        }
        let last = &mut self.last[slot(tag)];
        self.list.push(Known { tag, key, number, before: *last });
        *last = self.list.len() as u8;
    }
}

/// By a multiplication that mixes all of a tag into the highest bits.
fn slot(tag: u64) -> usize {
    (tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as usize
}
