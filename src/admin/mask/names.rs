//! Names that speak of secrets.

/// Parts of names whose values are nobody's business, whatever stands round them; names are compared
/// in lower case and without what separates their words.
const PARTS: [&str; 40] = [
    "token",
    "secret",
    "passw",
    "passphrase",
    "credential",
    "csrf",
    "xsrf",
    "nonce",
    "verifier",
    "signature",
    "cookie",
    "sessionid",
    "sessionkey",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "masterkey",
    "authkey",
    "sshkey",
    "awskey",
    "creditcard",
    "cardnumber",
    "securitycode",
    "verificationcode",
    "confirmationcode",
    "recoverycode",
    "backupcode",
    "accesscode",
    "invitecode",
    "resetcode",
    "logincode",
    "signincode",
    "passcode",
    "authcode",
    "pincode",
    "otpcode",
    "smscode",
    "mfacode",
];

/// Words of names that say the same only where they stand alone: `pin` is one, `pine` is none.
const WORDS: [&str; 36] = [
    "key",
    "keys",
    "auth",
    "oauth",
    "oauth2",
    "authorization",
    "authentication",
    "bearer",
    "jwt",
    "private",
    "salt",
    "hash",
    "digest",
    "sig",
    "otp",
    "totp",
    "mfa",
    "pin",
    "pins",
    "pass",
    "pwd",
    "pw",
    "magic",
    "cc",
    "sid",
    "state",
    "ticket",
    "card",
    "cards",
    "cvv",
    "cvc",
    "csc",
    "ssn",
    "iban",
    "pat",
    "pats",
];

/// `country_code` is no secret, and what OAuth calls `code` is one.
const OPEN_CODES: [&str; 11] = [
    "country", "postal", "post", "zip", "status", "language", "lang", "currency", "locale", "area",
    "discount",
];

/// Last words of names whose numbers count something secret, limit it or say when it was.
const MEASURES: [&str; 22] = [
    "count",
    "counts",
    "counter",
    "left",
    "remaining",
    "limit",
    "limits",
    "max",
    "min",
    "total",
    "attempts",
    "tries",
    "retries",
    "failures",
    "length",
    "size",
    "at",
    "timestamp",
    "ttl",
    "age",
    "seconds",
    "timeout",
];

/// The same of time, but for a card's, which is part of what pays.
const ENDS: [&str; 3] = ["expiry", "expiration", "expires"];

/// First words of such names, before a plural.
const AMOUNTS: [&str; 8] = ["max", "min", "num", "number", "count", "total", "remaining", "failed"];

/// How much of a value its name forbids to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Secret {
    /// Only what looks like a secret.
    Nothing,
    /// Texts: beside its salt Warden keeps the user's number.
    Texts,
    /// Texts and numbers.
    All,
}

/// What a name forbids.
pub(super) fn of_name(name: &str) -> Secret {
    let words = words(name);
    let is_of_warden = || name.starts_with("warden.user.") && name.ends_with(".key");
    match is_secret(&words) {
        true if is_of_warden() || is_measure(&words) => Secret::Texts,
        true => Secret::All,
        // Beside what proves it a second factor keeps the user's number.
        false if words.concat().contains("twofactor") => Secret::Texts,
        false => Secret::Nothing,
    }
}

fn is_secret(words: &[String]) -> bool {
    let joined = words.concat();
    let is_code = words.iter().any(|word| word == "code" || word == "codes");
    (is_code && !has(words, &OPEN_CODES))
        || PARTS.iter().any(|part| joined.contains(part))
        || has(words, &WORDS)
}

fn has(words: &[String], list: &[&str]) -> bool {
    words.iter().any(|word| list.contains(&word.as_str()))
}

/// `token_count`, `max_tokens`, `token_expires_in`.
fn is_measure(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).filter(|w| !w.is_empty()).collect();
    let is_plural = |word: &str| word.ends_with('s') && !word.ends_with("ss");
    let is_of_card = || words.iter().any(|word| matches!(*word, "card" | "cc" | "creditcard"));
    match *words {
        [first, .., last] if AMOUNTS.contains(&first) && is_plural(last) => true,
        [_, .., "expires", "in"] => true,
        [_, .., last] if ENDS.contains(&last) => !is_of_card(),
        [_, .., last] => MEASURES.contains(&last),
        _ => false,
    }
}

/// `apiKey`, `api_key`, `APIKey` → `api`, `key`.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let is_lower = |at: usize| chars.get(at).is_some_and(|c| c.is_lowercase());
    let mut words = vec![String::new()];
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at));
        // A run of capitals ends before its last one where a word begins by it: not in `PINs`.
        let ends_run = || is_lower(at + 1) && (chars.get(at + 1) != Some(&'s') || is_lower(at + 2));
        let begins = c.is_uppercase()
            && before.is_some_and(|c| c.is_lowercase() || c.is_numeric() || ends_run());
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words
}
