//! Tokens drawn by lot are masked, and what people write is not.

use super::*;

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const SMALL_BASE32: &str = "abcdefghijklmnopqrstuvwxyz234567";
const HEX: &str = "0123456789abcdef";

const TOKENS: usize = 10_000;

/// SplitMix64: the same tokens in each run.
struct Lot(u64);

impl Lot {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn token(&mut self, alphabet: &str, length: usize) -> String {
        let letters = alphabet.as_bytes();
        let count = u64::try_from(letters.len()).unwrap();
        let mut letter = || letters[usize::try_from(self.draw() % count).unwrap()];
        (0..length).map(|_| char::from(letter())).collect()
    }
}

fn shown(text: &str) -> String {
    let mut value = json!(text);
    mask(&mut value);
    value.as_str().unwrap().to_owned()
}

#[test]
fn of_a_thousand_tokens_at_most_one_is_shown() {
    let mut lot = Lot(20_261_127);
    for (alphabet, lengths) in [
        (BASE64, &[22, 24, 32, 43, 44][..]),
        (URL_SAFE, &[22, 24, 32, 43, 44]),
        (&BASE64[..62], &[20, 22, 24, 32]),
        (HEX, &[20, 32, 40]),
        (BASE32, &[16, 26, 32]),
        (SMALL_BASE32, &[16, 26, 32]),
    ] {
        for &length in lengths {
            let tokens = (0..TOKENS).map(|_| lot.token(alphabet, length));
            let open = tokens.filter(|token| shown(token) == *token).count();
            assert!(open * 1_000 <= TOKENS, "{alphabet} {length}: {open} of {TOKENS} are shown");
        }
    }
}

#[test]
fn codes_of_small_letters_are_masked_and_words_are_not() {
    for code in [
        "abcd-efgh-ijkl-mnop",
        "wqkz-pfhb-xjvn-tgrd",
        "k3j9-x7q2",
        "k3j9-x7q2-m4pz",
        "a1b2c-3d4e5",
        "k3j9-x7q2-m4pz-8wvt",
    ] {
        assert_eq!(shown(code), MASKED);
        assert_eq!(shown(&format!("codes: {code}, {code}")), "codes: [masked], [masked]");
    }
    for words in [
        "state-of-the-art",
        "sign-in-page",
        "this-that-from-with",
        "blue-cart-item-list",
        "2026-road-trip-plan",
        "road-trip-plan-2026",
        "i18n-a11y",
        "2026-2027",
        "open-air",
    ] {
        assert_eq!(shown(words), words);
    }
}

#[test]
fn what_people_write_is_shown() {
    let words = include_str!("ordinary.txt");
    let masked: Vec<&str> = words.lines().filter(|text| shown(text) != **text).collect();
    assert_eq!(masked, Vec::<&str>::new());
    assert!(words.lines().count() > 200);
}

#[test]
fn of_wardens_key_the_user_is_shown_and_the_salt_is_not() {
    for scope in ["user", "admin"] {
        let name = format!("warden.user.{scope}.key");
        for salt in ["$2a$11$abcdefghijklmnopqrstuu", "short", "QpzTrKxWmJdLgHfBsVnC"] {
            check(json!({ &name: [[42], salt] }), json!({ &name: [[42], MASKED] }));
        }
    }
    check(
        json!({"devise.two_factor_user_id": 42, "devise.two_factor_proof": "x"}),
        json!({"devise.two_factor_user_id": 42, "devise.two_factor_proof": "[masked]"}),
    );
}
