//! One pass over Marshal bytes: checks every type, length and count, and tells a visitor where
//! symbols and objects take their numbers.
//!
//! It keeps a stack of its own, so that nesting costs heap in proportion to the input and never
//! the thread's stack. Counts are checked against the bytes that remain before anything is done
//! with them.

use std::borrow::Cow;
use std::ops::Range;

/// Where the bytes are wrong, and what was expected there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) expected: &'static str,
}

/// Expected where the bytes end too early.
pub(crate) const CUT_SHORT: &str = "more bytes";

impl Fault {
    /// In words for people.
    pub(crate) fn problem(&self) -> Cow<'static, str> {
        match self.expected {
            CUT_SHORT => "the data is cut short".into(),
            expected => format!("expected {expected}").into(),
        }
    }
}

pub(crate) type Scan<T> = Result<T, Fault>;

/// Somewhere else to read from, before going on behind the link that led there.
pub(crate) type Detour = Option<usize>;

/// What wants to know about numbers. Every offset is one of the scanned bytes.
pub(crate) trait Visit {
    /// A value begins. True: it is scanned in silence (see [`Visit::unmute`]).
    fn value(&mut self, _at: usize) -> bool {
        false
    }
    /// The value that began at `start` takes the next object number, at `taken`.
    fn object(&mut self, start: usize, taken: usize);
    /// A symbol is spelled out at `at` (its colon, or the `I` before it) and takes the next number.
    fn symbol(&mut self, at: usize, text: Range<usize>);
    /// `;` and a number. An error is turned into a fault.
    fn symlink(&mut self, at: Range<usize>, number: usize) -> Result<Detour, &'static str>;
    /// `@` and a number. An error is turned into a fault.
    fn link(&mut self, at: Range<usize>, number: usize) -> Result<Detour, &'static str>;
    /// A detour ended at `end`; scanning goes on at `back`.
    fn resume(&mut self, _end: usize, _back: usize) {}
    /// The silent value ended.
    fn unmute(&mut self, _at: usize) {}
}

/// Visits nothing: skips.
pub(crate) struct Skip;

impl Visit for Skip {
    fn object(&mut self, _: usize, _: usize) {}
    fn symbol(&mut self, _: usize, _: Range<usize>) {}
    fn symlink(&mut self, _: Range<usize>, _: usize) -> Result<Detour, &'static str> {
        Ok(None)
    }
    fn link(&mut self, _: Range<usize>, _: usize) -> Result<Detour, &'static str> {
        Ok(None)
    }
}

pub(crate) struct Scanner<'a> {
    data: &'a [u8],
    pub(crate) at: usize,
    stack: Vec<Frame>,
}

/// What is still to be read, innermost last.
#[derive(Clone, Copy)]
struct Frame {
    step: Step,
    left: u32,
    start: u32,
}

#[derive(Clone, Copy)]
enum Step {
    /// `left` values.
    Values,
    /// `left` pairs of a symbol and a value.
    Pairs,
    /// A count of pairs, then the pairs; below 0 counts as 0, as in Ruby.
    Variables,
    /// A count that must not be above 0: what went before can hold no variables.
    NoVariables,
    /// A count of struct members, then the pairs.
    Members,
    /// The text of a `u`, which then takes its number.
    Dump,
    /// The text of an `I u`, its variables, and only then its number.
    DumpWithVariables,
    /// An `I u` takes its number.
    Register,
    /// What stands behind `e` or `C` and its name.
    Wrapped,
    /// The end of a detour: go on at `start`.
    Return,
    /// The end of a silent value.
    Unmute,
}

impl<'a> Scanner<'a> {
    /// `data` must be shorter than 4 GiB: offsets are kept in 32 bits.
    pub(crate) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, stack: Vec::new() }
    }

    /// Makes room for the usual nesting at once.
    pub(crate) fn roomy(mut self) -> Self {
        self.stack.reserve(16);
        self
    }

    /// Reads past so many values.
    pub(crate) fn values<V: Visit>(&mut self, count: usize, visit: &mut V) -> Scan<()> {
        if count != 1 {
            self.later(Step::Values, count, 0);
        } else {
            self.one(self.at, visit)?;
        }
        self.run(visit)
    }

    /// Reads past a count and that many variables.
    pub(crate) fn variables<V: Visit>(&mut self, visit: &mut V) -> Scan<()> {
        self.later(Step::Variables, 0, 0);
        self.run(visit)
    }

    /// Reads past a symbol.
    pub(crate) fn name<V: Visit>(&mut self, visit: &mut V) -> Scan<()> {
        self.symbol(visit)?;
        self.run(visit)
    }

    fn run<V: Visit>(&mut self, visit: &mut V) -> Scan<()> {
        while let Some(frame) = self.stack.last_mut() {
            match frame.step {
                Step::Values => {
                    if frame.left <= 1 {
                        let none = frame.left == 0;
                        self.stack.pop();
                        if none {
                            continue;
                        }
                    } else {
                        frame.left -= 1;
                    }
                    self.one(self.at, visit)?;
                }
                Step::Pairs => {
                    if frame.left <= 1 {
                        self.stack.pop();
                    } else {
                        frame.left -= 1;
                    }
                    self.pair(visit)?;
                }
                _ => {
                    let frame = *frame;
                    self.stack.pop();
                    self.step(frame, visit)?;
                }
            }
        }
        Ok(())
    }

    /// A symbol and a value. The value waits while the symbol has variables of its own, or is
    /// spelled out elsewhere.
    fn pair<V: Visit>(&mut self, visit: &mut V) -> Scan<()> {
        let depth = self.stack.len();
        self.symbol(visit)?;
        if self.stack.len() == depth {
            return self.one(self.at, visit);
        }
        self.stack.insert(depth, Frame { step: Step::Values, left: 1, start: 0 });
        Ok(())
    }

    #[cold]
    fn step<V: Visit>(&mut self, frame: Frame, visit: &mut V) -> Scan<()> {
        let start = frame.start as usize;
        match frame.step {
            Step::Values | Step::Pairs => {}
            Step::Variables => {
                let count = self.variable_count()?;
                self.pairs(count);
            }
            Step::NoVariables => {
                let at = self.at;
                if self.variable_count()? > 0 {
                    return Err(Fault { at, expected: "no variables on a frozen value" });
                }
            }
            Step::Members => {
                let count = self.count(3)?;
                self.pairs(count);
            }
            Step::Dump => {
                self.bytes()?;
                visit.object(start, self.at);
            }
            Step::DumpWithVariables => {
                self.bytes()?;
                self.later(Step::Register, 0, start);
                let count = self.variable_count()?;
                self.pairs(count);
            }
            Step::Register => visit.object(start, self.at),
            Step::Wrapped => {
                let wraps = matches!(
                    self.peek(),
                    Some(
                        b'"' | b'/' | b'[' | b'{' | b'}' | b'o' | b'S' | b'e' | b'C' | b'U' | b'u'
                    )
                );
                if !wraps {
                    return Err(self.fault("a value that can have a class or modules of its own"));
                }
                self.one(start, visit)?;
            }
            Step::Return => {
                visit.resume(self.at, start);
                self.at = start;
            }
            Step::Unmute => visit.unmute(self.at),
        }
        Ok(())
    }

    /// Reads one value as far as it can be read without nesting; the rest goes onto the stack.
    /// `start` is where its wrappers began.
    fn one<V: Visit>(&mut self, start: usize, visit: &mut V) -> Scan<()> {
        if start == self.at && visit.value(start) {
            self.later(Step::Unmute, 0, 0);
        }
        let kind = self.next_byte()?;
        match kind {
            b'0' | b'T' | b'F' => {}
            b'i' => {
                self.int()?;
            }
            b'I' => return self.with_variables(start, visit),
            b'"' | b'f' | b'c' | b'm' | b'M' => {
                visit.object(start, self.at);
                self.bytes()?;
            }
            b':' | b';' => {
                self.at -= 1;
                self.symbol(visit)?;
            }
            b'@' => {
                let at = self.at - 1;
                let number = self.number()?;
                match visit.link(at..self.at, number) {
                    Ok(None) => {}
                    Ok(Some(target)) => {
                        self.detour(target);
                        self.one(target, visit)?;
                    }
                    Err(expected) => return Err(Fault { at, expected }),
                }
            }
            b'[' => {
                visit.object(start, self.at);
                let count = self.count(1)?;
                self.later(Step::Values, count, 0);
            }
            b'{' | b'}' => {
                visit.object(start, self.at);
                let count = self.count(2)?;
                self.later(Step::Values, 2 * count + usize::from(kind == b'}'), 0);
            }
            _ => return self.rare(kind, start, visit),
        }
        Ok(())
    }

    #[cold]
    fn rare<V: Visit>(&mut self, kind: u8, start: usize, visit: &mut V) -> Scan<()> {
        match kind {
            b'l' => {
                visit.object(start, self.at);
                self.next_byte()?;
                let words = self.length()?;
                self.skip(words.saturating_mul(2))?;
            }
            b'/' => {
                visit.object(start, self.at);
                self.bytes()?;
                self.next_byte()?;
            }
            b'o' | b'S' => {
                visit.object(start, self.at);
                let step = if kind == b'o' { Step::Variables } else { Step::Members };
                self.later(step, 0, start);
                self.symbol(visit)?;
            }
            b'U' => {
                visit.object(start, self.at);
                self.later(Step::Values, 1, 0);
                self.symbol(visit)?;
            }
            b'u' => {
                self.later(Step::Dump, 0, start);
                self.symbol(visit)?;
            }
            b'e' | b'C' => {
                self.later(Step::Wrapped, 0, start);
                self.symbol(visit)?;
            }
            _ => {
                self.at -= 1;
                return Err(self.fault("a type that Marshal 4.8 knows"));
            }
        }
        Ok(())
    }

    /// What stands behind `I`, and its variables.
    fn with_variables<V: Visit>(&mut self, start: usize, visit: &mut V) -> Scan<()> {
        // `I` twice is rare and legal: the inner value begins where the outer one did.
        while self.peek() == Some(b'I') {
            self.at += 1;
            self.later(Step::Variables, 0, 0);
        }
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                visit.object(start, self.at);
                self.bytes()?;
                self.string_variables(visit)
            }
            Some(b':') => {
                self.at -= 1;
                self.symbol(visit)
            }
            Some(b'u') => {
                self.at += 1;
                self.later(Step::DumpWithVariables, 0, start);
                self.symbol(visit)
            }
            Some(b'0' | b'T' | b'F' | b'i' | b'f' | b'l' | b';' | b'@') => {
                self.later(Step::NoVariables, 0, 0);
                self.one(start, visit)
            }
            _ => {
                self.later(Step::Variables, 0, 0);
                self.one(start, visit)
            }
        }
    }

    /// Nearly always the encoding alone: `:E` or a link to it, then T or F.
    #[inline]
    fn string_variables<V: Visit>(&mut self, visit: &mut V) -> Scan<()> {
        if let Some([6, b';', packed @ (0 | 6..=127), b'T' | b'F']) =
            self.data.get(self.at..self.at + 4)
        {
            let at = self.at + 1;
            self.at += 3;
            match visit.symlink(at..self.at, usize::from(packed.saturating_sub(5))) {
                Ok(None) => self.at += 1,
                Ok(Some(target)) => {
                    self.later(Step::Values, 1, 0);
                    self.detour(target);
                    self.symbol(visit)?;
                }
                Err(expected) => return Err(Fault { at, expected }),
            }
            return Ok(());
        }
        let count = self.variable_count()?;
        if count == 1 {
            return self.pair(visit);
        }
        self.pairs(count);
        Ok(())
    }

    /// `:`, `;` or `I:`. Variables of the symbol and detours go onto the stack.
    fn symbol<V: Visit>(&mut self, visit: &mut V) -> Scan<()> {
        let at = self.at;
        match self.peek() {
            Some(b':') => {
                self.at += 1;
                let text = self.bytes()?;
                visit.symbol(at, text);
            }
            Some(b';') => {
                self.at += 1;
                let number = self.number()?;
                match visit.symlink(at..self.at, number) {
                    Ok(None) => {}
                    Ok(Some(target)) => {
                        self.detour(target);
                        // A definition, so this goes one level deep only.
                        self.symbol(visit)?;
                    }
                    Err(expected) => return Err(Fault { at, expected }),
                }
            }
            Some(b'I') if self.data.get(at + 1) == Some(&b':') => {
                self.at += 2;
                let text = self.bytes()?;
                visit.symbol(at, text);
                self.later(Step::Variables, 0, 0);
            }
            _ => return Err(self.fault("a symbol")),
        }
        Ok(())
    }

    fn detour(&mut self, target: usize) {
        self.later(Step::Return, 0, self.at);
        self.at = target;
    }

    #[inline]
    fn later(&mut self, step: Step, left: usize, start: usize) {
        self.stack.push(Frame { step, left: left as u32, start: start as u32 });
    }

    fn pairs(&mut self, count: usize) {
        if count > 0 {
            self.later(Step::Pairs, count, 0);
        }
    }

    #[inline]
    fn variable_count(&mut self) -> Scan<usize> {
        let at = self.at;
        let count = usize::try_from(self.int()?).unwrap_or(0);
        self.fits(at, count, 3)
    }

    /// A count of things that take at least so many bytes each.
    #[inline]
    pub(crate) fn count(&mut self, bytes_each: usize) -> Scan<usize> {
        let at = self.at;
        let count = self.length()?;
        self.fits(at, count, bytes_each)
    }

    #[inline]
    fn fits(&self, at: usize, count: usize, bytes_each: usize) -> Scan<usize> {
        if count.saturating_mul(bytes_each) > self.data.len() - self.at {
            return Err(Fault { at, expected: CUT_SHORT });
        }
        Ok(count)
    }

    fn number(&mut self) -> Scan<usize> {
        // A negative number is out of range like any that is too great.
        self.int().map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    #[inline]
    fn length(&mut self) -> Scan<usize> {
        let at = self.at;
        let length = self.int()?;
        usize::try_from(length).map_err(|_| Fault { at, expected: "a length of 0 or more" })
    }

    #[inline(always)]
    fn bytes(&mut self) -> Scan<Range<usize>> {
        let length = self.length()?;
        let start = self.at;
        self.skip(length)?;
        Ok(start..self.at)
    }

    #[inline(always)]
    fn skip(&mut self, length: usize) -> Scan<()> {
        if length > self.data.len() - self.at {
            return Err(self.fault(CUT_SHORT));
        }
        self.at += length;
        Ok(())
    }

    #[inline(always)]
    fn int(&mut self) -> Scan<i64> {
        if let Some(small @ 6..=127) = self.peek() {
            self.at += 1;
            return Ok(i64::from(small - 5));
        }
        let (value, at) = read_int(self.data, self.at)?;
        self.at = at;
        Ok(value)
    }

    #[inline]
    pub(crate) fn next_byte(&mut self) -> Scan<u8> {
        let byte = self.peek().ok_or_else(|| self.fault(CUT_SHORT))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    fn fault(&self, expected: &'static str) -> Fault {
        Fault { at: self.at, expected }
    }
}

/// Marshal's packed integer at an offset, and the offset behind it.
pub(crate) fn read_int(data: &[u8], at: usize) -> Scan<(i64, usize)> {
    let short = Fault { at, expected: CUT_SHORT };
    let first = *data.get(at).ok_or(short)? as i8;
    let width = match first {
        0 => return Ok((0, at + 1)),
        5.. => return Ok((i64::from(first) - 5, at + 1)),
        ..=-5 => return Ok((i64::from(first) + 5, at + 1)),
        _ => usize::from(first.unsigned_abs()),
    };
    let bytes = data.get(at + 1..at + 1 + width).ok_or(short)?;
    // Little endian; the bytes left out are 0, or all ones where the sign is negative.
    let start = if first < 0 { -1i64 << (8 * width) } else { 0 };
    let value = bytes.iter().rev().fold(0i64, |value, byte| value << 8 | i64::from(*byte));
    Ok((start | value, at + 1 + width))
}
