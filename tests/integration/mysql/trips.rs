//! One round trip per operation, as a proxy in between counts them and as the system's calls tell.

use std::process::{Command, Stdio};

use sqlbypass::{Lookup, MySqlStore, Saved, SessionId, Store, Timeouts};

use super::{Place, data, insert, new_id, update};
use crate::servers::{MariaDb, Proxy};

const ROUNDS: usize = 50;
/// The protocol's commands; each stands behind a header of four bytes.
const EXECUTE: u8 = 0x17;
const PING: u8 = 0x0e;

/// Five operations, each of one statement.
const OPERATIONS: usize = 5;

async fn operate(store: &MySqlStore) {
    let id = new_id();
    assert_eq!(insert(store, &id, "one").await.unwrap(), Saved::Applied);
    assert_eq!(data(store, &id).await.unwrap(), "one");
    assert_eq!(update(store, &id, "two").await.unwrap(), Saved::Applied);
    assert!(store.touch(&id.private().into(), Timeouts::default()).await.unwrap());
    assert!(store.destroy(&Lookup::new(&id)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_is_one_round_trip() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).max_connections(1).open().await.unwrap();
    operate(&store).await;
    proxy.take_turns();
    let connections = proxy.connections();
    for _ in 0..ROUNDS {
        operate(&store).await;
    }
    let commands: Vec<u8> = proxy.take_turns().into_iter().map(|head| head[4]).collect();
    // A connection that has rested on a busy machine is asked whether it is still there.
    let sent: Vec<u8> = commands.into_iter().filter(|command| *command != PING).collect();
    assert_eq!(sent.len(), ROUNDS * OPERATIONS);
    assert!(sent.iter().all(|command| *command == EXECUTE), "{sent:x?}");
    assert_eq!(proxy.connections(), connections);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_find_by_both_ids_is_one_round_trip() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).max_connections(1).open().await.unwrap();
    let id = SessionId::parse(b"0123456789abcdef0123456789abcdef").unwrap();
    let lookup = Lookup::with_legacy(&id);
    assert!(store.find(&lookup).await.unwrap().is_none());
    proxy.take_turns();
    for round in 0..3 {
        let found = store.find(&lookup).await.unwrap();
        assert_eq!(found.is_some(), round > 0);
        let heads = proxy.take_turns();
        assert_eq!(heads.iter().filter(|head| head[4] != PING).count(), 1);
        match round {
            0 => place.put(id.as_str(), "raw").await,
            _ => place.put(&format!("{}{round}", id.private().as_str()), "other").await,
        }
    }
}

const URL: &str = "SQLBYPASS_TEST_TRACED_URL";
/// What the traced process writes before and after what is counted.
const BEGIN: &str = "here the counted operations begin";
const END: &str = "here the counted operations end";

/// What the test below runs under strace.
#[tokio::test]
async fn only_operates() {
    let Ok(url) = std::env::var(URL) else { return };
    let store = MySqlStore::url(&url).unwrap().max_connections(1).open().await.unwrap();
    operate(&store).await;
    let mark = std::env::temp_dir();
    let tell = |text: &str| assert!(!mark.join(text).exists());
    tell(BEGIN);
    for _ in 0..ROUNDS {
        operate(&store).await;
    }
    tell(END);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strace_counts_one_send_an_operation() {
    if !MariaDb::available() || !can_trace() {
        return;
    }
    let place = Place::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut tests = Command::new("strace");
    let calls = "trace=sendto,sendmsg,write,writev,statx,stat,newfstatat,access";
    tests.args(["-f", "-qq", "-s", "200", "-e", "signal=none", "-e", calls, "-o"]).arg(&log);
    tests.arg(std::env::current_exe().unwrap()).args(["--exact", "mysql::trips::only_operates"]);
    tests.env(URL, MariaDb::shared().url(&place.database));
    let output = tests.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let log = std::fs::read_to_string(&log).unwrap();
    let (_, counted) = log.split_once(BEGIN).expect("the beginning");
    let (counted, _) = counted.split_once(END).expect("the end");
    let sends = counted.lines().filter(|line| {
        line.contains("sendto(") || line.contains("sendmsg(") || line.contains("writev(")
    });
    let pings = counted.matches("\\1\\0\\0\\0\\16\"").count();
    assert_eq!(sends.count() - pings, ROUNDS * OPERATIONS);
}

/// Whether strace is there and may trace. Without it the test is left out, or fails under `CI`.
fn can_trace() -> bool {
    use std::io::Write as _;
    let mut ask = Command::new("strace");
    ask.args(["-o", "/dev/null", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    let can = ask.status().is_ok_and(|status| status.success());
    assert!(can || std::env::var_os("CI").is_none(), "missing: strace, or the right to trace");
    if !can {
        let _ = writeln!(std::io::stderr(), "SKIPPED a test: missing: strace");
    }
    can
}
