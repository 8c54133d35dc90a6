//! A Rails app on the same file, which writes whole rows and other statements of its own.

use rusqlite::{Connection, TransactionBehavior, params};
use sqlbypass::{Json, Outcome, SessionManager};

use super::{Place, insert, new_id};

const REQUESTS: usize = 40;

/// Reads the row, adds a key and writes the row back, within one transaction.
fn write_as_rails(raw: &mut Connection, id: &str, key: usize) {
    let transaction = raw.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let sql = "SELECT data FROM sessions WHERE session_id = ?1";
    let data: String = transaction.query_row(sql, [id], |row| row.get(0)).unwrap();
    let mut data: serde_json::Value = serde_json::from_str(&data).unwrap();
    data["value"][format!("rails{key}")] = key.into();
    let sql = "UPDATE sessions SET data = ?2 WHERE session_id = ?1";
    assert_eq!(transaction.execute(sql, params![id, data.to_string()]).unwrap(), 1);
    transaction.commit().unwrap();
}

/// Our writes never erase what Rails has written, nor each other's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rails_beside_us_loses_nothing_to_us() {
    let place = Place::rails();
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, r#"{"value":{}}"#).await.unwrap();
    let manager = SessionManager::new(store, Json);
    let private = id.private();
    let mut raw = place.raw();
    raw.busy_handler(Some(|_| {
        std::thread::yield_now();
        true
    }))
    .unwrap();
    let rails = tokio::task::spawn_blocking(move || {
        (0..REQUESTS).for_each(|key| write_as_rails(&mut raw, private.as_str(), key));
    });
    let ours: Vec<_> = (0..REQUESTS)
        .map(|key| {
            let session = manager.session(Some(id.clone()));
            tokio::spawn(async move {
                session.insert(format!("ours{key}"), key).unwrap();
                session.commit().await.unwrap().outcome
            })
        })
        .collect();
    for commit in ours {
        assert!(matches!(commit.await.unwrap(), Outcome::Saved | Outcome::Merged));
    }
    rails.await.unwrap();
    let map = manager.session(Some(id)).to_map().await.unwrap();
    assert_eq!(map.len(), 2 * REQUESTS);
}
