use serde_json::{Value as Row, json};
use sqlbypass::{Codec, CsrfToken, Flash, Json, Marshal, Value, WardenUser};

use super::interpreter::ruby;
use super::support::rows;

fn csrf_rows() -> Vec<Row> {
    let rows: Vec<Row> = rows("rails_helpers.jsonl");
    rows.into_iter().filter(|row| row["kind"] == "csrf").collect()
}

fn text<'a>(row: &'a Row, key: &str) -> &'a str {
    row[key].as_str().unwrap()
}

#[test]
fn tokens_of_rails_are_verified() {
    let rows = csrf_rows();
    assert_eq!(rows.len(), 8);
    for row in &rows {
        let token = CsrfToken::from_session(text(row, "session")).unwrap();
        let (path, method, masked) = (text(row, "path"), text(row, "method"), &row["masked"]);
        for kind in ["global", "real"] {
            assert!(token.verify(text(masked, kind)), "{kind}");
            assert!(token.verify_for(text(masked, kind), path, method), "{kind}");
        }
        assert!(token.verify(text(row, "unmasked")));
        assert!(token.verify_for(text(masked, "form"), path, method));
        // Rails compares paths without the slash at their end, and methods in lower case.
        let spelt = format!("{}/", path.strip_suffix('/').unwrap_or(path));
        assert!(token.verify_for(text(masked, "form"), &spelt, &method.to_uppercase()));
        assert!(!token.verify(text(masked, "form")));
        assert!(!token.verify_for(text(masked, "form"), "/elsewhere", method));
        assert!(!token.verify_for(text(masked, "form"), path, "get"));
        assert!(!token.verify_for(text(masked, "other"), path, method));
    }
}

#[test]
fn only_whole_tokens_of_this_session_are_verified() {
    let rows = csrf_rows();
    let mine = CsrfToken::from_session(text(&rows[0], "session")).unwrap();
    assert!(!mine.verify(text(&rows[1]["masked"], "global")));
    let good = mine.masked().unwrap();
    assert_eq!(good.len(), 86);
    assert_ne!(good, mine.masked().unwrap(), "every page has its own");
    for at in 0..good.len() {
        assert!(!mine.verify(&good[..at]));
        let mut forged = good.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        assert!(!mine.verify(&String::from_utf8(forged).unwrap()), "{at}");
    }
    for odd in ["", "=", "é", &"A".repeat(43), &"A".repeat(86), &"A".repeat(100_000)] {
        assert!(!mine.verify(odd));
    }
    assert!(CsrfToken::from_session("c0bX").is_none());
    assert_eq!(format!("{mine:?}"), "CsrfToken(..)");
}

#[test]
fn tokens_made_here_are_verified_by_rails_steps() {
    let token = CsrfToken::generate().unwrap();
    let input = json!({
        "session": token.to_session(),
        "global": token.masked().unwrap(),
        "form": token.masked_for("/posts/1/", "PATCH").unwrap(),
    });
    let script = r##"
        require "base64"; require "json"; require "openssl"
        data = JSON.parse(STDIN.read)
        real = Base64.urlsafe_decode64(data["session"])
        unmask = ->(token) {
          bytes = Base64.urlsafe_decode64(token).bytes
          bytes[0, 32].zip(bytes[32..]).map { |a, b| a ^ b }.pack("C*")
        }
        hmac = ->(text) { OpenSSL::HMAC.digest("SHA256", real, text) }
        p [real.bytesize, unmask[data["global"]] == hmac["!real_csrf_token"],
           unmask[data["form"]] == hmac["/posts/1#patch"]]"##;
    let Some(answer) = ruby(script, input.to_string().as_bytes()) else { return };
    assert_eq!(String::from_utf8_lossy(&answer), "[32, true, true]\n");
}

/// A session with a flash, as Rails stored it.
const STORED: &str = concat!(
    r#"{"value":{"_csrf_token":"c0bXn0H5vJqv1M4Yq1rVtK2l3m4n5o6p7q8r9s0t1u8=","#,
    r#""warden.user.user.key":[[42],"$2a$11$abcdefghijklmnopqrstuu"],"#,
    r#""flash":{"discard":[],"flashes":{"notice":"hi","alert":null}}}}"#
);

fn stored(key: &str) -> Value {
    let document = Json.open(Some(STORED.into())).unwrap();
    document.get(key).unwrap().unwrap().to_value().unwrap()
}

#[test]
fn a_flash_is_there_for_one_request() {
    let mut flash = Flash::from_session(Some(&stored(Flash::KEY)));
    assert_eq!(flash.get("notice").and_then(Value::as_str), Some("hi"));
    assert!(flash.get("alert").is_some_and(Value::is_nil));
    assert!(flash.to_session().is_nil(), "what was shown is not kept");
    flash.keep("notice");
    flash.now("error", "only here");
    flash.set("info", 1);
    assert_eq!(flash.get("error").and_then(Value::as_str), Some("only here"));
    let next = flash.to_session();
    let expected = json!({"discard": [], "flashes": {"notice": "hi", "info": 1}});
    assert!(next == expected.into());
    let mut next = Flash::from_session(Some(&next));
    assert_eq!(next.iter().count(), 2);
    next.sweep();
    assert!(next.is_empty());
}

#[test]
fn a_flash_keeps_and_discards_as_rails_does() {
    let stored = json!({"discard": ["seen"], "flashes": {"seen": 1, "a": 2, "b": 3}}).into();
    let mut flash = Flash::from_session(Some(&stored));
    assert_eq!(flash.get("seen"), None);
    flash.keep_all();
    flash.discard("a");
    assert!(flash.to_session() == json!({"discard": [], "flashes": {"b": 3}}).into());
    flash.set("a", 4);
    assert!(flash.to_session() == json!({"discard": [], "flashes": {"a": 4, "b": 3}}).into());
    assert_eq!(flash.remove("b").and_then(|value| value.as_i64()), Some(3));
    flash.discard_all();
    assert!(flash.to_session().is_nil());
    flash.clear();
    assert!(flash.is_empty());
    for odd in [json!(null), json!("text"), json!([1]), json!({}), json!({"flashes": 1})] {
        assert!(Flash::from_session(Some(&odd.into())).is_empty());
    }
    assert!(Flash::from_session(None).is_empty());
}

/// Rails 3 stored the flash as the object that it was.
#[test]
fn a_flash_of_rails_3_is_read_as_later_versions_read_it() {
    let rows: Vec<Row> = rows("rails_helpers.jsonl");
    let rows: Vec<&Row> = rows.iter().filter(|row| row["kind"] == "flash").collect();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let document = Marshal.open(Some(text(row, "base64").to_owned().into())).unwrap();
        let stored = document.get(Flash::KEY).unwrap().unwrap().to_value().unwrap();
        let flash = Flash::from_session(Some(&stored));
        let seen = flash.iter().map(|(key, value)| (key.to_owned(), value.clone().into()));
        assert_eq!(Row::Object(seen.collect()), row["seen"]);
        assert!(flash.to_session().is_nil(), "it ends with this request");
    }
    // Rails 6's own object, which it never stores: what is not discarded is there.
    let row = super::support::rows("rails.jsonl").into_iter();
    let row = row.into_iter().find(|row| row["name"] == "flash_hash_object").unwrap();
    let object = sqlbypass::Object::from_dump(super::support::hex(&row, "hex")).unwrap();
    assert!(Flash::from_session(Some(&object.into())).is_empty());
}

#[test]
fn warden_tells_who_is_logged_in() {
    let user = WardenUser::from_session(&stored(&WardenUser::key("user"))).unwrap();
    assert_eq!(user.id().and_then(Value::as_i64), Some(42));
    assert_eq!(user.salt(), Some("$2a$11$abcdefghijklmnopqrstuu"));
    assert!(user.has_salt_of("$2a$11$abcdefghijklmnopqrstuu0123456789012345678901234567890"));
    assert!(!user.has_salt_of("$2a$11$abcdefghijklmnopqrstuv0123456789012345678901234567890"));
    assert!(!user.has_salt_of("") && !user.has_salt_of("$2a$11$"));
    assert_eq!(WardenUser::session_key("admin"), "warden.user.admin.session");
    let two = WardenUser::from_session(&json!([["acme", 7], null]).into()).unwrap();
    assert_eq!((two.id(), two.columns().len(), two.salt()), (None, 2, None));
    assert!(!two.has_salt_of("$2a$11$abcdefghijklmnopqrstuu0123456789012345678901234567890"));
    for odd in [json!(null), json!(7), json!([1]), json!([[1]]), json!([[1], 2]), json!([1, "x"])] {
        assert!(WardenUser::from_session(&odd.into()).is_none());
    }
    assert_eq!(format!("{user:?}"), "WardenUser(..)");
}
