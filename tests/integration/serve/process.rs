//! Programs under test. They end with the test, also when it panics.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Leaves a test out where something is missing, and fails it under `CI`. Written past the test
/// harness, which would hide the words of a test that passes.
pub(super) fn skip(missing: &str) {
    assert!(std::env::var_os("CI").is_none(), "missing: {missing}");
    let _ = writeln!(std::io::stderr(), "SKIPPED a test: missing: {missing}");
}

/// A program that is killed when this is dropped.
pub(super) struct Process(Child);

impl Process {
    /// Starts it with its output in two files.
    pub(super) fn spawn(command: &mut Command, out: &Path, err: &Path) -> Self {
        let file = |path| Stdio::from(File::create(path).unwrap());
        let child = command.stdin(Stdio::null()).stdout(file(out)).stderr(file(err)).spawn();
        Self(child.unwrap_or_else(|fault| panic!("starting {command:?}: {fault}")))
    }

    /// Sends a signal, by its name.
    pub(super) fn signal(&self, name: &str) {
        assert!(send(name, &self.0.id().to_string()), "no process to signal");
    }

    /// Sends a signal to the process group that it leads, if there is one left.
    pub(super) fn signal_group(&self, name: &str) {
        send(name, &format!("-- -{}", self.0.id()));
    }

    /// Waits for its end.
    pub(super) async fn wait(&mut self) -> ExitStatus {
        eventually("the program to end", || self.0.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The shell's own `kill` is there where the program is not.
fn send(signal: &str, target: &str) -> bool {
    let kill = format!("kill -{signal} {target}");
    Command::new("sh").args(["-c", &kill]).stderr(Stdio::null()).status().unwrap().success()
}

/// Asks again and again until there is an answer.
pub(super) async fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A service that has told its address.
pub(super) struct Server {
    process: Process,
    pub(super) address: String,
    out: PathBuf,
    err: PathBuf,
}

impl Server {
    /// Starts `sqlbypass serve` with its default database in this folder, on a free port.
    pub(super) async fn start(folder: &Path) -> Self {
        Self::start_with(folder, &["--listen", "127.0.0.1:0"]).await
    }

    /// Starts `sqlbypass serve` in this folder.
    pub(super) async fn start_with(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sqlbypass"));
        command.env_remove("DATABASE_URL").arg("serve").args(arguments);
        Self::run(&mut command, folder).await
    }

    /// Starts any program that prints `listening on http://…`.
    pub(super) async fn run(command: &mut Command, folder: &Path) -> Self {
        let (out, err) = (folder.join("out.txt"), folder.join("err.txt"));
        let process = Process::spawn(command.current_dir(folder), &out, &err);
        let mut server = Self { process, address: String::new(), out, err };
        server.address = eventually("the ready line", || {
            let (out, err) = server.output();
            assert!(server.process.0.try_wait().unwrap().is_none(), "it ended: {err}");
            let line = out.strip_suffix('\n')?;
            Some(line.strip_prefix("listening on http://").expect(line).to_owned())
        })
        .await;
        server
    }

    /// Kills it without notice.
    pub(super) async fn kill(mut self) {
        self.process.signal("KILL");
        self.process.wait().await;
    }

    /// Tells it to stop, and goes on.
    pub(super) fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Presses Ctrl-C.
    pub(super) fn interrupt(&self) {
        self.process.signal("INT");
    }

    /// Waits for its end; answers its exit code and what it wrote.
    pub(super) async fn end(mut self) -> (Option<i32>, String, String) {
        let status = self.process.wait().await;
        let (out, err) = self.output();
        (status.code(), out, err)
    }

    /// What it wrote to standard output and to standard error.
    pub(super) fn output(&self) -> (String, String) {
        let read = |path| fs::read_to_string(path).unwrap();
        (read(&self.out), read(&self.err))
    }
}
