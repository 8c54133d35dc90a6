//! Many tasks at once, and callers that leave half-way.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Fixture;
use super::support::{
    ONE, TWO, found, insert_of, is_found, new_id, races, rows, saved, seeded, stored, together,
    update_of,
};
use crate::id::SessionId;
use crate::record::{Lookup, Save, Saved, Timeouts, Update};
use crate::store::Store;

const TASKS: usize = 64;
/// What a caller who has left had sent arrives within this.
const SETTLED: Duration = Duration::from_millis(300);
const ROUNDS: usize = 200;

fn numbered(number: usize) -> String {
    format!(r#"{{"value":{{"n":{number}}}}}"#)
}

fn count(results: &[Saved], which: Saved) -> usize {
    results.iter().filter(|result| **result == which).count()
}

/// Of 64 updates that were read from the same row one is applied; the others conflict.
pub async fn one_guarded_update_wins_each_generation<F: Fixture>() {
    let (_fixture, store) = F::open().await;
    let store = Arc::new(store);
    let id = seeded(&*store, ONE).await;
    for generation in 0..5 {
        let record = found(&*store, &id).await;
        let task = |number| {
            let data = numbered(1_000 + generation * TASKS + number);
            let update = update_of(record.id, &data).guarded_by(&record);
            let store = Arc::clone(&store);
            async move { (saved(&*store, update).await, data) }
        };
        let results = together((0..TASKS).map(task)).await;
        let winners: Vec<_> =
            results.iter().filter(|(saved, _)| *saved == Saved::Applied).collect();
        assert_eq!(winners.len(), 1);
        assert!(results.iter().all(|(saved, _)| matches!(saved, Saved::Applied | Saved::Conflict)));
        assert!(found(&*store, &id).await.data.as_deref() == Some(winners[0].1.as_bytes()));
    }
}

/// Of 64 inserts of the same id one is applied; the others are duplicates.
pub async fn one_insert_wins<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let (store, id) = (Arc::new(store), new_id());
    let task = |number| {
        let insert = insert_of(&id, numbered(number).as_bytes());
        let store = Arc::clone(&store);
        async move { store.save(&insert).await.unwrap() }
    };
    let results = together((0..TASKS).map(task)).await;
    assert_eq!(count(&results, Saved::Applied), 1);
    assert_eq!(count(&results, Saved::Duplicate), TASKS - 1);
    assert_eq!(fixture.rows().await.len(), 1);
}

/// Of 64 renewals one is applied; for the others the session is gone.
pub async fn one_rekey_wins<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let store = Arc::new(store);
    let id = seeded(&*store, ONE).await;
    let task = |_| {
        let update = Update::new(stored(&id)).rekey(new_id().private());
        let store = Arc::clone(&store);
        async move { saved(&*store, update).await }
    };
    let results = together((0..TASKS).map(task)).await;
    assert_eq!(count(&results, Saved::Applied), 1);
    assert_eq!(count(&results, Saved::Gone), TASKS - 1);
    assert_eq!(fixture.rows().await.len(), 1);
    assert!(!is_found(&*store, &Lookup::new(&id)).await);
}

/// A logout against a save, a guarded save, a touch and a renewal: in whatever order they come,
/// the id is dead afterwards, and a row is left only under the new id of a renewal that came first.
pub async fn a_logout_is_final<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let store = Arc::new(store);
    for round in 0..races(ROUNDS) {
        let id = seeded(&*store, ONE).await;
        let record = found(&*store, &id).await;
        let new = new_id();
        let plain = update_of(record.id, TWO);
        let updates = [
            plain.clone(),
            plain.clone().guarded_by(&record),
            plain.clone(),
            plain.rekey(new.private()),
        ];
        let task = |step: usize| {
            let (store, id) = (Arc::clone(&store), id.clone());
            let update = updates.get(step).cloned();
            async move {
                match update {
                    None => (Saved::Gone, store.destroy(&Lookup::new(&id)).await.unwrap()),
                    Some(_) if step == 2 => {
                        store.touch(&stored(&id), Timeouts::default()).await.unwrap();
                        (Saved::Gone, false)
                    }
                    Some(update) => (saved(&*store, update).await, false),
                }
            }
        };
        // Each round begins with another one.
        let results = together((0..5).map(|step| task((step + round) % 5))).await;
        let at = |step: usize| results[(step + 5 - round % 5) % 5];
        let (renewed, destroyed) = (at(3).0 == Saved::Applied, at(4).1);
        assert!(renewed != destroyed, "either the renewal or the logout met the row");
        assert!(!is_found(&*store, &Lookup::new(&id)).await);
        assert_eq!(is_found(&*store, &Lookup::new(&new)).await, renewed);
        assert_eq!(store.destroy(&Lookup::new(&new)).await.unwrap(), renewed);
        assert!(fixture.rows().await.is_empty());
    }
}

/// Polls an operation up to a point that differs from round to round and drops it there.
async fn dropped<T: Send + 'static>(
    round: usize,
    operation: impl Future<Output = T> + Send + 'static,
) {
    let task = tokio::spawn(operation);
    for _ in 0..round % 7 {
        tokio::task::yield_now().await;
    }
    task.abort();
    // Finished or cancelled, both are what the case is about.
    drop(task.await);
}

/// The next save works at once, and the row holds the data of one save or the other.
pub async fn dropped_updates_leave_rows_whole<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let store = Arc::new(store);
    let id = seeded(&*store, ONE).await;
    for round in 0..ROUNDS {
        let update = Save::Update(update_of(stored(&id), TWO));
        let sender = Arc::clone(&store);
        dropped(round, async move { sender.save(&update).await }).await;
        let reader = Arc::clone(&store);
        let lookup = Lookup::new(&id);
        dropped(round, async move { reader.find(&lookup).await }).await;
        assert_eq!(saved(&*store, update_of(stored(&id), ONE)).await, Saved::Applied);
        // What was sent may still be under way.
        let data = rows(&fixture).await.pop().unwrap().1.unwrap();
        assert!(data == ONE.as_bytes() || data == TWO.as_bytes());
    }
}

/// Whoever looks at any moment, also when its caller has left, sees the row as it was or with its new
/// id and its new data.
pub async fn an_update_is_one_step<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let store = Arc::new(store);
    let [one, two] = [ONE, TWO].map(|data| Some(F::stored_form(data).into_bytes()));
    for round in 0..ROUNDS {
        let (id, new) = (seeded(&*store, ONE).await, new_id());
        let allowed = [(&id, &one), (&new, &two)]
            .map(|(id, data)| (id.private().as_str().to_owned(), data.clone()));
        let update = Save::Update(update_of(stored(&id), TWO).rekey(new.private()));
        let sender = Arc::clone(&store);
        let task = tokio::spawn(async move { sender.save(&update).await });
        // In every other round its caller leaves.
        for _ in 0..round / 2 % 7 {
            tokio::task::yield_now().await;
        }
        if round % 2 == 1 {
            task.abort();
        }
        loop {
            let is_over = task.is_finished();
            let rows = fixture.rows().await;
            let there = rows.iter().filter(|row| allowed.iter().any(|(id, _)| *id == row.0));
            let there: Vec<_> = there.collect();
            assert_eq!(there.len(), 1, "the row is there once");
            assert!(allowed.contains(there[0]), "the row has its new id and not its new data");
            if is_over {
                break;
            }
        }
        // What was sent finds no row any more.
        for id in [&id, &new] {
            store.destroy(&Lookup::new(id)).await.unwrap();
        }
    }
}

/// The row is there or not, whole in either case, and both are told truly afterwards.
pub async fn dropped_inserts_and_destroys_leave_rows_whole<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let store = Arc::new(store);
    let mut ids = Vec::new();
    for round in 0..ROUNDS {
        let id: SessionId = new_id();
        let (insert, sender) = (insert_of(&id, ONE.as_bytes()), Arc::clone(&store));
        dropped(round, async move { sender.save(&insert).await }).await;
        // What was sent may still be under way; an insert of the same id tells.
        let there = store.save(&insert_of(&id, ONE.as_bytes())).await.unwrap();
        assert!(matches!(there, Saved::Applied | Saved::Duplicate));
        assert!(found(&*store, &id).await.data.as_deref() == Some(ONE.as_bytes()));
        let (lookup, sender) = (Lookup::new(&id), Arc::clone(&store));
        dropped(round, async move { sender.destroy(&lookup).await }).await;
        store.destroy(&Lookup::new(&id)).await.unwrap();
        ids.push(id);
    }
    // A dropped insert may have come last of all; once everything has arrived, a destroy is final.
    tokio::time::sleep(SETTLED).await;
    for id in &ids {
        store.destroy(&Lookup::new(id)).await.unwrap();
        assert!(!is_found(&*store, &Lookup::new(id)).await);
    }
    assert!(fixture.rows().await.is_empty());
}
