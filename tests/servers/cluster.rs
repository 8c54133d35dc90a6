//! A primary with a standby that confirms each commit.

use super::postgres::{Options, Postgres, binaries};
use super::process::{Folder, command, run, wait_until};

/// What the primary acknowledges, the standby has.
pub(crate) struct Cluster {
    pub(crate) primary: Postgres,
    pub(crate) standby: Postgres,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let settings = vec!["wal_level = replica".into(), "max_wal_senders = 4".into()];
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
        cluster.require_standby();
        cluster
    }

    /// From here on a commit is acknowledged when the standby has it.
    fn require_standby(&self) {
        let sql = |sql: &str| {
            let program = binaries().unwrap().join("psql");
            let mut psql = command(&program);
            psql.env("PGPASSWORD", self.primary.password());
            psql.arg("-h").arg(self.primary.socket_folder());
            psql.args(["-p", &self.primary.port().to_string(), "-U", self.primary.user()]);
            psql.args(["-d", "postgres", "-At", "-c", sql]);
            String::from_utf8(run(&mut psql).stdout).unwrap()
        };
        sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        sql("SELECT pg_reload_conf()");
        wait_until("the standby to confirm commits", || {
            let state = sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'");
            (state.trim() == "1").then_some(())
        });
    }
}
