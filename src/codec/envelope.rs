//! The envelope of encrypted data, as text: `sbe1.`, the key's id, a dot, and what only the key
//! opens. See docs/encryption.md.

/// What every envelope begins with: its version. No text of Marshal and no JSON begins so.
pub(crate) const MARK: &str = "sbe1.";
/// The longest id of a key.
pub(crate) const MAX_KEY_ID: usize = 32;

/// An envelope cut into its parts; nothing of it has been checked but its shape.
#[derive(Clone, Copy)]
pub(crate) struct Envelope<'a> {
    /// Everything before the body: mark, id and dot.
    #[cfg_attr(not(feature = "encryption"), allow(dead_code))]
    pub(crate) header: &'a str,
    /// Which key opens it.
    pub(crate) key_id: &'a str,
    /// The rest, in base64.
    #[cfg_attr(not(feature = "encryption"), allow(dead_code))]
    pub(crate) body: &'a str,
    /// Where the body begins in what is stored.
    #[cfg_attr(not(feature = "encryption"), allow(dead_code))]
    pub(crate) at: usize,
}

/// Whether the data is an envelope, whole or damaged: bare, or as a JSON string.
pub(crate) fn is_envelope(stored: &[u8]) -> bool {
    bare(stored).0.starts_with(MARK.as_bytes())
}

/// The parts of an envelope; `None` where its head is damaged, or for anything else.
pub(crate) fn parse(stored: &[u8]) -> Option<Envelope<'_>> {
    let (bare, at) = bare(stored);
    let text = std::str::from_utf8(bare).ok()?;
    // Ids are short: a hostile text is not searched to its end.
    let head = text.as_bytes().iter().take(MARK.len() + MAX_KEY_ID + 1);
    let ends = head.skip(MARK.len()).position(|byte| *byte == b'.')?;
    let (header, body) = text.split_at(MARK.len() + ends + 1);
    let key_id = header.strip_prefix(MARK)?.strip_suffix('.')?;
    is_key_id(key_id).then_some(Envelope { header, key_id, body, at: at + header.len() })
}

/// Whether a text can be a key's id.
pub(crate) fn is_key_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_KEY_ID).contains(&text.len()) && text.bytes().all(fits)
}

/// What stands between the quotes of a JSON string, and where. Nothing in an envelope is escaped.
fn bare(stored: &[u8]) -> (&[u8], usize) {
    let blank = stored.len() - stored.trim_ascii_start().len();
    match stored.trim_ascii() {
        [b'"', inner @ .., b'"'] => (inner, blank + 1),
        _ => (stored, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_are_told_from_the_rest() {
        for stored in ["sbe1.k.AAAA", "\"sbe1.k.AAAA\"", " \"sbe1.k.AAAA\"\n", "sbe1."] {
            assert!(is_envelope(stored.as_bytes()), "{stored}");
        }
        for stored in ["", "\"", "BAh7AA==\n", "{}", "\"BAh7AA==\\n\"", "sbe2.k.AAAA", " sbe1.k.A"]
        {
            assert!(!is_envelope(stored.as_bytes()), "{stored}");
        }
    }

    #[test]
    fn parts_of_an_envelope() {
        let parts = parse(b" \"sbe1.2026-11.AAAA\"").unwrap();
        assert_eq!((parts.header, parts.key_id, parts.body), ("sbe1.2026-11.", "2026-11", "AAAA"));
        assert_eq!(parts.at, 15);
        let long = "k".repeat(MAX_KEY_ID);
        assert_eq!(parse(format!("sbe1.{long}.").as_bytes()).unwrap().key_id, long);
        for damaged in ["sbe1", "sbe1.", "sbe1.k", "sbe1..AAAA", "sbe1.a b.AAAA", "sbe1.é.AAAA"] {
            assert!(parse(damaged.as_bytes()).is_none(), "{damaged}");
        }
        assert!(parse(format!("sbe1.k{long}.").as_bytes()).is_none());
        assert!(parse(b"sbe1.k.\xff").is_none());
    }
}
