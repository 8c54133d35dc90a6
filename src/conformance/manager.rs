//! What a [`SessionManager`] makes of a store, on any table, with the `json` codec.

use super::managed::{Managed, committed, new_cookie, open, quiet, session_of};
use super::support::{ONE, TWO, assert_rows, found, holds, new_id, rows, together};
use super::{Calls, Counting, Fixture};
use crate::codec::Json;
use crate::id::SessionId;
use crate::manager::{ManagerOptions, SessionManager};
use crate::record::Lookup;
use crate::session::{Commit, CookieChange, Outcome, Session};
use crate::store::Store;
use crate::value::Value;

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

/// Handles of one request read the row once between them.
pub async fn handles_share_one_find<F: Fixture>() {
    let (_fixture, manager) = open::<F>().await;
    let (_, session) = session_of::<F>(&manager, ONE).await;
    let task = |_| {
        let session = session.clone();
        async move { session.get("n").await.unwrap() }
    };
    let answers: Vec<Option<i64>> = together((0..8).map(task)).await;
    assert!(answers.iter().all(|answer| *answer == Some(1)));
    assert_eq!(manager.store().take(), Calls { find: 1, ..Calls::default() });
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

/// With the fallback off a raw row is nobody's session.
pub async fn without_the_fallback_raw_rows_are_nobodys<F: Fixture>() {
    let (fixture, store) = F::open().await;
    let options = ManagerOptions { legacy_fallback: false, ..ManagerOptions::default() };
    let manager = SessionManager::with_options(Counting::new(store), Json, options);
    let id = new_id();
    fixture.put(id.as_str(), Some(ONE.as_bytes())).await;
    let [read, ended] = [(); 2].map(|()| manager.session(Some(id.clone())));
    assert!(read.is_empty().await.unwrap());
    ended.destroy().unwrap();
    for session in [read, ended] {
        committed(&session).await;
    }
    assert_rows(&fixture, &[(id.as_str(), Some(ONE))]).await;
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

/// A raw row beside the private one goes too when the id changes: the old cookie finds nothing.
pub async fn a_new_id_leaves_no_raw_row_behind<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    for change in [Session::reset, Session::renew] {
        let id = new_id();
        for text in [id.private().as_str(), id.as_str()] {
            fixture.put(text, Some(ONE.as_bytes())).await;
        }
        let session = manager.session(Some(id.clone()));
        change(&session).unwrap();
        let new = new_cookie(&committed(&session).await);
        let find = async |id| manager.store().find(&Lookup::with_legacy(id)).await.unwrap();
        assert!(find(&id).await.is_none());
        assert!(find(&new).await.is_some());
    }
}

/// What is inserted after a destroy, for instance a farewell, is in a new session; the old one is
/// gone under either id.
pub async fn a_destroyed_session_that_is_written_to_begins_anew<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let id = new_id();
    for text in [id.private().as_str(), id.as_str()] {
        fixture.put(text, Some(ONE.as_bytes())).await;
    }
    let session = manager.session(Some(id.clone()));
    session.destroy().unwrap();
    session.insert("n", 2).unwrap();
    let commit = committed(&session).await;
    assert_eq!(commit.outcome, Outcome::Created);
    let new = new_cookie(&commit);
    assert!(new != id);
    assert_eq!(manager.store().take(), Calls { destroy: 1, save: 1, ..Calls::default() });
    assert_rows(&fixture, &[(new.private().as_str(), Some(TWO))]).await;
}

const BROKEN: &str = r#"{"value":[1,2]}"#;

/// Data that is no session is an error that names the format and the place; the row is kept.
pub async fn undecodable_data_is_left_alone<F: Fixture>() {
    let (fixture, manager) = open::<F>().await;
    let (id, session) = session_of::<F>(&manager, BROKEN).await;
    let error = session.value("n").await.unwrap_err();
    assert!(error.is_decode());
    let offset = F::stored_form(BROKEN).find('[').unwrap();
    assert!(error.to_string().contains(&format!("json at byte {offset}")));
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
        assert!(matches!(commit.outcome, Outcome::Saved | Outcome::Created));
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
    assert!(holds::<F>(found(manager.store(), &id).await.data.as_ref(), TWO));
    assert_rows(&fixture, &[(id.private().as_str(), Some(TWO))]).await;
}
