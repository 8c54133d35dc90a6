//! Marshal bytes that were checked once, with the places of their symbols and objects.

use std::ops::Range;

use super::scan::{CUT_SHORT, Detour, Fault, Scan, Scanner, Visit, read_int};

/// Checked bytes and the tables that links are resolved with: 4 bytes a symbol, 8 an object, 4 a
/// link to an object.
pub(crate) struct Source {
    data: Vec<u8>,
    index: Index,
}

#[derive(Default)]
pub(crate) struct Index {
    symbols: Vec<u32>,
    objects: Vec<Slot>,
    /// Where the links to objects stand.
    links: Vec<u32>,
}

/// An object's place.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    /// Where its value begins, wrappers (`I`, `C`, `e`) included.
    pub(crate) start: u32,
    /// Where it took its number. Never decreases from one object to the next; behind the contents
    /// for `I u`, which takes its number last.
    pub(crate) taken: u32,
}

/// What follows `\x04`: Ruby accepts older minor versions and refuses newer ones.
const MINOR: u8 = 8;

impl Source {
    /// Checks the version and the first value; what follows it is ignored, as Ruby ignores it.
    pub(crate) fn parse(data: Vec<u8>) -> Scan<Self> {
        Self::parse_with(data, |scanner, index| scanner.values(1, index))
    }

    /// Checks the version and leaves the rest to `walk`.
    pub(crate) fn parse_with(
        data: Vec<u8>,
        walk: impl FnOnce(&mut Scanner<'_>, &mut Index) -> Scan<()>,
    ) -> Scan<Self> {
        if u32::try_from(data.len()).is_err() {
            return Err(Fault { at: 0, expected: "less than 4 GiB" });
        }
        match (data.first(), data.get(1)) {
            (Some(4), Some(..=MINOR)) => {}
            (Some(4), None) | (None, _) => {
                return Err(Fault { at: data.len(), expected: CUT_SHORT });
            }
            _ => return Err(Fault { at: 0, expected: "Marshal format version 4.8" }),
        }
        let mut index = Index {
            symbols: Vec::with_capacity(8),
            objects: Vec::with_capacity(data.len() / 8 + 4),
            links: Vec::with_capacity(data.len() / 16),
        };
        walk(&mut Scanner::new(&data, 2).roomy(), &mut index)?;
        Ok(Self { data, index })
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Where a symbol is spelled out.
    pub(crate) fn symbol_at(&self, number: usize) -> Option<usize> {
        self.index.symbols.get(number).map(|at| *at as usize)
    }

    pub(crate) fn object_at(&self, number: usize) -> Option<usize> {
        self.index.objects.get(number).map(|slot| slot.start as usize)
    }

    /// The number that the first symbol spelled out at or behind an offset has.
    pub(crate) fn symbols_before(&self, at: usize) -> usize {
        self.index.symbols.partition_point(|start| (*start as usize) < at)
    }

    /// The number that the first object which begins at or behind an offset takes.
    pub(crate) fn objects_before(&self, at: usize) -> usize {
        self.index.objects.partition_point(|slot| (slot.taken as usize) <= at)
    }

    /// The links to objects that stand in a range, in order, each with the number it leads to.
    pub(crate) fn links(
        &self,
        range: Range<usize>,
    ) -> impl Iterator<Item = (Range<usize>, usize)> + '_ {
        let links = &self.index.links;
        let first = links.partition_point(|at| (*at as usize) < range.start);
        links[first..].iter().map(|at| *at as usize).take_while(move |at| *at < range.end).map(
            |at| {
                // Checked when the bytes were scanned.
                let (number, end) = read_int(&self.data, at + 1).unwrap_or_default();
                (at..end, number as usize)
            },
        )
    }

    /// The text of the symbol spelled out at an offset.
    pub(crate) fn symbol_text(&self, at: usize) -> Option<Range<usize>> {
        let colon = at + usize::from(self.data.get(at) == Some(&b'I'));
        let (length, start) = read_int(&self.data, colon + 1).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= self.data.len()).then_some(start..end)
    }
}

impl Visit for Index {
    fn object(&mut self, start: usize, taken: usize) {
        self.objects.push(Slot { start: start as u32, taken: taken as u32 });
    }

    fn symbol(&mut self, at: usize, _: Range<usize>) {
        self.symbols.push(at as u32);
    }

    fn symlink(&mut self, _: Range<usize>, number: usize) -> Result<Detour, &'static str> {
        if number < self.symbols.len() { Ok(None) } else { Err("a link to an earlier symbol") }
    }

    fn link(&mut self, at: Range<usize>, number: usize) -> Result<Detour, &'static str> {
        if number >= self.objects.len() {
            return Err("a link to an earlier object");
        }
        self.links.push(at.start as u32);
        Ok(None)
    }
}
