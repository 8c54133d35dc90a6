//! Reads checked bytes value by value, with links resolved on the way.
//!
//! Nesting is bounded, and so is all that is read: a few bytes of links can stand for an endless
//! or an astronomically large value.

use super::scan::{CUT_SHORT, Fault, Scanner, Skip, read_int};
use super::source::Source;
use crate::value::number::parse_float;
use crate::value::text::{EncodingRef, TextRef};

/// How deep values may nest where they are read into something that nests as well: as deep as Ruby
/// lets JSON nest.
pub(crate) const MAX_DEPTH: usize = 100;

/// Why reading stopped. It holds no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Not what Marshal allows.
    Fault(Fault),
    /// Nested deeper than [`MAX_DEPTH`], or within itself.
    Deep,
    /// Links make it far larger than its bytes.
    Large,
    /// Not what the target type expects.
    Misfit,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

pub(crate) type Read<T> = Result<T, Stop>;

/// A value without its wrappers; what it contains is still to be read.
#[derive(Clone, Copy)]
pub(crate) enum Head<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// Magnitude in little endian.
    Big(bool, &'a [u8]),
    Float(f64),
    Symbol(TextRef<'a>),
    Str(TextRef<'a>),
    Regexp(TextRef<'a>, u8),
    Array(usize),
    /// So many pairs, and whether a default stands behind them.
    Hash(usize, bool),
    /// `o`: class and number of instance variables.
    Object(TextRef<'a>, usize),
    /// `S`: class and number of members.
    Struct(TextRef<'a>, usize),
    /// `U`: class; one value follows.
    Marshaled(TextRef<'a>),
    /// `u`: class and text.
    Dumped(TextRef<'a>, TextRef<'a>),
    Class(&'a [u8]),
    Module(&'a [u8]),
}

/// A value with its wrappers.
pub(crate) struct Item<'a> {
    pub(crate) head: Head<'a>,
    /// Where it begins, wrappers included: what identifies an object.
    pub(crate) start: usize,
    /// The user's subclass of a string, regexp, array or hash.
    pub(crate) class: Option<TextRef<'a>>,
    /// Where the names of the modules that extend it begin.
    pub(crate) extended: Option<usize>,
    /// How many lists of instance variables follow the content and were not read yet.
    pub(crate) variables: usize,
    /// Whether it was reached through a link.
    pub(crate) linked: bool,
}

pub(crate) struct Reader<'a> {
    source: &'a Source,
    at: usize,
    depth: usize,
    budget: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source, at: usize) -> Self {
        // Every value takes a byte at least; the rest is room for what is shared on purpose.
        Self { source, at, depth: 0, budget: 8 * source.data().len() + 1024 }
    }

    pub(crate) fn source(&self) -> &'a Source {
        self.source
    }

    /// Reads one value; `read` takes its content, all of it.
    pub(crate) fn value<T>(
        &mut self,
        read: impl FnOnce(&mut Self, &mut Item<'a>) -> Read<T>,
    ) -> Read<T> {
        let back = self.follow()?;
        let mut item = self.item()?;
        item.linked = back.is_some();
        self.charge(1 + self.at.saturating_sub(item.start) / 4)?;
        if self.depth == MAX_DEPTH {
            return Err(Stop::Deep);
        }
        self.depth += 1;
        let value = read(self, &mut item)?;
        self.depth -= 1;
        match back {
            Some(at) => self.at = at,
            None => self.skip_variables(item.variables)?,
        }
        Ok(value)
    }

    /// What the next value is; its content is not read, and nothing can be read afterwards.
    pub(crate) fn glance(mut self) -> Read<Item<'a>> {
        self.follow()?;
        self.item()
    }

    /// Looks at the next value and stays before it.
    pub(crate) fn peek_value<T>(
        &mut self,
        read: impl FnOnce(&mut Self, &mut Item<'a>) -> Read<T>,
    ) -> Read<T> {
        let at = self.at;
        let value = self.value(read);
        self.at = at;
        value
    }

    /// Whether the next value is nil.
    pub(crate) fn is_nil(&self) -> bool {
        self.peek() == Some(b'0')
    }

    /// Goes to the end of an item, however much of it was read. Behind a link there is nothing to
    /// do: reading goes on at the link.
    pub(crate) fn skip_item(&mut self, item: &mut Item<'a>) -> Read<()> {
        if item.linked {
            item.variables = 0;
            return Ok(());
        }
        self.at = item.start;
        item.variables = 0;
        self.skip(1)
    }

    pub(crate) fn skip(&mut self, values: usize) -> Read<()> {
        self.scanned(|scanner| scanner.values(values, &mut Skip))
    }

    /// The name of an instance variable or a struct member; its value comes next.
    pub(crate) fn name(&mut self) -> Read<TextRef<'a>> {
        let at = self.at;
        self.scanned(|scanner| scanner.name(&mut Skip))?;
        match self.peek_at(at) {
            Some(b';') => {
                let (number, _) = read_int(self.source.data(), at + 1)?;
                let missing = Fault { at, expected: "a link to an earlier symbol" };
                let number = usize::try_from(number).map_err(|_| missing)?;
                self.symbol(self.source.symbol_at(number).ok_or(missing)?)
            }
            _ => self.symbol(at),
        }
    }

    /// Reads the instance variables of an item whose content was read: `read` takes each value.
    pub(crate) fn variables(
        &mut self,
        item: &mut Item<'a>,
        mut read: impl FnMut(&mut Self, TextRef<'a>) -> Read<()>,
    ) -> Read<()> {
        for _ in 0..std::mem::take(&mut item.variables) {
            for _ in 0..self.int()?.max(0) {
                let name = self.name()?;
                read(self, name)?;
            }
        }
        Ok(())
    }

    /// The modules that extend an item, as they were written.
    pub(crate) fn modules(&self, item: &Item<'_>) -> Read<Vec<TextRef<'a>>> {
        let mut names = Vec::new();
        let Some(at) = item.extended else { return Ok(names) };
        let mut reader = Reader { source: self.source, at, depth: self.depth, budget: self.budget };
        while reader.peek() == Some(b'e') {
            reader.at += 1;
            names.push(reader.name()?);
        }
        Ok(names)
    }

    /// Counts what was read against what may be read.
    pub(crate) fn charge(&mut self, cost: usize) -> Read<()> {
        self.budget = self.budget.checked_sub(cost).ok_or(Stop::Large)?;
        Ok(())
    }

    /// Where a link leads, if the next value is one; answers where to go on afterwards.
    fn follow(&mut self) -> Read<Option<usize>> {
        let at = self.at;
        if self.peek() != Some(b'@') {
            return Ok(None);
        }
        let missing = Fault { at, expected: "a link to an earlier object" };
        let (number, back) = read_int(self.source.data(), at + 1)?;
        let number = usize::try_from(number).map_err(|_| missing)?;
        self.at = self.source.object_at(number).ok_or(missing)?;
        Ok(Some(back))
    }

    fn item(&mut self) -> Read<Item<'a>> {
        let mut item = Item {
            head: Head::Nil,
            start: self.at,
            class: None,
            extended: None,
            variables: 0,
            linked: false,
        };
        loop {
            match self.byte()? {
                // A symbol's own variables are its encoding.
                b'I' if self.peek() == Some(b':') => {
                    self.at -= 1;
                    break item.head = Head::Symbol(self.name()?);
                }
                b'I' => item.variables += 1,
                b'e' => {
                    item.extended = item.extended.or(Some(self.at - 1));
                    self.name()?;
                }
                b'C' => item.class = Some(self.name()?),
                kind => break item.head = self.head(kind, &mut item)?,
            }
        }
        Ok(item)
    }

    fn head(&mut self, kind: u8, item: &mut Item<'a>) -> Read<Head<'a>> {
        Ok(match kind {
            b'0' => Head::Nil,
            b'T' | b'F' => Head::Bool(kind == b'T'),
            b'i' => Head::Int(self.int()?),
            b'"' => {
                let bytes = self.bytes()?;
                Head::Str(self.text(bytes, item)?)
            }
            b'[' => Head::Array(self.length()?),
            b'{' | b'}' => Head::Hash(self.length()?, kind == b'}'),
            b':' | b';' => {
                self.at -= 1;
                Head::Symbol(self.name()?)
            }
            b'f' => Head::Float(parse_float(self.bytes()?)),
            b'l' => {
                let negative = self.byte()? == b'-';
                let length = self.length()?.saturating_mul(2);
                Head::Big(negative, self.take(length)?)
            }
            b'/' => {
                let bytes = self.bytes()?;
                let options = self.byte()?;
                Head::Regexp(self.text(bytes, item)?, options)
            }
            b'o' => Head::Object(self.name()?, usize::try_from(self.int()?).unwrap_or(0)),
            b'S' => Head::Struct(self.name()?, self.length()?),
            b'U' => Head::Marshaled(self.name()?),
            b'u' => {
                let class = self.name()?;
                let bytes = self.bytes()?;
                Head::Dumped(class, self.text(bytes, item)?)
            }
            b'c' | b'M' => Head::Class(self.bytes()?),
            b'm' => Head::Module(self.bytes()?),
            _ => return Err(self.fault("a type that Marshal 4.8 knows")),
        })
    }

    /// A text with the encoding that its variables give it. Where they hold nothing else they are
    /// read past; else they stay to be read.
    fn text(&mut self, bytes: &'a [u8], item: &mut Item<'a>) -> Read<TextRef<'a>> {
        let mut text = TextRef { bytes, encoding: EncodingRef::Binary };
        while item.variables > 0 {
            let start = self.at;
            let mut others = false;
            for _ in 0..self.int()?.max(0) {
                let name = self.name()?;
                match self.encoding(name)? {
                    Some(encoding) => text.encoding = encoding,
                    None => others = true,
                }
            }
            // They are read at every link to the text.
            self.charge((self.at - start) / 2)?;
            if others {
                self.at = start;
                break;
            }
            item.variables -= 1;
        }
        Ok(text)
    }

    /// Reads the value of a variable, which is the encoding if its name is `E` or `encoding`.
    fn encoding(&mut self, name: TextRef<'_>) -> Read<Option<EncodingRef<'a>>> {
        let encoding = match (name.bytes, self.peek()) {
            (b"E", Some(b'T')) => EncodingRef::Utf8,
            (b"E", Some(b'F')) => EncodingRef::Ascii,
            (b"encoding", Some(b'"' | b'@')) => {
                let back = self.follow()?;
                let named = match self.byte()? {
                    b'"' => EncodingRef::named(self.bytes()?),
                    _ => EncodingRef::Binary,
                };
                self.at = back.unwrap_or(self.at);
                return Ok(Some(named));
            }
            _ => {
                self.skip(1)?;
                // An `E` of another kind says nothing, and is nobody's variable either.
                return Ok(matches!(name.bytes, b"E").then_some(EncodingRef::Binary));
            }
        };
        self.at += 1;
        Ok(Some(encoding))
    }

    /// The symbol that is spelled out at an offset.
    fn symbol(&self, at: usize) -> Read<TextRef<'a>> {
        let fault = Fault { at, expected: "a symbol" };
        let range = self.source.symbol_text(at).ok_or(fault)?;
        let end = range.end;
        let bytes = &self.source.data()[range];
        if self.peek_at(at) != Some(b'I') {
            let encoding = if bytes.is_ascii() { EncodingRef::Ascii } else { EncodingRef::Binary };
            return Ok(TextRef { bytes, encoding });
        }
        let mut reader = Reader { source: self.source, at: end, depth: 0, budget: self.budget };
        let mut encoding = EncodingRef::Binary;
        // Ruby writes one variable, and this is read at every link to the symbol.
        if reader.int()? > 0 {
            let at = reader.at;
            let name = self.plain_name(at);
            if matches!(name.bytes, b"E" | b"encoding") {
                reader.scanned(|scanner| scanner.name(&mut Skip))?;
                encoding = reader.encoding(name)?.unwrap_or(encoding);
            }
        }
        if bytes.is_ascii() && encoding.reads_ascii() {
            encoding = EncodingRef::Ascii;
        }
        Ok(TextRef { bytes, encoding })
    }

    /// The bytes of a symbol or of the symbol that a link leads to; its encoding is not looked at,
    /// because it could have variables that lead back here.
    fn plain_name(&self, at: usize) -> TextRef<'a> {
        let data = self.source.data();
        let spelled = match data.get(at) {
            Some(b';') => read_int(data, at + 1)
                .ok()
                .and_then(|(number, _)| self.source.symbol_at(usize::try_from(number).ok()?)),
            _ => Some(at),
        };
        let range = spelled.and_then(|at| self.source.symbol_text(at)).unwrap_or(0..0);
        TextRef { bytes: &data[range], encoding: EncodingRef::Binary }
    }

    fn skip_variables(&mut self, lists: usize) -> Read<()> {
        for _ in 0..lists {
            self.scanned(|scanner| scanner.variables(&mut Skip))?;
        }
        Ok(())
    }

    fn scanned(&mut self, scan: impl FnOnce(&mut Scanner<'a>) -> Result<(), Fault>) -> Read<()> {
        let mut scanner = Scanner::new(self.source.data(), self.at);
        scan(&mut scanner)?;
        self.at = scanner.at;
        Ok(())
    }

    fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let rest = self.source.data().get(self.at..).unwrap_or_default();
        let bytes = rest.get(..length).ok_or_else(|| self.fault(CUT_SHORT))?;
        self.at += length;
        Ok(bytes)
    }

    fn length(&mut self) -> Read<usize> {
        usize::try_from(self.int()?).map_err(|_| self.fault("a length of 0 or more"))
    }

    fn int(&mut self) -> Read<i64> {
        let (value, at) = read_int(self.source.data(), self.at)?;
        self.at = at;
        Ok(value)
    }

    fn byte(&mut self) -> Read<u8> {
        let byte = self.peek().ok_or_else(|| self.fault(CUT_SHORT))?;
        self.at += 1;
        Ok(byte)
    }

    fn peek(&self) -> Option<u8> {
        self.peek_at(self.at)
    }

    fn peek_at(&self, at: usize) -> Option<u8> {
        self.source.data().get(at).copied()
    }

    fn fault(&self, expected: &'static str) -> Stop {
        Stop::Fault(Fault { at: self.at, expected })
    }
}
