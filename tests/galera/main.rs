//! Three nodes, writers that conflict, a node that dies: the ledger is exact. `tests/long.sh galera`
//! runs it; it takes a minute, and prints what became of the writes.

#![allow(clippy::unwrap_used)] // A test fails by panicking.

#[path = "../servers/mod.rs"]
mod servers;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use servers::Galera;
use sqlbypass::{
    CookieChange, Error, Insert, Json, Lookup, ManagerOptions, MySqlStore, Outcome, Save, Saved,
    SessionId, SessionManager, Store, Timeouts, Update,
};
use tokio::task::JoinHandle;

const RAILS: &str = "
    CREATE TABLE sessions (
        id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, session_id varchar(255) NOT NULL,
        data text, created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL,
        UNIQUE INDEX index_sessions_on_session_id (session_id),
        INDEX index_sessions_on_updated_at (updated_at))";
const NODES: usize = 3;
/// Sessions that all writers write to, few enough to conflict; and writers at each node.
const SESSIONS: usize = 40;
const WRITERS: usize = 16;
const DEADLINE: Duration = Duration::from_secs(10);
/// Less than passes after the node's death.
const PATIENCE: Duration = Duration::from_secs(8);

/// What the writers were told; every key stands in one of the three.
#[derive(Default)]
struct Ledger {
    acknowledged: BTreeSet<(usize, String)>,
    refused: BTreeSet<(usize, String)>,
    unknown: BTreeSet<(usize, String)>,
    /// The longest that a writer waited between two acknowledgements, or for one at the end.
    gap: Duration,
}

impl Ledger {
    fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.refused.extend(other.refused);
        self.unknown.extend(other.unknown);
        self.gap = self.gap.max(other.gap);
    }
}

/// A store whose first host is this node, and whose others are the next ones.
async fn store(cluster: &Galera, first: usize, wait: bool) -> MySqlStore {
    let hosts: Vec<String> = (0..NODES)
        .map(|n| format!("127.0.0.1:{}", cluster.nodes[(first + n) % NODES].port()))
        .collect();
    let own = format!("127.0.0.1:{}", cluster.nodes[first].port());
    let url = cluster.nodes[first].url("app").replace(&own, &hosts.join(","));
    let builder = MySqlStore::url(&url).unwrap().max_connections(8).deadline(DEADLINE);
    let builder = builder.connect_deadline(Duration::from_secs(1)).wsrep_sync_wait(wait);
    builder.open().await.unwrap()
}

/// Writes one key after another to the sessions in turn, each by a three-way merge.
fn writer(
    store: MySqlStore,
    name: String,
    ids: Arc<Vec<SessionId>>,
    stop: Arc<AtomicBool>,
) -> JoinHandle<Ledger> {
    tokio::spawn(async move {
        let options = ManagerOptions { deadline: DEADLINE, ..ManagerOptions::default() };
        let manager = SessionManager::with_options(store, Json, options);
        let (mut ledger, mut last) = (Ledger::default(), Instant::now());
        for n in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let (at, key) = (n % SESSIONS, format!("{name}k{n}"));
            let session = manager.session(Some(ids[at].clone()));
            session.insert(key.clone(), true).unwrap();
            match session.commit().await {
                Ok(commit) => {
                    assert!(matches!(commit.outcome, Outcome::Saved | Outcome::Merged));
                    ledger.gap = ledger.gap.max(last.elapsed());
                    last = Instant::now();
                    ledger.acknowledged.insert((at, key));
                }
                Err(error) if error.is_unknown_outcome() => _ = ledger.unknown.insert((at, key)),
                Err(error) => {
                    assert!(is_transient(&error), "{error}");
                    ledger.refused.insert((at, key));
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ledger.gap = ledger.gap.max(last.elapsed());
        ledger
    })
}

fn is_transient(error: &Error) -> bool {
    error.is_timeout() || error.is_unavailable() || error.is_overloaded() || error.is_conflict()
}

async fn keys(store: &MySqlStore, ids: &[SessionId]) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    for (at, id) in ids.iter().enumerate() {
        let record = store.find(&Lookup::new(id)).await.unwrap().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&record.data.unwrap()).unwrap();
        let keys = document["value"].as_object().unwrap().keys().cloned();
        found.extend(keys.map(|key| (at, key)));
    }
    found
}

async fn sessions(store: &MySqlStore) -> Arc<Vec<SessionId>> {
    let manager = SessionManager::new(store.clone(), Json);
    let mut ids = Vec::new();
    for _ in 0..SESSIONS {
        let session = manager.session(None);
        session.insert("first", true).unwrap();
        let CookieChange::Set(id) = session.commit().await.unwrap().cookie else { panic!() };
        ids.push(id);
    }
    Arc::new(ids)
}

fn tell(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

async fn status(cluster: &Galera, node: usize, name: &str) -> String {
    let mut client = cluster.nodes[node].connect("").await;
    let row = client.query_first(format!("SHOW STATUS LIKE '{name}'")).await.unwrap();
    row.map_or_else(String::new, |(_, value): (String, String)| value)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_exact_when_a_node_dies() {
    assert!(Galera::available(), "missing: galera-4, rsync, socat, mariadb-server");
    let cluster = Galera::start(NODES, &["max_connections = 200"]).await;
    let mut client = cluster.nodes[0].connect("").await;
    client.query_drop("CREATE DATABASE app").await.unwrap();
    client.query_drop("USE app").await.unwrap();
    client.query_drop(RAILS).await.unwrap();

    let mut stores = Vec::new();
    for node in 0..NODES {
        stores.push(store(&cluster, node, false).await);
    }
    let ids = sessions(&stores[0]).await;
    let seen = store(&cluster, 2, true).await;
    assert_eq!(keys(&seen, &ids).await.len(), SESSIONS, "at once, with wsrep_sync_wait");
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for (node, store) in stores.iter().enumerate() {
        for n in 0..WRITERS {
            let name = format!("n{node}w{n}");
            writers.push(writer(store.clone(), name, Arc::clone(&ids), Arc::clone(&stop)));
        }
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    cluster.nodes[2].kill();
    tokio::time::sleep(Duration::from_secs(10)).await;
    stop.store(true, Ordering::Relaxed);
    let mut ledger = Ledger::default();
    for writer in writers {
        ledger.add(writer.await.unwrap());
    }

    let left = keys(&store(&cluster, 0, true).await, &ids).await;
    let other = keys(&store(&cluster, 1, true).await, &ids).await;
    assert_eq!(left, other, "the nodes differ");
    let lost: Vec<_> = ledger.acknowledged.difference(&left).collect();
    let revived: Vec<_> = ledger.refused.intersection(&left).collect();
    let happened = ledger.unknown.intersection(&left).count();
    let failures = status(&cluster, 0, "wsrep_local_cert_failures").await;
    let aborts = status(&cluster, 0, "wsrep_local_bf_aborts").await;
    tell(&format!(
        "acknowledged {}, of these lost {}; refused {}, of these applied {}; unknown {} ({happened} \
         happened); longest wait {:?}; node 1: {failures} certification failures, {aborts} aborts",
        ledger.acknowledged.len(),
        lost.len(),
        ledger.refused.len(),
        revived.len(),
        ledger.unknown.len(),
        ledger.gap
    ));
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(revived.is_empty(), "told as not applied, and applied: {revived:?}");
    for node in 0..NODES {
        let of_node = format!("n{node}");
        let count = ledger.acknowledged.iter().filter(|(_, key)| key.starts_with(&of_node)).count();
        assert!(count > 0, "the writers of node {node} wrote nothing");
    }
    assert!(ledger.gap < PATIENCE, "a writer waited {:?} for the next node", ledger.gap);
    assert_ne!((failures.as_str(), aborts.as_str()), ("0", "0"), "nothing has conflicted");

    conflicts_are_not_applied(&cluster).await;
    what_one_node_did_is_seen_at_once(&cluster).await;
    // The node that died comes back with everything; then a node is left alone.
    cluster.join(2, false).await;
    assert_eq!(keys(&alone(&cluster, 2).await, &ids).await, left);
    a_minority_is_refused(&cluster, &ids[0]).await;
}

/// A store of this node alone.
async fn alone(cluster: &Galera, node: usize) -> MySqlStore {
    let builder = MySqlStore::url(&cluster.nodes[node].url("app")).unwrap();
    builder.deadline(DEADLINE).wsrep_sync_wait(true).open().await.unwrap()
}

/// A node that has lost the majority does nothing, and says so; with a majority again it goes on.
async fn a_minority_is_refused(cluster: &Galera, id: &SessionId) {
    let store = alone(cluster, 0).await;
    let stored = id.private().into();
    assert!(store.touch(&stored, Timeouts::default()).await.unwrap());
    for node in [1, 2] {
        cluster.nodes[node].kill();
    }
    let until = Instant::now() + 3 * DEADLINE;
    loop {
        assert!(Instant::now() < until, "a node that is alone goes on");
        match store.touch(&stored, Timeouts::default()).await {
            // The others are not missed for two seconds.
            Ok(_) => {}
            Err(error) if error.is_unavailable() => {
                tell(&format!("alone: {error}"));
                break;
            }
            Err(error) => assert!(error.is_unknown_outcome() || error.is_timeout(), "{error}"),
        }
    }
    assert!(store.find(&Lookup::new(id)).await.unwrap_err().is_unavailable());
    let mut client = cluster.nodes[0].connect("").await;
    let bootstrap = "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'";
    client.query_drop(bootstrap).await.unwrap();
    while let Err(error) = store.touch(&stored, Timeouts::default()).await {
        assert!(is_transient(&error) && Instant::now() < until + DEADLINE, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The same row, written at two nodes: a write that was told as applied has found its row as it was
/// guarded, and the session ends with what one of them wrote last.
async fn conflicts_are_not_applied(cluster: &Galera) {
    let stores = [store(cluster, 0, false).await, store(cluster, 1, false).await];
    let id = SessionId::generate().unwrap();
    let insert = Insert::new(id.private(), "0");
    stores[0].save(&Save::Insert(insert)).await.unwrap();
    let mut applied = 0_u64;
    let tasks = (0..8).map(|task| {
        let (store, id) = (stores[task % 2].clone(), id.clone());
        tokio::spawn(async move {
            let mut applied = 0;
            for _ in 0..100 {
                let Some(record) = store.find(&Lookup::new(&id)).await.unwrap() else { continue };
                let data = record.data.clone().unwrap();
                let n: u64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
                let next = Update::new(record.id).data((n + 1).to_string()).guarded_by(&record);
                match store.save(&Save::Update(next)).await {
                    Ok(Saved::Applied) => applied += 1,
                    Ok(other) => assert_eq!(other, Saved::Conflict),
                    Err(error) => assert!(error.is_timeout(), "{error}"),
                }
            }
            applied
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        applied += task.await.unwrap();
    }
    let reader = store(cluster, 0, true).await;
    let data = reader.find(&Lookup::new(&id)).await.unwrap().unwrap().data.unwrap();
    let counted: u64 = std::str::from_utf8(&data).unwrap().parse().unwrap();
    tell(&format!(
        "800 guarded increments at two nodes: {applied} applied, the row says {counted}"
    ));
    assert_eq!(counted, applied);
    assert!(applied > 0, "nothing was applied");
}

/// With `wsrep_sync_wait` what was done at one node holds at the next operation at another: a logout is
/// seen, and a session that was begun is not told as gone.
async fn what_one_node_did_is_seen_at_once(cluster: &Galera) {
    let (writer, reader) = (store(cluster, 0, false).await, store(cluster, 1, true).await);
    let begin = async || {
        let id = SessionId::generate().unwrap();
        let insert = Insert::new(id.private(), "in");
        writer.save(&Save::Insert(insert)).await.unwrap();
        id
    };
    for _ in 0..200 {
        let id = begin().await;
        let change = Save::Update(Update::new(id.private().into()).data("changed"));
        assert_eq!(reader.save(&change).await.unwrap(), Saved::Applied);
        assert!(reader.find(&Lookup::new(&id)).await.unwrap().is_some());
        assert!(writer.destroy(&Lookup::new(&id)).await.unwrap());
        assert!(reader.find(&Lookup::new(&id)).await.unwrap().is_none());
        assert!(reader.destroy(&Lookup::new(&begin().await)).await.unwrap());
        let stored = begin().await.private().into();
        assert!(reader.touch(&stored, Timeouts::default()).await.unwrap());
    }
}
