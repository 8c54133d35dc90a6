//! A data column that takes any bytes.

use super::Fixture;
use super::support::{TWO, found, guard, insert_of, new_id, saved, stored, update_of};
use crate::record::{Saved, Update};
use crate::store::Store;

/// No bytes, every byte value, line ends, broken UTF-8, and 1 MiB.
fn samples() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        vec![0],
        b"\0 in front and behind \0".to_vec(),
        (0..=255).collect(),
        b" \r\n\t\xff\xfe\xc3".to_vec(),
        (0..1_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
    ]
}

/// Inserted or updated, and also beside the hooks of the fixture.
pub async fn data_of_any_bytes_comes_back<F: Fixture>() {
    let (fixture, store) = F::open().await;
    for data in samples() {
        let id = new_id();
        let inserted = store.save(&insert_of(&id, &data)).await.unwrap();
        assert_eq!(inserted, Saved::Applied);
        assert!(found(&store, &id).await.data.as_deref() == Some(&data[..]));
        assert_eq!(saved(&store, update_of(stored(&id), TWO)).await, Saved::Applied);
        let back = Update::new(stored(&id)).data(data.clone());
        assert_eq!(saved(&store, back).await, Saved::Applied);
        assert!(found(&store, &id).await.data.as_deref() == Some(&data[..]));
        assert!(fixture.rows().await.contains(&(id.private().as_str().to_owned(), Some(data))));
    }
}

/// No bytes are data; only NULL is none.
pub async fn empty_data_is_not_null<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (empty, null) = (new_id(), new_id());
    fixture.put(empty.private().as_str(), Some(b"")).await;
    fixture.put(null.private().as_str(), None).await;
    assert!(found(&store, &empty).await.data.as_deref() == Some(b"".as_slice()));
    assert!(found(&store, &null).await.data.is_none());
    let guarded = |id, data| Update { guard: guard(data), ..update_of(stored(id), TWO) };
    assert_eq!(saved(&store, guarded(&empty, None)).await, Saved::Conflict);
    assert_eq!(saved(&store, guarded(&null, Some(b""))).await, Saved::Conflict);
    assert_eq!(saved(&store, guarded(&empty, Some(b""))).await, Saved::Applied);
    assert_eq!(saved(&store, guarded(&null, None)).await, Saved::Applied);
}

/// The last byte counts, and what follows a NUL.
pub async fn a_guard_compares_any_bytes<F: Fixture>() {
    let (_fixture, store) = F::open().await;
    for data in samples() {
        let id = new_id();
        store.save(&insert_of(&id, &data)).await.unwrap();
        let mut longer = data.clone();
        longer.push(0);
        let mut variants = vec![longer];
        if let Some(last) = data.len().checked_sub(1) {
            variants.push(data[..last].to_vec());
            let mut other = data.clone();
            other[last] ^= 1;
            variants.push(other);
        }
        for variant in variants {
            let update = Update { guard: guard(Some(&variant)), ..update_of(stored(&id), TWO) };
            assert_eq!(saved(&store, update).await, Saved::Conflict);
        }
        let exact = Update { guard: guard(Some(&data)), ..update_of(stored(&id), TWO) };
        assert_eq!(saved(&store, exact).await, Saved::Applied);
    }
}
