//! A whole value from its text.

use super::{Fault, Scanner};
use crate::value::{BigInt, Map, Value};

/// Reads the one value of a text.
pub(crate) fn read(text: &str) -> Result<Value, Fault> {
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

/// Reading digits takes time with the square of their number, which the bound makes harmless.
const MAX_DIGITS: usize = 10_000;

fn integer(text: &str) -> Option<Value> {
    if let Ok(integer) = text.parse() {
        return Some(Value::Int(integer));
    }
    let digits = Some(text).filter(|digits| digits.len() <= MAX_DIGITS)?;
    BigInt::from_decimal(digits).map(Value::BigInt)
}
