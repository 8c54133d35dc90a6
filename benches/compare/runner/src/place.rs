//! Databases with all rows in them.

use bench_kit::{Answer, Database, Operation, Result};
use mysql_async::prelude::Queryable as _;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::plan::{C_CLIENT, FILLER, PGBENCH, Plan, Rival, Size, connections};
use crate::programs::Programs;
use crate::results::Key;
use crate::servers::{MariaDb, Options, Postgres, mariadb};
use crate::{c_client, pgbench};

/// A database, started.
pub(crate) struct Place {
    server: Server,
    runtime: Runtime,
}

enum Server {
    /// None: files beside the programs, since a temporary folder may not be on a disk.
    Sqlite,
    Postgres(Postgres),
    MariaDb(MariaDb),
}

impl Place {
    /// `None`, with a word about it, where the server is missing.
    pub(crate) fn new(database: Database) -> Result<Option<Self>> {
        let server = match database {
            Database::Sqlite => Some(Server::Sqlite),
            Database::Postgres => Postgres::available().then(|| {
                // A vacuum in the midst of a cell would be its rival's bad luck.
                let settings = vec!["autovacuum = off".to_owned()];
                let options = Options { durable: true, settings, ..Options::default() };
                Server::Postgres(Postgres::start(options))
            }),
            Database::Mysql => MariaDb::available().then(|| {
                let settings = ["innodb_log_file_size = 128M", "innodb_buffer_pool_size = 512M"];
                let settings = settings.map(str::to_owned).to_vec();
                let options =
                    mariadb::Options { durable: true, settings, ..mariadb::Options::default() };
                Server::MariaDb(MariaDb::start(options))
            }),
        };
        // The drivers keep their connections alive in tasks, between which this one waits.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(server.map(|server| Self { server, runtime }))
    }

    pub(crate) fn database(&self) -> Database {
        match self.server {
            Server::Sqlite => Database::Sqlite,
            Server::Postgres(_) => Database::Postgres,
            Server::MariaDb(_) => Database::Mysql,
        }
    }

    /// Statements, one after another; the name may be none.
    fn execute(&self, database: &str, statements: &[String]) -> Result<()> {
        self.runtime.block_on(async {
            match &self.server {
                Server::Sqlite => {}
                Server::Postgres(server) => {
                    let name = if database.is_empty() { "postgres" } else { database };
                    let client = server.try_connect(name).await?;
                    for sql in statements {
                        client.batch_execute(sql).await?;
                    }
                }
                Server::MariaDb(server) => {
                    let mut client = server.try_connect(database).await?;
                    for sql in statements {
                        client.query_drop(sql).await?;
                    }
                    client.disconnect().await?;
                }
            }
            Ok(())
        })
    }

    /// Tables with rows of this size, for all rivals.
    pub(crate) fn bed(
        &self,
        size: &Size,
        rivals: &[Rival],
        plan: &Plan,
        programs: &Programs,
    ) -> Result<Bed<'_>> {
        let name = format!("bench_{}", size.bytes);
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&programs.built)?;
        self.execute("", &[format!("CREATE DATABASE {name}")])?;
        let bed = Bed { place: self, name, folder, rows: size.rows };
        let (operation, payload) = (Operation::Fill, size.bytes);
        self.durable(&bed.name, false)?;
        for rival in [&FILLER].into_iter().chain(rivals.iter().filter(|rival| rival.own_table)) {
            bed.run(
                rival,
                &Key { rival: rival.name, operation, concurrency: 16, payload },
                plan,
                programs,
            )?;
        }
        if matches!(self.server, Server::Postgres(_)) {
            self.execute(&bed.name, &[pgbench::table()])?;
        }
        self.durable(&bed.name, true)?;
        bed.tidy()?;
        Ok(bed)
    }

    /// Whether a commit waits for the disk; while tables are filled none has to.
    fn durable(&self, name: &str, durable: bool) -> Result<()> {
        let statement = match (&self.server, durable) {
            (Server::Sqlite, _) => return Ok(()),
            (Server::Postgres(_), true) => {
                format!("ALTER DATABASE {name} RESET synchronous_commit")
            }
            (Server::Postgres(_), false) => {
                format!("ALTER DATABASE {name} SET synchronous_commit = off")
            }
            (Server::MariaDb(_), _) => {
                format!("SET GLOBAL innodb_flush_log_at_trx_commit = {}", u8::from(durable))
            }
        };
        self.execute("", &[statement])
    }
}

/// The tables of one size.
pub(crate) struct Bed<'p> {
    place: &'p Place,
    name: String,
    folder: TempDir,
    rows: usize,
}

impl Bed<'_> {
    /// One cell of one rival.
    pub(crate) fn run(
        &self,
        rival: &Rival,
        key: &Key,
        plan: &Plan,
        programs: &Programs,
    ) -> Result<Answer> {
        let connections = connections(key.operation, key.concurrency);
        let (database, url) = match (&self.place.server, rival.program) {
            (Server::Postgres(server), PGBENCH) => {
                let folder = self.folder.path();
                return pgbench::run(server, &self.name, folder, self.rows, key, connections, plan);
            }
            (Server::MariaDb(server), C_CLIENT) => {
                let bed = (&*self.name, self.folder.path(), self.rows);
                return c_client::run(server, bed, key, connections, plan, programs);
            }
            (Server::Sqlite, _) => {
                ("sqlite", self.folder.path().join("sessions.db").display().to_string())
            }
            (Server::Postgres(server), _) => ("postgres", server.socket_url(&self.name)),
            (Server::MariaDb(server), _) => ("mysql", server.socket_url(&self.name)),
        };
        let operation = format!("{:?}", key.operation).to_lowercase();
        let arguments = [
            ("rival", rival.name.to_owned()),
            ("database", database.to_owned()),
            ("url", url),
            ("operation", operation),
            ("concurrency", key.concurrency.to_string()),
            ("connections", connections.to_string()),
            ("payload", key.payload.to_string()),
            ("rows", self.rows.to_string()),
            ("seconds", plan.seconds.to_string()),
            ("warm-up", plan.warm_up.to_string()),
        ]
        .map(|(name, value)| format!("--{name}={value}"));
        programs.run(rival, &arguments)
    }

    /// What writes have left behind is no burden of those that come next.
    pub(crate) fn tidy(&self) -> Result<()> {
        match self.place.server {
            // A file's last connection has written the log back.
            Server::Sqlite => Ok(()),
            Server::Postgres(_) => {
                let tidy = [pgbench::clean(), "VACUUM ANALYZE".into(), "CHECKPOINT".into()];
                self.place.execute(&self.name, &tidy)
            }
            Server::MariaDb(_) => self.place.execute(&self.name, &[c_client::CLEAN.into()]),
        }
    }
}
