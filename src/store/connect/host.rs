//! Hosts and passwords, as URLs and builders name them.

use std::fmt;
use std::net::IpAddr;

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Password(pub(crate) String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host {
    /// A name, an address, or the folder of a socket; empty where only `address` is given.
    pub(crate) name: String,
    /// Connected to without asking for the name's addresses.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: Option<u16>,
}

impl Host {
    pub(crate) fn is_socket(&self) -> bool {
        self.address.is_none() && self.name.starts_with('/')
    }
}

/// What people call this host.
pub(crate) fn label(host: &Host, port: u16) -> String {
    let name = match (&host.address, plausible(&host.name)) {
        (Some(address), _) if host.name.is_empty() => address.to_string(),
        (_, true) => host.name.clone(),
        // It may be the end of a password that was not encoded.
        (_, false) => "***".to_owned(),
    };
    match name.contains(':') {
        true => format!("[{name}]:{port}"),
        false => format!("{name}:{port}"),
    }
}

/// Whether it can be the name of a host.
pub(crate) fn plausible(name: &str) -> bool {
    match name.strip_prefix('/') {
        Some(path) => !path.contains(['\0', '\n', '@']),
        // Also names with an underscore or in another script, which resolvers take.
        None => {
            name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'))
        }
    }
}
