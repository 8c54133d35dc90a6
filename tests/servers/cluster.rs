//! A primary with a standby.

use super::postgres::{Options, Postgres, binaries};
use super::process::{Folder, command, run, wait_until};

/// Two servers, of which one follows the other.
pub(crate) struct Cluster {
    pub(crate) primary: Postgres,
    pub(crate) standby: Postgres,
}

impl Cluster {
    /// What the primary acknowledges, the standby has.
    pub(crate) fn start() -> Self {
        let cluster = Self::start_loosely();
        cluster.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        cluster.sql("SELECT pg_reload_conf()");
        cluster.wait_for_standby("sync");
        cluster
    }

    /// The standby follows when it can, and nobody waits for it.
    pub(crate) fn start_loosely() -> Self {
        // Hints in the log let a primary that has gone its own way be wound back.
        let settings = ["wal_level = replica", "max_wal_senders = 4", "wal_log_hints = on"];
        let settings = settings.map(String::from).to_vec();
        let options = Options { durable: true, settings, ..Options::default() };
        let primary = Postgres::start(options);
        let folder = Folder::new();
        let data = folder.path().join("data");
        let program = binaries().unwrap().join("pg_basebackup");
        let mut backup = command(&program);
        backup.env("PGPASSWORD", primary.password());
        backup.args(["-h", "127.0.0.1", "-p", &primary.port().to_string()]);
        backup.args(["-U", primary.user(), "-R", "-c", "fast", "-X", "stream", "-D"]).arg(&data);
        run(&mut backup);
        let options = Options { durable: true, ..Options::default() };
        let standby = Postgres::start_in(folder, &options);
        let cluster = Self { primary, standby };
        cluster.wait_for_standby("async");
        cluster
    }

    /// Asks the primary, as an administrator does.
    fn sql(&self, sql: &str) -> String {
        let program = binaries().unwrap().join("psql");
        let mut psql = command(&program);
        psql.env("PGPASSWORD", self.primary.password());
        psql.arg("-h").arg(self.primary.socket_folder());
        psql.args(["-p", &self.primary.port().to_string(), "-U", self.primary.user()]);
        psql.args(["-d", "postgres", "-At", "-c", sql]);
        String::from_utf8(run(&mut psql).stdout).unwrap()
    }

    fn wait_for_standby(&self, how: &str) {
        let sql = format!("SELECT count(*) FROM pg_stat_replication WHERE sync_state = '{how}'");
        wait_until("the standby to follow", || (self.sql(&sql).trim() == "1").then_some(()));
    }

    /// Makes the old primary, which is down, follow the one that took its place, and starts it. What
    /// it alone had is gone.
    pub(crate) fn follow_the_new_one(&self) {
        let program = binaries().unwrap().join("pg_rewind");
        let mut rewind = command(&program);
        let (port, user) = (self.standby.port(), self.standby.user());
        let server = format!("host=127.0.0.1 port={port} user={user} dbname=postgres");
        rewind.env("PGPASSWORD", self.standby.password());
        rewind.args(["-R", "--source-server", &server, "-D"]).arg(self.primary.data());
        run(&mut rewind);
        // It has taken the other's settings along.
        let own = [
            format!("port = {}", self.primary.port()),
            format!("unix_socket_directories = '{}'", self.primary.socket_folder().display()),
        ];
        self.primary.set(&own);
        self.primary.restart();
    }
}
