//! Which server, as whom, and how: what a URL and the builder fill in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::super::options::{ChannelBinding, SslMode, TargetSessionAttrs};
use crate::error::{Error, Result};
pub(crate) use crate::store::connect::host::{Host, Password, label, plausible};

/// PostgreSQL's own.
const PORT: u16 = 5432;
/// A firewall that forgets an idle connection mostly does so after five minutes.
const KEEPALIVES_IDLE: Duration = Duration::from_secs(60);

/// Where trusted certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    System,
    File(PathBuf),
}

impl Roots {
    pub(crate) fn named(file: PathBuf) -> Self {
        if file.as_os_str() == "system" { Self::System } else { Self::File(file) }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keepalives {
    pub(crate) off: bool,
    pub(crate) idle: Option<Duration>,
    pub(crate) interval: Option<Duration>,
    pub(crate) count: Option<u32>,
    pub(crate) user_timeout: Option<Duration>,
}

/// Its `Debug` shows no password, and the options only by being there: they can hold anything.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) hosts: Vec<Host>,
    /// Of hosts without their own.
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Password>,
    pub(crate) database: Option<String>,
    pub(crate) application_name: Option<String>,
    pub(crate) options: Option<String>,
    pub(crate) ssl_mode: Option<SslMode>,
    pub(crate) roots: Option<Roots>,
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) ssl_direct: bool,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) target: TargetSessionAttrs,
    pub(crate) shuffle: bool,
    pub(crate) keepalives: Keepalives,
}

impl Server {
    /// The hosts to try, with ports; the local socket if none was named.
    pub(crate) fn hosts(&self) -> Vec<(Host, u16)> {
        let port = |host: &Host| host.port.or(self.port).unwrap_or(PORT);
        let filled = |host: &Host| match host.name.is_empty() && host.address.is_none() {
            true => Host { name: default_host().to_owned(), ..host.clone() },
            false => host.clone(),
        };
        if self.hosts.is_empty() {
            return vec![(filled(&Host::default()), self.port.unwrap_or(PORT))];
        }
        self.hosts.iter().map(|host| (filled(host), port(host))).collect()
    }

    /// With the system's roots anybody's certificate is signed, so only the full check means
    /// anything, as libpq has it.
    pub(crate) fn ssl_mode(&self) -> SslMode {
        match (self.ssl_mode, &self.roots) {
            (None, Some(Roots::System)) => SslMode::VerifyFull,
            (Some(SslMode::Require), Some(_)) => SslMode::VerifyCa,
            (mode, _) => mode.unwrap_or_default(),
        }
    }

    /// Refuses what can never connect.
    pub(crate) fn check(&self) -> Result<()> {
        let doing = "reading the settings of a database";
        let bad = |problem: &'static str, advice| Err(Error::config(doing, problem).advice(advice));
        let mode = self.ssl_mode();
        if self.hosts.iter().any(|host| !plausible(&host.name)) {
            return bad(
                "a host's name has characters that no name has",
                "in a URL, percent-encode @ : / ? # and % where they stand in a password",
            );
        }
        if self.roots == Some(Roots::System) && mode != SslMode::VerifyFull {
            return bad(
                "sslrootcert=system wants sslmode=verify-full",
                "anybody can have a certificate that the system trusts",
            );
        }
        if mode == SslMode::VerifyCa && self.roots.is_none() {
            return bad("sslmode=verify-ca wants sslrootcert", "name the file of your own root");
        }
        if self.client_cert.is_some() != self.client_key.is_some() {
            return bad("sslcert and sslkey go together", "name both files");
        }
        let weak = matches!(mode, SslMode::Disable | SslMode::Allow | SslMode::Prefer);
        if self.ssl_direct && weak {
            return bad("sslnegotiation=direct wants sslmode=require or stricter", "set sslmode");
        }
        if self.channel_binding == ChannelBinding::Require && mode == SslMode::Disable {
            return bad("channel_binding=require wants encryption", "set sslmode=require");
        }
        Ok(())
    }

    /// Everything but the host, its address, encryption and options.
    pub(crate) fn config(&self) -> tokio_postgres::Config {
        use tokio_postgres::config;
        let mut config = tokio_postgres::Config::new();
        if let Some(user) = &self.user {
            config.user(user);
        }
        if let Some(Password(password)) = &self.password {
            config.password(password);
        }
        if let Some(database) = &self.database {
            config.dbname(database);
        }
        config.application_name(self.application_name.as_deref().unwrap_or("sqlbypass"));
        config.channel_binding(match self.channel_binding {
            ChannelBinding::Disable => config::ChannelBinding::Disable,
            ChannelBinding::Prefer => config::ChannelBinding::Prefer,
            ChannelBinding::Require => config::ChannelBinding::Require,
        });
        if self.ssl_direct {
            config.ssl_negotiation(config::SslNegotiation::Direct);
        }
        config.keepalives(!self.keepalives.off);
        config.keepalives_idle(self.keepalives.idle.unwrap_or(KEEPALIVES_IDLE));
        if let Some(interval) = self.keepalives.interval {
            config.keepalives_interval(interval);
        }
        if let Some(count) = self.keepalives.count {
            config.keepalives_retries(count);
        }
        if let Some(timeout) = self.keepalives.user_timeout {
            config.tcp_user_timeout(timeout);
        }
        config
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
            .field("application_name", &self.application_name)
            .field("options", &self.options.as_ref().map(|_| "…"))
            .field("ssl_mode", &self.ssl_mode())
            .field("roots", &self.roots)
            .field("client_cert", &self.client_cert)
            .field("channel_binding", &self.channel_binding)
            .field("target_session_attrs", &self.target)
            .field("load_balance_hosts", &self.shuffle)
            .finish_non_exhaustive()
    }
}

fn default_host() -> &'static str {
    if cfg!(target_os = "linux") {
        "/var/run/postgresql"
    } else if cfg!(unix) {
        "/tmp"
    } else {
        "localhost"
    }
}
