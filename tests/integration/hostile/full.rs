//! A disk without space, by SQLite's own limit of pages, and by the system's word.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use sqlbypass::admin::{TrimOptions, trim};
use sqlbypass::{Filter, Lookup, Maintenance, Saved, Scan, SqliteStore, Store, Timeouts};

use super::locks::Lock;
use super::{Place, data, insert, new_id, update};
use crate::servers::{Failing, SickDisk};

const PAGES: u32 = 60;

/// A store whose database cannot grow.
async fn small(place: &Place) -> SqliteStore {
    let path = place.path();
    let connect = move || {
        let raw = Connection::open(&path)?;
        raw.execute_batch(&format!("PRAGMA max_page_count = {PAGES}"))?;
        Ok(raw)
    };
    SqliteStore::factory(connect).open().await.unwrap()
}

#[tokio::test]
async fn a_full_disk_is_told_and_loses_nothing() {
    let place = Place::rails();
    let store = small(&place).await;
    let large = "x".repeat(20_000);
    let mut ids = Vec::new();
    let error = loop {
        let id = new_id();
        match insert(&store, &id, large.clone()).await {
            Ok(saved) => assert_eq!(saved, Saved::Applied),
            Err(error) => break error,
        }
        ids.push(id);
        assert!(ids.len() < 100, "the disk never filled up");
    };
    assert!(error.is_storage_full(), "{error}");
    assert!(ids.len() > 5);
    let grown = update(&store, &ids[0], "y".repeat(60_000)).await.unwrap_err();
    assert!(grown.is_storage_full(), "{grown}");

    let check: String =
        place.raw().query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    for id in &ids {
        assert!(data(&store, id).await.unwrap() == large);
    }

    // What takes no space works, and makes some.
    assert!(store.touch(&ids[0].private().into(), Timeouts::default()).await.unwrap());
    assert_eq!(update(&store, &ids[0], "small").await.unwrap(), Saved::Applied);
    assert_eq!(insert(&store, &new_id(), "y".repeat(9_000)).await.unwrap(), Saved::Applied);
    assert!(store.destroy(&Lookup::new(&ids[1])).await.unwrap());
    assert_eq!(insert(&store, &new_id(), large.clone()).await.unwrap(), Saved::Applied);
    let all = Scan::new(100);
    let keys: Vec<_> = store.scan(&all).await.unwrap().into_iter().map(|row| row.key).collect();
    assert_eq!(store.delete(&keys, &Filter::default()).await.unwrap(), keys.len() as u64);
    assert_eq!(insert(&store, &new_id(), large).await.unwrap(), Saved::Applied);
}

/// Those that fit are written, though they share a transaction with one that does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_only_what_does_not_fit() {
    let place = Place::rails();
    let store = small(&place).await;
    let ids: Vec<_> = (0..64).map(|_| new_id()).collect();
    let lock = Lock::take(&place);
    let saves: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let (store, id) = (store.clone(), id.clone());
            let bytes = if at % 8 == 5 { 300_000 } else { 600 };
            tokio::spawn(async move { insert(&store, &id, "x".repeat(bytes)).await })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    drop(lock);
    for (at, (save, id)) in saves.into_iter().zip(&ids).enumerate() {
        match save.await.unwrap() {
            Ok(saved) => {
                assert_eq!(saved, Saved::Applied);
                assert!(at % 8 != 5, "{at}");
                assert_eq!(data(&store, id).await.unwrap().len(), 600);
            }
            Err(error) => {
                assert!(error.is_storage_full(), "{error}");
                assert!(at % 8 == 5, "{at}");
                assert!(data(&store, id).await.is_none());
            }
        }
    }
    let check: String =
        place.raw().query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn data_beyond_the_columns_limit_is_refused_before_any_sql() {
    let place = Place::rails();
    let path = place.path();
    let connect = move || {
        let raw = Connection::open(&path)?;
        raw.set_limit(rusqlite::limits::Limit::SQLITE_LIMIT_LENGTH, 5_000)?;
        Ok(raw)
    };
    let store = SqliteStore::factory(connect).open().await.unwrap();
    let id = new_id();
    assert_eq!(insert(&store, &id, "small").await.unwrap(), Saved::Applied);
    // 2,000 characters and 6,000 bytes: bytes count.
    let large = "\u{20ac}".repeat(2_000);
    for error in [
        insert(&store, &new_id(), large.clone()).await.unwrap_err(),
        update(&store, &id, large.clone()).await.unwrap_err(),
    ] {
        assert!(error.is_overflow(), "{error}");
        assert_eq!(error.overflow_sizes(), Some((5_000, 6_000)));
    }
    assert_eq!(data(&store, &id).await.unwrap(), "small");
}

/// On a disk on which no file grows even a delete finds no room, since it goes to the WAL first: a
/// trim says so once, and is done when there is room again.
#[test]
fn a_full_disk_refuses_a_trim_too() {
    let (disk, folder) = (SickDisk::new(), tempfile::tempdir().unwrap());
    disk.fail(Failing::Growth);
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args(["--exact", "hostile::full::only_fills_the_disk"]).envs(disk.environment());
    tests.env("SQLBYPASS_TEST_FULL", folder.path());
    let output = tests.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// What the process does that is started above; for it alone the disk is full.
#[tokio::test]
async fn only_fills_the_disk() {
    let Some(folder) = std::env::var_os("SQLBYPASS_TEST_FULL") else { return };
    let switch = std::env::var("SICK_DISK").unwrap();
    let away = format!("{switch}-not");
    std::fs::rename(&switch, &away).unwrap();
    let folder = Path::new(&folder).join("data");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("sessions.db");
    let store = SqliteStore::builder(&path).create(true).open().await.unwrap();
    let ids: Vec<_> = (0..50).map(|_| new_id()).collect();
    for id in &ids {
        assert_eq!(insert(&store, id, "x".repeat(5_000)).await.unwrap(), Saved::Applied);
    }
    let raw = Connection::open(&path).unwrap();
    raw.execute("UPDATE sessions SET updated_at = '2020-01-01 00:00:00'", ()).unwrap();

    std::fs::rename(&away, &switch).unwrap();
    let begun = std::time::Instant::now();
    let no_rest = |_: &_| ControlFlow::Continue(());
    let errors = [
        insert(&store, &new_id(), "new").await.unwrap_err(),
        update(&store, &ids[0], "y".repeat(6_000)).await.unwrap_err(),
        store.destroy(&Lookup::new(&ids[0])).await.unwrap_err(),
        trim(&store, &TrimOptions::default(), no_rest).await.unwrap_err(),
    ];
    for error in &errors {
        assert!(error.is_storage_full(), "{error}");
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
    for id in &ids {
        assert_eq!(data(&store, id).await.unwrap().len(), 5_000);
    }

    std::fs::rename(&switch, &away).unwrap();
    let check: String = raw.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    assert_eq!(trim(&store, &TrimOptions::default(), no_rest).await.unwrap().deleted, 50);
    assert_eq!(insert(&store, &new_id(), "new").await.unwrap(), Saved::Applied);
    store.close().await.unwrap();
}
