//! Files that are missing, read-only, or something else.

use std::fs;

use sqlbypass::{Lookup, SqliteStore, Store, Timeouts};

use super::{Place, data, insert, new_id, update};

#[tokio::test]
async fn a_missing_file_is_unavailable_and_stays_missing() {
    let place = Place::empty();
    let url = |mode: &str| {
        SqliteStore::url(&format!("sqlite://{}{mode}", place.path().display())).unwrap()
    };
    for builder in [place.builder(), url(""), url("?mode=rw"), url("?mode=ro")] {
        let error = builder.open().await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 0);
    }
    // Its folder is missing too: there is nothing that `create` could create it in.
    let deep = place.folder.path().join("missing/sessions.db");
    let error = SqliteStore::builder(deep).create(true).open().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    let error = SqliteStore::open(place.folder.path()).await.unwrap_err();
    assert!(error.is_unavailable(), "a folder: {error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_told_and_kept() {
    let place = Place::empty();
    let text = "# Notes\n".repeat(200);
    fs::write(place.path(), &text).unwrap();
    for builder in [place.builder(), place.builder().create(true), place.builder().read_only(true)]
    {
        let error = builder.open().await.unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("no SQLite database"));
    }
    assert_eq!(fs::read_to_string(place.path()).unwrap(), text);
}

#[tokio::test]
async fn a_read_only_database_serves_finds_and_refuses_the_rest() {
    let place = Place::rails();
    let id = new_id();
    let writer = place.open().await;
    insert(&writer, &id, "one").await.unwrap();
    writer.close().await.unwrap();
    let url = format!("sqlite://{}?mode=ro", place.path().display());
    let by_url = SqliteStore::url(&url).unwrap().open().await.unwrap();
    let by_setting = place.builder().read_only(true).create(true).open().await.unwrap();
    let path = place.path();
    let by_pragma = SqliteStore::factory(move || {
        let raw = rusqlite::Connection::open(&path)?;
        raw.execute_batch("PRAGMA query_only = ON")?;
        Ok(raw)
    });
    for store in [by_url, by_setting, by_pragma.open().await.unwrap()] {
        assert_eq!(data(&store, &id).await.unwrap(), "one");
        assert!(update(&store, &id, "two").await.unwrap_err().is_read_only());
        assert!(insert(&store, &new_id(), "new").await.unwrap_err().is_read_only());
        let touched = store.touch(&id.private().into(), Timeouts::default()).await;
        assert!(touched.unwrap_err().is_read_only());
        assert!(store.destroy(&Lookup::new(&id)).await.unwrap_err().is_read_only());
        assert_eq!(data(&store, &id).await.unwrap(), "one");
    }
}

#[tokio::test]
async fn a_lazy_store_waits_for_its_folder() {
    let place = Place::empty();
    let folder = place.folder.path().join("later");
    let builder = SqliteStore::builder(folder.join("sessions.db")).create(true);
    let store = builder.lazy(true).open().await.unwrap();
    let id = new_id();
    assert!(store.find(&Lookup::new(&id)).await.unwrap_err().is_unavailable());
    assert!(insert(&store, &id, "one").await.unwrap_err().is_unavailable());
    fs::create_dir(&folder).unwrap();
    insert(&store, &id, "one").await.unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "one");
}

#[tokio::test]
async fn a_closed_store_answers_errors() {
    use sqlbypass::{Maintenance, Scan};

    let place = Place::rails();
    let store = place.open().await;
    store.close().await.unwrap();
    store.close().await.unwrap();
    let id = new_id();
    assert!(store.find(&Lookup::new(&id)).await.unwrap_err().is_unavailable());
    assert!(insert(&store, &id, "one").await.unwrap_err().is_unavailable());
    assert!(store.destroy(&Lookup::new(&id)).await.unwrap_err().is_unavailable());
    let scan = Scan::new(1);
    assert!(store.scan(&scan).await.unwrap_err().is_unavailable());
    assert!(store.inspect().await.unwrap_err().is_unavailable());
    assert!(store.clear().await.unwrap_err().is_unavailable());
}

/// A factory of the user's may fail in its own way; the store is as good as before.
#[tokio::test]
async fn a_factory_that_panics_costs_its_own_calls_alone() {
    use std::sync::atomic::{AtomicU32, Ordering};

    let place = Place::rails();
    let path = place.path();
    let calls = AtomicU32::new(0);
    let connect = move || {
        assert!(calls.fetch_add(1, Ordering::Relaxed) > 1, "as asked");
        rusqlite::Connection::open(&path)
    };
    let store = SqliteStore::factory(connect).lazy(true).readers(1).open().await.unwrap();
    let id = new_id();
    assert!(insert(&store, &id, "one").await.is_err());
    assert!(store.find(&Lookup::new(&id)).await.is_err());
    insert(&store, &id, "two").await.unwrap();
    assert_eq!(data(&store, &id).await.unwrap(), "two");
}

/// What is queued is written first; what comes too late is told so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_finishes_what_is_queued() {
    let place = Place::rails();
    let store = place.open().await;
    let saves: Vec<_> = (0..100)
        .map(|_| {
            let (store, id) = (store.clone(), new_id());
            tokio::spawn(async move { (insert(&store, &id, "one").await, id) })
        })
        .collect();
    store.close().await.unwrap();
    let again = place.open().await;
    for save in saves {
        let (saved, id) = save.await.unwrap();
        match saved {
            Ok(_) => assert_eq!(data(&again, &id).await.unwrap(), "one"),
            Err(error) => {
                assert!(error.is_unavailable(), "{error}");
                assert!(data(&again, &id).await.is_none());
            }
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_there_after_opening_again() {
    let place = Place::rails();
    let ids: Vec<_> = (0..20).map(|_| new_id()).collect();
    let store = place.open().await;
    for id in &ids {
        insert(&store, id, "one").await.unwrap();
    }
    // Neither closed nor checkpointed.
    drop(store);
    let again = place.open().await;
    for id in &ids {
        assert_eq!(data(&again, id).await.unwrap(), "one");
    }
}
