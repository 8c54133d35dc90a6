//! Rails' tokens against forged requests, as `RequestForgeryProtection` of Rails 6.1 to 8 makes and
//! checks them.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Kind, Result};

const LEN: usize = 32;
/// What Rails signs for the token of all forms.
const GLOBAL: &str = "!real_csrf_token";

/// Base64 without spare bits, padded or not.
const STRICT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The session's secret of Rails' protection against forged requests.
///
/// It lies under the key [`CsrfToken::KEY`] and never leaves the session: pages get a masked token,
/// different on every page, which a form sends back as `authenticity_token` and a script in the
/// header `X-CSRF-Token`. Tokens made by Rails are verified here and the other way round.
///
/// # Examples
///
/// ```
/// use sqlbypass::CsrfToken;
///
/// let token = CsrfToken::generate().unwrap();
/// let stored = token.to_session(); // session.insert(CsrfToken::KEY, &stored)
///
/// let sent = CsrfToken::from_session(&stored).unwrap().masked().unwrap();
/// assert!(token.verify(&sent));
/// assert!(!token.verify("forged"));
/// ```
#[derive(Clone)]
pub struct CsrfToken([u8; LEN]);

impl CsrfToken {
    /// The session key it lies under.
    pub const KEY: &'static str = "_csrf_token";

    /// Makes a new one from the system's generator.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self> {
        random().map(Self)
    }

    /// Takes the text under [`CsrfToken::KEY`], of any version of Rails; `None` if it is not 32
    /// bytes in base64.
    pub fn from_session(stored: &str) -> Option<Self> {
        let bytes = Zeroizing::new(decode(stored)?);
        bytes.as_slice().try_into().ok().map(Self)
    }

    /// The text to store under [`CsrfToken::KEY`].
    pub fn to_session(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// A token for a page: good for every form and for the header.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn masked(&self) -> Result<String> {
        mask(&self.sign(GLOBAL))
    }

    /// A token for one form (`per_form_csrf_tokens`): good for this path and method alone.
    ///
    /// The path is the one that the form is sent to, without query; the method that of the route,
    /// also where a form says it in `_method`.
    ///
    /// # Errors
    ///
    /// When the system has no randomness to give.
    pub fn masked_for(&self, path: &str, method: &str) -> Result<String> {
        mask(&self.sign_form(path, method))
    }

    /// Whether a request's token is one of [`CsrfToken::masked`], or the bare secret as older
    /// versions of Rails sent it. Takes the same time for every token of the same length.
    pub fn verify(&self, candidate: &str) -> bool {
        self.check(candidate, &[self.sign(GLOBAL), self.0])
    }

    /// The same, and tokens of [`CsrfToken::masked_for`] for the request's path and method too.
    pub fn verify_for(&self, candidate: &str, path: &str, method: &str) -> bool {
        self.check(candidate, &[self.sign(GLOBAL), self.0, self.sign_form(path, method)])
    }

    fn check(&self, candidate: &str, accepted: &[[u8; LEN]]) -> bool {
        let Some(bytes) = decode(candidate) else { return false };
        let is_one_of = |token: &[u8], accepted: &[[u8; LEN]]| -> Choice {
            let choices = accepted.iter().map(|accepted| accepted.as_slice().ct_eq(token));
            choices.fold(Choice::from(0), |any, choice| any | choice)
        };
        match bytes.len() {
            LEN => is_one_of(&bytes, &[self.0]).into(),
            64 => {
                let (pad, token) = bytes.split_at(LEN);
                let token: Vec<u8> = pad.iter().zip(token).map(|(a, b)| a ^ b).collect();
                is_one_of(&token, accepted).into()
            }
            _ => false,
        }
    }

    fn sign_form(&self, path: &str, method: &str) -> [u8; LEN] {
        let path = path.strip_suffix('/').unwrap_or(path);
        self.sign(&format!("{path}#{}", method.to_lowercase()))
    }

    fn sign(&self, text: &str) -> [u8; LEN] {
        // A key shorter than SHA-256's block is the same as one filled up with zeros.
        let mut block = [0; 64];
        block[..LEN].copy_from_slice(&self.0);
        let mut hmac = Hmac::<Sha256>::new(&block.into());
        block.zeroize();
        hmac.update(text.as_bytes());
        hmac.finalize().into_bytes().into()
    }
}

impl Drop for CsrfToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfToken(..)")
    }
}

fn random() -> Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    getrandom::fill(&mut bytes)
        .map_err(|_| Error::new(Kind::Random, "making a token", "the system gave no randomness"))?;
    Ok(bytes)
}

/// A one-time pad, and the token under it: a page compressed with it tells nothing (BREACH).
fn mask(token: &[u8; LEN]) -> Result<String> {
    let mut masked = [0; 2 * LEN];
    let (pad, hidden) = masked.split_at_mut(LEN);
    pad.copy_from_slice(&random()?);
    for ((hidden, pad), token) in hidden.iter_mut().zip(pad).zip(token) {
        *hidden = *pad ^ token;
    }
    Ok(BASE64_URL_SAFE_NO_PAD.encode(masked))
}

/// As Ruby's `Base64.urlsafe_decode64`: either alphabet, padded whole or not at all.
fn decode(text: &str) -> Option<Vec<u8>> {
    // Longer texts are no token.
    if text.len() > 96 || (text.ends_with('=') && !text.len().is_multiple_of(4)) {
        return None;
    }
    STRICT.decode(text.replace('-', "+").replace('_', "/")).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn base64_of_tokens_reads_as_in_ruby() {
        let rows = include_str!("../../tests/fixtures/rails_helpers.jsonl").lines();
        let rows = rows.map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
        for row in rows.filter(|row| row["kind"] == "urlsafe_decode64") {
            let decoded = decode(row["text"].as_str().unwrap());
            let hex =
                decoded.map(|bytes| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
            assert_eq!(hex.as_deref(), row["hex"].as_str(), "{}", row["text"]);
        }
    }
}
