//! What a [`SessionManager`] makes of requests that meet in one session, on any table, with the
//! `json` codec.

use super::managed::{Managed, committed, new_cookie, open, open_with, quiet, session_of};
use super::support::{
    ONE, TWO, assert_rows, is_found, new_id, rows, saved, stored, together, update_of,
};
use super::{Calls, Counting, Fixture};
use crate::codec::Json;
use crate::id::SessionId;
use crate::manager::{ManagerOptions, Policy, SessionManager};
use crate::record::{Lookup, Saved};
use crate::session::{CookieChange, Outcome, Session};
use crate::store::Store;
use crate::value::Value;

const WRITERS: usize = 64;

/// 64 writers at once, each of a key of its own.
async fn write_at_once<F: Fixture>(manager: &Managed<F>, id: &SessionId) {
    let task = |key: usize| {
        let session = manager.session(Some(id.clone()));
        async move {
            session.insert(format!("k{key}"), key).unwrap();
            session.commit().await.unwrap().outcome
        }
    };
    let outcomes = together((0..WRITERS).map(task)).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Saved | Outcome::Merged)));
    let map = manager.session(Some(id.clone())).to_map().await.unwrap();
    assert_eq!(map.len(), WRITERS + 1);
    for key in 0..WRITERS {
        let value = map.get(&format!("k{key}")).and_then(Value::as_i64);
        assert_eq!(value, Some(key as i64));
    }
}

/// Merge applies each request's own keys to the fresh row.
pub async fn writers_of_different_keys_lose_none<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (id, _) = session_of::<F>(&manager, ONE).await;
    write_at_once::<F>(&manager, &id).await;
    assert_eq!(fixture.rows().await.len(), 1);
}

/// A row that another request has just secured is still the session.
pub async fn writers_to_a_legacy_row_lose_none<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let id = new_id();
    fixture.put(id.as_str(), Some(ONE.as_bytes())).await;
    write_at_once::<F>(&manager, &id).await;
    let rows = rows(&fixture).await;
    assert_eq!(rows.len(), 1);
    assert!(rows[0].0 == id.private().as_str());
}

/// Two requests that have read the same row; the first has written `{"n":2}`.
async fn late<F: Fixture>(manager: &Managed<F>) -> (SessionId, Session) {
    let (id, late) = session_of::<F>(manager, ONE).await;
    assert_eq!(late.get("n").await.unwrap(), Some(1));
    assert_eq!(saved(manager.store(), update_of(stored(&id), TWO)).await, Saved::Applied);
    manager.store().take();
    (id, late)
}

/// As Rails does: the whole row is overwritten.
pub async fn last_write_wins_erases<F: Fixture>() {
    let (fixture, manager) = open_with::<F>(Policy::LastWriteWins).await;
    let (id, late) = late::<F>(&manager).await;
    late.insert("m", 3).unwrap();
    assert_eq!(committed(&late).await, quiet(Outcome::Saved));
    assert_eq!(manager.store().take(), Calls { save: 1, ..Calls::default() });
    let expected = r#"{"value":{"n":1,"m":3}}"#;
    assert_rows(&fixture, &[(id.private().as_str(), Some(expected))]).await;
}

/// The conflict is told and the row stays the other's; a renewal is refused with it.
pub async fn reject_writes_nothing<F: Fixture>() {
    let (fixture, manager) = open_with::<F>(Policy::Reject).await;
    for renew in [false, true] {
        let (id, late) = late::<F>(&manager).await;
        late.insert("m", 3).unwrap();
        if renew {
            late.renew().unwrap();
        }
        assert_eq!(committed(&late).await, quiet(Outcome::Conflict));
        assert_rows(&fixture, &[(id.private().as_str(), Some(TWO))]).await;
        manager.store().destroy(&Lookup::new(&id)).await.unwrap();
    }
}

/// When others win until the deadline, that is an error and the row stays theirs.
pub async fn a_merge_ends_by_the_deadline<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let deadline = std::time::Duration::ZERO;
    let options = ManagerOptions { deadline, ..ManagerOptions::default() };
    let manager = SessionManager::with_options(Counting::new(store), Json, options);
    let (id, late) = late::<F>(&manager).await;
    late.insert("m", 3).unwrap();
    assert!(late.commit().await.unwrap_err().is_conflict());
    assert_rows(&fixture, &[(id.private().as_str(), Some(TWO))]).await;
}

/// Everybody signs out: what another wrote meanwhile goes too.
pub async fn clear_is_never_merged<F: Fixture>() {
    for policy in [Policy::Merge, Policy::Reject, Policy::LastWriteWins] {
        let (fixture, manager) = open_with::<F>(policy).await;
        let (id, late) = late::<F>(&manager).await;
        late.clear().unwrap();
        late.insert("m", 3).unwrap();
        assert_eq!(committed(&late).await, quiet(Outcome::Saved));
        let expected = r#"{"value":{"m":3}}"#;
        assert_rows(&fixture, &[(id.private().as_str(), Some(expected))]).await;
    }
}

/// The new session holds what was inserted after the reset and nothing else, under a new id.
pub async fn reset_is_never_merged<F: Fixture>() {
    for policy in [Policy::Merge, Policy::Reject, Policy::LastWriteWins] {
        let (fixture, manager) = open_with::<F>(policy).await;
        let (id, late) = late::<F>(&manager).await;
        late.insert("before", 1).unwrap();
        late.reset().unwrap();
        assert!(late.value("n").await.unwrap().is_none());
        late.insert("m", 3).unwrap();
        let commit = committed(&late).await;
        assert_eq!(commit.outcome, Outcome::Saved);
        assert_eq!(manager.store().take(), Calls { save: 1, ..Calls::default() });
        let new = new_cookie(&commit);
        assert!(new != id);
        let expected = r#"{"value":{"m":3}}"#;
        assert_rows(&fixture, &[(new.private().as_str(), Some(expected))]).await;
    }
}

/// A renewal moves what another wrote meanwhile along.
pub async fn a_renewal_keeps_data_and_merges<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    for (key, outcome, expected) in
        [(None, Outcome::Saved, TWO), (Some("m"), Outcome::Merged, r#"{"value":{"n":2,"m":3}}"#)]
    {
        let (_, late) = late::<F>(&manager).await;
        late.renew().unwrap();
        if let Some(key) = key {
            late.insert(key, 3).unwrap();
        }
        let commit = committed(&late).await;
        assert_eq!(commit.outcome, outcome);
        let new = new_cookie(&commit);
        assert_rows(&fixture, &[(new.private().as_str(), Some(expected))]).await;
        manager.store().destroy(&Lookup::new(&new)).await.unwrap();
    }
}

/// A logout against requests that change, renew and read: whatever comes first, the id is dead, and
/// a row is left only under the id that a renewal gave before the logout.
pub async fn a_logout_is_final_for_every_request<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    for round in 0..100 {
        let (id, _) = session_of::<F>(&manager, ONE).await;
        let task = |step: usize| {
            let session = manager.session(Some(id.clone()));
            async move {
                match (step + round) % 4 {
                    0 => session.destroy().unwrap(),
                    1 => session.insert("n", 2).unwrap(),
                    2 => session.renew().unwrap(),
                    _ => assert!(session.value("n").await.is_ok()),
                }
                match session.commit().await.unwrap().cookie {
                    CookieChange::Set(new) => Some(new),
                    CookieChange::Keep | CookieChange::Clear => None,
                }
            }
        };
        let given: Vec<SessionId> =
            together((0..4).map(task)).await.into_iter().flatten().collect();
        assert!(!is_found(manager.store(), &Lookup::with_legacy(&id)).await);
        let left = rows(&fixture).await;
        // A changed session whose row was gone at its find began anew, as any stale cookie does.
        assert!(left.iter().all(|(id, _)| given.iter().any(|new| new.private().as_str() == id)));
        for new in given {
            manager.store().destroy(&Lookup::new(&new)).await.unwrap();
        }
        assert!(rows(&fixture).await.is_empty());
    }
}

/// A session that was read and then destroyed by another request.
async fn gone<F: Fixture>(manager: &Managed<F>) -> Session {
    let (id, session) = session_of::<F>(manager, ONE).await;
    assert_eq!(session.get("n").await.unwrap(), Some(1));
    assert!(manager.store().destroy(&Lookup::new(&id)).await.unwrap());
    session
}

/// A logout wins over a slow request that renews: no row, no cookie.
pub async fn a_renewal_of_a_gone_row_carries_nothing_forward<F: Fixture>() {
    for policy in [Policy::Merge, Policy::Reject, Policy::LastWriteWins] {
        let (fixture, manager) = open_with::<F>(policy).await;
        let [plain, changed] = [gone::<F>(&manager).await, gone::<F>(&manager).await];
        plain.renew().unwrap();
        changed.renew().unwrap();
        changed.insert("m", 3).unwrap();
        for session in [plain, changed] {
            assert_eq!(committed(&session).await, quiet(Outcome::Gone));
        }
        assert!(rows(&fixture).await.is_empty());
    }
}

/// A login never fails for a trimmed row: a fresh session with nothing of before.
pub async fn a_reset_of_a_gone_row_begins_anew<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let session = gone::<F>(&manager).await;
    session.reset().unwrap();
    session.insert("user", 7).unwrap();
    let commit = committed(&session).await;
    assert_eq!(commit.outcome, Outcome::Created);
    let expected = r#"{"value":{"user":7}}"#;
    assert_rows(&fixture, &[(new_cookie(&commit).private().as_str(), Some(expected))]).await;
}

/// A slow request that changes or clears a destroyed session writes nothing, whatever the policy.
pub async fn a_change_of_a_gone_row_is_gone<F: Fixture>() {
    for policy in [Policy::Merge, Policy::Reject, Policy::LastWriteWins] {
        let (fixture, manager) = open_with::<F>(policy).await;
        let [changed, cleared] = [gone::<F>(&manager).await, gone::<F>(&manager).await];
        changed.insert("n", 2).unwrap();
        cleared.clear().unwrap();
        for session in [changed, cleared] {
            assert_eq!(committed(&session).await, quiet(Outcome::Gone));
        }
        assert!(rows(&fixture).await.is_empty());
    }
}

/// The old session must not live on under its private id when another request had re-keyed it
/// between this one's read and its reset: the id from before a login would stay good.
pub async fn a_reset_ends_a_legacy_session_that_was_secured_meanwhile<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    for insert in [false, true] {
        let id = new_id();
        fixture.put(id.as_str(), Some(ONE.as_bytes())).await;
        let [login, other] = [(); 2].map(|()| manager.session(Some(id.clone())));
        for session in [&login, &other] {
            assert_eq!(session.get("n").await.unwrap(), Some(1));
        }
        assert_eq!(committed(&other).await, quiet(Outcome::Saved));
        login.reset().unwrap();
        if insert {
            login.insert("n", 2).unwrap();
        }
        let new = new_cookie(&committed(&login).await);
        let expected = if insert { TWO } else { r#"{"value":{}}"# };
        assert_rows(&fixture, &[(new.private().as_str(), Some(expected))]).await;
        manager.store().destroy(&Lookup::new(&new)).await.unwrap();
    }
}
