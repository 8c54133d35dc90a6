//! Letters that no language puts in such an order.

use super::random::TOKEN;

/// What often follows each letter, from `a`, in English, German, Dutch and their neighbours: one pair of
/// 1,250 or more. Of pairs drawn by lot six in ten are others.
const FOLLOWERS: [&str; 26] = [
    "abcdefghijklmnprstuvwyz",
    "aeiloru",
    "aehiklortu",
    "aeiorsu",
    "abcdefghiklmnprstuvx",
    "aefiou",
    "aehinorsu",
    "aeilortu",
    "abcdefgjklmnoprstvz",
    "ae",
    "aeiorstu",
    "adeilostu",
    "abeimopu",
    "acdefgiknostuy",
    "bcdefgiklmnoprstuvw",
    "aeiloprstu",
    "u",
    "abcdegiklmnorstuvy",
    "acehiklopstuy",
    "aehilorstuy",
    "abcdegiklmnprst",
    "aeio",
    "aeio",
    "",
    "aps",
    "aei",
];

/// With fewer letters that stand side by side, nothing is told.
const PAIRS: usize = 9;

/// How many letters stand side by side, how many of these pairs are rare, and how many are the seam
/// between two words or between letters and digits.
#[derive(Default)]
struct Pairs {
    is_of_both_cases: bool,
    all: usize,
    rare: usize,
    seams: usize,
}

/// Whether a word has more rare pairs and seams than a name has: `QpzTrKxWmJdLgHfB`, but neither
/// `ConfirmationRequired` nor `HTTPServerError`.
pub(super) fn is_jumbled(word: &str) -> bool {
    let is_of_base64 = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
    word.split(|c| !is_of_base64(c)).any(|part| part.len() >= TOKEN && is_of_token(part))
}

/// Separators between letters of one case are those of a name or a path: a token that has some has
/// letters of both.
fn is_of_token(part: &str) -> bool {
    let has_separators = part.bytes().any(|byte| !byte.is_ascii_alphanumeric());
    (is_of_both_cases(part) || !has_separators) && has_rare_pairs(part)
}

fn is_of_both_cases(part: &str) -> bool {
    let has = |is: fn(&u8) -> bool| part.bytes().any(|byte| is(&byte));
    has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
}

/// The same of letters that may be in groups.
pub(super) fn has_rare_pairs(part: &str) -> bool {
    let bytes = part.as_bytes();
    let mut pairs = Pairs { is_of_both_cases: is_of_both_cases(part), ..Pairs::default() };
    for (at, pair) in bytes.windows(2).enumerate() {
        if let &[first, second] = pair {
            pairs.add(first, second, bytes.get(at + 2).is_some_and(u8::is_ascii_lowercase));
        }
    }
    let is_capital = |byte: &u8| !byte.is_ascii_lowercase();
    // `HttpFreeFunction` has seams, and only those of its words.
    let seam = if bytes.windows(2).any(|pair| pair.iter().all(is_capital)) { 3 } else { 1 };
    pairs.all >= PAIRS && (pairs.rare * 5 + pairs.seams * seam) * 10 >= pairs.all * pairs.bar(part)
}

impl Pairs {
    fn add(&mut self, first: u8, second: u8, is_before_lower: bool) {
        let is_told = first.is_ascii_alphanumeric() && second.is_ascii_alphanumeric();
        // `xxxx` tells nothing, and no more do digits beside each other.
        if !is_told || first == second {
            return;
        }
        let is_word =
            second.is_ascii_uppercase() && (first.is_ascii_lowercase() || is_before_lower);
        match (first.is_ascii_digit(), second.is_ascii_digit()) {
            (true, true) => return,
            (false, false) if !is_word && !is_rare(first, second) => {}
            (false, false) if !is_word && !self.is_of_shortening(first, second) => self.rare += 1,
            _ => self.seams += 1,
        }
        self.all += 1;
    }

    /// As in `getXMLHttpRequest`.
    fn is_of_shortening(&self, first: u8, second: u8) -> bool {
        self.is_of_both_cases && first.is_ascii_uppercase() && second.is_ascii_uppercase()
    }

    /// How many in fifty have to be rare; fewer where digits or too few vowels speak against a word.
    fn bar(&self, part: &str) -> usize {
        let count = |is: fn(&u8) -> bool| part.bytes().filter(is).count();
        let vowels = count(|byte| b"aeiouyAEIOUY".contains(byte));
        let is_word =
            vowels * 4 >= count(u8::is_ascii_alphabetic) && count(u8::is_ascii_digit) == 0;
        match self.is_of_both_cases {
            true => 17,
            false if is_word => 16,
            false => 13,
        }
    }
}

fn is_rare(first: u8, second: u8) -> bool {
    let at = usize::from(first.to_ascii_lowercase().saturating_sub(b'a'));
    let next = char::from(second.to_ascii_lowercase());
    FOLLOWERS.get(at).is_none_or(|followers| !followers.contains(next))
}
