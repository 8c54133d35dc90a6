//! Settings of the MySQL store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::MySqlStore;
use super::connect::Server;
use crate::error::Result;
use crate::store::connect::SslMode;
use crate::store::connect::host::{Host, Password};
use crate::table::Table;

/// Where connections come from.
#[derive(Clone)]
pub(super) enum Source {
    Server(Box<Server>),
    Pool(mysql_async::Pool),
}

/// Settings of a MySQL or MariaDB store.
///
/// Neither the environment nor option files are read. Without a host `localhost` is taken, over TCP;
/// a socket has to be named.
///
/// Settings of the connection ([`host`](Self::host) to [`wsrep_sync_wait`](Self::wsrep_sync_wait),
/// [`max_connections`](Self::max_connections), [`connect_deadline`](Self::connect_deadline)) do
/// nothing when the pool is your own.
#[derive(Clone)]
pub struct MySqlBuilder {
    pub(super) source: Source,
    pub(super) table: Table,
    pub(super) create: bool,
    pub(super) lazy: bool,
    pub(super) lanes: bool,
    pub(super) max_connections: usize,
    pub(super) queue: usize,
    pub(super) deadline: Duration,
    pub(super) connect_deadline: Duration,
}

/// What does not fit the clock means for ever.
pub(super) const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

impl MySqlBuilder {
    pub(super) fn new(source: Source) -> Self {
        let cores = std::thread::available_parallelism().map_or(4, usize::from);
        Self {
            source,
            table: Table::default(),
            create: false,
            lazy: false,
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
    pub(super) fn from_pool(pool: mysql_async::Pool) -> Self {
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

    /// Whether operations that meet go out in batches, up to 64 of them: finds as one statement,
    /// changes as one transaction (singly on Galera); on by default. Half as many finds at a time as
    /// there are connections, and two changes (with fewer than 8 connections one, with more than 16
    /// an eighth of them), are sent at once, each by itself; those that come while these are under
    /// way go together. Without lanes, and with a pool of your own, each operation waits for a
    /// connection of its own.
    pub fn lanes(mut self, lanes: bool) -> Self {
        self.lanes = lanes;
        self
    }

    /// How many connections there may be; two for each core by default, 8 at least.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.clamp(1, 1 << 16);
        self
    }

    /// How many operations may wait for a connection before further ones are refused as overload;
    /// 4,096 by default.
    pub fn queue(mut self, operations: usize) -> Self {
        self.queue = operations.min(1 << 20);
        self
    }

    /// The longest that an operation may take, waiting for a connection, connecting and locks
    /// included; 5 seconds by default. The server ends a statement after the same time (MySQL does
    /// so for reads alone) and a wait for a lock after half of it, in whole seconds.
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

    /// Adds a host: a name, an address, or the path of a socket (`/run/mysqld/mysqld.sock`). Hosts
    /// are tried in their order; one that failed comes last for 30 seconds, and with several of them
    /// one that takes writes is preferred.
    pub fn host(self, host: impl Into<String>) -> Self {
        let name = host.into();
        self.server(|server| server.hosts.push(Host { name, ..Host::default() }))
    }

    /// The port of the host that was added last; before any host, of those without their own.
    /// 3306 by default.
    pub fn port(self, port: u16) -> Self {
        self.server(|server| match server.hosts.last_mut() {
            Some(host) => host.port = Some(port),
            None => server.port = Some(port),
        })
    }

    /// Who connects. There is no default.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.server(|server| server.user = Some(user.into()))
    }

    /// The password. It is in no `Debug` and no error.
    pub fn password(self, password: impl Into<String>) -> Self {
        self.server(|server| server.password = Some(Password(password.into())))
    }

    /// The database; without one the table has to be named as `database.table`.
    pub fn database(self, database: impl Into<String>) -> Self {
        self.server(|server| server.database = Some(database.into()))
    }

    /// How connections are encrypted. The first encrypted connection of a process that has no default
    /// provider of cryptography sets ring as that default: the driver takes no other way.
    pub fn ssl_mode(self, mode: SslMode) -> Self {
        self.server(|server| server.ssl_mode = Some(mode))
    }

    /// A file of root certificates (PEM). Without one [`SslMode::VerifyFull`] takes those of the
    /// public authorities. It is read when the store is opened.
    pub fn ssl_root_cert(self, file: impl Into<PathBuf>) -> Self {
        self.server(|server| server.root = Some(file.into()))
    }

    /// The client's certificate with its chain, and its key: PEM files, the key in PKCS#8, PKCS#1 or
    /// SEC1 without a passphrase. They are read when the store is opened.
    pub fn ssl_client_cert(self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.server(|server| {
            server.client_cert = Some(cert.into());
            server.client_key = Some(key.into());
        })
    }

    /// Tries hosts, and the addresses of a name, in random order.
    pub fn load_balance_hosts(self, random: bool) -> Self {
        self.server(|server| server.shuffle = random)
    }

    /// Has a Galera node wait before each find, update and destroy until it has what the others had
    /// written by then, so that a logout is seen at once everywhere and a session that was begun at
    /// another node is never told as gone. Off by default; it costs a round trip in the cluster.
    /// Without it all that matters little as long as one node serves: the hosts are tried in order.
    pub fn wsrep_sync_wait(self, wait: bool) -> Self {
        self.server(|server| server.wsrep_sync_wait = wait)
    }
}

impl MySqlBuilder {
    /// Opens the store and looks at its table.
    ///
    /// # Errors
    ///
    /// When a setting or a file is wrong ([`is_config`](crate::Error::is_config)), and, unless the
    /// store is lazy, when no server can be reached
    /// ([`is_unavailable`](crate::Error::is_unavailable)) or the table does not fit
    /// ([`is_schema`](crate::Error::is_schema)).
    pub async fn open(self) -> Result<MySqlStore> {
        MySqlStore::from_builder(self).await
    }
}

impl fmt::Debug for MySqlBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("MySqlBuilder");
        match &self.source {
            Source::Server(server) => debug.field("server", server),
            Source::Pool(_) => debug.field("server", &"a pool of the user's"),
        };
        debug
            .field("table", &self.table)
            .field("create", &self.create)
            .field("lazy", &self.lazy)
            .field("lanes", &self.lanes)
            .field("max_connections", &self.max_connections)
            .field("queue", &self.queue)
            .field("deadline", &self.deadline)
            .field("connect_deadline", &self.connect_deadline)
            .finish()
    }
}
