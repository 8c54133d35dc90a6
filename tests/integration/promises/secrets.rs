//! No id, no data and no password in anything that is printed.

use std::error::Error as _;
use std::fmt::Debug;

use sqlbypass::{Error, SessionId};

/// What was printed.
#[derive(Default)]
pub(crate) struct Printed(Vec<String>);

impl Printed {
    pub(crate) fn debug(&mut self, value: &dyn Debug) {
        self.0.push(format!("{value:?}\n{value:#?}"));
    }

    pub(crate) fn error(&mut self, error: &Error) {
        self.debug(error);
        self.0.push(error.to_string());
        let mut source = error.source();
        while let Some(cause) = source {
            self.0.push(format!("{cause} {cause:?} {cause:#?}"));
            source = cause.source();
        }
    }

    /// Also as `Debug` of bytes would show them.
    pub(crate) fn assert_clean(&self, ids: &[&SessionId], words: &[&str]) {
        assert!(!self.0.is_empty(), "nothing was printed");
        let mut secrets: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        for id in ids {
            secrets.push(id.as_str().to_owned());
            secrets.push(id.private().as_str()[3..].to_owned());
        }
        for text in &self.0 {
            for secret in &secrets {
                let bytes = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>();
                assert!(!text.contains(secret), "it shows a secret: {text}");
                assert!(!text.contains(&bytes.join(", ")), "it shows a secret's bytes: {text}");
            }
        }
    }
}
