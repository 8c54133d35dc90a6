//! PgBouncer in transaction mode.

use std::path::Path;
use std::process::{Command, Stdio};

use super::postgres::Postgres;
use super::process::{Folder, Process, free_port, wait_until};

/// A pooler in front of a server.
pub(crate) struct PgBouncer {
    process: Process,
    port: u16,
    _folder: Folder,
}

impl PgBouncer {
    /// A pooler that has so many connections to the server, each lent out for one transaction.
    pub(crate) fn start(server: &Postgres, connections: usize) -> Self {
        Self::start_with(server, connections, "")
    }

    /// The same with more lines of settings.
    pub(crate) fn start_with(server: &Postgres, connections: usize, more: &str) -> Self {
        let folder = Folder::new();
        let port = free_port();
        let password = server.password().replace('"', "\"\"");
        let users = folder.write("users.txt", &format!("\"{}\" \"{password}\"\n", server.user()));
        let settings = format!(
            "[databases]\n* = host={} port={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 1000\n{more}\n",
            server.socket_folder().display(),
            server.port(),
            users.display(),
        );
        let settings = folder.write("pgbouncer.ini", &settings);
        let log = folder.path().join("log");
        let arguments = [settings.display().to_string()];
        let process = Process::start(Path::new("pgbouncer"), &arguments, &log);
        wait_until("PgBouncer to start", || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            assert!(!process.has_ended(), "PgBouncer did not start: {said}");
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { process, port, _folder: folder }
    }

    /// Whether it is installed. Without it tests are left out, or fail under `CI`.
    pub(crate) fn available() -> bool {
        let mut ask = Command::new("pgbouncer");
        ask.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        let is_there = ask.status().is_ok();
        assert!(is_there || std::env::var_os("CI").is_none(), "missing: pgbouncer");
        if !is_there {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "SKIPPED a test: missing: pgbouncer");
        }
        is_there
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pause(&self) {
        self.process.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.process.signal("CONT");
    }
}
