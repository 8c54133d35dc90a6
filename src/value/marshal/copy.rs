//! Copies values from one dump into another and gives their symbols and objects new numbers.
//!
//! Bytes between two numbers that change go over as they are. A link to what was not copied is
//! followed: its target is copied in its place, once; later links then lead there.

use std::collections::HashMap;
use std::ops::Range;

use super::out::Out;
use super::reader::Reader;
use super::scan::{Detour, Scan, Scanner, Visit};
use super::source::Source;
use crate::value::text::{EncodingRef, TextRef};

/// What is known of a dump's numbers in another one.
pub(crate) struct Copier<'a> {
    source: &'a Source,
    objects: Numbers,
    symbols: Numbers,
    /// How much may be read once more on detours, so that a knot of links cannot hold us up.
    work: usize,
}

impl<'a> Copier<'a> {
    /// A copier that has copied nothing, and will begin at an offset.
    pub(crate) fn new(source: &'a Source, at: usize) -> Self {
        Self {
            source,
            objects: Numbers::from(source.objects_before(at)),
            symbols: Numbers::from(source.symbols_before(at)),
            work: 32 * source.data().len() + 4096,
        }
    }

    /// Copies a value on its own.
    pub(crate) fn extract(source: &'a Source, at: usize) -> Scan<Vec<u8>> {
        let mut out = Out::with_capacity(64);
        Self::new(source, at).values(&mut out, at, 1)?;
        Ok(out.bytes)
    }

    /// Copies a range whose numbers stay, because nothing before it has changed them: from the
    /// version on, everything was copied so, or [fits](Self::fits).
    pub(crate) fn verbatim(&mut self, out: &mut Out<'a>, start: usize, end: usize) {
        out.bytes.extend_from_slice(&self.source.data()[start..end]);
        for number in self.symbols.same..self.source.symbols_before(end) {
            let name = self.source.symbol_at(number).and_then(|at| self.name(at));
            out.name_symbol(name);
            self.symbols.stays(number + 1);
        }
        let objects = self.source.objects_before(end);
        out.skip_objects(objects);
        self.objects.stays(objects);
    }

    /// Whether the numbers behind a part stay as they are although other bytes were written in its
    /// place: as many were taken, and nothing refers to those that the part took.
    pub(crate) fn fits(&self, out: &Out<'_>, part: Range<usize>) -> bool {
        let source = self.source;
        let objects = source.objects_before(part.start)..source.objects_before(part.end);
        let symbols = source.symbols_before(part.end);
        out.objects() == objects.end
            && out.symbols() == symbols
            && source.symbols_before(part.start) == symbols
            && !source.links(part.end..source.data().len()).any(|(_, to)| objects.contains(&to))
    }

    /// Copies a range of whole values in which nothing but the numbers of links to objects is to
    /// change, and answers whether it is such a range. If not, nothing was copied: a symbol has
    /// another number by now, or a link leads to what was left out.
    pub(crate) fn relinked(&mut self, out: &mut Out<'a>, range: Range<usize>) -> bool {
        let source = self.source;
        let symbols = source.symbols_before(range.start)..source.symbols_before(range.end);
        if !self.symbols.are_same_below(symbols.start)
            || (!symbols.is_empty() && out.symbols() != symbols.start)
        {
            return false;
        }
        let objects = source.objects_before(range.start)..source.objects_before(range.end);
        let (first, undo) = (out.objects(), out.bytes.len());
        let mut from = range.start;
        for (at, number) in source.links(range.clone()) {
            let copy = if objects.contains(&number) {
                Some(first + (number - objects.start))
            } else {
                self.objects.get(number)
            };
            let Some(copy) = copy else {
                out.bytes.truncate(undo);
                return false;
            };
            out.bytes.extend_from_slice(&source.data()[from..at.start]);
            out.link(copy);
            from = at.end;
        }
        out.bytes.extend_from_slice(&source.data()[from..range.end]);
        out.skip_objects(first + objects.len());
        self.objects.set_all(objects, first);
        for number in symbols {
            let name = source.symbol_at(number).and_then(|at| self.name(at));
            self.symbols.set(number, out.name_symbol(name));
        }
        true
    }

    /// Copies so many values from an offset; answers the offset behind them.
    pub(crate) fn values(&mut self, out: &mut Out<'a>, at: usize, count: usize) -> Scan<usize> {
        self.copy(out, at, |scanner, visit| scanner.values(count, visit))
    }

    /// Copies a list of instance variables.
    pub(crate) fn variables(&mut self, out: &mut Out<'a>, at: usize) -> Scan<usize> {
        self.copy(out, at, |scanner, visit| scanner.variables(visit))
    }

    fn copy(
        &mut self,
        out: &mut Out<'a>,
        at: usize,
        scan: impl FnOnce(&mut Scanner<'a>, &mut Copying<'_, 'a>) -> Scan<()>,
    ) -> Scan<usize> {
        let mut scanner = Scanner::new(self.source.data(), at).roomy();
        let mut visit = Copying {
            next_object: self.source.objects_before(at),
            next_symbol: self.source.symbols_before(at),
            copier: self,
            out,
            from: at,
            back: Vec::new(),
            muted: false,
        };
        scan(&mut scanner, &mut visit)?;
        visit.flush(scanner.at);
        Ok(scanner.at)
    }

    /// The symbol spelled out at an offset.
    fn name(&self, at: usize) -> Option<TextRef<'a>> {
        if self.source.data().get(at) == Some(&b':') {
            let bytes = &self.source.data()[self.source.symbol_text(at)?];
            return Some(TextRef { bytes, encoding: EncodingRef::Binary });
        }
        Reader::new(self.source, at).name().ok()
    }
}

/// Copying under way.
struct Copying<'c, 'a> {
    copier: &'c mut Copier<'a>,
    out: &'c mut Out<'a>,
    /// Where the bytes begin that are to go over as they are.
    from: usize,
    next_object: usize,
    next_symbol: usize,
    /// The numbers to go on with behind each detour.
    back: Vec<(usize, usize)>,
    muted: bool,
}

impl Copying<'_, '_> {
    fn flush(&mut self, to: usize) {
        self.out.bytes.extend_from_slice(&self.copier.source.data()[self.from..to]);
        self.from = to;
    }

    /// The number of the object that begins at an offset, behind all that have theirs by now. An
    /// object of the form `I u` takes its number after those that its variables hold.
    fn number_at(&mut self, at: usize) -> Option<usize> {
        let source = self.copier.source;
        let mut number = self.next_object;
        let late = source.data()[at..].starts_with(b"Iu");
        while late && source.object_at(number)? > at {
            number += 1;
            self.copier.work = self.copier.work.saturating_sub(1);
        }
        (source.object_at(number) == Some(at)).then_some(number)
    }

    fn detour(&mut self, at: &Range<usize>, target: Option<usize>) -> Result<Detour, &'static str> {
        let target = target.ok_or("a link to what stands before it")?;
        if self.copier.work == 0 {
            return Err("links that are less entangled");
        }
        self.flush(at.start);
        self.back.push((self.next_object, self.next_symbol));
        self.next_object = self.copier.source.objects_before(target);
        self.next_symbol = self.copier.source.symbols_before(target);
        self.from = target;
        Ok(Some(target))
    }
}

impl Visit for Copying<'_, '_> {
    #[inline]
    fn value(&mut self, at: usize) -> bool {
        if self.back.is_empty() || self.muted {
            return false;
        }
        self.copier.work = self.copier.work.saturating_sub(1);
        // What an earlier detour has copied is linked to.
        let Some(number) = self.number_at(at) else { return false };
        let Some(copy) = self.copier.objects.get(number) else { return false };
        self.flush(at);
        self.out.link(copy);
        self.muted = true;
        true
    }

    fn unmute(&mut self, at: usize) {
        self.muted = false;
        self.from = at;
    }

    fn object(&mut self, _: usize, _: usize) {
        if !self.muted {
            let copy = self.out.object();
            self.copier.objects.set(self.next_object, copy);
        }
        self.next_object += 1;
    }

    fn symbol(&mut self, at: usize, text: Range<usize>) {
        let number = self.next_symbol;
        self.next_symbol += 1;
        if self.muted {
            return;
        }
        let name = self.copier.name(at);
        let known = name.and_then(|name| self.out.symbol_number(name));
        let plain = self.copier.source.data().get(at) == Some(&b':');
        let copy = match known {
            Some(copy) if plain => {
                self.flush(at);
                self.out.symlink(copy);
                self.from = text.end;
                copy
            }
            // One with variables is spelled out again, which is legal: they cannot be left out.
            _ => self.out.name_symbol(name),
        };
        self.copier.symbols.set(number, copy);
    }

    fn symlink(&mut self, at: Range<usize>, number: usize) -> Result<Detour, &'static str> {
        if self.muted {
            return Ok(None);
        }
        let known = self.copier.symbols.get(number).or_else(|| {
            let name = self.copier.name(self.copier.source.symbol_at(number)?)?;
            self.out.symbol_number(name)
        });
        match known {
            Some(copy) if copy == number && is_packed(number, at.len()) => {}
            Some(copy) => {
                self.flush(at.start);
                self.out.symlink(copy);
                self.from = at.end;
            }
            None => return self.detour(&at, self.copier.source.symbol_at(number)),
        }
        Ok(None)
    }

    fn link(&mut self, at: Range<usize>, number: usize) -> Result<Detour, &'static str> {
        if self.muted {
            return Ok(None);
        }
        match self.copier.objects.get(number) {
            Some(copy) if copy == number && is_packed(number, at.len()) => {}
            Some(copy) => {
                self.flush(at.start);
                self.out.link(copy);
                self.from = at.end;
            }
            None => return self.detour(&at, self.copier.source.object_at(number)),
        }
        Ok(None)
    }

    fn resume(&mut self, end: usize, back: usize) {
        self.flush(end);
        self.from = back;
        if let Some((object, symbol)) = self.back.pop() {
            self.next_object = object;
            self.next_symbol = symbol;
        }
    }
}

/// Whether a link of this length to this number is as short as it can be: only then are copies of
/// the same value the same bytes.
fn is_packed(number: usize, length: usize) -> bool {
    let bytes = match number {
        0..=122 => 0,
        123..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    };
    length == 2 + bytes
}

/// Old numbers to new ones: a list from where copying began, and a map for what lies before.
struct Numbers {
    /// Numbers below this are the same in both.
    same: usize,
    base: usize,
    /// One above the new number; 0 where there is none.
    list: Vec<u32>,
    before: HashMap<usize, usize>,
}

impl Numbers {
    fn from(base: usize) -> Self {
        Self { same: 0, base, list: Vec::new(), before: HashMap::new() }
    }

    /// All numbers below this one are the same; nothing above was copied yet.
    fn stays(&mut self, below: usize) {
        self.same = below;
        self.base = below;
    }

    /// Whether each number below this one is the same in both.
    fn are_same_below(&mut self, number: usize) -> bool {
        while self.same < number && self.get(self.same) == Some(self.same) {
            self.same += 1;
        }
        self.same >= number
    }

    #[inline]
    fn get(&self, number: usize) -> Option<usize> {
        if number < self.same {
            return Some(number);
        }
        match number.checked_sub(self.base) {
            Some(at) => (*self.list.get(at)? as usize).checked_sub(1),
            None => self.before.get(&number).copied(),
        }
    }

    fn set(&mut self, number: usize, copy: usize) {
        let Some(at) = number.checked_sub(self.base) else {
            self.before.insert(number, copy);
            return;
        };
        match self.list.get_mut(at) {
            Some(slot) => *slot = copy as u32 + 1,
            None => {
                // What was left out in between has no number.
                self.list.extend(std::iter::repeat_n(0, at - self.list.len()));
                self.list.push(copy as u32 + 1);
            }
        }
    }

    /// As many numbers in a row, from a new number on. None of them lies before where copying began.
    fn set_all(&mut self, numbers: Range<usize>, copy: usize) {
        let at = numbers.start.saturating_sub(self.base);
        self.list.resize(at, 0);
        self.list.extend((copy + 1..).take(numbers.len()).map(|copy| copy as u32));
    }
}
