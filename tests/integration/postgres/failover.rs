//! A primary that dies, stops or is demoted, and the standby that takes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlbypass::{PostgresBuilder, PostgresStore, Saved, SessionId};

use super::{Place, data, insert, new_id, update};
use crate::conformance::postgres::RAILS;
use crate::servers::{Cluster, Postgres};

const WRITERS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(1);

/// The store's settings with both servers named, the primary first.
fn both(place: &Place, cluster: &Cluster) -> PostgresBuilder {
    let (first, second) = (cluster.primary.port(), cluster.standby.port());
    let url = cluster.primary.url_through(first, "postgres");
    let hosts = format!("127.0.0.1:{first},127.0.0.1:{second}");
    let url = url.replace(&format!("127.0.0.1:{first}"), &hosts);
    place.builder(&format!("{url}?target_session_attrs=read-write")).deadline(DEADLINE)
}

/// Writers that each count up in a session of their own, begin others, and remember what was
/// acknowledged.
struct Writers {
    ids: Vec<SessionId>,
    acknowledged: Vec<AtomicUsize>,
    /// Nobody writes to these again: what is lost of them is missed, though writes go on.
    begun: std::sync::Mutex<Vec<SessionId>>,
    /// When the last acknowledgement came.
    last: std::sync::Mutex<Instant>,
    stop: AtomicBool,
}

impl Writers {
    async fn start(store: &PostgresStore) -> (Arc<Self>, Vec<tokio::task::JoinHandle<()>>) {
        let writers = Arc::new(Self {
            ids: (0..WRITERS).map(|_| new_id()).collect(),
            acknowledged: (0..WRITERS).map(|_| AtomicUsize::new(0)).collect(),
            begun: std::sync::Mutex::default(),
            last: std::sync::Mutex::new(Instant::now()),
            stop: AtomicBool::new(false),
        });
        for id in &writers.ids {
            insert(store, id, "0").await.unwrap();
        }
        let write = |at| {
            let (writers, store) = (Arc::clone(&writers), store.clone());
            tokio::spawn(async move { writers.write(at, &store).await })
        };
        let tasks = (0..WRITERS).map(write).collect();
        (writers, tasks)
    }

    async fn write(&self, at: usize, store: &PostgresStore) {
        for n in 1.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            match update(store, &self.ids[at], &n.to_string()).await {
                Ok(saved) => {
                    assert_eq!(saved, Saved::Applied);
                    self.acknowledged[at].store(n, Ordering::Relaxed);
                    *self.last.lock().unwrap() = Instant::now();
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            let id = new_id();
            if let Ok(saved) = insert(store, &id, "begun").await {
                assert_eq!(saved, Saved::Applied);
                self.begun.lock().unwrap().push(id);
            }
        }
    }

    fn total(&self) -> usize {
        self.acknowledged.iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// The first acknowledgement after that.
    async fn back(&self, since: Instant) -> Duration {
        loop {
            let last = *self.last.lock().unwrap();
            if last > since {
                return last - since;
            }
            assert!(since.elapsed() < Duration::from_secs(30), "no write since the promotion");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn all_are_there(&self, store: &PostgresStore) {
        for (at, id) in self.ids.iter().enumerate() {
            let found = data(store, id).await.unwrap();
            let found: usize = std::str::from_utf8(&found).unwrap().parse().unwrap();
            let acknowledged = self.acknowledged[at].load(Ordering::Relaxed);
            assert!(found >= acknowledged, "{acknowledged} was acknowledged, {found} is there");
        }
        let begun = std::mem::take(&mut *self.begun.lock().unwrap());
        let mut lost = 0;
        for id in &begun {
            lost += usize::from(data(store, id).await.is_none());
        }
        assert_eq!(lost, 0, "of {} that were begun and acknowledged are lost", begun.len());
    }
}

/// What the primary acknowledged with a synchronous standby is there after it died; writes go on
/// within a second of the promotion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failover_loses_nothing_that_was_acknowledged() {
    if !Postgres::available() {
        return;
    }
    let cluster = Cluster::start();
    let place = Place::on(&cluster.primary, RAILS).await;
    let store = both(&place, &cluster).open().await.unwrap();
    let (writers, tasks) = Writers::start(&store).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.primary.kill();
    let before = writers.total();
    assert!(before > 0, "nothing was written before the fault");
    cluster.standby.promote();
    let back = writers.back(Instant::now()).await;
    println!("{before} acknowledged before the fault; back {back:?} after the promotion");
    assert!(back < Duration::from_secs(1), "back after {back:?}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    writers.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    writers.all_are_there(&store).await;
}

/// Whatever a store's connections are set to: a save is acknowledged when the standby has it, and not
/// before. A standby that is away for the primary's last second would lack what was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_the_standby_lacks() {
    if !Postgres::available() {
        return;
    }
    let cluster = Cluster::start();
    let place = Place::on(&cluster.primary, RAILS).await;
    let store = both(&place, &cluster).open().await.unwrap();
    let (writers, tasks) = Writers::start(&store).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    cluster.standby.stop();
    let before = writers.total();
    assert!(before > 0, "nothing was written before");
    tokio::time::sleep(Duration::from_millis(700)).await;
    cluster.primary.kill();
    writers.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    println!("{before} acknowledged with the standby, {} in all", writers.total());
    cluster.standby.restart();
    cluster.standby.promote();
    writers.all_are_there(&store).await;
}

/// A primary that takes no writes any more, its connections open: they are left for the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_primary_is_left() {
    if !Postgres::available() {
        return;
    }
    let cluster = Cluster::start();
    let place = Place::on(&cluster.primary, RAILS).await;
    let store = both(&place, &cluster).open().await.unwrap();
    let (writers, tasks) = Writers::start(&store).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for sql in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
        place.raw.batch_execute(sql).await.unwrap();
    }
    let until = Instant::now() + Duration::from_secs(10);
    while !update(&store, &new_id(), "late").await.is_err_and(|error| error.is_unavailable()) {
        assert!(Instant::now() < until, "the demotion was not noticed");
    }
    cluster.standby.promote();
    let back = writers.back(Instant::now()).await;
    println!("back {back:?} after the promotion");
    assert!(back < Duration::from_secs(1), "back after {back:?}");
    writers.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    writers.all_are_there(&store).await;
    // Connections that are younger are not left. The saves are so large that each has one of its own.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let large = (0..4 * WRITERS).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { insert(&store, &new_id(), &"x".repeat(20_000)).await })
    });
    for insert in large.collect::<Vec<_>>() {
        assert_eq!(insert.await.unwrap().unwrap(), Saved::Applied);
    }
}

/// A primary that hears and does not answer: one at a time, as on a quiet night, so that each
/// connection of the pool would be found mute by a request of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mute_primary_costs_few_requests() {
    if !Postgres::available() {
        return;
    }
    let cluster = Cluster::start();
    let place = Place::on(&cluster.primary, RAILS).await;
    let limit = Duration::from_secs(1);
    let builder = both(&place, &cluster).connect_deadline(limit).deadline(limit);
    // A connection for each writer: lanes need fewer, and so leave fewer mute ones.
    let store = builder.lanes(false).max_connections(16).open().await.unwrap();
    let (writers, tasks) = Writers::start(&store).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let connections = place.raw.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    assert!(connections > WRITERS as i64, "{connections} connections");
    writers.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    cluster.primary.pause();
    cluster.standby.promote();
    let begun = Instant::now();
    let mut failed = 0;
    while let Err(error) = update(&store, &writers.ids[0], "1000000").await {
        assert!(
            error.is_unknown_outcome() || error.is_timeout() || error.is_unavailable(),
            "{error}"
        );
        failed += 1;
        assert!(begun.elapsed() < Duration::from_secs(30), "{error}");
    }
    println!("{failed} requests failed in {:?}", begun.elapsed());
    assert!(failed <= 5, "{failed} requests found {WRITERS} connections mute");
    writers.all_are_there(&store).await;
}

/// What the store finds on whichever server it takes for the primary.
async fn opened_anew(place: &Place, cluster: &Cluster) -> PostgresStore {
    both(place, cluster).open().await.unwrap()
}

/// Without a synchronous standby the new primary lacks what had not reached it: here exactly what was
/// acknowledged while the standby was away. A store that lived through it stays with the new
/// primary when the old one is back. One that is opened then takes the old one for what it says it
/// is: it has to be made a standby first, and then nobody goes there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_comes_back_has_to_follow() {
    const LATE: usize = 25;
    if !Postgres::available() {
        return;
    }
    let cluster = Cluster::start_loosely();
    let place = Place::on(&cluster.primary, RAILS).await;
    let store = both(&place, &cluster).open().await.unwrap();
    let kept: Vec<_> = (0..LATE).map(|_| new_id()).collect();
    for id in &kept {
        insert(&store, id, "early").await.unwrap();
    }
    let reached = "SELECT pg_current_wal_lsn() = replay_lsn FROM pg_stat_replication";
    while !place.raw.query_one(reached, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cluster.standby.stop();
    let late: Vec<_> = (0..LATE).map(|_| new_id()).collect();
    for id in &late {
        assert_eq!(insert(&store, id, "late").await.unwrap(), Saved::Applied);
    }
    cluster.primary.kill();
    cluster.standby.restart();
    cluster.standby.promote();
    let promoted = Instant::now();
    while let Err(error) = update(&store, &kept[0], "after").await {
        assert!(error.is_unavailable() || error.is_unknown_outcome(), "{error}");
        assert!(promoted.elapsed() < Duration::from_secs(5), "{error}");
    }
    let mut lost = 0;
    for (kept, late) in kept.iter().zip(&late) {
        assert!(data(&store, kept).await.is_some());
        lost += usize::from(data(&store, late).await.is_none());
    }
    println!("{lost} of {} acknowledged saves are lost, those that had not reached it", 2 * LATE);
    assert_eq!(lost, LATE);

    cluster.primary.restart();
    for n in 0..50 {
        let saved = update(&store, &kept[0], &n.to_string()).await.unwrap();
        assert_eq!(saved, Saved::Applied);
    }
    let astray = opened_anew(&place, &cluster).await;
    assert_eq!(data(&astray, &kept[0]).await.unwrap(), "early");
    assert_eq!(data(&astray, &late[0]).await.unwrap(), "late");
    astray.close().await.unwrap();

    cluster.primary.stop();
    cluster.follow_the_new_one();
    let home = opened_anew(&place, &cluster).await;
    assert_eq!(data(&home, &kept[0]).await.unwrap(), "49");
    assert_eq!(update(&home, &kept[0], "at home").await.unwrap(), Saved::Applied);
    assert_eq!(data(&store, &kept[0]).await.unwrap(), "at home");
}
