//! Proxies that answer for a server which they have lost.

use std::time::{Duration, Instant};

use sqlbypass::{Filter, Lookup, Maintenance as _, Saved, Scan, Store};

use super::{Place, data, insert, new_id, update};
use crate::promises::deadlines::{DEADLINE, in_time, recovers};
use crate::servers::proxy::{Answer, Mode};
use crate::servers::{MariaDb, Proxy};

/// The packet of an error, the first after what was asked.
pub(super) fn failed(code: u16) -> Vec<u8> {
    let [low, high] = code.to_le_bytes();
    let mut packet = vec![0, 0, 0, 1, 0xFF, low, high];
    packet.extend_from_slice(b"#HY000Lost connection to server during query");
    packet[0] = u8::try_from(packet.len() - 4).unwrap();
    packet
}

/// It is the client's own number for a connection that is gone, sent by a proxy: the server behind it
/// may have done everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_end_told_by_a_proxy_is_an_unknown_outcome() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).deadline(DEADLINE).open().await.unwrap();
    let id = new_id();
    insert(&store, &id, "before").await.unwrap();
    for code in [2006, 2013, 2003] {
        update(&store, &id, "before").await.unwrap();
        let to = b"the change".to_vec();
        proxy.set(Mode::Answer(Answer { to, instead: None, with: failed(code) }));
        let error = in_time(update(&store, &id, "the change")).await.unwrap_err();
        assert!(error.is_unknown_outcome(), "{error}");
        let late = new_id();
        let error = in_time(insert(&store, &late, "the change")).await.unwrap_err();
        assert!(error.is_unknown_outcome(), "{error}");
        assert_eq!(data(&store, &id).await.unwrap(), "the change");
        proxy.set(Mode::Pass);
        assert_eq!(insert(&store, &late, "the change").await.unwrap(), Saved::Duplicate);
        // A find is asked again on other connections, and ends as one that found no server.
        let to = id.private().as_bytes().to_vec();
        proxy.set(Mode::Answer(Answer { to, instead: None, with: failed(code) }));
        let error = in_time(store.find(&Lookup::new(&id))).await.unwrap_err();
        assert!(error.is_unavailable() && error.code() == Some(&*code.to_string()), "{error}");
        proxy.set(Mode::Pass);
        recovers(&store, &id).await;
    }
}

/// Rows were deleted under the table's lock; that the lock could not be given back does not undo it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_deleted_are_told_whatever_becomes_of_the_lock() {
    if !MariaDb::available() {
        return;
    }
    let (server, place) = (MariaDb::shared(), Place::shared().await);
    let proxy = Proxy::start(server.port()).await;
    let url = |name: &str| server.url_through(proxy.port(), name);
    let store = place.builder(url).deadline(DEADLINE).open().await.unwrap();
    let to = b"RELEASE_LOCK".to_vec();
    let ping = b"\x01\0\0\0\x0e".to_vec();
    let refused = Answer { to, instead: Some(ping), with: failed(1105) };
    for mode in [Mode::CutAt(b"RELEASE_LOCK"), Mode::Answer(refused)] {
        insert(&store, &new_id(), "one").await.unwrap();
        let scan = Scan::new(10);
        let rows = store.scan(&scan).await.unwrap();
        let keys: Vec<_> = rows.into_iter().map(|row| row.key).collect();
        proxy.set(mode);
        let deleted = store.delete_alone(&keys, &Filter::default()).await.unwrap();
        assert_eq!((deleted, place.count().await), (Some(1), 0));
        proxy.set(Mode::Pass);
        // The lock went with its connection.
        let until = Instant::now() + Duration::from_secs(5);
        while store.delete_alone(&keys, &Filter::default()).await.unwrap().is_none() {
            assert!(Instant::now() < until, "the lock is held for ever");
        }
    }
}
