//! What was acknowledged is there afterwards: restarts, kill -9, SIGTERM under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Request;
use http_body_util::Full;
use tempfile::tempdir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::Client;
use super::process::Server;

const ROUNDS: u64 = 12;
const WRITERS: usize = 8;

#[tokio::test]
async fn every_acknowledged_change_survives_kill_9() {
    let folder = tempdir().unwrap();
    let mut server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    let mut expected = serde_json::Map::new();
    for round in 0..ROUNDS {
        client.follow(&server);
        client.put(&format!("round{round}"), &round.to_string()).await.ok();
        server.kill().await;
        expected.insert(format!("round{round}"), round.into());
        server = Server::start(folder.path()).await;
        client.follow(&server);
        let reply = client.get("/api/session").await;
        let values: serde_json::Value = serde_json::from_str(reply.ok()).unwrap();
        assert_eq!(values, serde_json::Value::Object(expected.clone()));
    }
}

#[tokio::test]
async fn kill_9_under_load_loses_nothing_acknowledged() {
    let folder = tempdir().unwrap();
    for _ in 0..3 {
        let server = Server::start(folder.path()).await;
        let load = Load::start(&server);
        load.under_way().await;
        server.kill().await;
        load.check(&Server::start(folder.path()).await).await;
    }
}

/// Two processes that write into one file, and the end of one of them.
#[tokio::test]
async fn two_processes_on_one_file_lose_nothing_acknowledged() {
    let (folder, other) = (tempdir().unwrap(), tempdir().unwrap());
    let first = Server::start(folder.path()).await;
    let database = format!("sqlite://{}?mode=rw", folder.path().join("sessions.db").display());
    let arguments = ["--listen", "127.0.0.1:0", "--database", &database];
    let second = Server::start_with(other.path(), &arguments).await;
    let loads = [Load::start(&first), Load::start(&second), Load::start(&second)];
    for load in &loads {
        load.under_way().await;
    }
    first.kill().await;
    for load in loads {
        load.check(&second).await;
    }
}

#[tokio::test]
async fn sigterm_under_load_loses_nothing_acknowledged_and_exits_0() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let load = Load::start(&server);
    load.under_way().await;
    server.terminate();
    let (code, out, err) = server.end().await;
    assert_eq!((code, &*err), (Some(0), ""));
    assert_eq!(out.lines().count(), 1);
    assert!(!folder.path().join("sessions.db-wal").exists(), "the store was closed");
    load.check(&Server::start(folder.path()).await).await;
}

#[tokio::test]
async fn sigterm_lets_a_request_under_way_end_and_waits_for_no_idle_client() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut client = Client::new(&server);
    client.put("a", "1").await.ok();
    let cookie = client.cookie.clone().unwrap();

    let _idle = TcpStream::connect(&server.address).await.unwrap();
    let mut slow = TcpStream::connect(&server.address).await.unwrap();
    let head = format!(
        "PUT /api/session/b HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\ncontent-length: 3\r\n\
         expect: 100-continue\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    // The service has begun to read the body when it asks for it.
    let mut asked = [0; 25];
    slow.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");

    let begun = Instant::now();
    server.terminate();
    tokio::time::sleep(Duration::from_millis(200)).await;
    slow.write_all(b"\"x\"").await.unwrap();
    let mut reply = String::new();
    slow.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 204 "), "{reply}");
    assert_eq!(server.end().await.0, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8), "it waited for the idle client");

    let server = Server::start(folder.path()).await;
    client.follow(&server);
    assert_eq!(client.get("/api/session").await.ok(), r#"{"a":1,"b":"x"}"#);
}

#[tokio::test]
async fn ctrl_c_ends_it_as_well() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    server.interrupt();
    assert_eq!(server.end().await.0, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_wait_for_requests_under_way() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut stuck = TcpStream::connect(&server.address).await.unwrap();
    let head = "PUT /api/session/a HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n";
    stuck.write_all(head.as_bytes()).await.unwrap();
    // Another request has its answer, so the first one has been read as well.
    Client::new(&server).get("/api/session").await.ok();
    let begun = Instant::now();
    server.terminate();
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.terminate();
    assert_eq!(server.end().await.0, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn changes_at_the_same_time_all_last_also_through_a_renewal() {
    let folder = tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    for round in 0..5 {
        let mut owner = Client::new(&server);
        owner.put("a", "1").await.ok();
        let put = |key: usize| {
            let mut client = Client::new(&server);
            client.cookie.clone_from(&owner.cookie);
            tokio::spawn(async move { (key, client.put(&format!("k{key}"), "1").await) })
        };
        let puts: Vec<_> = (0..20).map(put).collect();
        if round > 0 {
            owner.post("/api/renew").await.ok();
        }
        let mut expected = vec!["a".to_owned()];
        for put in puts {
            let (key, reply) = put.await.unwrap();
            // Either it came in time; or its session was gone and it says so; or it came so late
            // that it began a session of its own.
            match reply.status.as_u16() {
                409 => assert!(reply.error(409).contains("nothing was written")),
                _ if reply.cookie().is_some() => assert!(round > 0),
                _ => expected.push(format!("k{key}")),
            }
        }
        let reply = owner.get("/api/session").await;
        let values: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(reply.ok()).unwrap();
        let mut found: Vec<_> = values.keys().cloned().collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert!(round > 0 || found.len() == 21);
    }
}

/// Writers that count up, each in a session of its own, until the service is gone.
struct Load {
    writers: Vec<tokio::task::JoinHandle<(Client, u64)>>,
    stop: Arc<AtomicBool>,
    total: Arc<AtomicU64>,
}

impl Load {
    fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let total = Arc::new(AtomicU64::new(0));
        let writer =
            |_| tokio::spawn(count_up(Client::new(server), Arc::clone(&stop), Arc::clone(&total)));
        Self { writers: (0..WRITERS).map(writer).collect(), stop, total }
    }

    /// Waits until the writers were told of some ten changes each.
    async fn under_way(&self) {
        while self.total.load(Ordering::Relaxed) < 10 * WRITERS as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Finds what each was told; the one after it may be there too, its answer lost on the way.
    async fn check(self, server: &Server) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            let (mut client, acknowledged) = writer.await.unwrap();
            if acknowledged == 0 {
                continue;
            }
            client.follow(server);
            let reply = client.get("/api/session").await;
            let values: serde_json::Value = serde_json::from_str(reply.ok()).unwrap();
            let found = values["n"].as_u64().unwrap();
            assert!(found == acknowledged || found == acknowledged + 1);
        }
    }
}

async fn count_up(
    mut client: Client,
    stop: Arc<AtomicBool>,
    total: Arc<AtomicU64>,
) -> (Client, u64) {
    let mut acknowledged = 0;
    while !stop.load(Ordering::Relaxed) {
        let next = acknowledged + 1;
        let request = Request::put("/api/session/n").body(Full::from(next.to_string())).unwrap();
        match client.try_request(request).await {
            Ok(reply) if reply.status == 204 => {
                acknowledged = next;
                total.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) | Err(_) => break,
        }
    }
    (client, acknowledged)
}
