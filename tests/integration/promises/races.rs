//! Requests that meet in one session: logouts against the rest, and writers beside Rails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlbypass::{
    CookieChange, Json, Lookup, Outcome, Save, Saved, SessionId, SessionManager, StoredId,
    Timeouts, Update,
};

use super::{Shared, data, insert, new_id, update};
use crate::life::rails::Rails;

/// How many times: `SQLBYPASS_RACES`, or so many.
pub(crate) fn races(fewer: usize) -> usize {
    let wanted = std::env::var("SQLBYPASS_RACES").ok();
    wanted.map_or(fewer, |wanted| wanted.parse().unwrap())
}

/// A logout against a save, a touch and a renewal of the same session: whoever comes first, the old
/// id is dead afterwards, and a new one lives only where the renewal came first.
pub(crate) async fn logouts<S: Shared>(store: &S, rounds: usize) {
    let (mut renewals, mut logouts) = (0, 0);
    for round in 0..rounds {
        let (id, new) = (new_id(), new_id());
        insert(store, &id, "in").await.unwrap();
        let tasks = (0..4).map(|task| {
            let (store, id, new) = (store.clone(), id.clone(), new.clone());
            tokio::spawn(async move {
                let stored = StoredId::from(id.private());
                match (task + round) % 4 {
                    0 => store.destroy(&Lookup::new(&id)).await.unwrap().then_some(0),
                    1 => {
                        (update(&store, &id, "late").await.unwrap() == Saved::Applied).then_some(1)
                    }
                    2 => store.touch(&stored, Timeouts::default()).await.unwrap().then_some(2),
                    _ => {
                        let renewal = Save::Update(Update::new(stored).rekey(new.private()));
                        (store.save(&renewal).await.unwrap() == Saved::Applied).then_some(3)
                    }
                }
            })
        });
        let mut done = BTreeSet::new();
        for task in tasks.collect::<Vec<_>>() {
            done.extend(task.await.unwrap());
        }
        assert!(done.contains(&0) != done.contains(&3), "the row was met twice or never");
        assert!(data(store, &id).await.is_none(), "revived");
        assert_eq!(data(store, &new).await.is_some(), done.contains(&3));
        assert_eq!(update(store, &id, "later").await.unwrap(), Saved::Gone);
        renewals += usize::from(done.contains(&3));
        logouts += usize::from(done.contains(&0));
        store.destroy(&Lookup::new(&new)).await.unwrap();
    }
    assert_eq!(renewals + logouts, rounds);
}

/// What Rails wrote over the row: when it began to read it and had written it, and which keys it had.
struct Written {
    read: Instant,
    until: Instant,
    keys: BTreeSet<String>,
}

/// 64 writers of different keys beside Rails, a process of its own. No key that Rails wrote is lost,
/// and of ours only those over which Rails wrote a row that it had read before; these are counted.
pub(crate) async fn writers_beside_rails<S: Shared>(store: &S, rails: Rails) {
    const WRITERS: usize = 64;
    let manager = Arc::new(SessionManager::new(store.clone(), Json));
    let session = manager.session(None);
    session.insert("first", true).unwrap();
    let CookieChange::Set(id) = session.commit().await.unwrap().cookie else { panic!("no cookie") };
    let stop = Arc::new(AtomicBool::new(false));
    let beside = tokio::spawn(write_as_rails(rails, id.clone(), Arc::clone(&stop)));
    let writers = (0..WRITERS).map(|writer| {
        let (manager, id) = (Arc::clone(&manager), id.clone());
        tokio::spawn(async move {
            let key = format!("ours{writer}");
            let begun = write_key(&manager, &id, &key).await;
            (key, begun..=Instant::now())
        })
    });
    let mut ours = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        ours.push(writer.await.unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    let written = beside.await.unwrap();
    let left: BTreeSet<String> = keys(&data(store, &id).await.unwrap());
    assert!(left.contains("first"));
    for n in 0..written.len() {
        assert!(left.contains(&format!("rails{n}")), "a key of Rails' was erased");
    }
    let mut kept = 0;
    for (key, time) in ours {
        // It had read the row before the key was in it, and wrote it afterwards.
        let over = |rails: &&Written| rails.read <= *time.end() && rails.until >= *time.start();
        let erased = || written.iter().filter(over).any(|rails| !rails.keys.contains(&key));
        assert!(left.contains(&key) || erased(), "a key of ours was lost, and not to Rails");
        kept += usize::from(left.contains(&key));
    }
    assert!(kept > 0 && !written.is_empty(), "they did not meet");
    println!("{} UPDATEs of Rails' erased {} keys of {WRITERS}", written.len(), WRITERS - kept);
}

/// Requests until one is told that it has written the key, and tells when that one began: where others
/// win until the deadline, the request is to be tried again.
async fn write_key<S: Shared>(manager: &SessionManager<S>, id: &SessionId, key: &str) -> Instant {
    loop {
        let begun = Instant::now();
        let session = manager.session(Some(id.clone()));
        session.insert(key, true).unwrap();
        match session.commit().await {
            Ok(commit) => {
                assert!(matches!(commit.outcome, Outcome::Saved | Outcome::Merged));
                return begun;
            }
            Err(error) => assert!(error.is_conflict(), "{error}"),
        }
    }
}

async fn write_as_rails(mut rails: Rails, id: SessionId, stop: Arc<AtomicBool>) -> Vec<Written> {
    let stored = id.private().as_str().to_owned();
    let mut written = Vec::new();
    while written.is_empty() || (written.len() < 200 && !stop.load(Ordering::Relaxed)) {
        let read = Instant::now();
        let mut document: serde_json::Value =
            serde_json::from_str(&rails.read(&stored).await.unwrap()).unwrap();
        let key = format!("rails{}", written.len());
        document["value"][key] = true.into();
        let text = document.to_string();
        assert!(rails.write(&stored, &text).await);
        written.push(Written { read, until: Instant::now(), keys: keys(text.as_bytes()) });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    written
}

fn keys(data: &[u8]) -> BTreeSet<String> {
    let document: serde_json::Value = serde_json::from_slice(data).unwrap();
    document["value"].as_object().unwrap().keys().cloned().collect()
}

/// 64 writers of different keys, from two stores: every key is there afterwards.
pub(crate) async fn writers_lose_nothing<S: Shared>(stores: &[S]) {
    const WRITERS: usize = 64;
    let managers: Vec<_> =
        stores.iter().map(|store| Arc::new(SessionManager::new(store.clone(), Json))).collect();
    let session = managers[0].session(None);
    session.insert("first", true).unwrap();
    let CookieChange::Set(id) = session.commit().await.unwrap().cookie else { panic!("no cookie") };
    let writers = (0..WRITERS).map(|writer| {
        let (manager, id) = (Arc::clone(&managers[writer % managers.len()]), id.clone());
        tokio::spawn(async move { write_key(&manager, &id, &format!("ours{writer}")).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let left = keys(&data(&stores[0], &id).await.unwrap());
    assert_eq!(left.len(), WRITERS + 1);
}
