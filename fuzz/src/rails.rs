//! What Rails left in a session and what a form sends back: flash, tokens against forged requests,
//! Warden's user, and the keys of encryption. Any value, in Marshal or JSON, is read or passed over.

use std::sync::LazyLock;

use sqlbypass::{CsrfToken, Flash, Key, Keys, Object, Value, WardenUser};

static TOKEN: LazyLock<CsrfToken> = LazyLock::new(|| {
    let secret = "QnqRpXTgmfzHYwY6hgkjhSWZFMYC3RzqYDLPZBzUyXU";
    CsrfToken::from_session(secret).expect("it has 32 bytes")
});

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    tokens(head, rest);
    keys(head, rest);
    let json = serde_json::from_slice::<serde_json::Value>(data).ok().map(Value::from);
    let object = Object::from_dump(data).ok();
    let plain = object.as_ref().and_then(|object| object.to_plain().ok());
    let whole = object.as_ref().and_then(|object| object.as_ref().to_value().ok());
    for value in [json, plain, whole].into_iter().flatten() {
        flash(&value);
        user(&value, &text);
    }
    assert!(Flash::from_session(None).is_empty());
}

fn tokens(candidate: &str, path: &str) {
    assert!(!TOKEN.verify(candidate), "a token was forged");
    assert!(!TOKEN.verify_for(candidate, path, "post"), "a form's token was forged");
    let Some(token) = CsrfToken::from_session(candidate) else { return };
    let again = CsrfToken::from_session(&token.to_session()).expect("it was written here");
    assert!(again.to_session() == token.to_session() && token.verify(&again.to_session()));
    let masked = token.masked().expect("there is randomness");
    assert!(again.verify(&masked) && !TOKEN.verify(&masked));
    let masked = token.masked_for(path, candidate).expect("there is randomness");
    assert!(again.verify_for(&masked, path, candidate) && !again.verify(&masked));
}

/// No secret is shown, neither a good one nor one that could not be read.
fn keys(id: &str, secret: &str) {
    let told = |shown: String| {
        let secret = secret.trim();
        assert!(secret.len() < 12 || id.contains(secret) || !shown.contains(secret));
    };
    match Key::parse(id, secret) {
        Ok(key) => told(format!("{key:?}")),
        Err(error) => told(format!("{error} {error:?}")),
    }
    for text in [secret.to_owned(), format!("{id}:{secret}\n# {id}\n{secret}:{id}")] {
        match Keys::parse(&text) {
            Ok(keys) => told(format!("{keys:?}")),
            Err(error) => told(format!("{error} {error:?}")),
        }
    }
}

/// What was left for this request ends with it; what is kept is left for the next one.
fn flash(stored: &Value) {
    let mut flash = Flash::from_session(Some(stored));
    assert!(flash.to_session().is_nil(), "it is there for ever");
    flash.keep_all();
    let kept = flash.to_session();
    let next = Flash::from_session(Some(&kept));
    assert!(next.iter().eq(flash.iter()), "it is another one");
    assert_eq!(kept.is_nil(), flash.is_empty());
    let Some(key) = next.iter().next().map(|(key, _)| key.to_owned()) else { return };
    flash.now(key.as_str(), 1);
    assert!(!Flash::from_session(Some(&flash.to_session())).iter().any(|(left, _)| left == key));
    flash.set(key.as_str(), 2);
    flash.sweep();
    assert!(flash.get(&key) == Some(&2.into()));
    flash.sweep();
    assert!(flash.is_empty());
}

fn user(stored: &Value, hash: &str) {
    let Some(user) = WardenUser::from_session(stored) else { return };
    assert_eq!(user.id().is_some(), user.columns().len() == 1);
    let is_salt = hash.get(..29).is_some_and(|salt| user.salt() == Some(salt));
    assert_eq!(user.has_salt_of(hash), is_salt);
    if let Some(salt) = user.salt() {
        assert_eq!(user.has_salt_of(&format!("{salt}x")), salt.len() == 29);
    }
}
