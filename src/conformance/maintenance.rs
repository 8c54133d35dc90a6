//! Tasks, on any table.

use super::MaintenanceFixture;
use super::support::{
    ONE, TWO, assert_rows, found, holds, new_id, rows, seeded, stored, update_of,
};
use crate::id::SessionId;
use crate::record::{Filter, Lookup, Row, RowKey, Save, Saved, Scan};
use crate::store::{Maintenance, Store as _};

pub(super) fn page(after: Option<RowKey>, limit: u32) -> Scan {
    Scan { after, ..Scan::new(limit) }
}

/// All rows that match, read in pages of this size.
pub(super) async fn scanned<S: Maintenance>(store: &S, limit: u32, filter: &Filter) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    loop {
        let after = all.last().map(|row| row.key.clone());
        let scan = Scan { filter: filter.clone(), ..page(after, limit) };
        let rows = store.scan(&scan).await.unwrap();
        assert!(rows.len() <= limit as usize);
        if rows.is_empty() {
            return all;
        }
        all.extend(rows);
    }
}

/// `false` when the table is there, and its rows stay.
pub async fn create_leaves_a_table_alone<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let id = seeded(&store, ONE).await;
    assert!(!store.create().await.unwrap());
    assert_rows(&fixture, &[(id.private().as_str(), Some(ONE))]).await;
}

/// The schema names what the table has.
pub async fn inspect_finds_the_table<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    let schema = store.inspect().await.unwrap();
    assert!(schema.unique_id, "without a unique index an INSERT never finds a duplicate");
}

/// Each row once, in the order of the keys, whatever the size of a page.
pub async fn scan_walks_the_rows_in_pages<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    assert!(scanned(&store, 10, &Filter::default()).await.is_empty());
    let raw = new_id();
    fixture.put(raw.as_str(), None).await;
    for _ in 0..6 {
        seeded(&store, ONE).await;
    }
    let mut expected: Vec<(String, u64)> = rows(&fixture)
        .await
        .into_iter()
        .map(|(id, data)| (id, data.map_or(0, |data| data.len() as u64)))
        .collect();
    expected.sort();
    let whole = scanned(&store, 100, &Filter::default()).await;
    let order: Vec<RowKey> = whole.iter().map(|row| row.key.clone()).collect();
    for limit in [1, 2, 3, 7] {
        let paged = scanned(&store, limit, &Filter::default()).await;
        assert!(paged.iter().map(|row| row.key.clone()).eq(order.iter().cloned()));
        let mut found: Vec<_> =
            paged.iter().map(|row| (row.stored_id.to_string(), row.size)).collect();
        found.sort();
        assert!(found == expected);
        assert!(paged.iter().all(|row| row.data.is_none()));
    }
    assert!(store.scan(&page(None, 0)).await.unwrap().is_empty());
}

/// The data column is read on request.
pub async fn scan_reads_data_when_asked<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    seeded(&store, ONE).await;
    fixture.put(new_id().private().as_str(), None).await;
    let scan = Scan { with_data: true, ..page(None, 10) };
    let mut data: Vec<_> =
        store.scan(&scan).await.unwrap().into_iter().map(|row| row.data).collect();
    data.sort();
    assert!(data[0].is_none() && holds::<F>(data[1].as_ref(), ONE));
}

/// With its data; a key that no row has is no fault, nor is one that none can have.
pub async fn row_is_read_by_its_key<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    for _ in 0..3 {
        seeded(&store, ONE).await;
    }
    fixture.put(new_id().private().as_str(), None).await;
    let all = store.scan(&Scan { with_data: true, ..page(None, 10) }).await.unwrap();
    for row in &all {
        let found = store.row(&row.key).await.unwrap().unwrap();
        assert!(found.key == row.key && found.stored_id == row.stored_id);
        assert!(found.data == row.data && found.size == row.size);
        assert!((found.created_at, found.updated_at) == (row.created_at, row.updated_at));
    }
    assert_eq!(store.delete(&[all[1].key.clone()], &Filter::default()).await.unwrap(), 1);
    let text = |text: &str| RowKey::Text(text.into());
    let absent = [RowKey::Int(-1), RowKey::Int(i64::MAX), RowKey::Int(i64::MIN)];
    for key in absent.into_iter().chain([all[1].key.clone(), text("no key"), text("")]) {
        assert!(store.row(&key).await.unwrap().is_none());
    }
}

/// Those and no others; keys without a row count for nothing.
pub async fn delete_removes_the_rows_named<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    for _ in 0..3 {
        seeded(&store, ONE).await;
    }
    let all = store.scan(&page(None, 10)).await.unwrap();
    let keys: Vec<RowKey> = all[..2].iter().map(|row| row.key.clone()).collect();
    assert_eq!(store.delete(&[], &Filter::default()).await.unwrap(), 0);
    assert_eq!(store.delete(&keys, &Filter::default()).await.unwrap(), 2);
    assert_eq!(store.delete(&keys, &Filter::default()).await.unwrap(), 0);
    assert_rows(&fixture, &[(&all[2].stored_id, Some(ONE))]).await;
}

/// A row that got another id meanwhile is gone for the task.
pub async fn rekey_needs_the_id_it_was_read_with<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let (raw, newer) = (new_id(), new_id());
    fixture.put(raw.as_str(), Some(ONE.as_bytes())).await;
    let row = store.scan(&page(None, 1)).await.unwrap().remove(0);
    assert_eq!(store.rekey(&row, &raw.private()).await.unwrap(), Saved::Applied);
    assert_rows(&fixture, &[(raw.private().as_str(), Some(ONE))]).await;
    // The same walk comes by again with what it had read.
    assert_eq!(store.rekey(&row, &newer.private()).await.unwrap(), Saved::Gone);
    assert_rows(&fixture, &[(raw.private().as_str(), Some(ONE))]).await;
    let mut upper = store.scan(&page(None, 1)).await.unwrap().remove(0);
    upper.stored_id = upper.stored_id.to_uppercase().into();
    assert_eq!(store.rekey(&upper, &newer.private()).await.unwrap(), Saved::Gone);
    assert_rows(&fixture, &[(raw.private().as_str(), Some(ONE))]).await;
}

/// Both rows stay as they were.
pub async fn rekey_onto_a_taken_id_is_a_duplicate<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let raw = new_id();
    fixture.put(raw.as_str(), Some(ONE.as_bytes())).await;
    let row = store.scan(&page(None, 1)).await.unwrap().remove(0);
    fixture.put(raw.private().as_str(), Some(TWO.as_bytes())).await;
    assert_eq!(store.rekey(&row, &raw.private()).await.unwrap(), Saved::Duplicate);
    assert_rows(&fixture, &[(raw.as_str(), Some(ONE)), (raw.private().as_str(), Some(TWO))]).await;
}

/// Every row, of either kind.
pub async fn clear_counts_the_rows<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    assert_eq!(store.clear().await.unwrap(), 0);
    seeded(&store, ONE).await;
    fixture.put(new_id().as_str(), None).await;
    assert_eq!(store.clear().await.unwrap(), 2);
    assert_rows(&fixture, &[]).await;
}

/// As `delete`, when nobody else holds the table's lock.
pub async fn delete_alone_deletes_too<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let (first, second) = (seeded(&store, ONE).await, seeded(&store, ONE).await);
    let all = store.scan(&page(None, 10)).await.unwrap();
    let is_first = |row: &&Row| *row.stored_id == *first.private().as_str();
    let keys: Vec<RowKey> = all.iter().filter(is_first).map(|row| row.key.clone()).collect();
    let everything = Filter::default();
    assert_eq!(store.delete_alone(&[], &everything).await.unwrap(), Some(0));
    assert_eq!(store.delete_alone(&keys, &everything).await.unwrap(), Some(1));
    assert_eq!(store.delete_alone(&keys, &everything).await.unwrap(), Some(0));
    assert_rows(&fixture, &[(second.private().as_str(), Some(ONE))]).await;
}

/// Each as by itself: one that is taken or gone holds back no other.
pub async fn many_rows_are_rekeyed_at_once<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let ids = [new_id(), new_id(), new_id()];
    for id in &ids {
        fixture.put(id.as_str(), Some(ONE.as_bytes())).await;
    }
    let rows = store.scan(&page(None, 10)).await.unwrap();
    let renamed = |id: &SessionId, new: &SessionId| {
        let row = rows.iter().find(|row| *row.stored_id == *id.as_str()).unwrap();
        (row.clone(), new.private())
    };
    fixture.put(ids[0].private().as_str(), Some(TWO.as_bytes())).await;
    let gone = Lookup::with_legacy(&ids[1]);
    assert!(store.destroy(&gone).await.unwrap());
    let all = ids.each_ref().map(|id| renamed(id, id));
    let expected = [Saved::Duplicate, Saved::Gone, Saved::Applied];
    assert_eq!(store.rekey_all(&all).await.unwrap(), expected);
    let [taken, _, last] = ids.each_ref().map(|id| id.private());
    assert_rows(
        &fixture,
        &[(ids[0].as_str(), Some(ONE)), (taken.as_str(), Some(TWO)), (last.as_str(), Some(ONE))],
    )
    .await;
    assert!(store.rekey_all(&[]).await.unwrap().is_empty());
}

/// Each as by itself: one that was changed or is gone holds back no other.
pub async fn many_rows_are_saved_at_once<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let (changed, kept, gone) = (seeded(&store, TWO).await, seeded(&store, ONE).await, new_id());
    let read = found(&store, &kept).await;
    let update = |id: &SessionId| Save::Update(update_of(stored(id), TWO).guarded_by(&read));
    let saves = [update(&changed), update(&gone), update(&kept)];
    let expected = [Saved::Conflict, Saved::Gone, Saved::Applied];
    assert_eq!(store.save_all(&saves).await.unwrap(), expected);
    let [changed, kept] = [changed.private(), kept.private()];
    assert_rows(&fixture, &[(changed.as_str(), Some(TWO)), (kept.as_str(), Some(TWO))]).await;
}

/// Or says that the store does not count.
pub async fn count_counts_the_rows<F: MaintenanceFixture>() {
    let (_fixture, store) = F::open().await;
    if store.count().await.unwrap().is_none() {
        return;
    }
    assert_eq!(store.count().await.unwrap(), Some(0));
    seeded(&store, ONE).await;
    seeded(&store, ONE).await;
    assert_eq!(store.count().await.unwrap(), Some(2));
}
