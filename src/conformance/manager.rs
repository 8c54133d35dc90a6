//! What a [`SessionManager`] makes of a store, on any table, with the `json` codec.

use super::support::{
    ONE, TWO, assert_rows, found, new_id, rows, saved, seeded, stored, together, update_of,
};
use super::{Calls, Counting, Fixture};
use crate::codec::Json;
use crate::id::SessionId;
use crate::manager::{ManagerOptions, Policy, SessionManager};
use crate::record::{Lookup, Saved};
use crate::session::{Commit, CookieChange, Outcome, Session};
use crate::store::Store;
use crate::value::Value;

const WRITERS: usize = 64;

type Managed<F> = SessionManager<Counting<<F as Fixture>::Store>>;

async fn open<F: Fixture>() -> (F, Managed<F>) {
    open_with(Policy::Merge).await
}

async fn open_with<F: Fixture>(policy: Policy) -> (F, Managed<F>) {
    let (fixture, store) = F::open().await;
    let options = ManagerOptions {
        policy,
        // 64 writers of one row, on a slow machine.
        deadline: std::time::Duration::from_secs(30),
        ..ManagerOptions::default()
    };
    (fixture, SessionManager::with_options(Counting::new(store), Json, options))
}

/// A session in the table, its calls not counted.
async fn session_of<F: Fixture>(manager: &Managed<F>, data: &str) -> (SessionId, Session) {
    let id = seeded(manager.store(), data).await;
    manager.store().take();
    (id.clone(), manager.session(Some(id)))
}

async fn committed(session: &Session) -> Commit {
    session.commit().await.unwrap()
}

fn new_cookie(commit: &Commit) -> SessionId {
    match &commit.cookie {
        CookieChange::Set(id) => id.clone(),
        CookieChange::Keep | CookieChange::Clear => panic!("the browser gets a new id"),
    }
}

fn quiet(outcome: Outcome) -> Commit {
    Commit { outcome, cookie: CookieChange::Keep }
}

async fn number<F: Fixture>(manager: &Managed<F>, id: &SessionId, key: &str) -> Option<i64> {
    manager.session(Some(id.clone())).get(key).await.unwrap()
}

/// One INSERT at the commit, and nothing before.
pub async fn a_new_session_costs_one_save<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let session = manager.session(None);
    assert!(session.value("n").await.unwrap().is_none());
    session.insert("n", 1).unwrap();
    session.insert("n", 2).unwrap();
    assert!(rows(&fixture).await.is_empty());
    let commit = committed(&session).await;
    assert_eq!(commit.outcome, Outcome::Created);
    assert_eq!(manager.store().take(), Calls { save: 1, ..Calls::default() });
    assert_rows(&fixture, &[(new_cookie(&commit).private().as_str(), Some(TWO))]).await;
}

/// Neither a read nor a row, with a cookie and without.
pub async fn an_untouched_session_costs_nothing<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (id, session) = session_of::<F>(&manager, ONE).await;
    for session in [session, manager.session(None), manager.session(Some(new_id()))] {
        assert_eq!(committed(&session).await, quiet(Outcome::Unchanged));
    }
    let emptied = manager.session(None);
    emptied.insert("n", 1).unwrap();
    emptied.remove("n").unwrap();
    assert_eq!(committed(&emptied).await, quiet(Outcome::Unchanged));
    assert_eq!(manager.store().take(), Calls::default());
    assert_rows(&fixture, &[(id.private().as_str(), Some(ONE))]).await;
}

/// Equal content issues no SQL, however it came to be equal.
pub async fn a_read_or_an_equal_write_costs_one_find<F: Fixture>() {
    let (_fixture, manager) = open::<F>().await;
    let (id, _) =
        session_of::<F>(&manager, r#"{"value": {"n": 1, "m": {"a":[1,2], "b":"x"}}}"#).await;
    let [read, equal, back, cleared] = [(); 4].map(|()| manager.session(Some(id.clone())));
    read.value("n").await.unwrap();
    read.to_map().await.unwrap();
    equal.insert("n", 1).unwrap();
    equal.remove("missing").unwrap();
    back.insert("n", 2).unwrap();
    back.insert("n", 1).unwrap();
    let map = read.to_map().await.unwrap();
    manager.store().take();
    cleared.clear().unwrap();
    for (key, value) in map {
        cleared.insert(key, value).unwrap();
    }
    assert_eq!(committed(&read).await, quiet(Outcome::Unchanged));
    assert_eq!(manager.store().take(), Calls::default());
    for session in [equal, back, cleared] {
        assert_eq!(committed(&session).await, quiet(Outcome::Unchanged));
        assert_eq!(manager.store().take(), Calls { find: 1, ..Calls::default() });
    }
}

/// One find, whenever it is needed first, and one guarded UPDATE.
pub async fn a_change_costs_one_find_and_one_save<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (id, session) = session_of::<F>(&manager, ONE).await;
    assert_eq!(session.get("n").await.unwrap(), Some(1));
    session.insert("n", 2).unwrap();
    assert_eq!(committed(&session).await, quiet(Outcome::Saved));
    assert_eq!(manager.store().take(), Calls { find: 1, save: 1, ..Calls::default() });
    assert_rows(&fixture, &[(id.private().as_str(), Some(TWO))]).await;
    let unread = manager.session(Some(id.clone()));
    unread.insert("n", 1).unwrap();
    assert_eq!(committed(&unread).await, quiet(Outcome::Saved));
    assert_eq!(manager.store().take(), Calls { find: 1, save: 1, ..Calls::default() });
    assert_rows(&fixture, &[(id.private().as_str(), Some(ONE))]).await;
}

/// Id and data change in one UPDATE.
pub async fn a_renewal_costs_one_find_and_one_save<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    for (number, expected) in [(None, ONE), (Some(2), TWO)] {
        let (id, session) = session_of::<F>(&manager, ONE).await;
        session.renew().unwrap();
        if let Some(number) = number {
            session.insert("n", number).unwrap();
        }
        let commit = committed(&session).await;
        assert_eq!(commit.outcome, Outcome::Saved);
        assert_eq!(manager.store().take(), Calls { find: 1, save: 1, ..Calls::default() });
        let new = new_cookie(&commit);
        assert!(new != id);
        assert_rows(&fixture, &[(new.private().as_str(), Some(expected))]).await;
        assert!(manager.store().destroy(&Lookup::new(&new)).await.unwrap());
    }
}

/// A cookie without a row is one find, whatever is asked, and makes no row.
pub async fn a_stale_cookie_costs_one_find_and_no_row<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let session = manager.session(Some(new_id()));
    assert!(session.value("n").await.unwrap().is_none());
    assert!(session.is_empty().await.unwrap());
    assert!(session.id().await.unwrap().is_none());
    assert!(session.info().await.unwrap().is_none());
    session.remove("n").unwrap();
    session.clear().unwrap();
    session.renew().unwrap();
    assert_eq!(committed(&session).await, quiet(Outcome::Unchanged));
    assert_eq!(manager.store().take(), Calls { find: 1, ..Calls::default() });
    assert!(rows(&fixture).await.is_empty());
}

/// What is written under an unknown id goes under a new one.
pub async fn an_unknown_id_is_never_adopted<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    for text in [new_id().as_str(), "admin", "x\u{ff12}::"] {
        let id = SessionId::parse(text.as_bytes()).unwrap();
        let session = manager.session(Some(id.clone()));
        session.insert("n", 1).unwrap();
        let commit = committed(&session).await;
        assert_eq!(commit.outcome, Outcome::Created);
        let new = new_cookie(&commit);
        assert!(new != id);
        assert_rows(&fixture, &[(new.private().as_str(), Some(ONE))]).await;
        manager.store().destroy(&Lookup::new(&new)).await.unwrap();
    }
}

/// It is written by UPDATE, under its own id.
pub async fn null_data_is_an_empty_session_of_its_row<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let id = new_id();
    fixture.put(id.private().as_str(), None).await;
    let session = manager.session(Some(id.clone()));
    assert!(session.is_empty().await.unwrap());
    assert!(session.id().await.unwrap() == Some(id.clone()));
    session.insert("n", 1).unwrap();
    assert_eq!(committed(&session).await, quiet(Outcome::Saved));
    assert_rows(&fixture, &[(id.private().as_str(), Some(ONE))]).await;
}

/// At the top level nil is no value; further down it is one.
pub async fn nil_values_are_dropped<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (id, session) = session_of::<F>(&manager, r#"{"value":{"n":1,"m":1}}"#).await;
    session.insert("m", None::<i64>).unwrap();
    session.insert("new", Value::Nil).unwrap();
    session.insert("n", [None::<i64>]).unwrap();
    assert!(session.value("m").await.unwrap().is_none());
    assert_eq!(committed(&session).await, quiet(Outcome::Saved));
    assert_rows(&fixture, &[(id.private().as_str(), Some(r#"{"value":{"n":[null]}}"#))]).await;
}

/// An edit within a value is a change of its key.
pub async fn nested_edits_are_seen<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (id, session) = session_of::<F>(&manager, r#"{"value":{"cart":[{"sku":7}]}}"#).await;
    let edit = |cart: &mut Value| {
        if let Value::Array(items) = cart {
            items.push(8.into());
        }
    };
    session.update("cart", edit).await.unwrap();
    assert_eq!(committed(&session).await, quiet(Outcome::Saved));
    let expected = r#"{"value":{"cart":[{"sku":7},8]}}"#;
    assert_rows(&fixture, &[(id.private().as_str(), Some(expected))]).await;
}

/// `session_id` answers the public id and is never stored.
pub async fn the_session_id_is_virtual<F: Fixture>() {
    let (_fixture, manager) = open::<F>().await;
    let (id, session) = session_of::<F>(&manager, ONE).await;
    let virtual_id: Option<String> = session.get("session_id").await.unwrap();
    assert!(virtual_id.as_deref() == Some(id.as_str()));
    assert!(session.insert("session_id", "mine").unwrap_err().is_value());
    assert_eq!(session.to_map().await.unwrap().len(), 1);
    assert!(manager.session(None).value("session_id").await.unwrap().is_none());
}

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

/// A hit on a raw id is re-keyed at the commit; the browser's cookie stays.
pub async fn a_plain_read_secures_a_legacy_row<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    for change in [false, true] {
        let id = new_id();
        fixture.put(id.as_str(), Some(ONE.as_bytes())).await;
        let session = manager.session(Some(id.clone()));
        assert_eq!(session.get("n").await.unwrap(), Some(1));
        if change {
            session.insert("n", 2).unwrap();
        }
        assert_eq!(committed(&session).await, quiet(Outcome::Saved));
        assert_eq!(manager.store().take(), Calls { find: 1, save: 1, ..Calls::default() });
        let expected = if change { TWO } else { ONE };
        assert_rows(&fixture, &[(id.private().as_str(), Some(expected))]).await;
        manager.store().destroy(&Lookup::new(&id)).await.unwrap();
        manager.store().take();
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

/// Raw row and private row both go, without a read, and the browser's cookie with them.
pub async fn destroy_ends_the_session_under_either_id<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let id = new_id();
    for text in [id.private().as_str(), id.as_str()] {
        fixture.put(text, Some(ONE.as_bytes())).await;
    }
    for _ in 0..2 {
        let session = manager.session(Some(id.clone()));
        session.destroy().unwrap();
        let expected = Commit { outcome: Outcome::Destroyed, cookie: CookieChange::Clear };
        assert_eq!(committed(&session).await, expected);
        assert_eq!(manager.store().take(), Calls { destroy: 1, ..Calls::default() });
        assert!(rows(&fixture).await.is_empty());
    }
}

/// What is inserted after a destroy is in a new session; the old id is dead.
pub async fn a_destroyed_session_that_is_written_to_begins_anew<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (id, session) = session_of::<F>(&manager, ONE).await;
    session.destroy().unwrap();
    session.insert("n", 2).unwrap();
    let new = new_cookie(&committed(&session).await);
    assert!(new != id);
    assert_rows(&fixture, &[(new.private().as_str(), Some(TWO))]).await;
}

const BROKEN: &str = r#"{"value":[1,2]}"#;

/// Data that is no session is an error that names the format and the place; the row is kept.
pub async fn undecodable_data_is_left_alone<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (id, session) = session_of::<F>(&manager, BROKEN).await;
    let error = session.value("n").await.unwrap_err();
    assert!(error.is_decode());
    assert!(error.to_string().contains("json at byte 9"));
    session.insert("n", 2).unwrap();
    assert!(session.commit().await.unwrap_err().is_decode());
    assert_rows(&fixture, &[(id.private().as_str(), Some(BROKEN))]).await;
}

/// Clear, reset and destroy need not read what they replace.
pub async fn undecodable_data_can_be_replaced<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    for step in [Session::clear, Session::reset, Session::destroy] {
        let (id, session) = session_of::<F>(&manager, BROKEN).await;
        assert!(session.value("n").await.is_err());
        step(&session).unwrap();
        session.insert("n", 2).unwrap();
        let commit = committed(&session).await;
        assert_eq!(commit.outcome, Outcome::Saved);
        let id = if let CookieChange::Set(new) = commit.cookie { new } else { id };
        assert_rows(&fixture, &[(id.private().as_str(), Some(TWO))]).await;
        assert_eq!(number::<F>(&manager, &id, "n").await, Some(2));
        manager.store().destroy(&Lookup::new(&id)).await.unwrap();
    }
}

/// What comes after the commit would be lost, so it is an error; reading goes on.
pub async fn a_committed_session_cannot_be_changed<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (id, session) = session_of::<F>(&manager, ONE).await;
    session.insert("n", 2).unwrap();
    committed(&session).await;
    for late in [session.insert("n", 3), session.remove("n"), session.renew(), session.clear()] {
        assert!(late.unwrap_err().is_committed());
    }
    for late in [session.reset(), session.destroy(), session.commit().await.map(drop)] {
        assert!(late.unwrap_err().is_committed());
    }
    assert_eq!(session.get("n").await.unwrap(), Some(2));
    assert!(found(manager.store(), &id).await.data.as_deref() == Some(TWO.as_bytes()));
    assert_rows(&fixture, &[(id.private().as_str(), Some(TWO))]).await;
}
