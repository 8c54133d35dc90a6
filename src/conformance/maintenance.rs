//! Tasks, on any table.

use super::MaintenanceFixture;
use super::support::{ONE, TWO, assert_rows, holds, new_id, rows, seeded};
use crate::record::{Filter, Row, RowKey, Saved, Scan};
use crate::store::Maintenance;

pub(super) fn page(after: Option<RowKey>, limit: u32) -> Scan {
    Scan { after, limit, filter: Filter::default(), with_data: false }
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
