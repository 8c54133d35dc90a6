//! Integers of any size, big decimals, and the texts of numbers.

use std::cmp::Ordering;
use std::fmt;

use super::float;

/// How many digits of an integer are read.
pub(crate) const MAX_DIGITS: usize = 10_000;
/// How many bytes the greatest of them takes.
const MAX_BYTES: usize = 4_153;

/// An integer beyond what 128 bits hold.
///
/// `Debug` shows its size in bits; `Display` shows all digits, in a time that grows with the
/// square of their number.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt {
    negative: bool,
    /// Little endian, without zeros at its end.
    magnitude: Vec<u8>,
}

impl BigInt {
    /// From its sign and its magnitude in little endian.
    pub fn from_le_bytes(negative: bool, magnitude: &[u8]) -> Self {
        let used = magnitude.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Self { negative: negative && used > 0, magnitude: magnitude[..used].to_vec() }
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Its magnitude in little endian, without zeros at its end.
    pub fn magnitude(&self) -> &[u8] {
        &self.magnitude
    }

    /// The same number in 128 bits, if it fits.
    pub fn to_i128(&self) -> Option<i128> {
        let mut bytes = [0; 16];
        bytes.get_mut(..self.magnitude.len())?.copy_from_slice(&self.magnitude);
        let magnitude = u128::from_le_bytes(bytes);
        if self.negative {
            0i128.checked_sub_unsigned(magnitude)
        } else {
            magnitude.try_into().ok()
        }
    }

    /// Whether it has more digits than are read from JSON: their text takes a time that grows with
    /// the square of their number, which this bound makes harmless.
    pub(crate) fn is_long(&self) -> bool {
        match self.magnitude.len().cmp(&MAX_BYTES) {
            Ordering::Less => false,
            Ordering::Equal => self.to_string().trim_start_matches('-').len() > MAX_DIGITS,
            Ordering::Greater => true,
        }
    }

    /// From decimal digits with an optional sign.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let mut words: Vec<u32> = Vec::new();
        for chunk in digits.as_bytes().chunks(9) {
            let mut carry = chunk.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
            let scale = 10u64.pow(chunk.len() as u32);
            for word in &mut words {
                carry += u64::from(*word) * scale;
                *word = carry as u32;
                carry >>= 32;
            }
            if carry > 0 {
                words.push(carry as u32);
            }
        }
        let magnitude: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        Some(Self::from_le_bytes(negative, &magnitude))
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<u32> = self
            .magnitude
            .chunks(4)
            .map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
            .collect();
        let mut groups = Vec::new();
        while !words.is_empty() {
            let mut rest = 0u64;
            for word in words.iter_mut().rev() {
                let value = rest << 32 | u64::from(*word);
                *word = (value / 1_000_000_000) as u32;
                rest = value % 1_000_000_000;
            }
            groups.push(rest);
            while words.last() == Some(&0) {
                words.pop();
            }
        }
        if self.negative {
            f.write_str("-")?;
        }
        write!(f, "{}", groups.pop().unwrap_or(0))?;
        groups.iter().rev().try_for_each(|group| write!(f, "{group:09}"))
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BigInt({} bits)", 8 * self.magnitude.len())
    }
}

/// A Ruby `BigDecimal`.
///
/// `Display` is the plain decimal text that Rails uses (`1234.5`); `Debug` shows no content.
///
/// # Examples
///
/// ```
/// use sqlbypass::Decimal;
///
/// assert_eq!(Decimal::parse("-19.990").unwrap().to_string(), "-19.99");
/// assert!(Decimal::parse("a price").is_none());
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// What Ruby dumps: the precision, a colon, and `0.1999e2`, `NaN` or `Infinity`.
    dump: Box<str>,
}

impl Decimal {
    /// From a decimal text such as `-12.50` or `1.5e3`.
    pub fn parse(text: &str) -> Option<Self> {
        if matches!(text, "NaN" | "Infinity" | "-Infinity") {
            return Some(Self { dump: format!("9:{text}").into() });
        }
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let exponent: i64 = exponent.parse().ok()?;
        let leading = digits.bytes().take_while(|digit| *digit == b'0').count();
        let significant = digits[leading..].trim_end_matches('0');
        if significant.is_empty() {
            return Some(Self { dump: format!("18:{sign}0.0").into() });
        }
        let exponent = exponent
            .checked_add(i64::try_from(whole.len()).ok()?)?
            .checked_sub(i64::try_from(leading).ok()?)?;
        // Ruby reserves whole words of nine digits, and one more.
        let precision = 9 * (significant.len().div_ceil(9) + 1);
        Some(Self { dump: format!("{precision}:{sign}0.{significant}e{exponent}").into() })
    }

    /// From the text of a dump.
    pub(crate) fn from_dump(dump: &[u8]) -> Option<Self> {
        let dump = std::str::from_utf8(dump).ok()?;
        let (precision, text) = dump.split_once(':')?;
        let known =
            precision.bytes().all(|digit| digit.is_ascii_digit()) && Self::parse(text).is_some();
        known.then(|| Self { dump: dump.into() })
    }

    pub(crate) fn dump(&self) -> &str {
        &self.dump
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.dump.split_once(':').map_or(&*self.dump, |(_, text)| text);
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", text),
        };
        let parts = rest.strip_prefix("0.").and_then(|rest| rest.split_once('e'));
        let Some((digits, exponent)) = parts else { return f.write_str(text) };
        let point: i64 = exponent.parse().unwrap_or(0);
        // Far away from the digits the plain text would be all zeros, without a bound.
        if !(-400..=400).contains(&point) {
            return f.write_str(text);
        }
        let length = digits.len() as i64;
        f.write_str(sign)?;
        if point <= 0 {
            write!(f, "0.{:0<width$}{digits}", "", width = (-point) as usize)
        } else if point >= length {
            write!(f, "{digits}{:0<width$}.0", "", width = (point - length) as usize)
        } else {
            let (whole, fraction) = digits.split_at(point as usize);
            write!(f, "{whole}.{fraction}")
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decimal(..)")
    }
}

/// The float that C's `strtod` reads at the start of a text: Ruby's reader is as lenient.
pub(crate) fn parse_float(text: &[u8]) -> f64 {
    match text {
        b"inf" => return f64::INFINITY,
        b"-inf" => return f64::NEG_INFINITY,
        b"nan" => return f64::NAN,
        _ => {}
    }
    let unsigned = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    if let Some(hex) = unsigned.strip_prefix(b"0x").or(unsigned.strip_prefix(b"0X")) {
        let value = parse_hex_float(hex);
        return if text.starts_with(b"-") { -value } else { value };
    }
    let length = text.len() - unsigned.len() + decimal_length(unsigned);
    std::str::from_utf8(&text[..length]).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// How much of a text is digits, a fraction and an exponent.
fn decimal_length(text: &[u8]) -> usize {
    let digits = |from: usize| text[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut end = digits(0);
    if end == 0 {
        return 0;
    }
    if text.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits((end + 1 + sign).min(text.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

fn parse_hex_float(text: &[u8]) -> f64 {
    let mut value = 0.0;
    let mut exponent = 0;
    let mut fraction = false;
    let mut rest = text;
    while let [first, after @ ..] = rest {
        match char::from(*first).to_digit(16) {
            Some(digit) => {
                value = value * 16.0 + f64::from(digit);
                exponent -= if fraction { 4 } else { 0 };
            }
            None if *first == b'.' && !fraction => fraction = true,
            None => break,
        }
        rest = after;
    }
    if let [b'p' | b'P', power @ ..] = rest {
        let power = std::str::from_utf8(power).ok().and_then(|power| power.parse::<i32>().ok());
        exponent = power.unwrap_or(0).saturating_add(exponent);
    }
    value * 2f64.powi(exponent)
}

/// `Float#to_s`.
pub(crate) fn ruby_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let mut text = Vec::new();
    float::write(&mut text, value);
    String::from_utf8_lossy(&text).into_owned()
}

/// Whether Ruby keeps a float inside the reference: then equal floats are one object to it.
pub(crate) fn is_flonum(value: f64) -> bool {
    let bits = value.to_bits();
    // Ruby's own test: the three bits below the sign are 011 or 100; 0.0 is special, -0.0 is not.
    let top = bits >> 60 & 7;
    bits == 0 || (bits != 0x3000_0000_0000_0000 && (top == 3 || top == 4))
}
