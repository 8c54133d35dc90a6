//! MariaDB servers.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder};

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
    /// Lines of its file of settings.
    pub(crate) settings: Vec<String>,
    /// What its data is written to, if that is to fail.
    pub(crate) disk: Option<SickDisk>,
}

/// A running server; its user `app` has all rights.
pub(crate) struct MariaDb {
    process: Mutex<Option<Process>>,
    port: u16,
    folder: Folder,
    disk: Option<SickDisk>,
}

impl MariaDb {
    /// Whether there is a server to start. Without one tests are left out, or fail under `CI`.
    pub(crate) fn available() -> bool {
        if program("mariadbd").is_some() && program("mariadb-install-db").is_some() {
            return true;
        }
        assert!(std::env::var_os("CI").is_none(), "missing: a MariaDB server");
        let _ = writeln!(std::io::stderr(), "SKIPPED a test: missing: a MariaDB server");
        false
    }

    /// The one that most tests share; nothing in it has to survive a crash of the machine.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Options::default()))
    }

    /// A server of one's own.
    pub(crate) fn start(options: Options) -> Self {
        let server = Self::prepare(free_port(), &options);
        server.restart();
        server
    }

    /// A server that is not yet started.
    pub(super) fn prepare(port: u16, options: &Options) -> Self {
        let folder = Folder::new();
        let data = folder.path().join("data");
        run(command(Path::new("cp")).arg("-a").arg(template()).arg(&data));
        configure(&folder, port, options);
        Self { process: Mutex::new(None), port, folder, disk: options.disk.clone() }
    }

    /// The URL of one of its databases, over TCP.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url_through(self.port, database)
    }

    /// The same through another port, for instance a proxy's.
    pub(crate) fn url_through(&self, port: u16, database: &str) -> String {
        format!("mysql://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{port}/{database}")
    }

    /// The URL of one of its databases, over its unix socket.
    pub(crate) fn socket_url(&self, database: &str) -> String {
        let socket = self.socket().display().to_string().replace('/', "%2F");
        format!("mysql://{USER}:{PASSWORD_IN_URL}@localhost/{database}?socket={socket}")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn user(&self) -> &'static str {
        USER
    }

    pub(crate) fn password(&self) -> &'static str {
        PASSWORD
    }

    /// A connection beside those under test; the database may be none.
    pub(crate) async fn connect(&self, database: &str) -> Conn {
        self.try_connect(database).await.unwrap()
    }

    pub(crate) async fn try_connect(&self, database: &str) -> Result<Conn, mysql_async::Error> {
        Conn::new(self.opts().db_name((!database.is_empty()).then_some(database))).await
    }

    /// The driver's settings for its unix socket.
    pub(crate) fn opts(&self) -> OptsBuilder {
        let socket = self.socket().display().to_string();
        OptsBuilder::default().socket(Some(socket)).user(Some(USER)).pass(Some(PASSWORD))
    }

    /// The driver's settings for TCP, through its own or another port.
    pub(crate) fn tcp_opts(&self, port: u16) -> Opts {
        let opts = OptsBuilder::default().ip_or_hostname("127.0.0.1").tcp_port(port);
        opts.user(Some(USER)).pass(Some(PASSWORD)).prefer_socket(false).into()
    }

    /// A new database, for one test.
    pub(crate) async fn create_schema(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut client = self.connect("").await;
        client.query_drop(format!("CREATE DATABASE {name}")).await.unwrap();
        client.disconnect().await.unwrap();
        name
    }

    /// Stops it in good order, ending its connections.
    pub(crate) fn stop(&self) {
        let process = self.process.lock().unwrap().take().unwrap();
        process.signal("TERM");
        process.wait();
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&self) {
        let process = self.process.lock().unwrap().take().unwrap();
        process.kill_all();
    }

    /// Starts it again on the same port and data.
    pub(crate) fn restart(&self) {
        self.spawn(&[]);
        wait_until("MariaDB to start", || self.greets().then_some(()));
    }

    /// Starts it, and does not wait until it answers.
    pub(super) fn spawn(&self, more: &[String]) {
        let settings = self.folder.path().join("my.cnf");
        let mut arguments = vec![format!("--defaults-file={}", settings.display())];
        arguments.extend_from_slice(more);
        let program = program("mariadbd").expect("a MariaDB server");
        let disk = self.disk.as_ref();
        let process = Process::start_on(disk, program, &arguments, &self.log_file());
        *self.process.lock().unwrap() = Some(process);
    }

    /// Stops it where it stands; connections stay open.
    pub(crate) fn pause(&self) {
        self.process.lock().unwrap().as_ref().unwrap().signal_all("STOP");
    }

    pub(crate) fn resume(&self) {
        self.process.lock().unwrap().as_ref().unwrap().signal_all("CONT");
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.lock().unwrap().as_ref().unwrap().pid()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Whether it takes connections: it speaks first.
    pub(super) fn greets(&self) -> bool {
        let ended = self.process.lock().unwrap().as_ref().is_some_and(Process::has_ended);
        assert!(!ended, "MariaDB did not start: {}", self.log());
        let Ok(mut socket) = UnixStream::connect(self.socket()) else { return false };
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // A header of four bytes, then the version of the protocol.
        let mut greeting = [0; 5];
        socket.read_exact(&mut greeting).is_ok() && greeting[4] == 10
    }
}

fn configure(folder: &Folder, port: u16, options: &Options) {
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut settings = vec![
        "[mariadbd]".to_owned(),
        format!("datadir = {}", at("data")),
        // Its own: a server that starts clears away what others have in a common one.
        format!("tmpdir = {}", at("")),
        format!("socket = {}", at("socket")),
        format!("pid_file = {}", at("pid")),
        "bind_address = 127.0.0.1".into(),
        format!("port = {port}"),
        // As Debian's package has it.
        "character_set_server = utf8mb4".into(),
        "collation_server = utf8mb4_general_ci".into(),
        "skip_name_resolve".into(),
        "max_connections = 400".into(),
        "max_connect_errors = 1000000".into(),
        LOG_SIZE.into(),
    ];
    if !options.durable {
        // A commit still survives the death of the server, if not that of the machine.
        settings.push("innodb_flush_log_at_trx_commit = 2".into());
        settings.push("innodb_flush_method = nosync".into());
    }
    if let Some(certificates) = &options.tls {
        let mut file = |setting: &str, name: &str, text: &str| {
            settings.push(format!("{setting} = {}", folder.write(name, text).display()));
        };
        file("ssl_key", "server.key", &certificates.server_key);
        file("ssl_cert", "server.crt", &certificates.server);
        file("ssl_ca", "ca.crt", &certificates.authority);
        settings.push("require_secure_transport = on".into());
    }
    settings.extend(options.settings.iter().cloned());
    folder.write("my.cnf", &format!("{}\n", settings.join("\n")));
}

const LOG_SIZE: &str = "innodb_log_file_size = 16M";

/// A folder of data that `mariadb-install-db` has made, to be copied.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<(Folder, PathBuf)> = OnceLock::new();
    let (_, data) = TEMPLATE.get_or_init(|| {
        let folder = Folder::new();
        let users = format!(
            "FLUSH PRIVILEGES;\nCREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;\n"
        );
        let users = folder.write("users.sql", &users);
        let data = folder.path().join("template");
        let program = program("mariadb-install-db").expect("a MariaDB server");
        let mut install = command(program);
        install.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
        install.args([
            "--skip-test-db",
            "--innodb-log-file-size=16M",
            "--innodb-flush-method=nosync",
        ]);
        install.arg(format!("--extra-file={}", users.display()));
        install.arg(format!("--tmpdir={}", folder.path().display()));
        run(install.arg(format!("--datadir={}", data.display())));
        (folder, data)
    });
    data
}

/// Where a program is; the server's may be off the PATH.
pub(super) fn program(name: &'static str) -> Option<&'static Path> {
    type Found = Vec<(&'static str, Option<&'static Path>)>;
    static FOUND: Mutex<Found> = Mutex::new(Vec::new());
    let mut found = FOUND.lock().unwrap();
    if let Some((_, path)) = found.iter().find(|(known, _)| *known == name) {
        return *path;
    }
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&on_path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
    let path = folders.map(|folder| folder.join(name)).find(|path| path.exists());
    let path = path.map(|path| &*Box::leak(path.into_boxed_path()));
    found.push((name, path));
    path
}
