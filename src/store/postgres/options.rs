//! Settings of the PostgreSQL store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::PostgresStore;
use super::connect::{Host, Password, Roots, Server};
use crate::error::Result;
pub(super) use crate::store::connect::SslMode;
use crate::table::Table;

/// Whether the password exchange is bound to the encrypted connection (SCRAM with TLS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server offers it. The default.
    #[default]
    Prefer,
    /// Always: a server without it, or one that asks for no password, is refused.
    Require,
}

/// What a server must be to be used, with libpq's names and meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetSessionAttrs {
    /// Anything that answers. The default.
    #[default]
    Any,
    /// Takes writes. The one to choose with several hosts.
    ReadWrite,
    /// Refuses writes.
    ReadOnly,
    /// Is not a standby.
    Primary,
    /// Is a standby.
    Standby,
    /// Is a standby, or anything when there is none.
    PreferStandby,
}

/// Where connections come from.
#[derive(Clone)]
pub(super) enum Source {
    Server(Box<Server>),
    Pool(deadpool_postgres::Pool),
}

/// Settings of a PostgreSQL store.
///
/// Neither the environment (`PGHOST`, `PGPASSWORD` …) nor libpq's password and service files are
/// read. Without a user the operating system's is taken, without a database the one of the user's
/// name, without a host the socket in `/var/run/postgresql` (`/tmp` outside Linux).
///
/// Settings of the connection ([`host`](Self::host) to
/// [`load_balance_hosts`](Self::load_balance_hosts), [`max_connections`](Self::max_connections),
/// [`connect_deadline`](Self::connect_deadline)) do nothing when the pool is your own.
#[derive(Clone)]
pub struct PostgresBuilder {
    pub(super) source: Source,
    pub(super) table: Table,
    pub(super) create: bool,
    pub(super) lazy: bool,
    pub(super) pgbouncer: bool,
    pub(super) lanes: bool,
    pub(super) max_connections: usize,
    pub(super) queue: usize,
    pub(super) deadline: Duration,
    pub(super) connect_deadline: Duration,
}

/// What does not fit the clock means for ever.
pub(super) const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

impl PostgresBuilder {
    pub(super) fn new(source: Source) -> Self {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        Self {
            source,
            table: Table::default(),
            create: false,
            lazy: false,
            pgbouncer: false,
            lanes: true,
            max_connections: (2 * cores).max(8),
            queue: 4096,
            deadline: Duration::from_secs(5),
            connect_deadline: Duration::from_secs(2),
        }
    }

    /// Settings that name no server yet.
    pub(super) fn from_nothing() -> Self {
        Self::new(Source::Server(Box::default()))
    }

    /// Settings for a pool of the user's.
    pub(super) fn from_pool(pool: deadpool_postgres::Pool) -> Self {
        Self::new(Source::Pool(pool))
    }

    fn server(mut self, change: impl FnOnce(&mut Server)) -> Self {
        if let Source::Server(server) = &mut self.source {
            change(server);
        }
        self
    }

    /// Names of the table and its columns.
    pub fn table(mut self, table: Table) -> Self {
        self.table = table;
        self
    }

    /// Makes the table when it is missing. Off by default: a mistyped name should be an error.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Connects at the first use, so that a service can start while its database is down.
    pub fn lazy(mut self, lazy: bool) -> Self {
        self.lazy = lazy;
        self
    }

    /// For a pooler that gives each transaction another connection (PgBouncer, RDS Proxy):
    /// statements are unnamed and typed, nothing is set for a session or at the start of one, and
    /// no cancel request is sent. A write brings its time limits in its transaction; for reads set
    /// them at the server (`ALTER ROLE … SET statement_timeout`): one that waits for a lock longer
    /// than its caller keeps the pooler's connection.
    ///
    /// Off by default. A pooler that refuses or drops the options of a connection's start is found
    /// out, and the store does this by itself; one that takes them needs the setting.
    pub fn pgbouncer(mut self, pgbouncer: bool) -> Self {
        self.pgbouncer = pgbouncer;
        self
    }

    /// Whether operations that meet go out in batches, one statement for up to 64 of them; on by
    /// default. Half as many finds at a time as there are connections, and two changes (with fewer
    /// than 8 connections one, with more than 16 an eighth of them), are sent at once, each by
    /// itself; those that come while these are under way go together.
    /// Without lanes each operation waits for a connection of its own. Behind a transaction pooler
    /// there are none.
    ///
    /// A future that is neither polled nor dropped delays nobody else with lanes and at least two
    /// connections. Without, it keeps the connection that it has until it is dropped.
    pub fn lanes(mut self, lanes: bool) -> Self {
        self.lanes = lanes;
        self
    }

    /// How many connections there may be; two for each core by default, 8 at least.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.clamp(1, 1 << 16);
        self
    }

    /// How many operations may wait before further ones are refused as overload; 4,096 by default.
    ///
    /// It bounds three queues: finds that wait to go together, changes that do, and what waits for a
    /// connection by itself. Of the changes, those on one session may be a quarter.
    pub fn queue(mut self, operations: usize) -> Self {
        self.queue = operations.min(1 << 20);
        self
    }

    /// The longest that an operation may take, waiting for a connection, connecting and locks
    /// included; 5 seconds by default. The server ends a statement after the same time and a wait
    /// for a lock after half of it; `statement_timeout` or `lock_timeout` in
    /// [`options`](Self::options) overrule that.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.min(FOR_EVER);
        self
    }

    /// The longest that one address of a host may take to answer: name, TCP, TLS, password and the
    /// check of what the server is; 2 seconds by default. Then the next is tried.
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline.min(FOR_EVER);
        self
    }

    /// Adds a host: a name, an address, or the folder of a socket (`/var/run/postgresql`). Hosts
    /// are tried in their order; one that failed comes last for 30 seconds.
    pub fn host(self, host: impl Into<String>) -> Self {
        let name = host.into();
        self.server(|server| server.hosts.push(Host { name, ..Host::default() }))
    }

    /// The port of the host that was added last; before any host, of those without their own.
    /// 5432 by default.
    pub fn port(self, port: u16) -> Self {
        self.server(|server| match server.hosts.last_mut() {
            Some(host) => host.port = Some(port),
            None => server.port = Some(port),
        })
    }

    /// Who connects; the operating system's user by default.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.server(|server| server.user = Some(user.into()))
    }

    /// The password. It is in no `Debug` and no error.
    pub fn password(self, password: impl Into<String>) -> Self {
        self.server(|server| server.password = Some(Password(password.into())))
    }

    /// The database; the one of the user's name by default.
    pub fn database(self, database: impl Into<String>) -> Self {
        self.server(|server| server.database = Some(database.into()))
    }

    /// What the connections are called in `pg_stat_activity`.
    pub fn application_name(self, name: impl Into<String>) -> Self {
        self.server(|server| server.application_name = Some(name.into()))
    }

    /// Options of a connection's start, for instance `-c work_mem=8MB`.
    pub fn options(self, options: impl Into<String>) -> Self {
        self.server(|server| server.options = Some(options.into()))
    }

    /// How connections are encrypted.
    pub fn ssl_mode(self, mode: SslMode) -> Self {
        self.server(|server| server.ssl_mode = Some(mode))
    }

    /// A file of root certificates (PEM), or `system` for those of the operating system. It is read
    /// when the store is opened.
    pub fn ssl_root_cert(self, file: impl Into<PathBuf>) -> Self {
        self.server(|server| server.roots = Some(Roots::named(file.into())))
    }

    /// The client's certificate with its chain, and its key: PEM files, the key in PKCS#8, PKCS#1 or
    /// SEC1 without a passphrase. They are read when the store is opened.
    pub fn ssl_client_cert(self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.server(|server| {
            server.client_cert = Some(cert.into());
            server.client_key = Some(key.into());
        })
    }

    /// Begins with TLS at once instead of asking for it, which saves a round trip; PostgreSQL 17
    /// and newer. It wants [`SslMode::Require`] or stricter.
    pub fn ssl_direct(self, direct: bool) -> Self {
        self.server(|server| server.ssl_direct = direct)
    }

    /// Whether the password exchange is bound to the TLS connection.
    pub fn channel_binding(self, binding: ChannelBinding) -> Self {
        self.server(|server| server.channel_binding = binding)
    }

    /// What a server must be to be used.
    pub fn target_session_attrs(self, target: TargetSessionAttrs) -> Self {
        self.server(|server| server.target = target)
    }

    /// Tries hosts, and the addresses of a name, in random order.
    pub fn load_balance_hosts(self, random: bool) -> Self {
        self.server(|server| server.shuffle = random)
    }
}

impl PostgresBuilder {
    /// Opens the store and looks at its table.
    ///
    /// # Errors
    ///
    /// When a setting or a file is wrong ([`is_config`](crate::Error::is_config)), and, unless the
    /// store is lazy, when no server can be reached
    /// ([`is_unavailable`](crate::Error::is_unavailable)) or the table does not fit
    /// ([`is_schema`](crate::Error::is_schema)).
    pub async fn open(self) -> Result<PostgresStore> {
        PostgresStore::from_builder(self).await
    }
}

impl fmt::Debug for PostgresBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PostgresBuilder");
        match &self.source {
            Source::Server(server) => debug.field("server", server),
            Source::Pool(_) => debug.field("server", &"a pool of the user's"),
        };
        debug
            .field("table", &self.table)
            .field("create", &self.create)
            .field("lazy", &self.lazy)
            .field("pgbouncer", &self.pgbouncer)
            .field("lanes", &self.lanes)
            .field("max_connections", &self.max_connections)
            .field("queue", &self.queue)
            .field("deadline", &self.deadline)
            .field("connect_deadline", &self.connect_deadline)
            .finish()
    }
}
