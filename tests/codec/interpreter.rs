//! Asks the Ruby of this machine.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a script on some input and answers what it printed.
///
/// Without Ruby: `None` on a developer's machine, and a failure where `CI` is set.
pub(super) fn ruby(script: &str, input: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new("ruby");
    command.args(["-W0", "-e", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI must have ruby: {error}");
            eprintln!("SKIPPED: no ruby here ({error}); nothing was compared with it");
            return None;
        }
    };
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("ruby runs to its end");
    writer.join().expect("the writer does not panic").expect("ruby reads its input");
    assert!(output.status.success(), "ruby failed");
    Some(output.stdout)
}
