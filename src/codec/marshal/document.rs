//! A session's hash in its bytes, and the splice that changes it.

use std::ops::Range;

use bytes::Bytes;

use super::super::{Changes, Document, base64};
use super::writer;
use crate::error::{Error, Result};
use crate::value::marshal::Node;
use crate::value::marshal::copy::Copier;
use crate::value::marshal::out::{Out, VERSION};
use crate::value::marshal::reader::{Head, Reader};
use crate::value::marshal::scan::{Fault, Scan, Scanner, Visit};
use crate::value::marshal::source::{Index, Source};
use crate::value::{Value, ValueRef};

pub(super) struct MarshalDocument {
    /// The text it came as, which an unchanged document goes back as.
    stored: Option<Bytes>,
    /// `None` for an empty session: NULL, `nil`, `false`.
    hash: Option<HashBytes>,
}

/// A hash with the places of its parts.
struct HashBytes {
    source: Source,
    parts: Parts,
    /// Places of the entries in the order of their keys, if there are many.
    sorted: Vec<u32>,
}

/// Up to so many keys are compared one by one; more are found in an order.
const FEW: usize = 32;

/// Where what stands, in bytes of the source.
#[derive(Default)]
struct Parts {
    /// The number of entries; before it stand the version and the hash's wrappers.
    count: usize,
    entries: Vec<Entry>,
    /// Behind the last entry: the default, if there is one, then the instance variables.
    tail: usize,
    default: bool,
    /// How many lists of instance variables there are.
    variables: usize,
}

struct Entry {
    at: u32,
    value: u32,
    end: u32,
    /// The key's text, also of a symbol: Rails makes strings of a session's keys when it loads it.
    /// Empty at 0 for a key that is neither, which cannot be asked for.
    key: Range<u32>,
}

/// What becomes of an entry.
#[derive(Clone, Copy)]
enum Fate<'a> {
    Kept,
    Replaced(&'a Value),
    Dropped,
}

impl MarshalDocument {
    pub(super) fn empty() -> Self {
        Self { stored: None, hash: None }
    }

    pub(super) fn parse(data: Vec<u8>) -> Scan<Self> {
        if matches!(data.get(VERSION.len()), Some(b'0' | b'F')) {
            Source::parse(data)?;
            return Ok(Self::empty());
        }
        let mut parts = Parts::default();
        let bytes = data.len();
        let source = Source::parse_with(data, |scanner, index| parts.read(bytes, scanner, index))?;
        for entry in &mut parts.entries {
            entry.key = key_text(&source, entry.at as usize).unwrap_or(0..0);
        }
        Ok(Self { stored: None, hash: Some(HashBytes::new(source, parts)) })
    }

    pub(super) fn stored(mut self, stored: Bytes) -> Self {
        self.stored = Some(stored);
        self
    }
}

impl Parts {
    fn read(&mut self, length: usize, scanner: &mut Scanner<'_>, index: &mut Index) -> Scan<()> {
        let start = scanner.at;
        let kind = loop {
            match scanner.next_byte()? {
                b'I' => self.variables += 1,
                b'C' | b'e' => scanner.name(index)?,
                kind @ (b'{' | b'}') => break kind,
                _ => return Err(Fault { at: scanner.at - 1, expected: "a hash" }),
            }
        };
        self.default = kind == b'}';
        self.count = scanner.at;
        index.object(start, scanner.at);
        let count = scanner.count(2)?;
        self.entries.reserve(count.min(length / 16 + 4));
        for _ in 0..count {
            let at = scanner.at as u32;
            scanner.values(1, index)?;
            let value = scanner.at as u32;
            scanner.values(1, index)?;
            self.entries.push(Entry { at, value, end: scanner.at as u32, key: 0..0 });
        }
        self.tail = scanner.at;
        if self.default {
            scanner.values(1, index)?;
        }
        for _ in 0..self.variables {
            scanner.variables(index)?;
        }
        Ok(())
    }
}

/// Where a key's text lies: in the key, or where its link leads.
fn key_text(source: &Source, at: usize) -> Option<Range<u32>> {
    let data = source.data();
    let text = plain_key(source, at).or_else(|| {
        let text = match Reader::new(source, at).glance().ok()?.head {
            Head::Str(text) | Head::Symbol(text) => text.as_str()?,
            _ => return None,
        };
        let start = (text.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        Some(start..start + text.len())
    })?;
    std::str::from_utf8(data.get(text.clone())?).ok()?;
    Some(text.start as u32..text.end as u32)
}

/// The usual key, read without ceremony: a string whose one variable is `E`, by link.
fn plain_key(source: &Source, at: usize) -> Option<Range<usize>> {
    let rest = source.data().get(at..)?.strip_prefix(b"I\"")?;
    let length = usize::from(*rest.first()?).checked_sub(5).filter(|length| *length < 123)?;
    let [6, b';', symbol, b'T', ..] = rest.get(1 + length..)? else { return None };
    let symbol = usize::from(*symbol).saturating_sub(5);
    let name = source.symbol_text(source.symbol_at(symbol)?)?;
    (source.data()[name] == *b"E").then_some(at + 3..at + 3 + length)
}

impl HashBytes {
    fn new(source: Source, parts: Parts) -> Self {
        let mut hash = Self { source, parts, sorted: Vec::new() };
        if hash.parts.entries.len() > FEW {
            let mut sorted: Vec<u32> = (0..hash.parts.entries.len() as u32).collect();
            // Equal keys stay in their order.
            sorted.sort_by_key(|place| hash.key_bytes(&hash.parts.entries[*place as usize]));
            hash.sorted = sorted;
        }
        hash
    }

    fn key(&self, entry: &Entry) -> &str {
        // Checked when the document was opened.
        self.key_bytes(entry).and_then(|key| std::str::from_utf8(key).ok()).unwrap_or_default()
    }

    fn key_bytes(&self, entry: &Entry) -> Option<&[u8]> {
        let text = entry.key.start as usize..entry.key.end as usize;
        if text.start > 0 { self.source.data().get(text) } else { None }
    }

    fn key_at(&self, place: u32) -> Option<&[u8]> {
        self.parts.entries.get(place as usize).and_then(|entry| self.key_bytes(entry))
    }

    /// Of equal keys the last one's value counts, as in Ruby.
    fn find(&self, key: &str) -> Option<&Entry> {
        let (entries, key) = (&self.parts.entries, Some(key.as_bytes()));
        if self.sorted.is_empty() {
            return entries.iter().rev().find(|entry| self.key_bytes(entry) == key);
        }
        let behind = self.sorted.partition_point(|place| self.key_at(*place) <= key);
        let last = *self.sorted[..behind].last()?;
        if self.key_at(last) == key { entries.get(last as usize) } else { None }
    }

    /// The places of a key's entries, in order.
    fn places(&self, key: &str) -> Vec<usize> {
        let key = Some(key.as_bytes());
        if self.sorted.is_empty() {
            let places = 0..self.parts.entries.len();
            return places.filter(|place| self.key_at(*place as u32) == key).collect();
        }
        let first = self.sorted.partition_point(|place| self.key_at(*place) < key);
        let same = self.sorted[first..].iter().take_while(|place| self.key_at(**place) == key);
        same.map(|place| *place as usize).collect()
    }

    fn fates<'a>(&self, changes: &'a Changes) -> Vec<Fate<'a>> {
        let mut fates = vec![Fate::Kept; self.parts.entries.len()];
        for (key, value) in changes.iter() {
            for (nth, place) in self.places(key).into_iter().enumerate() {
                fates[place] = match value {
                    Some(value) if nth == 0 => Fate::Replaced(value),
                    _ => Fate::Dropped,
                };
            }
        }
        fates
    }

    fn splice<'a>(&'a self, changes: &'a Changes) -> Result<Vec<u8>> {
        let Parts { entries, count, .. } = &self.parts;
        let fates = self.fates(changes);
        let added: Vec<(&str, &Value)> = changes
            .iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .filter(|(key, _)| self.find(key).is_none())
            .collect();
        let kept = fates.iter().filter(|fate| !matches!(fate, Fate::Dropped)).count();
        let mut out = Out::with_capacity(self.source.data().len() + 128);
        let mut copier = Copier::new(&self.source, VERSION.len());
        copier.verbatim(&mut out, VERSION.len(), *count);
        out.int((kept + added.len()) as i64);

        let mut at = 0;
        // Whether the numbers are still those of the source.
        let mut same = true;
        while let (Some(entry), Some(fate)) = (entries.get(at), fates.get(at)) {
            let (key_at, value_at) = (entry.at as usize, entry.value as usize);
            match fate {
                Fate::Kept => {
                    let run =
                        fates[at..].iter().take_while(|fate| matches!(fate, Fate::Kept)).count();
                    let end = entries[at + run - 1].end as usize;
                    if same {
                        copier.verbatim(&mut out, key_at, end);
                    } else if !copier.relinked(&mut out, key_at..end) {
                        // The first may spell out what the others only refer to.
                        let behind = copier.values(&mut out, key_at, 2)?;
                        if !copier.relinked(&mut out, behind..end) {
                            copier.values(&mut out, behind, 2 * (run - 1))?;
                        }
                    }
                    at += run;
                    continue;
                }
                Fate::Replaced(value) => {
                    if same {
                        copier.verbatim(&mut out, key_at, value_at);
                    } else if !copier.relinked(&mut out, key_at..value_at) {
                        copier.values(&mut out, key_at, 1)?;
                    }
                    writer::write(&mut out, value)?;
                    same = same && copier.fits(&out, value_at..entry.end as usize);
                }
                Fate::Dropped => same = false,
            }
            at += 1;
        }
        for (key, value) in added {
            writer::write_key(&mut out, key);
            writer::write(&mut out, value)?;
        }
        self.copy_tail(&mut copier, &mut out)?;
        Ok(out.bytes)
    }

    fn copy_tail<'a>(&'a self, copier: &mut Copier<'a>, out: &mut Out<'a>) -> Result<()> {
        let mut at = self.parts.tail;
        if self.parts.default {
            at = copier.values(out, at, 1)?;
        }
        for _ in 0..self.parts.variables {
            at = copier.variables(out, at)?;
        }
        Ok(())
    }
}

/// A session that held nothing before.
fn fresh(changes: &Changes) -> Result<Vec<u8>> {
    let entries = || changes.iter().filter_map(|(key, value)| Some((key, value?)));
    let mut out = Out::with_capacity(1024);
    out.bytes.push(b'{');
    out.object();
    out.int(entries().count() as i64);
    for (key, value) in entries() {
        writer::write_key(&mut out, key);
        writer::write(&mut out, value)?;
    }
    Ok(out.bytes)
}

impl Document for MarshalDocument {
    fn get(&self, key: &str) -> Result<Option<ValueRef<'_>>> {
        let Some(hash) = &self.hash else { return Ok(None) };
        let entry = hash.find(key);
        Ok(entry.map(|entry| {
            ValueRef::marshal(Node { source: &hash.source, at: entry.value as usize })
        }))
    }

    fn keys(&self) -> Vec<&str> {
        let Some(hash) = &self.hash else { return Vec::new() };
        let mut keys = Vec::with_capacity(hash.parts.entries.len());
        let mut seen = std::collections::HashSet::new();
        for entry in &hash.parts.entries {
            if entry.key.start > 0 && seen.insert(hash.key(entry)) {
                keys.push(hash.key(entry));
            }
        }
        keys
    }

    fn encode(&self, changes: &Changes) -> Result<Bytes> {
        if let (true, Some(stored)) = (changes.is_empty(), &self.stored) {
            return Ok(stored.clone());
        }
        let bytes = match &self.hash {
            Some(hash) if !changes.is_cleared() => hash.splice(changes)?,
            _ => fresh(changes)?,
        };
        check_length(bytes.len())?;
        Ok(Bytes::from(base64::encode(&bytes)))
    }
}

/// In a dump of this length no string, and no count, is longer than the format can say.
fn check_length(length: usize) -> Result<()> {
    if length < 1 << 30 {
        return Ok(());
    }
    Err(Error::value("encoding session data", "it takes a gibibyte or more"))
}

#[cfg(test)]
mod tests {
    use super::check_length;

    #[test]
    fn a_dump_of_a_gibibyte_is_an_error() {
        assert!(check_length((1 << 30) - 1).is_ok());
        let error = check_length(1 << 30).unwrap_err();
        assert!(error.to_string().contains("a gibibyte or more"), "{error}");
    }
}
