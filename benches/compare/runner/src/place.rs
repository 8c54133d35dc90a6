//! Databases with all rows in them.

use bench_kit::{Answer, Database, Operation, Result};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::pgbench;
use crate::plan::{FILLER, PGBENCH, Plan, Rival, Rows, connections, rivals};
use crate::programs::Programs;
use crate::results::Key;
use crate::servers::{Options, Postgres};

/// A database, started.
pub(crate) enum Place {
    /// A folder beside the programs, since a temporary one may not be on a disk.
    Sqlite,
    Postgres {
        server: Postgres,
        runtime: Runtime,
    },
}

impl Place {
    /// `None`, with a word about it, where the server is missing.
    pub(crate) fn new(database: Database) -> Result<Option<Self>> {
        Ok(match database {
            Database::Sqlite => Some(Self::Sqlite),
            Database::Postgres if Postgres::available() => {
                // A vacuum in the midst of a cell would be its rival's bad luck.
                let settings = vec!["autovacuum = off".to_owned()];
                let options = Options { durable: true, settings, ..Options::default() };
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                Some(Self::Postgres { server: Postgres::start(options), runtime })
            }
            Database::Postgres | Database::Mysql => None,
        })
    }

    pub(crate) fn database(&self) -> Database {
        match self {
            Self::Sqlite => Database::Sqlite,
            Self::Postgres { .. } => Database::Postgres,
        }
    }

    /// Tables with so many rows of this size, for all rivals.
    pub(crate) fn bed(
        &self,
        payload: usize,
        rows: usize,
        plan: &Plan,
        programs: &Programs,
    ) -> Result<Bed<'_>> {
        let name = format!("bench_{payload}");
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(&programs.built)?;
        if let Self::Postgres { server, runtime } = self {
            runtime.block_on(execute(server, "postgres", &format!("CREATE DATABASE {name}")))?;
        }
        let bed = Bed { place: self, name, folder, rows };
        let owners =
            rivals(self.database(), programs).into_iter().filter(|rival| rival.rows == Rows::Own);
        for rival in std::iter::once(FILLER).chain(owners) {
            let key =
                Key { rival: rival.name, operation: Operation::Fill, concurrency: 16, payload };
            bed.run(&rival, &key, plan, programs)?;
        }
        if let Self::Postgres { server, runtime } = self {
            runtime.block_on(execute(server, &bed.name, &pgbench::table()))?;
        }
        bed.tidy()?;
        Ok(bed)
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
        if let (PGBENCH, Place::Postgres { server, .. }) = (rival.program, self.place) {
            let folder = self.folder.path();
            return pgbench::run(server, &self.name, folder, self.rows, key, connections, plan);
        }
        let (database, url) = match self.place {
            Place::Sqlite => ("sqlite", self.file(rival)),
            Place::Postgres { server, .. } => ("postgres", server.socket_url(&self.name)),
        };
        let operation = format!("{:?}", key.operation).to_lowercase();
        let arguments = [
            ("database", database.to_owned()),
            ("url", url),
            ("operation", operation),
            ("concurrency", key.concurrency.to_string()),
            ("connections", connections.to_string()),
            ("payload", key.payload.to_string()),
            ("rows", self.rows.to_string()),
            ("seconds", plan.seconds.to_string()),
        ]
        .map(|(name, value)| format!("--{name}={value}"));
        programs.run(rival, &arguments)
    }

    fn file(&self, rival: &Rival) -> String {
        let name = if rival.rows == Rows::Rails { "rails" } else { rival.name };
        self.folder.path().join(name).with_extension("db").display().to_string()
    }

    /// What writes have left behind is no burden of those that come next.
    pub(crate) fn tidy(&self) -> Result<()> {
        match self.place {
            // A file's last connection has written the log back.
            Place::Sqlite => Ok(()),
            Place::Postgres { server, runtime } => runtime.block_on(async {
                for sql in [&pgbench::clean(), "VACUUM ANALYZE", "CHECKPOINT"] {
                    execute(server, &self.name, sql).await?;
                }
                Ok(())
            }),
        }
    }
}

async fn execute(server: &Postgres, database: &str, sql: &str) -> Result<()> {
    let client = server.try_connect(database).await?;
    Ok(client.batch_execute(sql).await?)
}
