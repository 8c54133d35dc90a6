//! Where the keys are. Never on the command line, which lists of processes and histories show.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use sqlbypass::{Codec, Encrypted, Error, Keys, Plain, Serializer};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Larger files hold no keys.
const MAX_FILE: u64 = 1 << 20;

/// Where the keys are
#[derive(Args, Debug)]
pub(crate) struct KeyOptions {
    /// A file with the keys of encrypted sessions, a line each, as ID:SECRET; the first one writes
    #[arg(long, value_name = "FILE", conflicts_with = "keys_env")]
    keys_file: Option<PathBuf>,
    /// The environment variable that holds the same
    #[arg(long, value_name = "NAME")]
    keys_env: Option<String>,
}

impl KeyOptions {
    /// The serializer's codec; where keys are named what it writes is encrypted, and what was stored
    /// plain is read too.
    pub(crate) fn codec(&self, serializer: Serializer) -> Result<Arc<dyn Codec>, Failure> {
        Ok(match self.read()? {
            Some(keys) => Arc::new(Encrypted::new(serializer, keys).plain(Plain::Read)),
            None => serializer.codec()?,
        })
    }

    /// The ring, where one is named.
    pub(crate) fn read(&self) -> Result<Option<Keys>, Failure> {
        let text = match (&self.keys_file, &self.keys_env) {
            (Some(file), _) => {
                let size = std::fs::metadata(file).map_or(0, |file| file.len());
                let text = match size {
                    ..=MAX_FILE => std::fs::read_to_string(file),
                    _ => Err(std::io::ErrorKind::FileTooLarge.into()),
                };
                text.map_err(|fault| {
                    let problem = format!("{} cannot be read: {fault}", file.display());
                    Failure::usage(Error::config("reading keys", problem))
                })?
            }
            (None, Some(name)) => std::env::var(name).map_err(|_| {
                Failure::Usage(format!("reading keys: the variable {name} is not set, or no text"))
            })?,
            (None, None) => return Ok(None),
        };
        let text = Zeroizing::new(text);
        Keys::parse(&text).map(Some).map_err(Failure::usage)
    }
}
