//! Finds the top-level keys and checks the whole text, in one walk.

use std::ops::Range;

use super::Shape;
use crate::value::json::{Fault, Scanner, Text};

/// Up to so many keys are compared one by one; more are found in an index.
const FEW: usize = 32;

/// A part of the source. Four bytes each: a text is split only if it is shorter than 4 GiB.
#[derive(Clone, Copy)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(range: Range<usize>) -> Self {
        Self { start: range.start as u32, end: range.end as u32 }
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One top-level key, without its quotes, and its value.
pub(super) struct Entry {
    pub(super) key: Span,
    pub(super) value: Span,
    /// The key's characters where the source has escapes.
    decoded: Option<Box<str>>,
}

impl Entry {
    pub(super) fn decoded_key(&self) -> Option<&str> {
        self.decoded.as_deref()
    }

    /// Its characters, which are UTF-8.
    pub(super) fn key_in<'a>(&'a self, source: &'a [u8]) -> &'a [u8] {
        self.decoded.as_ref().map_or_else(|| &source[self.key.range()], |key| key.as_bytes())
    }
}

/// The entries in order; of duplicate keys the last value in the first place, as in Ruby.
#[derive(Default)]
pub(super) struct Entries {
    list: Vec<Entry>,
    /// Places in `list` in the order of their keys, if there are many.
    sorted: Vec<u32>,
}

impl Entries {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.list.iter()
    }

    pub(super) fn find(&self, source: &[u8], key: &str) -> Option<&Entry> {
        let key = key.as_bytes();
        if self.list.len() <= FEW {
            return self.list.iter().find(|entry| entry.key_in(source) == key);
        }
        let order = |place: &u32| self.list[*place as usize].key_in(source).cmp(key);
        let found = self.sorted.binary_search_by(order).ok()?;
        self.list.get(self.sorted[found] as usize)
    }
}

/// Splits a whole text.
pub(super) fn split(text: &str, shape: Shape) -> Result<Entries, Fault> {
    if u32::try_from(text.len()).is_err() {
        return Err(Fault { offset: u32::MAX as usize, expected: "expected less than 4 GiB" });
    }
    let mut scanner = Scanner::new(text);
    scanner.blank()?;
    // Room for a usual session in one allocation.
    let mut list = Vec::with_capacity(16);
    if shape == Shape::Wrapped && scanner.peek() == Some(b'{') {
        // Where the value that counts is wrong, if it is: the last of duplicates decides.
        let mut verdict = Ok(());
        scanner.object(|scanner, key| {
            if key.decode() != "value" {
                return scanner.skip();
            }
            verdict = session(scanner, &mut list)?;
            Ok(())
        })?;
        scanner.end()?;
        verdict?;
    } else {
        let verdict = session(&mut scanner, &mut list)?;
        scanner.end()?;
        verdict?;
    }
    Ok(without_duplicates(list, text.as_bytes()))
}

/// The session's object. Rails loads nil and false as an empty session, and fails on anything
/// else: the inner error, which counts only if the text is well-formed and no duplicate follows.
fn session(scanner: &mut Scanner<'_>, list: &mut Vec<Entry>) -> Result<Result<(), Fault>, Fault> {
    list.clear();
    match scanner.peek() {
        Some(b'{') => scanner.object(|scanner, key| {
            // Behind the key lie its quote and a colon: it is found by its address.
            let start = scanner.offset_of(key.raw);
            let value = scanner.at();
            scanner.skip()?;
            list.push(entry(key, start, value..scanner.at()));
            Ok(())
        })?,
        Some(b'n' | b'f') => scanner.skip()?,
        _ => {
            let verdict = scanner.fault("expected an object");
            scanner.skip()?;
            return Ok(verdict);
        }
    }
    Ok(Ok(()))
}

fn entry(key: Text<'_>, start: usize, value: Range<usize>) -> Entry {
    Entry {
        key: Span::new(start..start + key.raw.len()),
        value: Span::new(value),
        decoded: key.escaped.then(|| key.decode().into()),
    }
}

fn without_duplicates(mut list: Vec<Entry>, source: &[u8]) -> Entries {
    if list.len() <= FEW {
        let (mut at, mut marks) = (0, 0_u64);
        while at < list.len() {
            let key = list[at].key_in(source);
            let mark = mark(key);
            let is_marked = marks & mark != 0;
            marks |= mark;
            let first = || list[..at].iter().position(|entry| entry.key_in(source) == key);
            match is_marked.then(first).flatten() {
                Some(first) => list[first] = list.remove(at),
                None => at += 1,
            }
        }
        return Entries { list, sorted: Vec::new() };
    }
    let mut sorted = in_order(&list, source);
    let same =
        |a: &u32, b: &u32| list[*a as usize].key_in(source) == list[*b as usize].key_in(source);
    if sorted.windows(2).any(|pair| same(&pair[0], &pair[1])) {
        // Of each run of equal keys, in order of place: the last goes to the place of the first.
        let moves: Vec<(u32, u32)> =
            sorted.chunk_by(same).map(|run| (run[0], run[run.len() - 1])).collect();
        let mut taken: Vec<Option<Entry>> = list.into_iter().map(Some).collect();
        let mut kept: Vec<(u32, Option<Entry>)> =
            moves.into_iter().map(|(to, from)| (to, taken[from as usize].take())).collect();
        kept.sort_unstable_by_key(|(place, _)| *place);
        list = kept.into_iter().filter_map(|(_, entry)| entry).collect();
        sorted = in_order(&list, source);
    }
    Entries { list, sorted }
}

/// One bit, the same for equal keys and another one for most others.
fn mark(key: &[u8]) -> u64 {
    let byte = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(*byte));
    let (first, last) = (byte(key.first()), byte(key.last()));
    1 << ((key.len() ^ first.wrapping_mul(5) ^ last.wrapping_mul(11)) % 64)
}

fn in_order(list: &[Entry], source: &[u8]) -> Vec<u32> {
    let mut sorted: Vec<u32> = (0..list.len() as u32).collect();
    sorted.sort_by_key(|place| list[*place as usize].key_in(source));
    sorted
}
