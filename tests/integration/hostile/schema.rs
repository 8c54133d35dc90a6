//! Tables that do not fit, and tables that change while the store is open.

use std::time::Duration;

use sqlbypass::{Lookup, Maintenance, Saved, SessionId, SqliteStore, Store, Timeouts};

use super::{Place, data, insert, new_id, update};
use crate::conformance::sqlite::{Gem, Layout, Rails};

const RAILS: &str = Rails::SCHEMA;
const GEM: &str = Gem::SCHEMA;

#[tokio::test]
async fn a_table_that_does_not_fit_is_told_at_open() {
    let cases = [
        ("CREATE TABLE other (id integer)", "no table \"sessions\""),
        ("CREATE TABLE sessions (id integer, data text)", "no column \"session_id\""),
        ("CREATE TABLE sessions (id integer, session_id varchar)", "no column \"data\""),
    ];
    for (schema, problem) in cases {
        let place = Place::with(schema);
        let error = place.builder().open().await.unwrap_err();
        assert!(error.is_schema(), "{error}");
        assert!(error.to_string().contains(problem), "{error}");
    }
    let place = Place::rails();
    let table = sqlbypass::Table::default().primary_key("uuid").unwrap();
    let error = place.builder().table(table).open().await.unwrap_err();
    assert!(error.is_schema() && error.to_string().contains("\"uuid\""), "{error}");
}

#[tokio::test]
async fn a_timeout_without_its_column_is_told() {
    let place = Place::with(GEM);
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    let hour = Some(Duration::from_secs(3_600));
    let cases = [
        (Timeouts { idle: hour, lifetime: None }, "updated_at"),
        (Timeouts { idle: None, lifetime: hour }, "created_at"),
    ];
    for (timeouts, column) in cases {
        let error = store.find(&Lookup::new(&id).timeouts(timeouts)).await.unwrap_err();
        assert!(error.is_config() && error.to_string().contains(column), "{error}");
        assert!(store.touch(&id.private().into(), timeouts).await.unwrap_err().is_config());
    }
    assert_eq!(data(&store, &id).await.unwrap(), "one");
}

/// Every operation once, on a row that is there.
async fn works(store: &SqliteStore, id: &SessionId) {
    assert!(data(store, id).await.is_some());
    assert_eq!(update(store, id, "changed").await.unwrap(), Saved::Applied);
    assert_eq!(data(store, id).await.unwrap(), "changed");
    assert!(store.touch(&id.private().into(), Timeouts::default()).await.unwrap());
    let other = new_id();
    assert_eq!(insert(store, &other, "new").await.unwrap(), Saved::Applied);
    assert_eq!(insert(store, &other, "new").await.unwrap(), Saved::Duplicate);
    assert!(store.destroy(&Lookup::new(&other)).await.unwrap());
}

/// Opens the store, uses it, changes the table, and uses it again.
async fn survives(before: &str, change: &str) -> (Place, SqliteStore) {
    let place = Place::with(before);
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    works(&store, &id).await;
    place.raw().execute_batch(change).unwrap();
    works(&store, &id).await;
    (place, store)
}

#[tokio::test]
async fn a_column_added_live_is_no_matter() {
    let (place, _store) =
        survives(RAILS, "ALTER TABLE sessions ADD COLUMN lang varchar NOT NULL DEFAULT 'en'").await;
    let languages: i64 = place
        .raw()
        .query_row("SELECT count(*) FROM sessions WHERE lang = 'en'", (), |row| row.get(0))
        .unwrap();
    assert_eq!(languages, 1);
}

#[tokio::test]
async fn columns_dropped_live_cost_one_retry() {
    let drop = "DROP INDEX index_sessions_on_updated_at;
        ALTER TABLE sessions DROP COLUMN updated_at; ALTER TABLE sessions DROP COLUMN created_at;";
    let (_place, store) = survives(RAILS, drop).await;
    let schema = store.inspect().await.unwrap();
    assert!(!schema.created_at && !schema.updated_at);
}

#[tokio::test]
async fn a_timeout_whose_column_is_dropped_live_is_told_and_not_forgotten() {
    let place = Place::rails();
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    let timeouts = Timeouts { idle: None, lifetime: Some(Duration::from_secs(3_600)) };
    let lookup = Lookup::new(&id).timeouts(timeouts);
    assert!(store.find(&lookup).await.unwrap().is_some());
    place.raw().execute_batch("ALTER TABLE sessions DROP COLUMN created_at").unwrap();
    let error = store.find(&lookup).await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("created_at"), "{error}");
    assert!(store.touch(&id.private().into(), timeouts).await.unwrap_err().is_config());
}

#[tokio::test]
async fn columns_that_have_to_be_filled_live_cost_one_retry() {
    let rebuild = "BEGIN IMMEDIATE;
        ALTER TABLE sessions RENAME TO old;
        DROP INDEX session_id_index;
        CREATE TABLE sessions (
            id integer PRIMARY KEY, session_id varchar NOT NULL UNIQUE, data text,
            created_at datetime(6) NOT NULL, updated_at datetime(6) NOT NULL);
        INSERT INTO sessions SELECT id, session_id, data, '2026-01-01 00:00:00',
            '2026-01-01 00:00:00' FROM old;
        DROP TABLE old;
        COMMIT;";
    let (place, store) = survives(GEM, rebuild).await;
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    let record = store.find(&Lookup::new(&id)).await.unwrap().unwrap();
    assert!(record.created_at.is_some() && record.updated_at.is_some());
    drop(place);
}

#[tokio::test]
async fn a_column_renamed_live_is_told_until_it_is_back() {
    let place = Place::rails();
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    place.raw().execute_batch("ALTER TABLE sessions RENAME COLUMN data TO payload").unwrap();
    let missing = update(&store, &id, "two").await.unwrap_err();
    assert!(missing.is_schema() && missing.to_string().contains("\"data\""), "{missing}");
    assert!(store.find(&Lookup::new(&id)).await.unwrap_err().is_schema());
    assert!(store.inspect().await.unwrap_err().is_schema());
    place.raw().execute_batch("ALTER TABLE sessions RENAME COLUMN payload TO data").unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "one");
    works(&store, &id).await;
}

#[tokio::test]
async fn a_table_dropped_live_is_told_and_can_be_made_again() {
    let place = Place::rails();
    let store = place.open().await;
    let id = new_id();
    insert(&store, &id, "one").await.unwrap();
    place.raw().execute_batch("DROP TABLE sessions").unwrap();
    assert!(update(&store, &id, "two").await.unwrap_err().is_schema());
    assert!(store.find(&Lookup::new(&id)).await.unwrap_err().is_schema());
    assert!(store.create().await.unwrap());
    assert!(data(&store, &id).await.is_none());
    insert(&store, &id, "three").await.unwrap();
    works(&store, &id).await;
}
