//! A whole value from its text.

use super::{Fault, Scanner, simd};
use crate::value::number::MAX_DIGITS;
use crate::value::{BigInt, Map, Value};

/// Reads the one value of a text.
pub(crate) fn read(text: &str) -> Result<Value, Fault> {
    if text.len() >= simd::WORTHWHILE
        && let Some(value) = simd::read(text)
    {
        return Ok(value);
    }
    by_rubys_rules(text)
}

fn by_rubys_rules(text: &str) -> Result<Value, Fault> {
    let mut scanner = Scanner::new(text);
    scanner.blank()?;
    let value = value(&mut scanner)?;
    scanner.end()?;
    Ok(value)
}

// Recurses at most as deep as the scanner lets a text be nested.
fn value(scanner: &mut Scanner<'_>) -> Result<Value, Fault> {
    let value = match scanner.peek() {
        Some(b'"') => Value::String(scanner.string()?.decode().into_owned()),
        Some(b'{') => {
            let mut entries: Vec<(String, Value)> = Vec::new();
            scanner.object(|scanner, key| {
                entries.push((key.decode().into_owned(), value(scanner)?));
                Ok(())
            })?;
            Value::Map(entries.into_iter().collect::<Map>())
        }
        Some(b'[') => {
            let mut items = Vec::new();
            scanner.array(|scanner| {
                items.push(value(scanner)?);
                Ok(())
            })?;
            Value::Array(items)
        }
        Some(b'-' | b'0'..=b'9') => return number(scanner),
        Some(b't') => return scanner.word("true").map(|()| Value::Bool(true)),
        Some(b'f') => return scanner.word("false").map(|()| Value::Bool(false)),
        _ => return scanner.word("null").map(|()| Value::Nil),
    };
    Ok(value)
}

fn number(scanner: &mut Scanner<'_>) -> Result<Value, Fault> {
    let start = scanner.at();
    let number = scanner.number()?;
    let value = if number.is_float {
        number.text.parse().map(Value::Float).ok()
    } else {
        integer(number.text)
    };
    value.ok_or(Fault { offset: start, expected: "expected an integer of at most 10,000 digits" })
}

fn integer(text: &str) -> Option<Value> {
    if let Ok(integer) = text.parse() {
        return Some(Value::Int(integer));
    }
    let digits = Some(text).filter(|digits| digits.len() <= MAX_DIGITS)?;
    BigInt::from_decimal(digits).map(Value::BigInt)
}

#[cfg(test)]
mod tests {
    use super::{by_rubys_rules, simd};
    use crate::value::Value;

    fn bits(value: Value) -> Vec<Option<u64>> {
        let items = value.as_array().unwrap().iter();
        items
            .map(|item| match item {
                Value::Float(float) => Some(float.to_bits()),
                _ => None,
            })
            .collect()
    }

    /// Floats of every size, to the last bit, in the spellings that people and Ruby use.
    #[test]
    fn both_readers_read_floats_alike() {
        let mut state = 1_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state ^ (state >> 29)
        };
        let mut texts = Vec::new();
        for _ in 0..100_000 {
            let float = f64::from_bits(next());
            if float.is_finite() {
                texts.push(format!("{float:e}"));
                texts.push(format!("{float:.20e}"));
            }
            texts.push(format!("{}.{}", next() >> 40, next()));
            texts.push(format!("-{}.{}e-{}", next() % 10, next(), next() % 300));
            texts.push(format!("{}e{}", next(), next() % 280));
        }
        texts.extend(["-0.0", "0.0", "0e5", "5e-324", "2.2250738585072011e-308"].map(String::from));
        let text = format!("[{}]", texts.join(","));
        let fast = bits(simd::read(&text).unwrap());
        let ours = bits(by_rubys_rules(&text).unwrap());
        assert_eq!(fast.len(), texts.len());
        let differ: Vec<&String> =
            (0..texts.len()).filter(|at| fast[*at] != ours[*at]).map(|at| &texts[at]).collect();
        assert!(differ.is_empty(), "{} differ: {:?}", differ.len(), &differ[..differ.len().min(5)]);
    }

    #[test]
    fn both_readers_read_everything_else_alike() {
        for text in [
            "[-0,0,1,-1,9223372036854775807,-9223372036854775808,18446744073709551615]",
            r#"{"a":1,"b":{"c":[]},"a":[true,false,null],"":""}"#,
            r#"["\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t\u0000"," é世界 "]"#,
        ] {
            assert!(simd::read(text).unwrap() == by_rubys_rules(text).unwrap(), "{text}");
        }
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(simd::read(&deep(100)).is_some());
        for refused in ["[18446744073709551616]", "[1e400]", "[1]/**/", r#"["\q"]"#, &deep(101)] {
            assert!(simd::read(refused).is_none(), "{refused}");
        }
    }
}
