//! Where the keys are. Never on the command line, which lists of processes and histories show.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::Args;
use sqlbypass::{Codec, Encrypted, Keys, Plain, Serializer};
use zeroize::Zeroizing;

use crate::admin::output::warn;
use crate::discreet::is_key;
use crate::failure::Failure;

/// Larger files hold no keys.
const MAX_FILE: usize = 1 << 16;

/// Where the keys are
#[derive(Args, Debug)]
pub(crate) struct KeyOptions {
    /// A file with the keys of encrypted sessions, a line each, as ID:SECRET; the first one writes
    #[arg(long, value_name = "FILE", conflicts_with = "keys_env")]
    keys_file: Option<PathBuf>,
    /// The name of the environment variable that holds the same
    #[arg(long, value_name = "NAME")]
    keys_env: Option<String>,
    /// What was read; a pipe can be read but once.
    #[arg(skip)]
    ring: OnceLock<Option<Keys>>,
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
        if let Some(ring) = self.ring.get() {
            return Ok(ring.clone());
        }
        let ring = match (&self.keys_file, &self.keys_env) {
            (Some(path), _) => Some(from_file(path)?),
            (None, Some(name)) => Some(from_variable(name)?),
            (None, None) => None,
        };
        Ok(self.ring.get_or_init(|| ring).clone())
    }
}

fn from_variable(name: &str) -> Result<Keys, Failure> {
    // What was given may be the keys themselves: it is not shown unless a variable has that name.
    let text = std::env::var(name).map_err(|_| {
        refused(
            "--keys-env takes the name of a variable that holds the keys as text, and none is set \
             under the name that was given; keys themselves must not stand on a command line",
        )
    })?;
    parsed(&Zeroizing::new(text), &format!("the variable {name}"))
}

fn from_file(path: &Path) -> Result<Keys, Failure> {
    let name = shown(path);
    let text = read(path).map_err(|fault| {
        let advice = if name == HIDDEN { "; it takes a file's name, never the keys" } else { "" };
        refused(&format!("{name} cannot be read: {fault}{advice}"))
    })?;
    let keys = parsed(&text, &name)?;
    warn_if_open_to_others(path);
    Ok(keys)
}

/// A file, a pipe or a device, up to its end; what is wiped is never moved.
fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut file = File::open(path)?;
    // One byte more tells that it goes on.
    let mut bytes = Zeroizing::new(vec![0; MAX_FILE + 1]);
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    if length > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let text = std::str::from_utf8(&bytes[..length]);
    let text = text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// A pipe or a device is as private as whoever made it.
#[cfg(unix)]
fn warn_if_open_to_others(path: &Path) {
    use std::os::unix::fs::MetadataExt as _;

    let file = std::fs::metadata(path).ok().filter(|file| file.is_file());
    let mode = file.map_or(0, |file| file.mode() & 0o777);
    if mode & 0o077 != 0 {
        let name = path.display();
        warn(&format!("{name} is open to others than its owner (mode {mode:03o}): chmod 600"));
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_others(_: &Path) {}

fn parsed(text: &str, name: &str) -> Result<Keys, Failure> {
    // Some editors begin a file with a mark of its byte order.
    Keys::parse(text.strip_prefix('\u{feff}').unwrap_or(text))
        .map_err(|fault| Failure::Usage(format!("{name}: {fault}")))
}

const HIDDEN: &str = "what --keys-file names";

/// A file's name, unless it may be a key that was given in its place, be it a mutilated one.
fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let may_be_one = text.contains([':', '\n']) && !path.exists();
    if may_be_one || is_key(&text) { HIDDEN.into() } else { text.into_owned() }
}

fn refused(problem: &str) -> Failure {
    Failure::Usage(format!("reading keys: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_systems_editor_is_read() {
        let text = format!("\u{feff}k1:{}\r\nk2:{}\r\n", "6b".repeat(32), "6c".repeat(32));
        assert_eq!(parsed(&text, "keys").unwrap().ids().collect::<Vec<_>>(), ["k1", "k2"]);
    }

    #[test]
    fn a_key_in_place_of_a_file_is_not_shown() {
        let (hex, base64) = ("6b".repeat(32), "a2".repeat(21) + "k=");
        let whole = [format!("k1:{hex}"), format!("k1:{base64}"), format!("k1:{}", &hex[..40])];
        let odd = hex[1..].to_owned();
        for text in whole.iter().chain([&hex, &base64, &odd]) {
            assert_eq!(shown(Path::new(text)), HIDDEN, "{text}");
        }
        for text in ["keys", "/etc/shop/session.keys", "nowhere/at/all"] {
            assert_eq!(shown(Path::new(text)), text);
        }
    }
}
