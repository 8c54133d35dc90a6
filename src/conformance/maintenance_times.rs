//! Tasks that go by age, on a table with `created_at` and `updated_at`.

use std::time::Duration;

use super::MaintenanceFixture;
use super::maintenance::{page, scanned};
use super::support::{ONE, found, new_id, rows, seeded, stored};
use crate::record::{Filter, Lookup, RowKey, Saved, Timeouts};
use crate::store::{Maintenance, Store};

const HOUR: Duration = Duration::from_secs(3_600);

fn idle(idle_for: Duration) -> Filter {
    Filter { idle_for: Some(idle_for), older_than: None }
}

fn old(older_than: Duration) -> Filter {
    Filter { idle_for: None, older_than: Some(older_than) }
}

/// By the last use, by the beginning, or by either.
pub async fn scan_filters_by_age<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let ids = [seeded(&store, ONE).await, seeded(&store, ONE).await, seeded(&store, ONE).await];
    let [fresh, used, unused] = ids.each_ref().map(|id| id.private());
    fixture.age(used.as_str(), 4 * HOUR).await;
    fixture.age(unused.as_str(), 2 * HOUR).await;
    assert!(store.touch(&stored(&ids[1]), Timeouts::default()).await.unwrap());
    let either = Filter { idle_for: Some(HOUR), older_than: Some(3 * HOUR) };
    let cases: [(Filter, Vec<&str>); 6] = [
        (idle(HOUR), vec![unused.as_str()]),
        (idle(3 * HOUR), vec![]),
        (old(HOUR), vec![used.as_str(), unused.as_str()]),
        (old(3 * HOUR), vec![used.as_str()]),
        (either, vec![used.as_str(), unused.as_str()]),
        (Filter::default(), vec![fresh.as_str(), used.as_str(), unused.as_str()]),
    ];
    for (filter, mut expected) in cases {
        expected.sort_unstable();
        for limit in [1, 10] {
            let found = scanned(&store, limit, &filter).await;
            let mut found: Vec<&str> = found.iter().map(|row| &*row.stored_id).collect();
            found.sort_unstable();
            assert!(found == expected);
        }
    }
}

/// A row that was used since the scan is kept.
pub async fn delete_checks_the_filter_again<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let (kept, trimmed) = (seeded(&store, ONE).await, seeded(&store, ONE).await);
    for id in [&kept, &trimmed] {
        fixture.age(id.private().as_str(), 2 * HOUR).await;
    }
    let keys: Vec<RowKey> =
        scanned(&store, 10, &idle(HOUR)).await.into_iter().map(|row| row.key).collect();
    assert_eq!(keys.len(), 2);
    assert!(store.touch(&stored(&kept), Timeouts::default()).await.unwrap());
    assert_eq!(store.delete(&keys, &idle(HOUR)).await.unwrap(), 1);
    assert!(store.find(&Lookup::new(&trimmed)).await.unwrap().is_none());
    assert!(store.find(&Lookup::new(&kept)).await.unwrap().is_some());
    assert_eq!(store.delete(&keys, &old(HOUR)).await.unwrap(), 1);
    assert!(rows(&fixture).await.is_empty());
}

/// Securing an old row does not make it look used.
pub async fn rekey_leaves_the_times_alone<F: MaintenanceFixture>() {
    let (fixture, store) = F::open().await;
    let raw = new_id();
    fixture.put(raw.as_str(), Some(ONE.as_bytes())).await;
    fixture.age(raw.as_str(), HOUR).await;
    let row = store.scan(&page(None, 1)).await.unwrap().remove(0);
    assert_eq!(store.rekey(&row, &raw.private()).await.unwrap(), Saved::Applied);
    let record = found(&store, &raw).await;
    assert_eq!(record.created_at, row.created_at);
    assert_eq!(record.updated_at, row.updated_at);
    assert!(record.updated_at < record.read_at);
}
