//! PostgreSQL servers.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use tokio_postgres::{Client, NoTls};

use super::certificates::Certificates;
use super::disk::SickDisk;
use super::process::{Folder, Process, command, free_port, run, wait_until};

/// A user who may do everything. The password has what a URL has to escape.
const USER: &str = "app";
const PASSWORD: &str = "p@ss/w:rd %";
const PASSWORD_IN_URL: &str = "p%40ss%2Fw%3Ard%20%25";

/// How a server is set up.
#[derive(Clone, Default)]
pub(crate) struct Options {
    /// Whether a commit waits for the disk.
    pub(crate) durable: bool,
    /// Certificates of the server, if it speaks TLS; then it takes nothing else over TCP.
    pub(crate) tls: Option<Certificates>,
    /// Lines of postgresql.conf.
    pub(crate) settings: Vec<String>,
    /// Lines of pg_hba.conf that come before its own.
    pub(crate) rules: &'static str,
    /// What its log is written to, if that is to fail.
    pub(crate) disk: Option<SickDisk>,
}

/// A running server; its user `app` has all rights.
pub(crate) struct Postgres {
    process: Mutex<Option<Process>>,
    port: u16,
    folder: Folder,
    disk: Option<SickDisk>,
}

impl Postgres {
    /// Whether there is a server to start. Without one tests are left out, or fail under `CI`.
    pub(crate) fn available() -> bool {
        if binaries().is_some() {
            return true;
        }
        assert!(std::env::var_os("CI").is_none(), "missing: a PostgreSQL server");
        let _ = writeln!(std::io::stderr(), "SKIPPED a test: missing: a PostgreSQL server");
        false
    }

    /// The one that most tests share; nothing in it has to survive a crash.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Options::default()))
    }

    /// A server of one's own.
    pub(crate) fn start(options: Options) -> Self {
        let folder = Folder::new();
        let data = folder.path().join("data");
        run(command(Path::new("cp")).arg("-a").arg(template()).arg(&data));
        Self::start_in(folder, &options)
    }

    /// A server on the data in the folder.
    pub(super) fn start_in(folder: Folder, options: &Options) -> Self {
        let port = free_port();
        let data = folder.path().join("data");
        configure(&folder, &data, port, options);
        let server = Self { process: Mutex::new(None), port, folder, disk: options.disk.clone() };
        server.restart();
        server
    }

    /// The URL of one of its databases, over TCP.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", self.port)
    }

    /// The same through another port, for instance a proxy's.
    pub(crate) fn url_through(&self, port: u16, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{port}/{database}")
    }

    /// The URL of one of its databases, over its unix socket.
    pub(crate) fn socket_url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{USER}:{PASSWORD_IN_URL}@{folder}:{}/{database}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn user(&self) -> &'static str {
        USER
    }

    pub(crate) fn password(&self) -> &'static str {
        PASSWORD
    }

    /// A connection beside those under test.
    pub(crate) async fn connect(&self, database: &str) -> Client {
        self.try_connect(database).await.unwrap()
    }

    pub(crate) async fn try_connect(
        &self,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.folder.path()).port(self.port).dbname(database);
        let (client, connection) = config.user(USER).password(PASSWORD).connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// A new schema in the database `postgres`, for one test.
    pub(crate) async fn create_schema(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let client = self.connect("postgres").await;
        client.batch_execute(&format!("CREATE SCHEMA {name}")).await.unwrap();
        name
    }

    /// Stops it in good order, ending its connections.
    pub(crate) fn stop(&self) {
        let process = self.process.lock().unwrap().take().unwrap();
        process.signal("INT");
        process.wait();
    }

    /// Ends it as a crash would, with all of its backends.
    pub(crate) fn kill(&self) {
        let process = self.process.lock().unwrap().take().unwrap();
        process.kill_all();
    }

    /// Starts it again on the same port and data.
    pub(crate) fn restart(&self) {
        let data = self.data();
        let arguments = ["-D".to_owned(), data.display().to_string()];
        let program = binaries().expect("a PostgreSQL server").join("postgres");
        let process = Process::start_on(self.disk.as_ref(), &program, &arguments, &self.log_file());
        wait_until("PostgreSQL to start", || {
            assert!(!process.has_ended(), "PostgreSQL did not start: {}", self.log());
            self.is_ready().then_some(())
        });
        *self.process.lock().unwrap() = Some(process);
    }

    /// Stops it and all of its backends where they stand; connections stay open.
    pub(crate) fn pause(&self) {
        self.process.lock().unwrap().as_ref().unwrap().signal_all("STOP");
    }

    pub(crate) fn resume(&self) {
        self.process.lock().unwrap().as_ref().unwrap().signal_all("CONT");
    }

    /// Turns a standby into a primary; it takes writes when this returns.
    pub(crate) fn promote(&self) {
        let program = binaries().unwrap().join("pg_ctl");
        run(command(&program).args(["promote", "-w", "-D"]).arg(self.data()));
    }

    /// Adds lines to its settings, for its next start.
    pub(super) fn set(&self, lines: &[String]) {
        append(&self.data(), lines);
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.lock().unwrap().as_ref().unwrap().pid()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn is_ready(&self) -> bool {
        let program = binaries().unwrap().join("pg_isready");
        let mut ask = Command::new(program);
        ask.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string(), "-q"]);
        ask.status().unwrap().success()
    }
}

fn configure(folder: &Folder, data: &Path, port: u16, options: &Options) {
    let mut settings = vec![
        "listen_addresses = '127.0.0.1'".to_owned(),
        format!("port = {port}"),
        format!("unix_socket_directories = '{}'", folder.path().display()),
        "max_connections = 400".into(),
        "shared_buffers = 128MB".into(),
        format!("fsync = {}", if options.durable { "on" } else { "off" }),
    ];
    let mut rules = format!("{}\nlocal all all scram-sha-256\n", options.rules);
    if let Some(certificates) = &options.tls {
        let key = folder.write("server.key", &certificates.server_key);
        let certificate = folder.write("server.crt", &certificates.server);
        let authority = folder.write("ca.crt", &certificates.authority);
        settings.push("ssl = on".into());
        settings.push(format!("ssl_key_file = '{}'", key.display()));
        settings.push(format!("ssl_cert_file = '{}'", certificate.display()));
        settings.push(format!("ssl_ca_file = '{}'", authority.display()));
        rules.push_str("hostssl all certified 127.0.0.1/32 cert\n");
        rules.push_str("hostssl all all 127.0.0.1/32 scram-sha-256\n");
    } else {
        rules.push_str("host all all 127.0.0.1/32 scram-sha-256\n");
        rules.push_str("host replication all 127.0.0.1/32 scram-sha-256\n");
    }
    settings.extend(options.settings.iter().cloned());
    append(data, &settings);
    fs::write(data.join("pg_hba.conf"), rules).unwrap();
}

fn append(data: &Path, settings: &[String]) {
    let file = data.join("postgresql.conf");
    let old = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{old}\n{}\n", settings.join("\n"))).unwrap();
}

/// A folder of data that `initdb` has made, to be copied.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<(Folder, PathBuf)> = OnceLock::new();
    let (_, data) = TEMPLATE.get_or_init(|| {
        let folder = Folder::new();
        let password = folder.write("password", PASSWORD);
        let data = folder.path().join("template");
        let program = binaries().expect("a PostgreSQL server").join("initdb");
        let mut initdb = command(&program);
        initdb.args(["-U", USER, "-A", "scram-sha-256", "--no-sync", "--locale=C"]);
        initdb.args(["--encoding=UTF8", "--pwfile"]).arg(password).arg("-D").arg(&data);
        run(&mut initdb);
        (folder, data)
    });
    data
}

/// Where the newest server's programs are.
pub(super) fn binaries() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut found: Vec<(u32, PathBuf)> = debian
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .collect();
        found.sort();
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let on_path = std::env::split_paths(&on_path).map(|path| (0, path)).collect::<Vec<_>>();
        let mut all = found.into_iter().rev().chain(on_path).map(|(_, path)| path);
        all.find(|path| path.join("postgres").exists() && path.join("initdb").exists())
    };
    FOLDER.get_or_init(find).as_deref()
}
