//! Connecting: hosts one after another, each attempt within its time.

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, SslOpts};

use super::super::SYSTEM;
use super::super::inspect::text;
use super::super::options::MySqlBuilder;
use super::super::prepared::Prepared;
use super::failure::of_attempt;
use super::server::{Server, label};
use super::tls;
use crate::error::Result;
use crate::observe::{self, Quiet};
use crate::store::connect::SslMode;
use crate::store::connect::failure::Failure;
use crate::store::connect::health::{Health, Trial};
use crate::store::connect::host::Host;

/// What a server says of itself, and of its cluster.
const INSPECT: &str = include_str!("../../../../sql/mysql/inspect_server.sql");
const INSPECT_GALERA: &str = include_str!("../../../../sql/mysql/inspect_galera.sql");
/// The driver does not see that the server has hung up until it asks. A connection that was used a
/// moment ago is taken to be there; another one is asked first.
const WARM: Duration = Duration::from_millis(100);

/// A connection and what is known of it.
pub(crate) struct Link {
    pub(crate) conn: Conn,
    pub(crate) prepared: Prepared,
    /// The most bytes that a statement may have with its parameters.
    pub(crate) max_packet: u64,
    /// Which of the hosts it leads to.
    pub(crate) host: usize,
    pub(crate) used: Instant,
    pub(crate) is_mariadb: bool,
    /// It is a node of a cluster.
    pub(crate) galera: bool,
    /// How many seconds a statement waits for a row's lock.
    pub(crate) lock_wait: u128,
    /// A transaction may be open, or a lock be held: nobody else may use it.
    pub(crate) open: bool,
}

/// Makes the connections of a pool.
pub(crate) struct Connector {
    hosts: Vec<Target>,
    options: OptsBuilder,
    tls: Option<SslOpts>,
    ssl_mode: SslMode,
    shuffle: bool,
    wsrep_sync_wait: bool,
    /// Of an attempt to connect, and of an operation.
    connect_deadline: Duration,
    deadline: Duration,
    /// After so long others try elsewhere: an operation's deadline can be shorter than a host's.
    patience: Duration,
    health: Health,
    doubts: Mutex<Doubts>,
}

/// What was found out about connections that have not been used since.
#[derive(Clone, Copy, Default)]
struct Doubts {
    /// One was closed: the others are asked before they are used.
    closed: Option<Instant>,
    /// One was mute, and asking costs a deadline: the others are closed.
    mute: Option<Instant>,
}

struct Target {
    host: Host,
    port: u16,
    label: String,
    /// It was found to speak no TLS: asking for it costs a connection, since the driver hangs up.
    plain: AtomicBool,
}

/// What a server says of itself.
pub(crate) struct Described {
    is_mariadb: bool,
    pub(crate) max_packet: u64,
    read_only: bool,
    galera: bool,
}

impl Connector {
    /// Reads the files of certificates; connects nowhere.
    pub(crate) fn new(options: &MySqlBuilder, server: &Server) -> Result<Self> {
        server.check()?;
        let target = |(host, port)| {
            let (label, plain) = (label(&host, port), AtomicBool::new(false));
            Target { host, port, label, plain }
        };
        let hosts: Vec<Target> = server.hosts().into_iter().map(target).collect();
        let encrypted = hosts.iter().any(|target| !target.host.is_socket());
        Ok(Self {
            health: Health::new(hosts.len()),
            hosts,
            options: server.options(),
            tls: if encrypted { tls::options(server)? } else { None },
            ssl_mode: server.ssl_mode(),
            shuffle: server.shuffle,
            wsrep_sync_wait: server.wsrep_sync_wait,
            connect_deadline: options.connect_deadline,
            deadline: options.deadline,
            patience: options.connect_deadline.min(options.deadline) / 2,
            doubts: Mutex::default(),
        })
    }

    /// What kept the last attempt from succeeding, if none has succeeded since.
    pub(crate) fn trouble(&self) -> Option<Failure> {
        self.health.trouble()
    }

    /// A connection was found closed; others may be too.
    pub(crate) fn suspect(&self) {
        self.doubts().closed = Some(Instant::now());
        // A server that was started anew may speak TLS now.
        for target in &self.hosts {
            target.plain.store(false, Ordering::Relaxed);
        }
    }

    /// A server did not answer in time on one of its connections.
    pub(crate) fn mute(&self) {
        self.doubts().mute = Some(Instant::now());
    }

    fn doubts(&self) -> MutexGuard<'_, Doubts> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host is of no use for now; the others come first.
    pub(crate) fn leave(&self, host: usize) {
        self.health.begin(host).ended(None);
        self.suspect();
    }

    /// With several hosts one that takes writes is looked for first; when there is none, sessions
    /// can still be read.
    async fn connect_any(&self) -> Result<Link, Failure> {
        let passes = if self.hosts.len() > 1 { &[true, false][..] } else { &[false][..] };
        let mut failures = Vec::new();
        'passes: for writable in passes {
            failures.clear();
            for index in self.health.order(self.shuffle) {
                match self.connect_host(index, *writable).await {
                    Ok(link) => {
                        self.health.connected();
                        return Ok(link);
                    }
                    Err(failure) => {
                        let last = failure.is_final;
                        failures.push((self.hosts[index].label.as_str(), failure));
                        if last {
                            break 'passes;
                        }
                    }
                }
            }
            if !failures.iter().any(|(_, failure)| failure.problem == READ_ONLY) {
                break;
            }
        }
        let failure = Failure::of_hosts(failures);
        self.health.failed(failure.clone());
        Err(failure)
    }

    /// Tries the addresses of a host, each within the deadline.
    async fn connect_host(&self, index: usize, writable: bool) -> Result<Link, Failure> {
        let trial = self.health.begin(index);
        let attempt = self.connect_addresses(index, &trial, writable);
        let result = trial.watch(self.patience, attempt).await;
        match &result {
            Ok((_, address)) => trial.ended(Some(*address)),
            // It answered; that it is not the one that is wanted is no failure.
            Err(failure) if failure.problem == READ_ONLY => trial.ended(Some(None)),
            Err(_) => trial.ended(None),
        }
        result.map(|(link, _)| link)
    }

    async fn connect_addresses(
        &self,
        index: usize,
        trial: &Trial<'_>,
        writable: bool,
    ) -> Result<(Link, Option<IpAddr>), Failure> {
        let target = &self.hosts[index];
        let timed_out = || {
            let seconds = self.connect_deadline.as_secs_f64();
            Failure::unavailable(format!("did not answer within {seconds} s"))
        };
        let addresses = match addresses(target) {
            Some(addresses) => tokio::time::timeout(self.connect_deadline, addresses)
                .await
                .unwrap_or_else(|_| Err(timed_out()))?,
            None => vec![None],
        };
        let mut last = Failure::unavailable("has no address");
        for address in trial.sort(addresses, self.shuffle) {
            let attempt = self.connect_address(index, address, writable);
            match tokio::time::timeout(self.connect_deadline, attempt).await {
                Ok(Ok(link)) => return Ok((link, address)),
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
        index: usize,
        address: Option<IpAddr>,
        writable: bool,
    ) -> Result<Link, Failure> {
        let target = &self.hosts[index];
        let options = self.options_for(target, address);
        let conn = match &self.tls {
            Some(tls) if !target.host.is_socket() => self.encrypted(target, options, tls).await?,
            _ => connect(options).await?,
        };
        self.begin(conn, index, writable).await
    }

    async fn encrypted(
        &self,
        target: &Target,
        options: OptsBuilder,
        tls: &SslOpts,
    ) -> Result<Conn, Failure> {
        let optional = matches!(self.ssl_mode, SslMode::Allow | SslMode::Prefer);
        if optional
            && target.plain.swap(false, Ordering::Relaxed)
            && let Ok(conn) = Conn::new(options.clone()).await
        {
            target.plain.store(true, Ordering::Relaxed);
            return Ok(conn);
        }
        let with = |tls: SslOpts| options.clone().ssl_opts(Some(tls));
        let fault = match Conn::new(with(tls.clone())).await {
            Ok(conn) => return Ok(conn),
            Err(fault) => fault,
        };
        let name = tls::other_name(&fault).filter(|_| self.ssl_mode == SslMode::VerifyCa);
        if let Some(name) = name {
            return connect(with(tls.clone().with_danger_tls_hostname_override(Some(name)))).await;
        }
        let failure = of_attempt(&fault);
        if !optional || !failure.other_encryption {
            return Err(failure);
        }
        let conn = connect(options).await?;
        target.plain.store(true, Ordering::Relaxed);
        Ok(conn)
    }

    fn options_for(&self, target: &Target, address: Option<IpAddr>) -> OptsBuilder {
        let options = self.options.clone();
        if target.host.is_socket() {
            return options.socket(Some(target.host.name.as_str()));
        }
        let address = target.host.address.or(address);
        // A certificate has to be for the name, or for the address where there is none.
        let name = match (target.host.name.as_str(), address) {
            ("", Some(address)) => address.to_string(),
            (name, _) => name.to_owned(),
        };
        let options = options.ip_or_hostname(name).tcp_port(target.port);
        options.resolved_ips(address.map(|address| vec![address]))
    }

    /// Asks the server what it is, and tells it the connection's settings.
    async fn begin(&self, mut conn: Conn, host: usize, writable: bool) -> Result<Link, Failure> {
        let described = describe(&mut conn).await.map_err(|fault| of_attempt(&fault))?;
        if described.galera {
            let rows: Vec<Row> =
                conn.query(INSPECT_GALERA).await.map_err(|fault| of_attempt(&fault))?;
            if rows.first().is_some_and(|row| text(row, 1) != "ON") {
                return Err(Failure::unavailable("does not belong to a working cluster"));
            }
        }
        if writable && described.read_only {
            return Err(Failure::unavailable(READ_ONLY));
        }
        conn.query_drop(self.settings(&described)).await.map_err(|fault| of_attempt(&fault))?;
        Ok(Link {
            conn,
            prepared: Prepared::default(),
            max_packet: described.max_packet,
            host,
            used: Instant::now(),
            is_mariadb: described.is_mariadb,
            galera: described.galera,
            lock_wait: self.lock_wait(),
            open: false,
        })
    }

    /// In whole seconds, one at least.
    fn lock_wait(&self) -> u128 {
        (self.millis() / 2).div_ceil(1_000)
    }

    fn millis(&self) -> u128 {
        self.deadline.as_millis().clamp(1, 365 * 86_400_000)
    }

    /// What holds for the connection as long as it lasts. The server ends what it works on shortly
    /// after the operation's own deadline; MySQL does so for reads alone.
    fn settings(&self, server: &Described) -> String {
        let (millis, lock) = (self.millis(), self.lock_wait());
        let mut sql = format!(
            "SET NAMES utf8mb4, SESSION sql_mode = 'STRICT_ALL_TABLES', SESSION autocommit = 1, \
             SESSION innodb_lock_wait_timeout = {lock}, SESSION lock_wait_timeout = {lock}"
        );
        sql += &match server.is_mariadb {
            true => format!(
                ", SESSION tx_isolation = 'READ-COMMITTED', SESSION max_statement_time = {}.{:03}",
                millis / 1_000,
                millis % 1_000
            ),
            false => format!(
                ", SESSION transaction_isolation = 'READ-COMMITTED', \
                 SESSION max_execution_time = {}",
                millis.min(u128::from(u32::MAX))
            ),
        };
        if self.wsrep_sync_wait {
            // Before what reads, and before UPDATE and DELETE: a row that has not arrived is not gone.
            sql += ", SESSION wsrep_sync_wait = 3";
        }
        sql
    }
}

async fn connect(options: OptsBuilder) -> Result<Conn, Failure> {
    Conn::new(options).await.map_err(|fault| of_attempt(&fault))
}

const READ_ONLY: &str = "takes no writes";

/// Asks the server what it is.
pub(crate) async fn describe(conn: &mut Conn) -> Result<Described, mysql_async::Error> {
    let rows: Vec<Row> = conn.query(INSPECT).await?;
    let value = |name: &str| {
        let row = rows.iter().find(|row| text(row, 0).eq_ignore_ascii_case(name));
        row.map(|row| text(row, 1)).unwrap_or_default()
    };
    let on = |name: &str| matches!(value(name).as_str(), "ON" | "1");
    Ok(Described {
        is_mariadb: value("version").contains("MariaDB"),
        max_packet: value("max_allowed_packet").parse().unwrap_or(u64::MAX),
        read_only: on("read_only") || on("super_read_only"),
        galera: on("wsrep_on"),
    })
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

/// What deadpool asks for connections.
pub(crate) struct Connect(pub(crate) Arc<Connector>);

impl Manager for Connect {
    type Type = Link;
    type Error = Failure;

    /// Boxed, as is what asks a connection below: both are rare and some kilobytes, which each
    /// operation would have in its own future otherwise.
    async fn create(&self) -> Result<Link, Failure> {
        observe::connect(SYSTEM).ended(Quiet(Box::pin(self.0.connect_any())).await)
    }

    async fn recycle(&self, link: &mut Link, _: &Metrics) -> RecycleResult<Failure> {
        let dead = || RecycleError::message("the connection is gone");
        if link.conn.is_disconnected() || link.open {
            return Err(dead());
        }
        let doubts = *self.0.doubts();
        let since = |found: Option<Instant>| found.is_some_and(|found| link.used <= found);
        if since(doubts.mute) {
            return Err(dead());
        }
        if !since(doubts.closed) && link.used.elapsed() < WARM {
            return Ok(());
        }
        let patience = self.0.connect_deadline.min(self.0.deadline / 2);
        let ping = Box::pin(tokio::time::timeout(patience, link.conn.ping()));
        match Quiet(ping).await {
            Ok(Ok(())) => {
                link.used = Instant::now();
                return Ok(());
            }
            Ok(Err(_)) => self.0.suspect(),
            Err(_) => self.0.mute(),
        }
        Err(dead())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MySQL refuses what is more than 32 bits have.
    #[test]
    fn a_deadline_of_a_year_is_a_limit_that_the_server_takes() {
        let builder = MySqlBuilder::from_nothing().deadline(Duration::MAX);
        let connector = Connector::new(&builder, &Server::default()).unwrap();
        let of = |is_mariadb| {
            let server =
                Described { is_mariadb, max_packet: 1 << 20, read_only: false, galera: false };
            connector.settings(&server)
        };
        assert!(of(false).contains("max_execution_time = 4294967295"), "{}", of(false));
        assert!(of(true).contains("max_statement_time = 31536000.000"), "{}", of(true));
    }
}
