//! Server processes and their folders.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::disk::SickDisk;

/// Debian's `nobody` and `nogroup`: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;
/// Generous: the machine may be busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

const PREFIX: &str = "sqlbypass-servers-";

/// A folder that the servers' user owns; it goes when this is dropped, or else with the next tests.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        static CLEAN: OnceLock<()> = OnceLock::new();
        CLEAN.get_or_init(remove_stale);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        give(&path);
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A file that the servers' user owns and nobody else reads, as they demand of keys.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        give(&path);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A server may still be writing its last words; what is left goes with the next tests.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| {
        let id = Command::new("id").arg("-u").output().unwrap();
        id.stdout.starts_with(b"0\n")
    })
}

fn give(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

/// Folders of tests that were killed.
fn remove_stale() {
    for entry in fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The program as the servers' user.
pub(super) fn command(program: &Path) -> Command {
    as_nobody(&[], program)
}

fn as_nobody(options: &[&str], program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(options);
    if is_root() {
        let id = NOBODY.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
    }
    // The tests' own folder may be closed to that user.
    command.arg("--").arg(program).current_dir("/").stdin(Stdio::null());
    command
}

/// Runs a program to its end as the servers' user.
pub(super) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A server that is killed when this is dropped, or when the tests end in whatever way.
pub(super) struct Process {
    child: Mutex<Child>,
    pid: u32,
}

impl Process {
    /// Starts `program` with its output in `log`.
    pub(super) fn start(program: &Path, arguments: &[String], log: &Path) -> Self {
        Self::start_on(None, program, arguments, log)
    }

    /// Starts it on a disk of its own.
    pub(super) fn start_on(
        disk: Option<&SickDisk>,
        program: &Path,
        arguments: &[String],
        log: &Path,
    ) -> Self {
        let mut command = as_nobody(&["--pdeathsig", "KILL"], program);
        command.envs(disk.into_iter().flat_map(SickDisk::environment));
        let file = fs::File::options().create(true).append(true).open(log).unwrap();
        command.args(arguments).stdout(file.try_clone().unwrap()).stderr(file);
        let child = spawn(command).unwrap();
        Self { pid: child.id(), child: Mutex::new(child) }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn has_ended(&self) -> bool {
        self.child.lock().unwrap().try_wait().unwrap().is_some()
    }

    /// Sends a signal to the server alone.
    pub(super) fn signal(&self, name: &str) {
        send(name, &[self.pid]);
    }

    /// Sends a signal to the server and all that it has started.
    pub(super) fn signal_all(&self, name: &str) {
        let mut pids = children(self.pid);
        pids.insert(0, self.pid);
        send(name, &pids);
    }

    /// Kills the server and all that it has started, and waits for all of them: PostgreSQL does not start
    /// beside a process of before.
    pub(super) fn kill_all(&self) {
        // Stopped, it starts no more of them.
        send("STOP", &[self.pid]);
        let children = children(self.pid);
        send("KILL", &children);
        send("KILL", &[self.pid]);
        self.wait();
        wait_until("a server's processes to end", || {
            children.iter().all(|child| is_gone(*child)).then_some(())
        });
    }

    pub(super) fn wait(&self) {
        wait_until("a server to end", || self.has_ended().then_some(()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been stopped, and has to go in either case.
        send("KILL", &children(self.pid));
        send("KILL", &[self.pid]);
        let _ = self.child.lock().unwrap().wait();
    }
}

/// Starts it from a thread that lives as long as the tests: a child is told of the death of the
/// thread that started it, not of the process.
fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, done) in queue {
                let _ = done.send(command.spawn());
            }
        });
        Mutex::new(jobs)
    });
    let (done, result) = channel();
    spawner.lock().unwrap().send((command, done)).unwrap();
    result.recv().unwrap()
}

fn send(signal: &str, pids: &[u32]) {
    for pid in pids {
        // Those that have ended meanwhile are no error.
        let kill = format!("kill -{signal} {pid}");
        let _ = Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status();
    }
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// Whether it has ended, or waits for nothing but to be asked how.
fn is_gone(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X']))
}

/// A port that is free now.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks again and again until there is an answer.
#[allow(clippy::disallowed_methods)] // Servers are started and stopped outside of any runtime.
pub(super) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
