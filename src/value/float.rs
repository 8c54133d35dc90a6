//! Ruby's text of a float, `Float#to_s`.

use std::io::Write;

/// Appends a finite float: plain where `-4 ≤ exponent < 15`, and at 15 if there is a fraction; else
/// with a signed exponent of two digits.
pub(crate) fn write(out: &mut Vec<u8>, value: f64) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let (digits, exponent) = shortest(value.abs());
    let point = usize::try_from(exponent + 1).unwrap_or(0);
    let is_plain = match exponent {
        -4..15 => true,
        15 => digits.len() > point,
        _ => false,
    };
    // Writing to a vector does not fail.
    let _ = if !is_plain {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{first}.{rest}e{sign}{:02}", exponent.unsigned_abs())
    } else if exponent < 0 {
        let width = digits.len() + exponent.unsigned_abs() as usize - 1;
        write!(out, "0.{digits:0>width$}")
    } else if digits.len() <= point {
        write!(out, "{digits:0<point$}.0")
    } else {
        let (whole, fraction) = digits.split_at(point);
        write!(out, "{whole}.{fraction}")
    };
}

/// The fewest digits that read back as this value, and the power of ten of the first one.
///
/// Where two such texts are equally near, Ruby takes the one with an even last digit, and Rust the
/// greater: 1225030602765996.25 ends in `.2`, not `.3`.
pub(crate) fn shortest(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut mantissa = mantissa.to_owned();
    // A tie needs a text of one digit more that is exact, and shorter ones of those are distinct.
    if mantissa.len() > 15 {
        let exact = format!("{value:.60e}");
        let (cut, rest) = exact.split_at(mantissa.len());
        let is_half = rest
            .strip_prefix('5')
            .is_some_and(|rest| rest.trim_start_matches('0').starts_with('e'));
        if is_half && cut.ends_with(['0', '2', '4', '6', '8']) {
            cut.clone_into(&mut mantissa);
        }
    }
    mantissa.retain(|character| character != '.');
    (mantissa, exponent.parse().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::write;

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
