//! Which server, as whom, and how: what a URL and the builder fill in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::OptsBuilder;

use crate::error::{Error, Result};
use crate::store::connect::SslMode;
use crate::store::connect::host::{self, Host, Password, plausible};

/// The server's own.
const PORT: u16 = 3306;
/// A firewall that forgets an idle connection mostly does so after five minutes.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(60);
/// The most that the protocol has. What the server takes is asked for and kept to.
const MAX_PACKET: usize = 1 << 30;

/// Its `Debug` shows no password.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) hosts: Vec<Host>,
    /// Of hosts without their own.
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Password>,
    pub(crate) database: Option<String>,
    pub(crate) ssl_mode: Option<SslMode>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) shuffle: bool,
    pub(crate) wsrep_sync_wait: bool,
}

impl Server {
    /// The hosts to try, with ports; this machine if none was named.
    pub(crate) fn hosts(&self) -> Vec<(Host, u16)> {
        let local = [Host::default()];
        let hosts = if self.hosts.is_empty() { &local[..] } else { &self.hosts };
        let filled = |host: &Host| match host.name.is_empty() && host.address.is_none() {
            true => Host { name: "localhost".to_owned(), ..host.clone() },
            false => host.clone(),
        };
        let port = |host: &Host| host.port.or(self.port).unwrap_or(PORT);
        hosts.iter().map(|host| (filled(host), port(host))).collect()
    }

    /// A root that is given is there to be checked against.
    pub(crate) fn ssl_mode(&self) -> SslMode {
        match (self.ssl_mode, &self.root) {
            (None | Some(SslMode::Require), Some(_)) => SslMode::VerifyCa,
            (mode, _) => mode.unwrap_or_default(),
        }
    }

    /// Refuses what can never connect.
    pub(crate) fn check(&self) -> Result<()> {
        let doing = "reading the settings of a database";
        let bad = |problem: &'static str, advice| Err(Error::config(doing, problem).advice(advice));
        if self.hosts.iter().any(|host| !plausible(&host.name)) {
            return bad(
                "a host's name has characters that no name has",
                "in a URL, percent-encode @ : / ? # and % where they stand in a password",
            );
        }
        if self.ssl_mode() == SslMode::VerifyCa && self.root.is_none() {
            return bad("ssl-mode=VERIFY_CA wants ssl-ca", "name the file of your own root");
        }
        if self.client_cert.is_some() != self.client_key.is_some() {
            return bad("ssl-cert and ssl-key go together", "name both files");
        }
        Ok(())
    }

    /// Everything but the host, its address and encryption.
    pub(crate) fn options(&self) -> OptsBuilder {
        OptsBuilder::default()
            .user(self.user.as_deref())
            .pass(self.password.as_ref().map(|Password(password)| password.as_str()))
            .db_name(self.database.as_deref())
            // An update that changes nothing has found its row all the same.
            .client_found_rows(true)
            // Statements are kept with their connection; the driver's cache looks them up by text.
            .stmt_cache_size(0_usize)
            .tcp_keepalive(Some(KEEPALIVES_IDLE))
            .prefer_socket(false)
            // Given, so that the driver does not spend a round trip to ask.
            .max_allowed_packet(Some(MAX_PACKET))
            .wait_timeout(Some(usize::try_from(u32::MAX).unwrap_or(usize::MAX)))
    }
}

/// What people call this host. A socket is a file, which has no port.
pub(super) fn label(host: &Host, port: u16) -> String {
    let label = host::label(host, port);
    match label.strip_suffix(&format!(":{port}")) {
        Some(path) if host.is_socket() => path.to_owned(),
        _ => label,
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> =
            self.hosts().iter().map(|(host, port)| label(host, *port)).collect();
        f.debug_struct("Server")
            .field("hosts", &hosts)
            .field("user", &self.user)
            .field("password", &self.password)
            .field("database", &self.database)
            .field("ssl_mode", &self.ssl_mode())
            .field("root", &self.root)
            .field("client_cert", &self.client_cert)
            .field("load_balance_hosts", &self.shuffle)
            .field("wsrep_sync_wait", &self.wsrep_sync_wait)
            .finish_non_exhaustive()
    }
}
