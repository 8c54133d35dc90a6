//! Sealing and opening: AES-256-GCM under a key of the message's own, derived by HKDF-SHA256.

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce, Tag};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::keys::{KEY_LEN, Key, Keys};
use crate::codec::base64 as lines;
use crate::codec::envelope::{self, MARK};
use crate::error::{Error, Kind, Result};
use crate::id::PrivateId;

pub(super) const FORMAT: &str = "encrypted";

/// Random bytes from which a message's key and nonce come: two of them meet after 2^96 messages.
const SALT_LEN: usize = 24;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// What the derived bytes are for.
const INFO: &[u8] = b"sqlbypass/session/1";

/// The first byte under the seal: what the others are.
const AS_IS: u8 = 0;
/// Bytes whose base64, in Ruby's lines, is the data: that of Marshal takes a quarter less so.
const IN_BASE64: u8 = 1;

/// The envelope of data that is valid in this row alone.
pub(super) fn seal(key: &Key, row: &PrivateId, data: &[u8]) -> Result<String> {
    let (kind, content) = packed(data);
    let content = content.as_deref().unwrap_or(data);
    let header = format!("{MARK}{}.", key.id());
    let mut body = Vec::with_capacity(SALT_LEN + 1 + content.len() + TAG_LEN);
    body.resize(SALT_LEN, 0);
    getrandom::fill(&mut body).map_err(|_| {
        Error::new(Kind::Random, "encrypting session data", "the system gave no randomness")
    })?;
    let (cipher, nonce) = cipher(key, &body)?;
    body.push(kind);
    body.extend_from_slice(content);
    let sealed = cipher.encrypt_inout_detached(
        &nonce,
        &bound(&header, row),
        body[SALT_LEN..].as_mut().into(),
    );
    let tag = sealed.map_err(|_| Error::value("encrypting session data", "it is too long"))?;
    body.extend_from_slice(&tag);
    let mut text = header;
    text.reserve_exact(body.len().div_ceil(3) * 4);
    BASE64_URL_SAFE_NO_PAD.encode_string(&body, &mut text);
    Ok(text)
}

/// The data in an envelope that was sealed for this row.
pub(super) fn open(keys: &Keys, row: &PrivateId, stored: &[u8]) -> Result<Bytes> {
    let Some(envelope) = envelope::parse(stored) else {
        return Err(damaged(MARK.len(), "its envelope names no key"));
    };
    let Some(key) = keys.find(envelope.key_id) else {
        let problem = format!("the key {:?} is not on the ring", envelope.key_id);
        return Err(Error::decode(FORMAT, None, problem)
            .advice("add that key to those that read; the row is left as it is"));
    };
    let body = BASE64_URL_SAFE_NO_PAD.decode(envelope.body);
    let mut body = body.map_err(|_| damaged(envelope.at, "its envelope is no base64"))?;
    if body.len() < SALT_LEN + 1 + TAG_LEN {
        return Err(damaged(stored.len(), "its envelope ends too early"));
    }
    let tag = body.split_off(body.len() - TAG_LEN);
    let (salt, sealed) = body.split_at_mut(SALT_LEN);
    let (cipher, nonce) = cipher(key, salt)?;
    let tag = Tag::try_from(tag.as_slice()).map_err(|_| refused())?;
    cipher
        .decrypt_inout_detached(&nonce, &bound(envelope.header, row), sealed.into(), &tag)
        .map_err(|_| refused())?;
    let content = Bytes::from(body).slice(SALT_LEN..);
    match content[0] {
        AS_IS => Ok(content.slice(1..)),
        IN_BASE64 => Ok(lines::encode(&content[1..]).into()),
        _ => Err(damaged(envelope.at, "a newer version has written it")),
    }
}

/// What the seal vouches for beside the data: the version, the key's id, and the row.
fn bound(header: &str, row: &PrivateId) -> Vec<u8> {
    [header.as_bytes(), row.as_bytes()].concat()
}

fn cipher(key: &Key, salt: &[u8]) -> Result<(Aes256Gcm, Nonce<aes_gcm::aead::consts::U12>)> {
    let mut derived = Zeroizing::new([0; KEY_LEN + NONCE_LEN]);
    let filled = Hkdf::<Sha256>::new(Some(salt), key.secret()).expand(INFO, &mut *derived);
    let (key, nonce) = derived.split_at(KEY_LEN);
    match (filled, Aes256Gcm::new_from_slice(key), Nonce::try_from(nonce)) {
        (Ok(()), Ok(cipher), Ok(nonce)) => Ok((cipher, nonce)),
        _ => unreachable!("the lengths are those of AES-256 and of its nonce"),
    }
}

/// What goes under the seal; `None`: the data as it is.
fn packed(data: &[u8]) -> (u8, Option<Vec<u8>>) {
    if data.starts_with(b"BAh") {
        let bytes = lines::decode(data);
        if lines::encode(&bytes) == data {
            return (IN_BASE64, Some(bytes));
        }
    }
    (AS_IS, None)
}

fn damaged(at: usize, problem: &'static str) -> Error {
    Error::decode(FORMAT, Some(at), problem).advice("the row is left as it is")
}

fn refused() -> Error {
    Error::decode(FORMAT, None, "its seal does not fit")
        .advice("it was changed, moved from another row, or written under another key of that id; the row is left as it is")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::SessionId;

    fn row(id: &str) -> PrivateId {
        SessionId::parse(id.as_bytes()).unwrap().private()
    }

    fn ring() -> Keys {
        let key = |id, byte| Key::new(id, [byte; 32]).unwrap();
        Keys::new(key("new", 1)).reads(key("old", 2)).unwrap()
    }

    #[test]
    fn marshal_is_sealed_without_its_base64_and_comes_back_as_it_was() {
        let whole = lines::encode(&[[4, 8].as_slice(), &[b'x'; 998]].concat());
        let odd = [b"BAh".as_slice(), b" no lines of ruby's"].concat();
        for data in [whole.as_slice(), &odd, b"BAh7AA==\n", b"BAh7AA==", b"{}", b""] {
            let text = seal(ring().writer(), &row("a"), data).unwrap();
            assert_eq!(open(&ring(), &row("a"), text.as_bytes()).unwrap(), data);
        }
        let sealed = seal(ring().writer(), &row("a"), &whole).unwrap();
        assert_eq!(sealed.len(), "sbe1.new.".len() + (24_usize + 1 + 1_000 + 16) * 4 / 3);
    }

    #[test]
    fn no_two_envelopes_are_alike() {
        let seal = || seal(ring().writer(), &row("a"), b"{}").unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn what_has_another_row_key_or_version_does_not_open() {
        let keys = ring();
        let text = seal(keys.find("old").unwrap(), &row("a"), b"secret words").unwrap();
        let error = |keys: &Keys, row: &PrivateId, text: &str| {
            let error = open(keys, row, text.as_bytes()).unwrap_err();
            assert!(error.is_decode());
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("not valid encrypted") && !shown.contains("secret"), "{shown}");
            assert!(text.len() < 10 || !shown.contains(&text[9..]), "{shown}");
            shown
        };
        assert!(open(&keys, &row("a"), text.as_bytes()).is_ok());
        assert!(error(&keys, &row("b"), &text).contains("its seal does not fit"));
        let other = Keys::new(Key::new("other", [2; 32]).unwrap());
        assert!(error(&other, &row("a"), &text).contains("\"old\" is not on the ring"));
        let wrong = Keys::new(Key::new("old", [3; 32]).unwrap());
        assert!(error(&wrong, &row("a"), &text).contains("its seal does not fit"));
        let renamed = Keys::new(Key::new("older", [2; 32]).unwrap());
        let moved = text.replace(".old.", ".older.");
        assert!(error(&renamed, &row("a"), &moved).contains("its seal does not fit"));
        assert!(error(&keys, &row("a"), &format!("{text}==")).contains("no base64"));
        assert!(error(&keys, &row("a"), "sbe1.old.AAAA").contains("ends too early"));
        assert!(error(&keys, &row("a"), "sbe1.old").contains("names no key"));
    }

    /// Who has the key could seal nothing at all, which has no kind.
    #[test]
    fn an_envelope_of_nothing_ends_too_early() {
        let (keys, row) = (ring(), row("a"));
        let header = format!("{MARK}new.");
        let mut body = vec![7; SALT_LEN];
        let (cipher, nonce) = cipher(keys.writer(), &body).unwrap();
        let bound = bound(&header, &row);
        let tag = cipher.encrypt_inout_detached(&nonce, &bound, [].as_mut_slice().into()).unwrap();
        body.extend_from_slice(&tag);
        let text = header + &BASE64_URL_SAFE_NO_PAD.encode(&body);
        let error = open(&keys, &row, text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("ends too early"), "{error}");
    }

    /// Every bit counts, and every end.
    #[test]
    fn what_is_changed_or_cut_does_not_open() {
        let keys = ring();
        let text = seal(keys.writer(), &row("a"), b"0123456789").unwrap().into_bytes();
        for at in 0..text.len() {
            assert!(open(&keys, &row("a"), &text[..at]).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut changed = text.clone();
                changed[at] ^= 1 << bit;
                assert!(open(&keys, &row("a"), &changed).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_comes_back(data: Vec<u8>, id in "[a-z]{1,80}") {
            let text = seal(ring().writer(), &row(&id), &data).unwrap();
            prop_assert!(envelope::is_envelope(text.as_bytes()));
            prop_assert_eq!(open(&ring(), &row(&id), text.as_bytes()).unwrap(), &data);
            let quoted = format!("\"{text}\"");
            prop_assert_eq!(open(&ring(), &row(&id), quoted.as_bytes()).unwrap(), &data);
        }

        #[test]
        fn whatever_comes_is_answered(tail: Vec<u8>, head in "(\")?sbe1[.](new[.])?") {
            let stored = [head.as_bytes(), &tail].concat();
            prop_assert!(open(&ring(), &row("a"), &stored).is_err());
        }
    }
}
