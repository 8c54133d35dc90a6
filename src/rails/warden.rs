//! Who is logged in, as Devise has Warden store it.

use std::fmt;

use crate::manager::{Users, name};
use crate::value::{Value, ValueRef};

/// The user that Warden keeps for a scope: `[[id], "<first 29 characters of the password hash>"]`.
///
/// Devise compares the second part with the user's password hash at every request, so that a
/// changed password ends all sessions: a service that trusts the session must do the same. `Debug`
/// shows nothing.
///
/// # Examples
///
/// ```
/// use sqlbypass::{Value, WardenUser};
///
/// let key = WardenUser::key("user");
/// assert_eq!(key, "warden.user.user.key");
/// // let stored = session.get(&key)
/// let stored = Value::from(serde_json::json!([[42], "$2a$11$abcdefghijklmnopqrstuu"]));
/// let user = WardenUser::from_session(&stored).unwrap();
/// assert_eq!(user.id().and_then(Value::as_i64), Some(42));
/// assert!(user.has_salt_of("$2a$11$abcdefghijklmnopqrstuuXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"));
/// ```
#[derive(Clone, PartialEq)]
pub struct WardenUser {
    key: Vec<Value>,
    salt: Option<String>,
}

impl WardenUser {
    /// The session key of a scope's user; Devise's usual scope is `user`.
    pub fn key(scope: &str) -> String {
        format!("warden.user.{scope}.key")
    }

    /// The session key of a scope's own data, for instance `last_request_at`.
    pub fn session_key(scope: &str) -> String {
        format!("warden.user.{scope}.session")
    }

    /// Takes what the session holds under [`WardenUser::key`]; `None` for another shape than
    /// Devise's.
    pub fn from_session(stored: &Value) -> Option<Self> {
        let [key, salt] = stored.as_array()? else { return None };
        let salt = match salt {
            Value::Nil => None,
            salt => Some(salt.as_str()?.to_owned()),
        };
        Some(Self { key: key.as_array()?.to_vec(), salt })
    }

    /// The primary key, if it is one column.
    pub fn id(&self) -> Option<&Value> {
        match &*self.key {
            [id] => Some(id),
            _ => None,
        }
    }

    /// The primary key's columns.
    pub fn columns(&self) -> &[Value] {
        &self.key
    }

    /// The primary key as text, its columns separated by commas.
    pub(crate) fn name(&self) -> Option<String> {
        let columns: Option<Vec<String>> = self.key.iter().map(name).collect();
        columns.map(|columns| columns.join(","))
    }

    /// The beginning of the user's password hash when the session began. Handle it like a password.
    pub fn salt(&self) -> Option<&str> {
        self.salt.as_deref()
    }

    /// Whether it is the beginning of this bcrypt hash, compared in constant time: false once the
    /// password was changed, and for a session without one.
    pub fn has_salt_of(&self, encrypted_password: &str) -> bool {
        let expected = encrypted_password.as_bytes().get(..SALT_LEN);
        match (expected, &self.salt) {
            (Some(expected), Some(salt)) => {
                subtle::ConstantTimeEq::ct_eq(salt.as_bytes(), expected).into()
            }
            _ => false,
        }
    }
}

impl Users {
    /// Whom Devise has logged in for this scope, usually `user`: the primary key, its columns
    /// separated by commas where it has several.
    pub fn warden(scope: &str) -> Self {
        let key = WardenUser::key(scope);
        Self::new(move |content| {
            let stored = content.get(&key)?.map(ValueRef::to_value).transpose()?;
            Ok(stored.and_then(|stored| WardenUser::from_session(&stored)?.name()))
        })
    }
}

/// Cost and salt of a bcrypt hash: what Devise's `authenticatable_salt` cuts off.
const SALT_LEN: usize = 29;

impl fmt::Debug for WardenUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WardenUser(..)")
    }
}
