//! Keys with a merge of their own, on any table, with the `json` codec.

use std::sync::{Arc, Mutex};

use super::managed::{Managed, committed, open, open_as, patient, quiet, session_of};
use super::support::{assert_rows, saved, stored, together, update_of};
use super::{Calls, Fixture};
use crate::id::SessionId;
use crate::manager::{ManagerOptions, Merges};
use crate::record::Saved;
use crate::session::{Outcome, Session};
use crate::value::Value;

const WRITERS: i64 = 32;

async fn merging<F: Fixture>(merges: Merges) -> (F, Managed<F>) {
    open_as(ManagerOptions { merges, ..patient() }).await
}

/// A request that has read `before`, since when the row has come to hold `since`.
async fn late<F: Fixture>(manager: &Managed<F>, before: &str, since: &str) -> (SessionId, Session) {
    let (id, late) = session_of::<F>(manager, before).await;
    assert!(late.value("n").await.unwrap().is_some());
    assert_eq!(saved(manager.store(), update_of(stored(&id), since)).await, Saved::Applied);
    manager.store().take();
    (id, late)
}

/// A key that was set to what it was before is no change: what another has made of it stays.
pub async fn a_key_that_a_request_left_as_it_was_stays_the_others<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (before, since) = (r#"{"value":{"n":1,"m":1}}"#, r#"{"value":{"n":5,"m":1}}"#);
    let (id, late) = late::<F>(&manager, before, since).await;
    late.insert("n", 1).unwrap();
    late.insert("m", 2).unwrap();
    assert_eq!(committed(&late).await, quiet(Outcome::Merged));
    let expected = r#"{"value":{"n":5,"m":2}}"#;
    assert_rows(&fixture, &[(id.private().as_str(), Some(expected))]).await;
}

/// What was read, what is there now, and what this request wants to write.
pub async fn a_merge_sees_three_values<F: Fixture>() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    let merges = Merges::new().key("n", move |base, theirs, ours| {
        sees.lock().unwrap().push([base, theirs, ours].map(Value::as_i64));
        Some(if ours.is_nil() { Value::Nil } else { 7.into() })
    });
    let (fixture, manager) = merging::<F>(merges).await;
    for (ours, expected) in [(Some(3), r#"{"value":{"n":7}}"#), (None, r#"{"value":{}}"#)] {
        let (id, late) = late::<F>(&manager, r#"{"value":{"n":1}}"#, r#"{"value":{"n":2}}"#).await;
        late.insert("n", ours).unwrap();
        assert_eq!(committed(&late).await, quiet(Outcome::Merged));
        assert_eq!(manager.store().take(), Calls { find: 1, save: 2, ..Calls::default() });
        assert_eq!(seen.lock().unwrap().pop().unwrap(), [Some(1), Some(2), ours]);
        assert_rows(&fixture, &[(id.private().as_str(), Some(expected))]).await;
        manager.store().take();
        let ended = manager.session(Some(id));
        ended.destroy().unwrap();
        committed(&ended).await;
    }
}

/// Nothing of the request is written, its other keys included.
pub async fn a_merge_may_refuse<F: Fixture>() {
    let (fixture, manager) = merging::<F>(Merges::new().key("n", |_, _, _| None)).await;
    let since = r#"{"value":{"n":2}}"#;
    let (id, late) = late::<F>(&manager, r#"{"value":{"n":1}}"#, since).await;
    late.insert("m", 3).unwrap();
    late.insert("n", 3).unwrap();
    late.renew().unwrap();
    assert_eq!(committed(&late).await, quiet(Outcome::Conflict));
    assert_rows(&fixture, &[(id.private().as_str(), Some(since))]).await;
}

/// Neither where nobody else has changed the key nor where this request has not.
pub async fn a_merge_is_not_asked_without_need<F: Fixture>() {
    let (fixture, manager) = merging::<F>(Merges::new().key("n", |_, _, _| None)).await;
    let before = r#"{"value":{"n":1}}"#;
    let (id, alone) = session_of::<F>(&manager, before).await;
    alone.insert("n", 2).unwrap();
    assert_eq!(committed(&alone).await, quiet(Outcome::Saved));
    assert_rows(&fixture, &[(id.private().as_str(), Some(r#"{"value":{"n":2}}"#))]).await;
    let since = [r#"{"value":{"n":1,"m":2}}"#, r#"{"value":{"n":2}}"#];
    for (key, since) in ["n", "m"].into_iter().zip(since) {
        let (_, late) = late::<F>(&manager, before, since).await;
        late.insert(key, 3).unwrap();
        assert_eq!(committed(&late).await, quiet(Outcome::Merged));
    }
}

/// Of requests that count at once each one counts.
pub async fn counters_add_up<F: Fixture>() {
    let (_fixture, manager) = merging::<F>(Merges::new().counter("visits")).await;
    let (id, _) = session_of::<F>(&manager, r#"{"value":{"visits":10}}"#).await;
    let task = |by: i64| {
        let session = manager.session(Some(id.clone()));
        async move {
            let visits: i64 = session.get("visits").await.unwrap().unwrap();
            session.insert("visits", visits + by).unwrap();
            session.commit().await.unwrap().outcome
        }
    };
    let outcomes = together((1..=WRITERS).map(task)).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Saved | Outcome::Merged)));
    let total: Option<i64> = manager.session(Some(id)).get("visits").await.unwrap();
    assert_eq!(total, Some(10 + WRITERS * (WRITERS + 1) / 2));
}

/// Of requests that fill or empty a cart at once each one does.
pub async fn carts_keep_what_each_added<F: Fixture>() {
    let (_fixture, manager) = merging::<F>(Merges::new().list("cart")).await;
    let filled: Vec<i64> = (1_000..1_000 + WRITERS).collect();
    let start = format!(r#"{{"value":{{"cart":{filled:?}}}}}"#);
    let (id, _) = session_of::<F>(&manager, &start).await;
    let task = |number: i64| {
        let session = manager.session(Some(id.clone()));
        async move {
            let change = |cart: &mut Value| {
                if let Value::Array(items) = cart {
                    items.retain(|item| item.as_i64() != Some(1_000 + number));
                    items.push(number.into());
                }
            };
            session.update("cart", change).await.unwrap();
            session.commit().await.unwrap();
        }
    };
    together((0..WRITERS).map(task)).await;
    let cart: Option<Vec<i64>> = manager.session(Some(id)).get("cart").await.unwrap();
    let mut cart = cart.unwrap();
    cart.sort_unstable();
    assert_eq!(cart, (0..WRITERS).collect::<Vec<_>>());
}
