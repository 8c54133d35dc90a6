//! Databases, and tables that grow in them.

use std::path::Path;

use bench_kit::{Database, Result};
use mysql_async::prelude::Queryable as _;
use rusqlite::Connection;
use sqlbypass::AnyStore;
use tempfile::TempDir;

use crate::grown;
use crate::servers::{MariaDb, Options, Postgres, mariadb};

/// Bytes of data in a row, give or take the digits of its number.
pub(crate) const PAYLOAD: usize = 600;
/// Of them those that fill it up.
const FILL: usize = 570;
/// Rows that are written at a time.
const CHUNK: usize = 100_000;

/// A database, started.
pub(crate) struct Place {
    server: Server,
    rows: usize,
}

enum Server {
    Sqlite(TempDir),
    Postgres(Postgres),
    /// And a database of it.
    MariaDb(MariaDb, String),
}

impl Place {
    /// `None`, with a word about it, where the server is missing.
    pub(crate) fn new(database: Database, programs: &Path) -> Result<Option<Self>> {
        let server = match database {
            // Beside the programs, since a temporary folder may not be on a disk.
            Database::Sqlite => {
                let folder = tempfile::Builder::new().prefix("growth-").tempdir_in(programs)?;
                Some(Server::Sqlite(folder))
            }
            Database::Postgres => Postgres::available().then(|| {
                let settings = [
                    // A vacuum in the midst of a turn would be that turn's bad luck.
                    "autovacuum = off",
                    "shared_buffers = 1GB",
                    "maintenance_work_mem = 1GB",
                    "max_wal_size = 8GB",
                ];
                let settings = settings.map(str::to_owned).to_vec();
                Server::Postgres(Postgres::start(Options {
                    durable: true,
                    settings,
                    ..Options::default()
                }))
            }),
            Database::Mysql => MariaDb::available()
                .then(|| {
                    let settings = [
                        "innodb_log_file_size = 1G",
                        "innodb_buffer_pool_size = 3G",
                        "innodb_flush_method = O_DIRECT_NO_FSYNC",
                    ];
                    let settings = settings.map(str::to_owned).to_vec();
                    let options =
                        mariadb::Options { durable: true, settings, ..mariadb::Options::default() };
                    let server = MariaDb::start(options);
                    let runtime =
                        tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                    let name = runtime.block_on(server.create_schema());
                    Ok::<_, std::io::Error>(Server::MariaDb(server, name))
                })
                .transpose()?,
        };
        Ok(server.map(|server| Self { server, rows: 0 }))
    }

    pub(crate) fn database(&self) -> Database {
        match self.server {
            Server::Sqlite(_) => Database::Sqlite,
            Server::Postgres(_) => Database::Postgres,
            Server::MariaDb(..) => Database::Mysql,
        }
    }

    pub(crate) fn url(&self) -> String {
        match &self.server {
            Server::Sqlite(folder) => {
                format!("sqlite:{}", folder.path().join("sessions.db").display())
            }
            Server::Postgres(server) => server.socket_url("postgres"),
            Server::MariaDb(server, name) => server.socket_url(name),
        }
    }

    /// Nothing is answered until what this returns is dropped. On SQLite nothing is written.
    pub(crate) fn halt(&self) -> Result<Halted<'_>> {
        Ok(match &self.server {
            Server::Sqlite(folder) => {
                let connection = Connection::open(folder.path().join("sessions.db"))?;
                connection.execute_batch("BEGIN IMMEDIATE")?;
                Halted::Locked(connection)
            }
            Server::Postgres(server) => {
                server.pause();
                Halted::Postgres(server)
            }
            Server::MariaDb(server, _) => {
                server.pause();
                Halted::MariaDb(server)
            }
        })
    }

    /// Adds rows until there are so many; the megabytes of table and indexes.
    pub(crate) async fn fill(&mut self, rows: usize) -> Result<u64> {
        if self.rows == 0 {
            drop(AnyStore::url(&self.url())?.create(true).open().await?);
        }
        let from = std::mem::replace(&mut self.rows, rows);
        match &self.server {
            Server::Sqlite(folder) => sqlite(&folder.path().join("sessions.db"), from, rows),
            Server::Postgres(server) => postgres(server, from, rows).await,
            Server::MariaDb(server, name) => mariadb(server, name, from, rows).await,
        }
    }

    /// What writes have left behind is no burden of those that come next.
    pub(crate) async fn tidy(&self) -> Result<()> {
        if let Server::Postgres(server) = &self.server {
            let client = server.try_connect("postgres").await?;
            for statement in ["VACUUM sessions", "CHECKPOINT"] {
                client.batch_execute(statement).await?;
            }
        }
        Ok(())
    }
}

/// A database that has been halted.
pub(crate) enum Halted<'p> {
    /// Its lock goes with the connection.
    #[expect(dead_code, reason = "held, not used")]
    Locked(Connection),
    Postgres(&'p Postgres),
    MariaDb(&'p MariaDb),
}

impl Drop for Halted<'_> {
    fn drop(&mut self) {
        match self {
            Self::Locked(_) => {}
            Self::Postgres(server) => server.resume(),
            Self::MariaDb(server) => server.resume(),
        }
    }
}

fn sqlite(path: &Path, from: usize, to: usize) -> Result<u64> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    connection.pragma_update(None, "cache_size", -2_000_000)?;
    for first in (from..to).step_by(CHUNK) {
        connection.execute_batch("BEGIN")?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO sessions (session_id, data, created_at, updated_at) \
             VALUES (?1, ?2, datetime('now'), datetime('now'))",
        )?;
        for n in first..to.min(first + CHUNK) {
            let private = grown::id(n)?.private();
            insert.execute((private.as_str(), grown::data(n, FILL)))?;
        }
        connection.execute_batch("COMMIT")?;
    }
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); ANALYZE")?;
    // What was written without waiting is on disk before anything is measured.
    let file = std::fs::File::open(path)?;
    file.sync_all()?;
    Ok(file.metadata()?.len() >> 20)
}

async fn postgres(server: &Postgres, from: usize, to: usize) -> Result<u64> {
    let client = server.try_connect("postgres").await?;
    client.batch_execute("SET synchronous_commit = off").await?;
    for first in (from..to).step_by(CHUNK) {
        let last = to.min(first + CHUNK) - 1;
        let insert = format!(
            "INSERT INTO sessions (session_id, data, created_at, updated_at) \
             SELECT '2::' || encode(sha256(md5(n::text)::bytea), 'hex'), \
             '{{\"value\":{{\"n\":' || n || ',\"t\":\"' || repeat('x', {FILL}) || '\"}}}}', now(), now() \
             FROM generate_series({first}, {last}) n"
        );
        client.batch_execute(&insert).await?;
    }
    for statement in ["VACUUM ANALYZE sessions", "CHECKPOINT"] {
        client.batch_execute(statement).await?;
    }
    let bytes: i64 =
        client.query_one("SELECT pg_total_relation_size('sessions')", &[]).await?.get(0);
    Ok(bytes as u64 >> 20)
}

async fn mariadb(server: &MariaDb, name: &str, from: usize, to: usize) -> Result<u64> {
    let mut client = server.try_connect(name).await?;
    client.query_drop("SET GLOBAL innodb_flush_log_at_trx_commit = 0").await?;
    for first in (from..to).step_by(CHUNK) {
        let last = to.min(first + CHUNK) - 1;
        let insert = format!(
            "INSERT INTO sessions (session_id, data, created_at, updated_at) \
             SELECT CONCAT('2::', SHA2(MD5(seq), 256)), \
             CONCAT('{{\"value\":{{\"n\":', seq, ',\"t\":\"', REPEAT('x', {FILL}), '\"}}}}'), NOW(), NOW() \
             FROM seq_{first}_to_{last}"
        );
        client.query_drop(insert).await?;
    }
    client.query_drop("SET GLOBAL innodb_flush_log_at_trx_commit = 1").await?;
    client.query_drop("ANALYZE TABLE sessions").await?;
    let size = "SELECT (data_length + index_length) >> 20 FROM information_schema.tables \
                WHERE table_schema = ? AND table_name = 'sessions'";
    let megabytes: Option<u64> = client.exec_first(size, (name,)).await?;
    client.disconnect().await?;
    Ok(megabytes.ok_or("the table has no size")?)
}
