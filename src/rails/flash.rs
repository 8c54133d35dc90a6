//! Rails' flash: values for the next request alone.

use std::fmt;

use crate::value::{Map, Value};

/// The class of Rails' flash, which Rails 3 stored as it was.
const FLASH_HASH: &str = "ActionDispatch::Flash::FlashHash";

/// Values that one request leaves for the next, as Rails keeps them under the key [`Flash::KEY`].
///
/// What the last request left is there to read and goes when this request ends; what is set now is
/// kept for the next one. `Debug` shows no values.
///
/// # Examples
///
/// ```
/// use sqlbypass::{Flash, Value};
///
/// // Rails left {"discard": [], "flashes": {"notice": "Signed in."}}.
/// let stored = serde_json::json!({"discard": [], "flashes": {"notice": "Signed in."}}).into();
/// let mut flash = Flash::from_session(Some(&stored));
/// assert_eq!(flash.get("notice").and_then(Value::as_str), Some("Signed in."));
/// flash.set("alert", "Session expires soon.");
/// // session.insert(Flash::KEY, flash.to_session())
/// assert_eq!(
///     flash.to_session(),
///     serde_json::json!({"discard": [], "flashes": {"alert": "Session expires soon."}}).into(),
/// );
/// ```
#[derive(Clone, Default)]
pub struct Flash {
    flashes: Map,
    /// Keys that end with this request, each once; perhaps some that are not there.
    discard: Vec<String>,
}

impl Flash {
    /// The session key it lies under.
    pub const KEY: &'static str = "flash";

    /// Takes what the session holds under [`Flash::KEY`]: everything there ends with this request.
    ///
    /// The `FlashHash` object that Rails 3.1 and 3.2 left there is read as Rails 4 to 8 read it. What
    /// is neither that nor a flash of Rails 4 or newer (Rails 3.0 had a subclass of `Hash`) is an
    /// empty flash, as in Rails.
    pub fn from_session(stored: Option<&Value>) -> Self {
        let plain = match stored {
            Some(Value::Object(object)) if object.class() == Some(FLASH_HASH) => {
                object.to_plain().ok()
            }
            stored => stored.cloned(),
        };
        let part = |key| plain.as_ref().and_then(Value::as_map).and_then(|plain| plain.get(key));
        let mut flashes = part("flashes").and_then(Value::as_map).cloned().unwrap_or_default();
        for key in ["discard", "used"].into_iter().filter_map(part).filter_map(Value::as_array) {
            key.iter().filter_map(Value::as_str).for_each(|key| drop(flashes.remove(key)));
        }
        let mut flash = Self { flashes, discard: Vec::new() };
        flash.discard_all();
        flash
    }

    /// What to store under [`Flash::KEY`]: what the next request is to see, or nil, which removes
    /// the key, if that is nothing.
    pub fn to_session(&self) -> Value {
        let kept = self.iter().filter(|(key, _)| !self.is_discarded(key));
        let kept: Map = kept.map(|(key, value)| (key, value.clone())).collect();
        if kept.is_empty() {
            return Value::Nil;
        }
        let discard = Value::Array(Vec::new());
        Value::Map([("discard", discard), ("flashes", Value::Map(kept))].into_iter().collect())
    }

    /// The value of a key, for instance `notice` or `alert`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.flashes.get(key)
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.flashes.iter()
    }

    /// Whether there is nothing, neither for this request nor for the next.
    pub fn is_empty(&self) -> bool {
        self.flashes.is_empty()
    }

    /// Sets a key for the next request too.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let key = key.into();
        self.keep(&key);
        self.flashes.insert(key, value);
    }

    /// Sets a key for this request alone: Rails' `flash.now`.
    pub fn now(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let key = key.into();
        self.discard(&key);
        self.flashes.insert(key, value);
    }

    /// Keeps a key for the next request.
    pub fn keep(&mut self, key: &str) {
        self.discard.retain(|discarded| discarded != key);
    }

    /// Keeps everything for the next request.
    pub fn keep_all(&mut self) {
        self.discard.clear();
    }

    /// Lets a key end with this request.
    pub fn discard(&mut self, key: &str) {
        if !self.is_discarded(key) {
            self.discard.push(key.to_owned());
        }
    }

    /// Lets everything end with this request.
    pub fn discard_all(&mut self) {
        self.discard = self.flashes.iter().map(|(key, _)| key.to_owned()).collect();
    }

    /// Takes a key out at once.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        self.keep(key);
        self.flashes.remove(key)
    }

    /// Takes everything out at once.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The step from one request to the next: what was to end is gone, and the rest ends next.
    pub fn sweep(&mut self) {
        for key in std::mem::take(&mut self.discard) {
            self.flashes.remove(&key);
        }
        self.discard_all();
    }

    fn is_discarded(&self, key: &str) -> bool {
        self.discard.iter().any(|discarded| discarded == key)
    }
}

impl fmt::Debug for Flash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flash({})", self.flashes.len())
    }
}
