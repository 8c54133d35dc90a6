//! Find, save, destroy and touch on any table.

use super::Fixture;
use super::support::{
    ONE, TWO, assert_rows, found, guard, insert_of, is_found, legacy, look_alikes, new_id, rows,
    saved, seeded, stored, update_of,
};
use crate::id::SessionId;
use crate::record::{Lookup, Saved, Timeouts, Update};
use crate::store::Store;

/// `None`, not an error, for an id that no row has; nothing is written.
pub async fn a_missing_id_finds_nothing<F: Fixture>() {
    let (fixture, store) = F::open().await;
    seeded(&store, ONE).await;
    let before = rows(&fixture).await;
    for text in [new_id().as_str(), "x", "\u{ff12}::x", "a'b\"c`d;--", "\0", &"é".repeat(2_000)] {
        let id = SessionId::parse(text.as_bytes()).unwrap();
        assert!(!is_found(&store, &Lookup::new(&id)).await);
        assert!(!is_found(&store, &Lookup::with_legacy(&id)).await);
    }
    assert!(rows(&fixture).await == before);
}

/// The record names the id it was found under and holds the data byte for byte.
pub async fn a_row_is_found_as_it_was_inserted<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = seeded(&store, ONE).await;
    assert_rows(&fixture, &[(id.private().as_str(), Some(ONE))]).await;
    for lookup in [Lookup::new(&id), Lookup::with_legacy(&id)] {
        let record = store.find(&lookup).await.unwrap().unwrap();
        assert!(record.id == stored(&id));
        assert!(record.data.as_deref() == Some(ONE.as_bytes()));
    }
}

/// NULL is a row without data, neither missing nor empty text.
pub async fn null_data_is_a_row_without_data<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = new_id();
    fixture.put(id.private().as_str(), None).await;
    assert!(found(&store, &id).await.data.is_none());
    assert_eq!(saved(&store, update_of(stored(&id), ONE)).await, Saved::Applied);
    assert!(found(&store, &id).await.data.as_deref() == Some(ONE.as_bytes()));
}

/// A row under a raw id is found through the lookup's legacy id alone.
pub async fn a_legacy_row_is_found_only_when_asked_for<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let short = new_id();
    let long = SessionId::parse("0aF9".repeat(16).as_bytes()).unwrap();
    for id in [short, long] {
        fixture.put(id.as_str(), Some(ONE.as_bytes())).await;
        assert!(!is_found(&store, &Lookup::new(&id)).await);
        let record = store.find(&Lookup::with_legacy(&id)).await.unwrap().unwrap();
        assert!(record.id == legacy(&id));
        assert!(record.data.as_deref() == Some(ONE.as_bytes()));
    }
}

/// With both rows there the private one is the session, in whatever order they lie.
pub async fn of_two_rows_the_private_one_is_found<F: Fixture>() {
    let (fixture, store) = F::open().await;
    for private_first in [true, false] {
        let id = new_id();
        let private = id.private();
        let mut order = [(private.as_str(), ONE), (id.as_str(), TWO)];
        if !private_first {
            order.reverse();
        }
        for (text, data) in order {
            fixture.put(text, Some(data.as_bytes())).await;
        }
        let record = store.find(&Lookup::with_legacy(&id)).await.unwrap().unwrap();
        assert!(record.id == stored(&id));
        assert!(record.data.as_deref() == Some(ONE.as_bytes()));
        assert!(record.legacy_twin, "the raw row has to be told of");
    }
}

/// Rows whose id a lax collation takes for this one are neither found nor changed.
pub async fn ids_are_compared_byte_by_byte<F: Fixture>() {
    let id = new_id();
    nothing_matches::<F>(&id, id.private().as_str()).await;
}

/// The same of raw ids, where a look-alike would cut off the row's owner.
pub async fn legacy_ids_are_compared_byte_by_byte<F: Fixture>() {
    let id = SessionId::parse("00d1e2a3b4c5d6e7f8091a2b3c4d5e6f".as_bytes()).unwrap();
    nothing_matches::<F>(&id, id.as_str()).await;
}

/// One look-alike at a time, since a table's own index may take two of them for the same.
async fn nothing_matches<F: Fixture>(id: &SessionId, text: &str) {
    for variant in look_alikes(text) {
        let (fixture, store) = F::open().await;
        fixture.put(&variant, Some(ONE.as_bytes())).await;
        let lookup = Lookup::with_legacy(id);
        assert!(!is_found(&store, &lookup).await);
        for key in [stored(id), legacy(id)] {
            assert!(!store.touch(&key, Timeouts::default()).await.unwrap());
            assert_eq!(saved(&store, update_of(key, TWO)).await, Saved::Gone);
            let guarded = Update { guard: guard(Some(ONE.as_bytes())), ..update_of(key, TWO) };
            assert_eq!(saved(&store, guarded).await, Saved::Gone);
            assert_eq!(
                saved(&store, Update::new(key).rekey(new_id().private())).await,
                Saved::Gone
            );
        }
        assert!(!store.destroy(&lookup).await.unwrap());
        assert_rows(&fixture, &[(&variant, Some(ONE))]).await;
    }
}

/// Only the hex shapes of gem 1.x are looked for as they stand.
pub async fn a_raw_id_of_another_shape_finds_nothing<F: Fixture>() {
    let (fixture, store) = F::open().await;
    for text in
        ["admin", "", "1", "00d1e2a3b4c5d6e7f8091a2b3c4d5e6", "2:00d1e2a3b4c5d6e7f8091a2b3c4d5e"]
    {
        fixture.put(text, Some(ONE.as_bytes())).await;
        let Some(id) = SessionId::parse(text.as_bytes()) else { continue };
        assert!(!is_found(&store, &Lookup::with_legacy(&id)).await);
        assert!(!store.destroy(&Lookup::with_legacy(&id)).await.unwrap());
    }
    assert_eq!(fixture.rows().await.len(), 5);
}

/// `Duplicate`, never an upsert: the row that was there stays as it was.
pub async fn an_insert_onto_a_taken_id_is_a_duplicate<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = seeded(&store, ONE).await;
    let again = store.save(&insert_of(&id, TWO.as_bytes())).await.unwrap();
    assert_eq!(again, Saved::Duplicate);
    assert_rows(&fixture, &[(id.private().as_str(), Some(ONE))]).await;
}

/// An update changes its own row and no other.
pub async fn an_update_writes_one_row<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, other) = (seeded(&store, ONE).await, seeded(&store, ONE).await);
    assert_eq!(saved(&store, update_of(stored(&id), TWO)).await, Saved::Applied);
    assert!(found(&store, &id).await.data.as_deref() == Some(TWO.as_bytes()));
    // The same content once more is applied all the same: the row was there.
    assert_eq!(saved(&store, update_of(stored(&id), TWO)).await, Saved::Applied);
    let expected = [(id.private(), TWO), (other.private(), ONE)];
    assert_rows(&fixture, &expected.each_ref().map(|(id, data)| (id.as_str(), Some(*data)))).await;
}

/// `Gone`, with and without a guard, a new id or data; no row comes into being.
pub async fn an_update_of_a_missing_row_is_gone<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = new_id();
    let new_id = new_id().private();
    for key in [stored(&id), legacy(&id)] {
        let plain = update_of(key, ONE);
        assert_eq!(saved(&store, plain.clone()).await, Saved::Gone);
        assert_eq!(
            saved(&store, Update { guard: guard(None), ..plain.clone() }).await,
            Saved::Gone
        );
        assert_eq!(saved(&store, plain.clone().rekey(new_id)).await, Saved::Gone);
        assert_eq!(
            saved(&store, Update { restart: true, ..plain.rekey(new_id) }).await,
            Saved::Gone
        );
        assert_eq!(saved(&store, Update::new(key)).await, Saved::Gone);
    }
    assert_rows(&fixture, &[]).await;
}

/// Without data the column is left alone, NULL too.
pub async fn an_update_without_data_keeps_it<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, null) = (seeded(&store, ONE).await, new_id());
    fixture.put(null.private().as_str(), None).await;
    for key in [&id, &null] {
        let update = Update { restart: true, ..Update::new(stored(key)) };
        assert_eq!(saved(&store, update).await, Saved::Applied);
        let nothing = Update { touch: false, ..Update::new(stored(key)) };
        assert_eq!(saved(&store, nothing).await, Saved::Applied);
    }
    let expected = [(id.private(), Some(ONE)), (null.private(), None)];
    assert_rows(&fixture, &expected.each_ref().map(|(id, data)| (id.as_str(), *data))).await;
}

/// A guard that names the row's data is as good as none.
pub async fn a_guard_lets_through_what_it_names<F: Fixture>() {
    let (_fixture, store) = F::open().await;
    let id = seeded(&store, ONE).await;
    let record = found(&store, &id).await;
    let update = update_of(record.id, TWO).guarded_by(&record);
    assert_eq!(saved(&store, update).await, Saved::Applied);
    assert!(found(&store, &id).await.data.as_deref() == Some(TWO.as_bytes()));
}

/// `Conflict` when the row holds other data; nothing is written.
pub async fn a_guard_holds_back_what_it_does_not_name<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = seeded(&store, ONE).await;
    let record = found(&store, &id).await;
    assert_eq!(saved(&store, update_of(record.id, TWO)).await, Saved::Applied);
    let late = update_of(record.id, r#"{"value":{"n":3}}"#).guarded_by(&record);
    assert_eq!(saved(&store, late).await, Saved::Conflict);
    let without_data = Update { guard: guard(Some(ONE.as_bytes())), ..Update::new(record.id) };
    assert_eq!(saved(&store, without_data).await, Saved::Conflict);
    assert_rows(&fixture, &[(id.private().as_str(), Some(TWO))]).await;
}

/// NULL is a value like others: it equals itself and nothing else.
pub async fn a_guard_tells_null_from_data<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, null) = (seeded(&store, ONE).await, new_id());
    fixture.put(null.private().as_str(), None).await;
    let guarded =
        |id: &SessionId, data| Update { guard: guard(data), ..update_of(stored(id), TWO) };
    assert_eq!(saved(&store, guarded(&id, None)).await, Saved::Conflict);
    assert_eq!(saved(&store, guarded(&null, Some(b""))).await, Saved::Conflict);
    assert_eq!(saved(&store, guarded(&null, Some(ONE.as_bytes()))).await, Saved::Conflict);
    assert_eq!(saved(&store, guarded(&null, None)).await, Saved::Applied);
    assert_eq!(saved(&store, guarded(&null, None)).await, Saved::Conflict);
}

/// Case, spaces, accents and their compositions all count.
pub async fn a_guard_compares_byte_by_byte<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let data = "{\"value\":{\"n\":\"stra\u{df}e \u{e9}\"}}";
    let id = seeded(&store, data).await;
    let variants = [
        data.to_uppercase(),
        format!("{data} "),
        format!(" {data}"),
        data.replace('\u{df}', "ss"),
        data.replace('\u{e9}', "e\u{301}"),
        data.replace('\u{e9}', "e"),
    ];
    for variant in variants {
        let update =
            Update { guard: guard(Some(variant.as_bytes())), ..update_of(stored(&id), TWO) };
        assert_eq!(saved(&store, update).await, Saved::Conflict);
    }
    assert_rows(&fixture, &[(id.private().as_str(), Some(data))]).await;
    let exact = Update { guard: guard(Some(data.as_bytes())), ..update_of(stored(&id), TWO) };
    assert_eq!(saved(&store, exact).await, Saved::Applied);
}

/// Data and id change in one go.
pub async fn a_rekey_moves_the_row<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (old, new) = (seeded(&store, ONE).await, new_id());
    let update = update_of(stored(&old), TWO).rekey(new.private());
    assert_eq!(saved(&store, update).await, Saved::Applied);
    assert_rows(&fixture, &[(new.private().as_str(), Some(TWO))]).await;
    assert!(!is_found(&store, &Lookup::new(&old)).await);
    assert!(found(&store, &new).await.id == stored(&new));
}

/// A new id alone leaves the data, NULL too.
pub async fn a_rekey_may_keep_the_data<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, null) = (seeded(&store, ONE).await, new_id());
    fixture.put(null.private().as_str(), None).await;
    let new = [new_id().private(), new_id().private()];
    for (old, new) in [&id, &null].into_iter().zip(new) {
        assert_eq!(saved(&store, Update::new(stored(old)).rekey(new)).await, Saved::Applied);
    }
    assert_rows(&fixture, &[(new[0].as_str(), Some(ONE)), (new[1].as_str(), None)]).await;
    // Onto its own id it stays where it is.
    let same = Update::new(new[0].into()).rekey(new[0]);
    assert_eq!(saved(&store, same).await, Saved::Applied);
}

/// The guard holds back the new id as it does the data.
pub async fn a_guarded_rekey_moves_the_row_or_nothing<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (old, new) = (seeded(&store, ONE).await, new_id());
    let update = update_of(stored(&old), TWO).rekey(new.private());
    let wrong = Update { guard: guard(Some(TWO.as_bytes())), ..update.clone() };
    assert_eq!(saved(&store, wrong).await, Saved::Conflict);
    assert_rows(&fixture, &[(old.private().as_str(), Some(ONE))]).await;
    let right = Update { guard: guard(Some(ONE.as_bytes())), ..update };
    assert_eq!(saved(&store, right).await, Saved::Applied);
    assert_rows(&fixture, &[(new.private().as_str(), Some(TWO))]).await;
}

/// `Duplicate`, or `Conflict` where the guard names other data too; both rows stay as they were.
pub async fn a_rekey_onto_a_taken_id_is_a_duplicate<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, taken) = (seeded(&store, ONE).await, seeded(&store, TWO).await);
    let update = update_of(stored(&id), r#"{"value":{"n":3}}"#).rekey(taken.private());
    assert_eq!(saved(&store, update.clone()).await, Saved::Duplicate);
    let guarded = Update { guard: guard(Some(ONE.as_bytes())), ..update.clone() };
    assert_eq!(saved(&store, guarded).await, Saved::Duplicate);
    let outdated = Update { guard: guard(Some(TWO.as_bytes())), ..update };
    assert_eq!(saved(&store, outdated).await, Saved::Conflict);
    let expected = [(id.private(), ONE), (taken.private(), TWO)];
    assert_rows(&fixture, &expected.each_ref().map(|(id, data)| (id.as_str(), Some(*data)))).await;
}

/// A row of gem 1.x moves to its private id by the same update.
pub async fn a_rekey_secures_a_legacy_row<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = new_id();
    fixture.put(id.as_str(), Some(ONE.as_bytes())).await;
    let record = store.find(&Lookup::with_legacy(&id)).await.unwrap().unwrap();
    let update = Update { touch: false, ..Update::new(record.id).rekey(id.private()) };
    assert_eq!(saved(&store, update.guarded_by(&record)).await, Saved::Applied);
    assert_rows(&fixture, &[(id.private().as_str(), Some(ONE))]).await;
}

/// After a renewal the old id answers as if there had never been a row.
pub async fn a_rekeyed_row_is_dead_under_its_old_id<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (old, new) = (seeded(&store, ONE).await, new_id());
    let renewal = Update::new(stored(&old)).rekey(new.private());
    assert_eq!(saved(&store, renewal.clone()).await, Saved::Applied);
    assert_eq!(saved(&store, update_of(stored(&old), TWO)).await, Saved::Gone);
    assert_eq!(saved(&store, renewal).await, Saved::Gone);
    assert!(!store.touch(&stored(&old), Timeouts::default()).await.unwrap());
    assert!(!store.destroy(&Lookup::with_legacy(&old)).await.unwrap());
    assert_rows(&fixture, &[(new.private().as_str(), Some(ONE))]).await;
}

/// Idempotent, and it tells the first time from the others.
pub async fn destroy_says_whether_a_row_was_there<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, other) = (seeded(&store, ONE).await, seeded(&store, TWO).await);
    assert!(store.destroy(&Lookup::new(&id)).await.unwrap());
    assert!(!store.destroy(&Lookup::new(&id)).await.unwrap());
    assert!(!store.destroy(&Lookup::new(&new_id())).await.unwrap());
    assert_rows(&fixture, &[(other.private().as_str(), Some(TWO))]).await;
}

/// Raw row, private row, or both.
pub async fn destroy_removes_the_row_under_either_id<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = new_id();
    let (private, raw) = (id.private(), id.as_str());
    for present in [vec![private.as_str()], vec![raw], vec![private.as_str(), raw]] {
        for text in present {
            fixture.put(text, Some(ONE.as_bytes())).await;
        }
        assert!(store.destroy(&Lookup::with_legacy(&id)).await.unwrap());
        assert_rows(&fixture, &[]).await;
    }
}

/// With the fallback off a raw row is not the session's.
pub async fn destroy_without_a_legacy_id_leaves_raw_rows<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = new_id();
    fixture.put(id.as_str(), Some(ONE.as_bytes())).await;
    assert!(!store.destroy(&Lookup::new(&id)).await.unwrap());
    assert_rows(&fixture, &[(id.as_str(), Some(ONE))]).await;
}

/// Whatever a slow request still sends, nothing brings the row back.
pub async fn a_destroyed_row_is_never_revived<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let id = seeded(&store, ONE).await;
    let record = found(&store, &id).await;
    assert!(store.destroy(&Lookup::new(&id)).await.unwrap());
    let change = update_of(record.id, TWO);
    let renewal = change.clone().rekey(new_id().private());
    let reset = Update { restart: true, ..renewal.clone() };
    let late = [change.clone(), change.guarded_by(&record), renewal, reset, Update::new(record.id)];
    for update in late {
        assert_eq!(saved(&store, update).await, Saved::Gone);
    }
    assert!(!store.touch(&record.id, Timeouts::default()).await.unwrap());
    assert_rows(&fixture, &[]).await;
}

/// Under either id; the data stays.
pub async fn touch_says_whether_the_row_is_there<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (id, raw) = (seeded(&store, ONE).await, new_id());
    fixture.put(raw.as_str(), None).await;
    assert!(store.touch(&stored(&id), Timeouts::default()).await.unwrap());
    assert!(store.touch(&legacy(&raw), Timeouts::default()).await.unwrap());
    assert!(!store.touch(&stored(&raw), Timeouts::default()).await.unwrap());
    assert!(!store.touch(&legacy(&id), Timeouts::default()).await.unwrap());
    assert_rows(&fixture, &[(id.private().as_str(), Some(ONE)), (raw.as_str(), None)]).await;
}
