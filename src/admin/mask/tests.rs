//! What is masked, and what is not.

use super::*;
use serde_json::json;

mod tokens;

#[track_caller]
fn check(value: Value, expected: Value) {
    let mut masked = value;
    mask(&mut masked);
    assert_eq!(masked, expected);
}

#[test]
fn secrets_are_masked_and_the_rest_is_not() {
    check(
        json!({
            "_csrf_token": "short",
            "warden.user.user.key": [[42], "$2a$11$abcdefghijklmnopqrstuu"],
            "warden.user.user.session": {"last_request_at": 1_700_000_000},
            "cart": [{"sku": "red shoes", "count": 2}],
            "nested": {"api_key": ["x", {"id": 7}], "id": "0123456789abcdef0123456789abcdef"},
            "user": "ada",
        }),
        json!({
            "_csrf_token": "[masked]",
            "warden.user.user.key": [[42], "[masked]"],
            "warden.user.user.session": {"last_request_at": 1_700_000_000},
            "cart": [{"sku": "red shoes", "count": 2}],
            "nested": {"api_key": ["[masked]", {"id": "[masked]"}], "id": "[masked]"},
            "user": "ada",
        }),
    );
}

#[test]
fn names_are_secret_by_their_words() {
    for name in [
        "credit_card",
        "cardNumber",
        "card",
        "jwt",
        "pin",
        "user-pin",
        "passphrase",
        "pass",
        "cvv",
        "cvc",
        "ssn",
        "iban",
        "bearer",
        "private_key",
        "password_hash",
        "code",
        "apiKey",
        "APIKEY",
        "accessToken",
        "state",
        "otp",
        "security_code",
        "sms_code",
        "signinCode",
        "pw",
        "user[password]",
        "X-Auth",
        "sessionId",
        "AWSKey",
        "SSHKey",
        "userPIN",
        "userPINs",
        "APIKeyID",
        "myJWT",
        "otpcode",
        "smscode",
        "authcode",
        "accesskey",
        "privatekey",
        "sign_in_code",
        "card_number",
        "github_pat",
        "pat",
        "otp_secret",
        "recovery_codes",
        "backup_codes",
        "magic_link",
        "devise.two_factor_code",
        "SHIPPING_API_KEY",
    ] {
        check(json!({ name: "x" }), json!({ name: "[masked]" }));
        check(json!({ name: 4_711 }), json!({ name: "[masked]" }));
        check(json!({ name: [true, null] }), json!({ name: [true, null] }));
    }
}

#[test]
fn words_within_words_are_no_secrets() {
    for name in [
        "country_code",
        "cart",
        "cardinal",
        "passenger",
        "compass",
        "author",
        "keyboard",
        "estate",
        "pinned",
        "spin",
        "hashtag",
        "locale",
        "flash",
        "user_return_to",
        "laptop",
        "zipcode",
        "barcode",
        "monkey",
        "turkeys",
        "HTTPStatus",
        "PINEApple",
        "URLs",
        "path",
        "pattern",
        "patch",
        "SHOPPING_CART_ITEM_IDENTIFIER",
        "CONFIRMATIONREQUIRED",
    ] {
        check(json!({ name: "x" }), json!({ name: "x" }));
    }
}

#[test]
fn urls_lose_their_secrets_alone() {
    for (text, shown) in [
        ("/orders?page=2&sort=name", "/orders?page=2&sort=name"),
        ("/reset?reset_password_token=abc&lang=de", "/reset?reset_password_token=[masked]&lang=de"),
        (
            "https://x.example/cb?code=abc&state=x#top",
            "https://x.example/cb?code=[masked]&state=[masked]#top",
        ),
        ("https://x.example/#access_token=abc", "https://x.example/#access_token=[masked]"),
        (
            "see https://ada:pw@x.example/a?sig=b&key=c now",
            "see https://[masked]@x.example/a?sig=[masked]&key=[masked] now",
        ),
        ("https://ghp@x.example", "https://[masked]@x.example"),
        ("mail ada@x.example", "mail ada@x.example"),
        ("https://x.example/@ada/toots", "https://x.example/@ada/toots"),
        ("/in?next=%2Freset%3Ftoken%3Dabc&a=b", "/in?next=[masked]&a=b"),
        ("/in?next=%2Forders%3Fpage%3D2", "/in?next=%2Forders%3Fpage%3D2"),
        ("/a?ref=Zm9vYmFyMTIzNDU2Nzg5", "/a?ref=[masked]"),
        (r"https:\/\/ada:pw@x.example\/a", "https://[masked]@x.example/a"),
        (r"https:\/\/x.example\/a?token=b&c=d", "https://x.example/a?token=[masked]&c=d"),
        (r"https:\/\/x.example\/orders", r"https:\/\/x.example\/orders"),
        ("https%3A%2F%2Fada%3Apw%40x.example", "https://[masked]@x.example"),
        ("to https%3a%2f%2fada%3apw%40x.example now", "to https://[masked]@x.example now"),
        ("https%253A%252F%252Fada%253Apw%2540x.example", "https://[masked]@x.example"),
        (
            "https%3A%2F%2Fx.example%2Fa%3Ftoken%3Db%26c%3Dd",
            "https://x.example/a?token=[masked]&c=d",
        ),
        ("https%3A%2F%2Fada%3Apw%40x.example&page=2", "https://[masked]@x.example&page=2"),
        ("/in?next=https%3A%2F%2Fx.example%2F%3Ftoken%3Db&a=b", "/in?next=[masked]&a=b"),
        (
            "https%3A%2F%2Fx.example%2Forders%3Fpage%3D2",
            "https%3A%2F%2Fx.example%2Forders%3Fpage%3D2",
        ),
        ("password=hunter", "password=[masked]"),
        ("/a?t%6Fken=b", "/a?t%6Fken=[masked]"),
        ("2 + 2 = 4, so a=b", "2 + 2 = 4, so a=b"),
    ] {
        check(json!({ "to": text }), json!({ "to": shown }));
    }
}

#[test]
fn tokens_are_found_in_any_text() {
    for (text, shown) in [
        ("eyJhbGciOiJI.eyJzdWIi.c2ln", "[masked]"),
        ("got eyJhbGci.eyJz.c2 back", "got [masked] back"),
        ("https://x.example/v/eyJhbGci.eyJz.c2/end", "https://x.example/v/[masked]/end"),
        ("Bearer abc", "Bearer [masked]"),
        ("Authorization: bearer  abc, def", "Authorization: bearer  [masked], def"),
        ("the bearer", "the bearer"),
        ("eyJump high.", "eyJump high."),
    ] {
        check(json!([text]), json!([shown]));
    }
}

#[test]
fn numbers_that_count_secrets_are_shown() {
    for name in [
        "tokens_left",
        "token_count",
        "max_tokens",
        "remainingCodes",
        "otp_attempts",
        "password_changed_at",
        "token_expires_in",
        "tokenTTL",
        "pin_length",
        "card_limit",
    ] {
        check(json!({ name: 5 }), json!({ name: 5 }));
        check(json!({ name: "five" }), json!({ name: "[masked]" }));
        check(
            json!({ name: [{"id": 5, "pin": 1}] }),
            json!({ name: [{"id": 5, "pin": "[masked]"}] }),
        );
    }
    for name in ["card_expiry", "max_pass", "pin_in", "count_pin", "left_token"] {
        check(json!({ name: 5 }), json!({ name: "[masked]" }));
    }
    check(
        json!(["/a?tokens_left=5&token_count=x"]),
        json!(["/a?tokens_left=5&token_count=[masked]"]),
    );
}

#[test]
fn passwords_within_urls_are_masked_whole() {
    for (text, shown) in [
        ("https://ada:p&w;x,y@host/a?b=1", "https://[masked]@host/a?b=1"),
        ("https://ada:p@w@host/a", "https://[masked]@host/a"),
        ("postgres://ada:8639/MuL0zU@db/shop", "postgres://[masked]@db/shop"),
        ("https://ada:p/w@host/a", "https://[masked]@host/a"),
        ("https://ada:p?w#x@host/a", "https://[masked]@host/a"),
        ("https://ada:p\"w'x<y@host/a", "https://[masked]@host/a"),
        ("https://ada:p=w@host/a", "https://[masked]@host/a"),
        ("a://b:c@d e://f:g@h/i", "a://[masked]@d e://[masked]@h/i"),
        ("/in?next=https://ada:p@host", "/in?next=https://[masked]@host"),
        ("https://x.example:8080/@ada", "https://x.example:8080/@ada"),
        ("https://x.example/?mail=a@b.example", "https://x.example/?mail=a@b.example"),
        ("https://[::1]:80/a@b", "https://[::1]:80/a@b"),
    ] {
        check(json!([text]), json!([shown]));
    }
}

#[test]
fn what_looks_random_is_masked_wherever_it_stands() {
    for (text, shown) in [
        ("/reset/Zm9vYmFyMTIzNDU2Nzg5/edit", "/reset/[masked]/edit"),
        (
            "https://x.example/reset/Zm9vYmFyMTIzNDU2Nzg5?a=b",
            "https://x.example/reset/[masked]?a=b",
        ),
        ("/reset/Zm9vYmFy%4DTIzNDU2Nzg5/edit", "/reset/[masked]/edit"),
        ("/in?next=%2Freset%2FZm9vYmFyMTIzNDU2Nzg5", "/in?next=[masked]"),
        ("your code Zm9vYmFyMTIzNDU2Nzg5", "your code [masked]"),
        ("code:Zm9vYmFyMTIzNDU2Nzg5.", "code:[masked]"),
        ("(Zm9vYmFyMTIzNDU2Nzg5)", "([masked])"),
        ("it is Zm9v+YmFy/MTIzNDU2Nzg5== now", "it is [masked] now"),
        ("0b8c7a1e-5f0d-4c3b-9a2e-1d6f7e8a9b0c", "[masked]"),
        ("12345678-1234-1234-1234-123456789012", "[masked]"),
        ("x7k2-9mf4-q1zt-8wpa", "[masked]"),
        ("0123456789abcdef", "[masked]"),
        ("/a/article-of-the-day-5b7e", "/a/[masked]"),
        ("article-of-the-day-91c4", "[masked]"),
        ("$2a$11$abcdefghijklmnopqrstuu", "[masked]"),
        ("is $argon2id$v=19$m=1,t=2,p=1$c2FsdA$aGFzaA now", "is [masked] now"),
        ("/path/token=abc", "/path/token=[masked]"),
        ("/a;token=abc", "/a;token=[masked]"),
        ("https://x.example/a/token=abc", "https://x.example/a/token=[masked]"),
        ("/tokens/page=3", "/tokens/page=3"),
    ] {
        check(json!([text]), json!([shown]));
    }
}

#[test]
fn what_people_have_named_is_shown() {
    for text in [
        "2026-11-27T10:20:30",
        "2026-11-27T10:20:30.123456Z",
        "2026-11-27T10:20:30+01:00",
        "2026-11-27 10:20:30 +0100",
        "20261127T102030Z",
        "1764242622000",
        "my-article-about-rust-2026",
        "/articles/2026/11/27/my-article-about-rust-2026",
        "/orders/1234567890123456789/edit",
        "/MyArticleAboutRust2026/screenshot_20261127.png",
        "users/42/profile_pictures/large/2",
        "ada.lovelace2026@mail.example.com",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0",
        "application/vnd.api+json;version=2",
        "iphone14pro-max-case-red",
        "w3c-i18n-a11y-guide-2026",
        "wallpaper_800x600.png",
        "log-2026-11-27T10-20-30",
        "ActionController::Parameters",
        "3.50 $ and 4.50 $",
    ] {
        check(json!([text]), json!([text]));
    }
}

#[test]
fn numbers_of_cards_are_masked() {
    for (text, shown) in [
        ("4111111111111111", "[masked]"),
        ("my card: 4111 1111 1111 1111, thanks", "my card: [masked], thanks"),
        ("4111-1111-1111-1111", "[masked]"),
        ("3782 822463 10005", "[masked]"),
        ("nr=4111111111111111", "nr=[masked]"),
        ("/pay/4111+1111+1111+1111", "/pay/[masked]"),
        ("/pay?nr=4111%201111%201111%201111", "/pay?nr=[masked]"),
        ("12 4111 1111 1111 1111 12", "12 [masked] 12"),
        ("nr4222222222222", "nr[masked]"),
        ("4222222222222", "[masked]"),
        ("6304000000000000000", "[masked]"),
        // One digit is wrong; too few and too many.
        ("4111111111111112", "4111111111111112"),
        ("411111111111", "411111111111"),
        ("41111111111111111111111111111111", "41111111111111111111111111111111"),
        ("0.4111111111111111", "0.4111111111111111"),
    ] {
        check(json!([text]), json!([shown]));
    }
    let shown = json!("[masked]");
    check(json!([4_111_111_111_111_111_u64, 4_111_111_111_111_111.0]), json!([shown, shown]));
    // Times in thousandths of a second, every tenth of which passes Luhn's test.
    let times: Vec<u64> = (1_764_242_622_000..1_764_242_622_100).collect();
    check(json!(times), json!(times));
    check(
        json!([4_111_111_111_111_112_u64, -4_111_111_111_111_111_i64]),
        json!([4_111_111_111_111_112_u64, -4_111_111_111_111_111_i64]),
    );
}

#[test]
fn names_that_are_secrets_are_masked_and_keep_their_values() {
    let token = "0123456789abcdef0123456789abcdef";
    check(
        json!({"by_token": {token: 1, "4111 1111 1111 1111": 2}, "seen": {token: "yes", "me": "no"}}),
        json!({
            "by_token": {"[masked]": "[masked]", "[masked] 2": "[masked]"},
            "seen": {"[masked]": "yes", "me": "no"},
        }),
    );
}

#[test]
fn codes_in_groups_are_random() {
    for code in ["WKLQ-89GK-N95C-Q5ZW", "ABCDE-FGHIJ-KLMNO-PQRST-UVWX1", "2026-ABCD-EFGH-IJKL"] {
        check(json!([code]), json!(["[masked]"]));
        check(json!([format!("your code {code}.")]), json!(["your code [masked]"]));
    }
    check(
        json!(["2026-11-27-10-20-30", "NORTH-SOUTH-EAST-WEST"]),
        json!(["2026-11-27-10-20-30", "NORTH-SOUTH-EAST-WEST"]),
    );
}

#[test]
fn json_within_texts_is_masked_as_json() {
    for (text, shown) in [
        (r#"{"password":"x","n":1}"#, r#"{"password":"[masked]","n":1}"#),
        (r#" [{"pin": 1}, "red shoes"]"#, r#"[{"pin":"[masked]"},"red shoes"]"#),
        (r#"{"a": "red shoes"}"#, r#"{"a": "red shoes"}"#),
        (r#""{\"password\":\"x\"}""#, r#""{\"password\":\"[masked]\"}""#),
        (r#"{"a":"{\"token\":\"x\",\"n\":1}"}"#, r#"{"a":"{\"token\":\"[masked]\",\"n\":1}"}"#),
        ("/a?filter=%7B%22password%22%3A%22x%22%7D", "/a?filter=[masked]"),
        ("[draft] my article", "[draft] my article"),
    ] {
        check(json!([text]), json!([shown]));
    }
    let mut deep = json!({ "password": "sentinel" }).to_string();
    for _ in 0..8 {
        deep = json!({ "a": deep }).to_string();
    }
    let mut masked = json!([deep]);
    mask(&mut masked);
    assert!(!masked.to_string().contains("sentinel"), "{masked}");
}

#[test]
fn a_hostile_text_does_not_take_long() {
    let deep = "a=".repeat(100_000);
    check(json!([deep.clone()]), json!(["a=[masked]"]));
    check(json!(["&".repeat(1_000_000)]), json!(["&".repeat(1_000_000)]));
    for part in [
        "://",
        "a://b:c/",
        "a://b:c?@",
        "@",
        "/",
        "/=",
        "=/",
        "$a",
        "$a$",
        "eyJ.",
        "eyJ",
        "a1-",
        "4",
        "4 ",
        "4111 ",
        "4111-111 ",
        "[",
        "{\"a\":",
        "\"",
        "\\\"",
        "%",
        "%2f",
        "%25",
        "%2525 ",
        "%3A%2F%2F",
        "\\/",
        "qZ",
        "k3j9-",
        ".",
        "+",
        "T1",
        "aB1",
        "bearer ",
        "ä1",
    ] {
        for around in ["", "\"", "/a=", "[", "@"] {
            let mut text = json!([format!("{around}{}", part.repeat(250_000 / part.len()))]);
            let begun = std::time::Instant::now();
            mask(&mut text);
            assert!(begun.elapsed().as_secs() < 3, "{around} {part}");
        }
    }
}
