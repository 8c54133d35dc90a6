//! Texts of a float: Ruby's `Float#to_s`, and what `Marshal.dump` writes.

/// Appends a finite float as `Float#to_s` has it: plain where `-4 ≤ exponent < 15`, and at 15 if
/// there is a fraction; else with a signed exponent of two digits.
pub(crate) fn write(out: &mut Vec<u8>, value: f64) {
    let digits = Digits::shortest(value.abs());
    let (text, exponent) = (digits.text(), digits.exponent);
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let last = text.len() as i32 - 1;
    if (-4..15).contains(&exponent) || (exponent == 15 && last > 15) {
        write_plain(out, text, exponent);
        if last <= exponent {
            out.extend_from_slice(b".0");
        }
        return;
    }
    out.extend_from_slice(&[text[0], b'.']);
    out.extend_from_slice(if last > 0 { &text[1..] } else { b"0" });
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    if exponent.unsigned_abs() < 10 {
        out.push(b'0');
    }
    write_number(out, exponent.unsigned_abs());
}

/// Appends a float as `Marshal.dump` writes it: plain where `-4 ≤ exponent` and the last digit does
/// not stand before the point; at most 24 bytes.
pub(crate) fn write_marshal(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"nan");
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    if value.is_infinite() {
        return out.extend_from_slice(b"inf");
    }
    if value == 0.0 {
        return out.push(b'0');
    }
    let digits = Digits::shortest(value.abs());
    let (text, exponent) = (digits.text(), digits.exponent);
    if (-4..text.len() as i32).contains(&exponent) {
        return write_plain(out, text, exponent);
    }
    out.push(text[0]);
    if text.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&text[1..]);
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e" });
    write_number(out, exponent.unsigned_abs());
}

/// All digits, filled up with zeros to the point; no point at the end.
fn write_plain(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    let zeros = |count: i32| std::iter::repeat_n(b'0', usize::try_from(count).unwrap_or(0));
    let whole = usize::try_from(exponent + 1).unwrap_or(0).min(digits.len());
    if whole == 0 {
        out.extend_from_slice(b"0.");
        out.extend(zeros(-1 - exponent));
        return out.extend_from_slice(digits);
    }
    out.extend_from_slice(&digits[..whole]);
    out.extend(zeros(exponent + 1 - whole as i32));
    if whole < digits.len() {
        out.push(b'.');
        out.extend_from_slice(&digits[whole..]);
    }
}

/// An exponent: three digits at most.
fn write_number(out: &mut Vec<u8>, number: u32) {
    for unit in [100, 10] {
        if number >= unit {
            out.push(b'0' + (number / unit % 10) as u8);
        }
    }
    out.push(b'0' + (number % 10) as u8);
}

/// The fewest digits that read back as a value, and the power of ten of the first one.
struct Digits {
    bytes: [u8; 32],
    length: usize,
    exponent: i32,
}

impl Digits {
    /// Those of a finite value that is not negative. Where two such texts are equally near, Ruby
    /// takes the one with an even last digit, as zmij does: 1225030602765996.25 ends in `.2`, not `.3`.
    fn shortest(value: f64) -> Self {
        Self::hundredths(value)
            .unwrap_or_else(|| Self::read(zmij::Buffer::new().format_finite(value)))
    }

    /// Those of a number of at most two decimal places, as prices have. No two texts of at most 15
    /// digits are the same value, so no other text is as short.
    fn hundredths(value: f64) -> Option<Self> {
        let whole = (value * 100.0 + 0.5) as u64;
        if !(1..1_000_000_000_000_000).contains(&whole) || whole as f64 / 100.0 != value {
            return None;
        }
        let last = whole.ilog10() as usize;
        let mut digits = Self { bytes: [b'0'; 32], length: last + 1, exponent: last as i32 - 2 };
        let mut rest = whole;
        for slot in digits.bytes[..=last].iter_mut().rev() {
            *slot = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        digits.trim();
        Some(digits)
    }

    /// Takes the zeros at the end away.
    fn trim(&mut self) {
        while self.length > 1 && self.bytes[self.length - 1] == b'0' {
            self.length -= 1;
        }
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Takes the digits out of a text such as `0.0012`, `120.0` or `1.2e-7`.
    fn read(text: &str) -> Self {
        let mut digits = Self { bytes: [b'0'; 32], length: 0, exponent: 0 };
        // Digits up to the point, which is the end where there is none, and zeros before the first.
        let (mut seen, mut point, mut zeros) = (0, None, 0);
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'.' => point = Some(seen),
                b'e' => {
                    digits.exponent = text[at + 1..].parse().unwrap_or(0);
                    break;
                }
                _ => {
                    seen += 1;
                    if byte == b'0' && digits.length == 0 {
                        zeros += 1;
                    } else if let Some(slot) = digits.bytes.get_mut(digits.length) {
                        *slot = byte;
                        digits.length += 1;
                    }
                }
            }
        }
        if digits.length == 0 {
            return Self { length: 1, ..digits };
        }
        digits.trim();
        digits.exponent += point.unwrap_or(seen) - 1 - zeros;
        digits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{write, write_marshal};

    /// The same by the standard library: its digits, and the exact ones for ties.
    fn digits(value: f64) -> (String, i32) {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap();
        let mut mantissa = mantissa.to_owned();
        if mantissa.len() > 15 {
            let exact = format!("{value:.60e}");
            let (cut, rest) = exact.split_at(mantissa.len());
            let rest = rest.strip_prefix('5').map(|rest| rest.trim_start_matches('0'));
            let is_half = rest.is_some_and(|rest| rest.starts_with('e'));
            if is_half && cut.ends_with(['0', '2', '4', '6', '8']) {
                cut.clone_into(&mut mantissa);
            }
        }
        mantissa.retain(|character| character != '.');
        (mantissa, exponent.parse().unwrap())
    }

    /// Any bits, numbers of decimals, prices, and halves of odd numbers, among which the ties are.
    fn floats() -> impl Strategy<Value = f64> {
        let decimals = (any::<i64>(), 0..20).prop_map(|(n, places)| n as f64 / 10f64.powi(places));
        let halves =
            (0..1_u64 << 53, 1..20).prop_map(|(n, shift)| (n | 1) as f64 / 2f64.powi(shift));
        let prices = (0..60_u32, 0..4_i32).prop_flat_map(|(bits, places)| {
            (0..=(1_u64 << bits)).prop_map(move |n| n as f64 / 10f64.powi(places))
        });
        prop_oneof![any::<u64>().prop_map(f64::from_bits), decimals, halves, prices]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn texts_read_back_and_have_the_digits_they_should(value in floats()) {
            prop_assume!(value.is_finite());
            let (mut ruby, mut marshal) = (Vec::new(), Vec::new());
            write(&mut ruby, value);
            write_marshal(&mut marshal, value);
            let (expected, exponent) = digits(value.abs());
            for text in [ruby, marshal] {
                let text = String::from_utf8(text).unwrap();
                prop_assert!(text.len() <= 24, "{}", text);
                let parsed: f64 = text.parse().unwrap();
                prop_assert_eq!(parsed.to_bits(), value.to_bits());
                let (mantissa, _) = text.split_once('e').unwrap_or((&text, ""));
                let found: String = mantissa.chars().filter(char::is_ascii_digit).collect();
                let found = found.trim_start_matches('0').trim_end_matches('0');
                prop_assert_eq!(found, expected.trim_matches('0'), "{} {}", text, exponent);
            }
        }
    }

    #[test]
    fn floats_as_ruby_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (2.5, "2.5"),
            (1e14, "100000000000000.0"),
            (1e15, "1.0e+15"),
            (1e20, "1.0e+20"),
            (1e-7, "1.0e-07"),
            (-1.5e300, "-1.5e+300"),
            (0.0001, "0.0001"),
            (0.000_12, "0.00012"),
            (0.00001, "1.0e-05"),
            (9_007_199_254_740_992.0, "9.007199254740992e+15"),
            (1_695_587_976_394_113.5, "1695587976394113.5"),
            // Exactly .25 and .75: half-way between two texts.
            (1_225_030_602_765_996.2, "1225030602765996.2"),
            (1_225_030_602_765_996.8, "1225030602765996.8"),
            (5e-324, "5.0e-324"),
        ];
        for (value, text) in cases {
            let mut out = Vec::new();
            write(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
