//! Connecting: hosts one after another, each attempt within its time.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, JoinHandle};
use tokio_postgres::config::SslMode as Wire;
use tokio_postgres::tls::NoTls;
use tokio_postgres::{Client, Config, Connection, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::SYSTEM;
use super::super::options::{PostgresBuilder, SslMode, TargetSessionAttrs};
use super::failure::{Failure, wrap};
use super::server::{Host, Server, label};
use super::tls;
use crate::error::Result;
use crate::observe;
use crate::store::connect::health::{Health, Trial};

/// What a server says of itself.
const INSPECT: &str = include_str!("../../../../sql/postgres/inspect_server.sql");

/// Makes the connections of a pool.
pub(crate) struct Connector {
    hosts: Vec<Target>,
    config: Config,
    tls: Option<MakeRustlsConnect>,
    ssl_mode: SslMode,
    wanted: TargetSessionAttrs,
    shuffle: bool,
    deadline: Duration,
    /// After so long others try elsewhere: an operation's deadline can be shorter than a host's.
    patience: Duration,
    /// The server's own limits, as options of a connection's start.
    limits: String,
    options: Option<String>,
    pgbouncer: AtomicBool,
    health: Health,
}

struct Target {
    host: Host,
    port: u16,
    label: String,
    /// A pooler that drops the options in silence was looked for here.
    looked: AtomicBool,
}

/// A connection and the task that drives it.
struct Connected {
    client: Client,
    driver: JoinHandle<()>,
    guard: Guard,
}

/// Ends the task of a connection that was given up half-way: a mute server never would.
struct Guard(Option<AbortHandle>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(driver) = &self.0 {
            driver.abort();
        }
    }
}

impl Connected {
    fn new((client, driver): Parts) -> Self {
        Self { client, guard: Guard(Some(driver.abort_handle())), driver }
    }

    fn into_parts(mut self) -> Parts {
        self.guard.0 = None;
        (self.client, self.driver)
    }

    /// Takes leave of the server: the task does so when it has no client any more.
    fn leave(self) {
        drop(self.into_parts());
    }
}

/// How one connection is encrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encryption {
    Plain,
    /// If the server can.
    Offered,
    Tls,
}

impl Connector {
    /// Reads the files of certificates; connects nowhere.
    pub(crate) fn new(options: &PostgresBuilder, server: &Server) -> Result<Self> {
        server.check()?;
        let ssl_mode = server.ssl_mode();
        let hosts: Vec<Target> = server
            .hosts()
            .into_iter()
            .map(|(host, port)| Target {
                label: label(&host, port),
                host,
                port,
                looked: AtomicBool::new(false),
            })
            .collect();
        let limit = |time: Duration| time.as_millis().clamp(1, i32::MAX as u128);
        Ok(Self {
            health: Health::new(hosts.len()),
            hosts,
            config: server.config(),
            tls: match ssl_mode {
                SslMode::Disable => None,
                _ => Some(MakeRustlsConnect::new(tls::config(server)?)),
            },
            ssl_mode,
            wanted: server.target,
            shuffle: server.shuffle,
            deadline: options.connect_deadline,
            patience: options.connect_deadline.min(options.deadline) / 2,
            limits: format!(
                "-c statement_timeout={} -c lock_timeout={}",
                limit(options.deadline),
                limit(options.deadline / 2)
            ),
            options: server.options.clone(),
            pgbouncer: AtomicBool::new(options.pgbouncer),
        })
    }

    /// By setting, or found out.
    pub(crate) fn is_pgbouncer(&self) -> bool {
        self.pgbouncer.load(Ordering::Acquire)
    }

    /// What kept the last attempt from succeeding, if none has succeeded since.
    pub(crate) fn trouble(&self) -> Option<Failure> {
        self.health.trouble()
    }

    async fn connect_any(&self) -> Result<Connected, Failure> {
        let passes: &[TargetSessionAttrs] = match &self.wanted {
            TargetSessionAttrs::PreferStandby => {
                &[TargetSessionAttrs::Standby, TargetSessionAttrs::Any]
            }
            wanted => std::slice::from_ref(wanted),
        };
        let mut failures = Vec::new();
        for wanted in passes {
            failures.clear();
            for index in self.health.order(self.shuffle) {
                match self.connect_host(index, *wanted).await {
                    Ok(connected) => {
                        self.health.connected();
                        return Ok(connected);
                    }
                    Err(failure) => {
                        let last = failure.is_final;
                        failures.push((self.hosts[index].label.as_str(), failure));
                        if last {
                            break;
                        }
                    }
                }
            }
        }
        let failure = Failure::of_hosts(failures);
        self.health.failed(failure.clone());
        Err(failure)
    }

    /// Tries the addresses of a host, each within the deadline.
    async fn connect_host(
        &self,
        index: usize,
        wanted: TargetSessionAttrs,
    ) -> Result<Connected, Failure> {
        let trial = self.health.begin(index);
        let attempt = self.connect_addresses(&self.hosts[index], &trial, wanted);
        let result = trial.watch(self.patience, attempt).await;
        trial.ended(result.as_ref().ok().map(|(_, address)| *address));
        result.map(|(connected, _)| connected)
    }

    async fn connect_addresses(
        &self,
        target: &Target,
        trial: &Trial<'_>,
        wanted: TargetSessionAttrs,
    ) -> Result<(Connected, Option<IpAddr>), Failure> {
        let timed_out = || {
            let seconds = self.deadline.as_secs_f64();
            Failure::unavailable(format!("did not answer within {seconds} s"))
        };
        let addresses = match addresses(target) {
            Some(addresses) => tokio::time::timeout(self.deadline, addresses)
                .await
                .unwrap_or_else(|_| Err(timed_out()))?,
            None => vec![None],
        };
        let mut last = Failure::unavailable("has no address");
        for address in trial.sort(addresses, self.shuffle) {
            let attempt = self.connect_address(target, address, wanted);
            match tokio::time::timeout(self.deadline, attempt).await {
                Ok(Ok(connected)) => return Ok((connected, address)),
                Ok(Err(failure)) => last = failure,
                Err(_) => last = timed_out(),
            }
            if last.is_final {
                break;
            }
        }
        Err(last)
    }

    async fn connect_address(
        &self,
        target: &Target,
        address: Option<IpAddr>,
        wanted: TargetSessionAttrs,
    ) -> Result<Connected, Failure> {
        let encryptions: &[Encryption] = match self.ssl_mode {
            _ if target.host.is_socket() => &[Encryption::Plain],
            SslMode::Disable => &[Encryption::Plain],
            SslMode::Allow => &[Encryption::Plain, Encryption::Tls],
            SslMode::Prefer => &[Encryption::Offered, Encryption::Plain],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Encryption::Tls],
        };
        let mut last = Failure::unavailable("was not tried");
        for encryption in encryptions {
            match self.connect_once(target, address, *encryption).await {
                Ok(connected) => return self.check(target, connected, wanted).await,
                Err(failure) => last = failure,
            }
            if !last.other_encryption {
                break;
            }
        }
        Err(last)
    }

    /// Connects, a second time without options where a pooler refuses them.
    async fn connect_once(
        &self,
        target: &Target,
        address: Option<IpAddr>,
        encryption: Encryption,
    ) -> Result<Connected, Failure> {
        let direct = !self.is_pgbouncer();
        let failure = match self.handshake(target, address, encryption, direct).await {
            Err(failure) if direct && failure.options_refused => failure,
            result => return result,
        };
        let connected = self.handshake(target, address, encryption, false).await;
        match connected {
            Ok(connected) => {
                self.pgbouncer.store(true, Ordering::Release);
                Ok(connected)
            }
            Err(again) if again.options_refused => Err(failure),
            Err(again) => Err(again),
        }
    }

    async fn handshake(
        &self,
        target: &Target,
        address: Option<IpAddr>,
        encryption: Encryption,
        direct: bool,
    ) -> Result<Connected, Failure> {
        let mut config = self.config.clone();
        config.port(target.port);
        match (&target.host, target.host.address.or(address)) {
            (host, Some(address)) => {
                // A certificate has to be for the name, or for the address where there is none.
                let name = Some(host.name.as_str()).filter(|name| !name.is_empty());
                config.host(name.map_or_else(|| address.to_string(), str::to_owned));
                config.hostaddr(address);
            }
            (host, None) => {
                config.host(&host.name);
            }
        }
        // What the user chose comes last, and so counts.
        let options = [direct.then_some(self.limits.as_str()), self.options.as_deref()];
        let options: Vec<&str> = options.into_iter().flatten().collect();
        if !options.is_empty() {
            config.options(options.join(" "));
        }
        let made = match (&self.tls, encryption) {
            (None, _) | (_, Encryption::Plain) => {
                config.ssl_mode(Wire::Disable);
                spawn(config.connect(NoTls).await)
            }
            (Some(tls), Encryption::Offered) => {
                config.ssl_mode(Wire::Prefer);
                spawn(config.connect(tls.clone()).await)
            }
            (Some(tls), Encryption::Tls) => {
                config.ssl_mode(Wire::Require);
                spawn(config.connect(tls.clone()).await)
            }
        }
        .map_err(|error| Failure::of_attempt(&error))?;
        Ok(Connected::new(made))
    }

    /// Whether the server is what is wanted, and whether it has the limits it was given.
    async fn check(
        &self,
        target: &Target,
        connected: Connected,
        wanted: TargetSessionAttrs,
    ) -> Result<Connected, Failure> {
        let look = !self.is_pgbouncer() && !target.looked.load(Ordering::Relaxed);
        if wanted == TargetSessionAttrs::Any && !look {
            return Ok(connected);
        }
        let messages = match connected.client.simple_query(INSPECT).await {
            Ok(messages) => messages,
            // A database that only speaks PostgreSQL's protocol may not have these functions.
            Err(error) if wanted == TargetSessionAttrs::Any && error.code().is_some() => {
                return Ok(connected);
            }
            Err(error) => return Err(Failure::of_attempt(&error)),
        };
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let column = |index| row.and_then(|row| row.try_get(index).ok().flatten());
        let (standby, read_only) = (column(0) == Some("t"), column(1) == Some("on"));
        if look {
            // A pooler took the options and dropped them.
            if column(2) != Some("client") {
                self.pgbouncer.store(true, Ordering::Release);
            }
            target.looked.store(true, Ordering::Relaxed);
        }
        let problem = match wanted {
            TargetSessionAttrs::ReadWrite if read_only => "takes no writes",
            TargetSessionAttrs::ReadOnly if !read_only => "takes writes",
            TargetSessionAttrs::Primary if standby => "is a standby",
            TargetSessionAttrs::Standby if !standby => "is not a standby",
            _ => return Ok(connected),
        };
        connected.leave();
        Err(Failure::unavailable(problem))
    }
}

/// The addresses to ask the resolver for; nothing where a socket or an address is given.
fn addresses(
    target: &Target,
) -> Option<impl Future<Output = Result<Vec<Option<IpAddr>>, Failure>> + use<'_>> {
    if target.host.is_socket() || target.host.address.is_some() {
        return None;
    }
    Some(async {
        let found = tokio::net::lookup_host((target.host.name.as_str(), target.port))
            .await
            .map_err(|error| Failure::unavailable(format!("has no address: {error}")))?;
        Ok(found.map(|address| Some(address.ip())).collect())
    })
}

type Parts = (Client, JoinHandle<()>);
type Made<T> = Result<T, tokio_postgres::Error>;

/// Drives a connection in a task. Notices are dropped: the driver would log them, and they can
/// quote data.
fn spawn<S, T>(made: Made<(Client, Connection<S, T>)>) -> Made<Parts>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, mut connection) = made?;
    let driver = async move {
        while let Some(Ok(_)) = poll_fn(|context| connection.poll_message(context)).await {}
    };
    Ok((client, tokio::spawn(driver)))
}

/// What deadpool-postgres asks for connections.
///
/// Its own pool rather than one with another manager, so that the store has one type of connection
/// for this pool and for a pool of the user's. The price is that the driver's error has to carry
/// ours.
pub(crate) struct Connect(pub(crate) Arc<Connector>);

impl deadpool_postgres::Connect for Connect {
    fn connect(&self, _: &Config) -> Pin<Box<dyn Future<Output = Made<Parts>> + Send + '_>> {
        Box::pin(async {
            match observe::connect(SYSTEM).ended(self.0.connect_any().await) {
                Ok(connected) => Ok(connected.into_parts()),
                Err(failure) => wrap(failure).await,
            }
        })
    }
}
